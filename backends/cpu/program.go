package cpu

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"forge/backends"
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// program is a plan with memory.
type program struct {
	pool    *kernel.Pool
	plan    *plan.Plan
	arena   []float32
	store   *store
	calls   []call
	first   []int // the first step of each call; a call is one step or a region of several
	inputs  map[string]*plan.Value
	outputs map[string]output
	profile *profile
	closed  bool
	walking func() error // walk, kept so that a run allocates nothing
}

// output is where a named output lies and, for integers, the floats that are handed out.
type output struct {
	data   []float32
	floats []float32 // for Int32
}

// call is a kernel with its operands bound. It may report data that the operation cannot work with.
type call interface{ run() error }

func newProgram(pool *kernel.Pool, p *plan.Plan, s *store, o backends.Options) (*program, error) {
	g := &program{pool: pool, plan: p, store: s, inputs: map[string]*plan.Value{}, outputs: map[string]output{}}
	for _, v := range p.Storages {
		t, ok := s.Type(v.Buffer.Name)
		if !ok {
			return nil, fmt.Errorf("cpu: the store has no storage %s", v.Buffer.Name)
		}
		if t.Dtype != v.Dtype || !t.Shape.Equal(v.Shape) {
			return nil, fmt.Errorf("cpu: storage %s is %v, the graph wants %v", v.Buffer.Name, t, v.Type())
		}
	}
	scratch := scratchSize(p.Steps)
	if err := tooLarge(s.memory, "the graph "+p.Name+" with its storages", p.ArenaSize+int64(scratch), s.size); err != nil {
		return nil, err
	}
	g.arena = alignedFloats(int(p.ArenaSize))
	for _, v := range p.Inputs {
		g.inputs[v.Buffer.Name] = v
	}
	for _, v := range p.Outputs {
		out := output{data: g.memory(v.Value)[:v.Value.Shape.Size()]}
		if v.Value.Dtype == op.Int32 {
			out.floats = make([]float32, len(out.data))
		}
		g.outputs[v.Name] = out
	}
	c := &compilation{pool: pool, program: g, scratch: alignedFloats(scratch)}
	for _, step := range p.Steps {
		k, ok := kernels[step.Op]
		if !ok {
			return nil, fmt.Errorf("cpu: no kernel for %s", step.Op.Name)
		}
		made, err := k.build(c, step)
		if err != nil {
			return nil, fmt.Errorf("cpu: %s: %w", step.Op.Name, err)
		}
		g.calls = append(g.calls, made)
	}
	g.calls, g.first = c.together(g.calls, p.Steps)
	g.walking = g.walk
	if o.Profile {
		g.profile = newProfile(p, g.first, s)
	}
	return g, nil
}

// memory is the buffer of a value from the value's first entry on.
func (g *program) memory(v *plan.Value) []float32 {
	b := v.Buffer
	if b.Kind == plan.Storage {
		return g.store.storages[b.Name].data[v.Offset:]
	}
	return g.arena[b.Offset+v.Offset : b.Offset+b.Size : b.Offset+b.Size]
}

// RunAll runs every step once.
func (g *program) RunAll() error {
	if g.closed {
		return fmt.Errorf("cpu: the program is closed")
	}
	if !g.store.mapped {
		return g.walk()
	}
	err := backends.Mapped(g.walking)
	if g.pool.TakeFault() {
		return backends.ErrMapped
	}
	return err
}

func (g *program) walk() error {
	if g.profile != nil {
		return g.runProfiled()
	}
	for i, c := range g.calls {
		if err := c.run(); err != nil {
			return g.failed(g.first[i], err)
		}
	}
	return nil
}

func (g *program) failed(i int, err error) error {
	s := g.plan.Steps[i]
	if s.Node != nil && s.Node.Place.Span != "" {
		return fmt.Errorf("%s: %s: %w", s.Node.Place.Span, s.Op.Name, err)
	}
	return fmt.Errorf("cpu: %s: %w", s.Op.Name, err)
}

// Reset does nothing: a run leaves no state but the storages.
func (g *program) Reset() {}

// Close frees the values. The store stays.
func (g *program) Close() error {
	g.closed = true
	g.calls, g.arena = nil, nil
	return nil
}

func (g *program) input(name string, d op.Dtype, n int) ([]float32, error) {
	v, ok := g.inputs[name]
	switch {
	case g.closed:
		return nil, fmt.Errorf("cpu: the program is closed")
	case !ok:
		return nil, fmt.Errorf("cpu: the graph has no input %s", name)
	case v.Dtype != d:
		return nil, fmt.Errorf("cpu: input %s is %v, not %v", name, v.Type(), d)
	case v.Shape.Size() != n:
		return nil, fmt.Errorf("cpu: input %s is %v of %d values, not %d", name, v.Type(), v.Shape.Size(), n)
	}
	return g.memory(v), nil
}

func (g *program) SetFloats(name string, v []float32) error {
	m, err := g.input(name, op.Float, len(v))
	if err != nil {
		return err
	}
	copy(m, v)
	return nil
}

func (g *program) SetInts(name string, v []int32) error {
	m, err := g.input(name, op.Int32, len(v))
	if err != nil {
		return err
	}
	copy(asInts(m), v)
	return nil
}

func (g *program) Output(name string) ([]float32, error) {
	o, ok := g.outputs[name]
	if !ok {
		return nil, fmt.Errorf("cpu: the graph has no output %s", name)
	}
	if o.floats == nil {
		return o.data, nil
	}
	for i, v := range asInts(o.data) {
		o.floats[i] = float32(v)
	}
	return o.floats, nil
}

func (g *program) Value(n *graph.Node) ([]float32, error) {
	v, ok := g.plan.Value(n)
	if !ok {
		return nil, fmt.Errorf("cpu: %s has no value of its own in this program", n.Name)
	}
	if g.closed {
		return nil, fmt.Errorf("cpu: the program is closed")
	}
	out := make([]float32, v.Shape.Size())
	gather(out, g.memory(v), v.Shape, v.Strides)
	if v.Dtype == op.Int32 {
		for i, x := range asInts(out) {
			out[i] = float32(x)
		}
	}
	return out, nil
}

// gather copies a strided tensor to a contiguous one.
func gather(dst, src []float32, shape op.Shape, strides []int) {
	if len(shape) == 0 {
		dst[0] = src[0]
		return
	}
	step := shape[1:].Size()
	for i := range shape[0] {
		gather(dst[i*step:], src[i*strides[0]:], shape[1:], strides[1:])
	}
}

func (g *program) Stats() backends.Stats {
	s := g.plan.Stats()
	if g.profile != nil {
		s.Profile, s.Calls = g.profile.times(), slices.Clone(g.profile.calls)
	}
	return s
}

// Plan is the plan that the program runs.
func (g *program) Plan() *plan.Plan { return g.plan }

// profile collects the time of each kind of operation. Steps that run together are one kind, with the names of all.
type profile struct {
	ops   []backends.OpTime
	kind  []int // of each call, index into ops
	steps []int // of each call
	calls []backends.CallTime
}

func newProfile(p *plan.Plan, first []int, s *store) *profile {
	f := &profile{}
	index := map[string]int{}
	for i, from := range first {
		to := len(p.Steps)
		if i+1 < len(first) {
			to = first[i+1]
		}
		var names []string
		var cost op.Cost
		place := ""
		for _, step := range p.Steps[from:to] {
			if !slices.Contains(names, step.Op.Name) {
				names = append(names, step.Op.Name)
			}
			c := s.cost(step)
			cost.FLOPs, cost.Bytes = cost.FLOPs+c.FLOPs, cost.Bytes+c.Bytes
			if step.Node != nil {
				place = step.Node.Place.Text
			}
		}
		name := strings.Join(names, "+")
		k, ok := index[name]
		if !ok {
			k = len(f.ops)
			index[name] = k
			f.ops = append(f.ops, backends.OpTime{Op: name})
		}
		f.kind, f.steps = append(f.kind, k), append(f.steps, to-from)
		f.calls = append(f.calls, backends.CallTime{Op: name, Place: place, FLOPs: cost.FLOPs, Bytes: cost.Bytes})
	}
	return f
}

// cost is what a step computes and moves, with the bytes of weights as they are stored.
func (s *store) cost(step *plan.Step) op.Cost {
	if step.Op.Cost == nil {
		return op.Cost{}
	}
	in := types(step.In)
	cost := step.Op.Cost(step.Attrs, in, types(step.Out))
	for i, v := range step.In {
		if v.Buffer.Kind != plan.Storage || i != 1 && step.Op == op.GroupedDot {
			continue
		}
		share := 1.0
		if step.Op == op.GroupedDot {
			share = op.Touched(in)
		}
		wide, stored := 0.0, 0.0
		for _, p := range s.storages[v.Buffer.Name].pieces {
			wide += 4 * float64(p.rows*p.columns)
			stored += float64(4*len(p.float32s) + 2*len(p.halves) + len(p.bytes) + 4*len(p.blockScales) + 2*len(p.halfScales))
		}
		if wide > 0 {
			cost.Bytes -= share * 4 * float64(in[i].Shape.Size()) * (1 - stored/wide)
		}
	}
	return cost
}

func types(vs []*plan.Value) []op.Type {
	ts := make([]op.Type, len(vs))
	for i, v := range vs {
		ts[i] = v.Type()
	}
	return ts
}

func (g *program) runProfiled() error {
	f := g.profile
	last := time.Now()
	for i, c := range g.calls {
		if err := c.run(); err != nil {
			return g.failed(g.first[i], err)
		}
		now := time.Now()
		t := &f.ops[f.kind[i]]
		t.Calls += f.steps[i]
		t.Time += now.Sub(last)
		made := &f.calls[i]
		t.FLOPs += made.FLOPs
		t.Bytes += made.Bytes
		made.Runs++
		made.Time += now.Sub(last)
		last = now
	}
	return nil
}

func (f *profile) times() []backends.OpTime {
	ops := append([]backends.OpTime{}, f.ops...)
	sort.SliceStable(ops, func(i, j int) bool { return ops[i].Time > ops[j].Time })
	return ops
}
