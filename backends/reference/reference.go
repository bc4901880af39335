// Package reference is the backend that is slow and right. It compiles nothing: each run interprets the graph on gorgonia's
// LispMachine, every operation by the plain Go loop that defines it, accumulating in float64. A graph made with float64 entries is
// float64 throughout, with storages kept in float64 between runs; otherwise each result is rounded to float32. Other backends are
// compared with it, and small models can be trained on it to see whether a kernel is at fault.
package reference

import (
	"fmt"

	"forge/backends"
	"forge/backends/machine"
	"forge/compiler/graph"
	"forge/compiler/op"
)

type backend struct{ memory machine.Memory }

// New gives the backend.
func New() backends.Backend { return Open(0) }

// Open gives the backend with a bound of the memory that it may use, in bytes; 0: what the machine and the process's control groups
// allow.
func Open(memory int64) backends.Backend {
	if memory > 0 {
		return backend{machine.Given(memory)}
	}
	return backend{machine.Limit()}
}

func (backend) Name() string             { return "reference" }
func (backend) Device() string           { return "plain Go loops in float64, one thread" }
func (backend) NewStore() backends.Store { return &store{tensors: map[string]*tensor{}} }
func (backend) Close() error             { return nil }

// Compile checks the storages. With Options.Profile nothing is timed: the machine runs the graph as a whole.
func (backend) Compile(g *graph.Graph, s backends.Store, o backends.Options) (backends.Program, error) {
	own, ok := s.(*store)
	if !ok {
		return nil, fmt.Errorf("reference: the store is of another backend (%T)", s)
	}
	for _, n := range g.Storages() {
		t, ok := own.tensors[n.Name]
		if !ok {
			return nil, fmt.Errorf("reference: the store has no storage %s", n.Name)
		}
		if !same(t.t, n.Type()) {
			return nil, fmt.Errorf("reference: storage %s is %v, the graph wants %v", n.Name, t.t, n.Type())
		}
	}
	for _, u := range g.Updates() {
		if own.tensors[u.Storage.Name].fixed {
			return nil, fmt.Errorf("reference: storage %s was put there as it lies, and the graph updates it", u.Storage.Name)
		}
	}
	p := &program{graph: g, store: own, keep: o.KeepAll, inputs: map[string]*tensor{}}
	for _, n := range g.Inputs() {
		p.inputs[n.Name] = newTensor(n.Type())
	}
	return p, nil
}

type program struct {
	graph  *graph.Graph
	store  *store
	inputs map[string]*tensor
	values map[*graph.Node][]op.Tensor // of the last run: all with keep, else the outputs
	keep   bool
	closed bool
}

// RunAll interprets the graph with what the inputs and the store hold, then makes the updates.
func (p *program) RunAll() error {
	if p.closed {
		return fmt.Errorf("reference: the program is closed")
	}
	bind := map[string]op.Tensor{}
	for _, n := range p.graph.Inputs() {
		bind[n.Name] = op.Tensor{Shape: n.Type().Shape, Data: p.inputs[n.Name].data}
	}
	for _, n := range p.graph.Storages() {
		bind[n.Name] = op.Tensor{Shape: n.Type().Shape, Data: p.store.tensors[n.Name].data}
	}
	values, err := p.graph.Interpret(bind)
	if err != nil {
		return err
	}
	for _, u := range p.graph.Updates() {
		copy(p.store.tensors[u.Storage.Name].data, values[u.Value][0].Data)
	}
	if !p.keep {
		all := values
		values = map[*graph.Node][]op.Tensor{}
		for _, o := range p.graph.Outputs() {
			values[o.Node] = all[o.Node]
		}
	}
	p.values = values
	return nil
}

// Reset does nothing: a run leaves no state but the storages.
func (p *program) Reset() {}

// Close frees the values. The store stays.
func (p *program) Close() error {
	p.closed, p.values = true, nil
	return nil
}

func (p *program) SetFloats(name string, v []float32) error { return setInput(p, name, op.Float, v) }

func (p *program) SetInts(name string, v []int32) error { return setInput(p, name, op.Int32, v) }

func setInput[T int32 | float32](p *program, name string, d op.Dtype, v []T) error {
	in, ok := p.inputs[name]
	switch {
	case p.closed:
		return fmt.Errorf("reference: the program is closed")
	case !ok:
		return fmt.Errorf("reference: the graph has no input %s", name)
	case in.t.Dtype != d:
		return fmt.Errorf("reference: input %s is %v, not %v", name, in.t, d)
	case len(in.data) != len(v):
		return fmt.Errorf("reference: input %s is %v of %d values, not %d", name, in.t, len(in.data), len(v))
	}
	for i, x := range v {
		in.data[i] = float64(x)
	}
	return nil
}

func (p *program) Output(name string) ([]float32, error) {
	for _, o := range p.graph.Outputs() {
		if o.Name == name {
			return p.read("output "+name, o.Node)
		}
	}
	return nil, fmt.Errorf("reference: the graph has no output %s", name)
}

func (p *program) Value(n *graph.Node) ([]float32, error) {
	if !p.keep {
		return nil, fmt.Errorf("reference: the program was compiled without KeepAll")
	}
	return p.read(n.Name, n)
}

func (p *program) read(what string, n *graph.Node) ([]float32, error) {
	v, ok := p.values[n]
	if !ok {
		return nil, fmt.Errorf("reference: %s has no value: the program has not run, or the node is of another graph", what)
	}
	out := make([]float32, len(v[0].Data))
	for i, x := range v[0].Data {
		out[i] = float32(x)
	}
	return out, nil
}

// Stats counts 8 bytes a value; nothing shares memory.
func (p *program) Stats() backends.Stats {
	var s backends.Stats
	for _, n := range p.graph.Nodes() {
		switch n.Kind {
		case graph.StorageNode:
			s.StoreBytes += 8 * int64(n.Type().Shape.Size())
		case graph.OpNode:
			in := make([]op.Type, len(n.In))
			for i, x := range n.In {
				in[i] = x.Type()
			}
			s.Kernels++
			s.FLOPs += n.Op.Cost(n.Attrs, in, n.Outs).FLOPs
			for _, t := range n.Outs {
				s.ArenaBytes += 8 * int64(t.Shape.Size())
			}
		}
	}
	s.UnplannedBytes = s.ArenaBytes
	return s
}
