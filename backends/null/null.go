// Package null is the backend that computes nothing. It plans graphs as other backends do and knows names, shapes and sizes, but has
// no memory for values: every value it is asked for is zero. With it, a graph that fits no machine goes through every step of a run.
package null

import (
	"fmt"

	"forge/backends"
	"forge/backends/plan"
	"forge/compiler/graph"
	"forge/compiler/op"
)

type backend struct{}

// New gives the backend.
func New() backends.Backend { return backend{} }

func (backend) Name() string   { return "null" }
func (backend) Device() string { return "no device: shapes and sizes only" }
func (backend) Close() error   { return nil }

func (backend) NewStore() backends.Store { return &store{types: map[string]op.Type{}} }

func (backend) Compile(g *graph.Graph, s backends.Store, _ backends.Options) (backends.Program, error) {
	own, ok := s.(*store)
	if !ok {
		return nil, fmt.Errorf("null: the store is of another backend (%T)", s)
	}
	p, err := plan.Build(g)
	if err != nil {
		return nil, err
	}
	for _, v := range p.Storages {
		name := v.Buffer.Name
		t, ok := own.types[name]
		if !ok {
			return nil, fmt.Errorf("null: the store has no storage %s", name)
		}
		if t.Dtype != v.Dtype || !t.Shape.Equal(v.Shape) {
			return nil, fmt.Errorf("null: storage %s is %v, the graph wants %v", name, t, v.Type())
		}
	}
	return &program{plan: p}, nil
}

// store knows the types of storages.
type store struct {
	names []string
	types map[string]op.Type
}

func (s *store) Create(name string, t op.Type) error {
	if old, ok := s.types[name]; ok {
		if old.Dtype != t.Dtype || !old.Shape.Equal(t.Shape) {
			return fmt.Errorf("null: storage %s exists as %v, not %v", name, old, t)
		}
		return nil
	}
	s.names, s.types[name] = append(s.names, name), t
	return nil
}

func (s *store) Put(name string, stored backends.Stored) error {
	if err := stored.Check(); err != nil {
		return fmt.Errorf("null: storage %s: %w", name, err)
	}
	if _, ok := s.types[name]; ok {
		return fmt.Errorf("null: storage %s exists", name)
	}
	return s.Create(name, stored.Type)
}

func (s *store) Names() []string { return append([]string{}, s.names...) }

func (s *store) Type(name string) (op.Type, bool) {
	t, ok := s.types[name]
	return t, ok
}

func (s *store) Read(name string, dst []float32) error {
	clear(dst)
	return s.check(name, len(dst))
}

func (s *store) Write(name string, src []float32) error { return s.check(name, len(src)) }

func (s *store) check(name string, n int) error {
	t, ok := s.types[name]
	if !ok {
		return fmt.Errorf("null: there is no storage %s", name)
	}
	if size := t.Shape.Size(); n != size {
		return fmt.Errorf("null: storage %s holds %d values, not %d", name, size, n)
	}
	return nil
}

type program struct {
	plan   *plan.Plan
	closed bool
}

func (p *program) RunAll() error {
	if p.closed {
		return fmt.Errorf("null: the program is closed")
	}
	return nil
}

func (p *program) Reset() {}

func (p *program) Close() error {
	p.closed = true
	return nil
}

func (p *program) SetFloats(name string, v []float32) error { return p.set(name, op.Float, len(v)) }
func (p *program) SetInts(name string, v []int32) error     { return p.set(name, op.Int32, len(v)) }

func (p *program) set(name string, d op.Dtype, n int) error {
	for _, v := range p.plan.Inputs {
		if v.Buffer.Name != name {
			continue
		}
		if v.Dtype != d || v.Shape.Size() != n {
			return fmt.Errorf("null: input %s is %v, not %d values of %v", name, v.Type(), n, d)
		}
		return nil
	}
	return fmt.Errorf("null: the graph has no input %s", name)
}

func (p *program) Output(name string) ([]float32, error) {
	for _, o := range p.plan.Outputs {
		if o.Name == name {
			return make([]float32, o.Value.Shape.Size()), nil
		}
	}
	return nil, fmt.Errorf("null: the graph has no output %s", name)
}

func (p *program) Value(n *graph.Node) ([]float32, error) {
	return make([]float32, n.Type().Shape.Size()), nil
}

func (p *program) Stats() backends.Stats { return p.plan.Stats() }
