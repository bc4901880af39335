// Package plan turns a sealed graph into the list of steps that a backend runs and the memory that they run in. In flows a graph
// and what a backend's kernels can do (Target); out comes a Plan: kernels in order, each input and output a strided view of a
// buffer, each buffer a place in one arena. Nothing is allocated and no device is needed, so that the plan of a model that fits no
// machine can be printed. The graph is left as it is.
//
// # The way of a plan
//
//	lower    nodes → steps; operations without a kernel become their decomposition; views get no step
//	gather   steps that the target can run in one parallel region come side by side, if they wait for nothing of each other
//	recompute
//	         steps of the forward pass are repeated where the backward pass needs what they made
//	join     Concat, Pad and sums of disjoint Pads become writes into parts of one tensor; sums go into the products they add
//	layout   every value gets a buffer, an offset and strides; copies appear where a view cannot be expressed or a kernel
//	         cannot read it
//	reuse    an output takes the memory of an input that is read for the last time; updates are written into the storage
//	arena    buffers get offsets, those that never live at the same time may share
//	verify   no two buffers that live at the same time overlap
//
// # What a step may rely on
//
// A step runs alone, after all earlier steps, or together with those of its region, which share no memory with its outputs. Its
// outputs share no memory with its inputs, except where the operation says it works
// in place (op.InPlace, Kernel.InPlace), and for Map and Add, where an output and an input may be the very same view. With
// Accumulate the result is added to what the first output holds.
package plan

import (
	"fmt"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// Copy writes its input to its output, both of the same shape and any strides. Zero clears its output. Steps use them; graphs don't.
var (
	Copy = &op.Op{Name: "copy", Doc: "The input, written to another place.", Inputs: []string{"x"}, Outputs: []string{"y"}}
	Zero = &op.Op{Name: "zero", Doc: "Zeros.", Outputs: []string{"y"}}
)

// Layout says which strides a kernel can work with.
type Layout uint8

// Layouts, each wider than the one before.
const (
	Contiguous Layout = iota // row-major without gaps
	Matrices                 // rows of the last axis without gaps, at equal distances: the leading axes step like one
	Strided                  // any strides
)

// Kernel says what a backend's kernel of an operation can do.
type Kernel struct {
	In, Out Layout // of all Float inputs and all outputs; Int32 inputs are always contiguous
	// Accumulate says that the kernel can add its only output to what is there.
	Accumulate bool
	// InPlace lists outputs that may take over an input's memory, in addition to op.InPlace.
	InPlace map[int]int
}

// Target is what a plan is made for.
type Target struct {
	// Kernel gives the kernel of an operation with these attributes; false if the backend has none. Copy and Zero are assumed to exist and to take
	// any strides.
	Kernel func(o *op.Op, a op.Attrs) (Kernel, bool)
	// Storage says how a storage lies; nil: each is row-major, and every kernel reads and writes it.
	Storage func(name string) Held
	// Reads reports whether a step's kernel can read its k-th input, a view of a packed storage, where it is; nil: none can. The
	// step's outputs have their places.
	Reads func(s *Step, k int) bool
	// Together reports whether a step can run in one parallel region with others for which it does, which then come side by side
	// where they can; nil: none can.
	Together func(s *Step) bool
	// KeepAll gives every value memory of its own until the end. The arithmetic stays as it is, so results are the same bit for
	// bit; products that are added to a sum as they are made have no value of their own with it either.
	KeepAll bool
}

// Held is how a storage lies.
type Held struct {
	Strides []int // in values, one an axis; nil: row-major
	Packed  bool  // not as plain values: a step whose kernel can't read it (Target.Reads) gets a copy
	Fixed   bool  // not to be updated
}

// generic is the target of Build without one: a kernel for every operation.
var generic = Target{Kernel: func(o *op.Op, _ op.Attrs) (Kernel, bool) {
	switch o {
	case op.Map, op.Add, op.Reduce:
		return Kernel{In: Strided, Out: Strided}, true
	case op.Dot:
		return Kernel{In: Strided, Out: Strided, Accumulate: true}, true
	}
	return Kernel{In: Matrices}, true
}}

// Kind says where a buffer lives.
type Kind uint8

// Kinds of buffers.
const (
	Arena   Kind = iota // values, in the arena while they live
	Input               // a graph input, in the arena all the time
	Storage             // in the backend's store
)

// Buffer is a piece of memory.
type Buffer struct {
	ID   int
	Kind Kind
	Name string // of an Input or Storage
	Size int    // values of 4 bytes
	// Offset is where an Arena or Input buffer begins in the arena, in values; a multiple of 16, so that memory that begins
	// on a 64-byte line keeps it.
	Offset int
	// First and Last are the first and the last step that touch the buffer; Last is len(Steps) for what is read after a run.
	First, Last int

	held Held    // of a Storage
	into *Buffer // the buffer whose memory this one took over
}

func (b *Buffer) root() *Buffer {
	for b.into != nil {
		b = b.into
	}
	return b
}

// Value is a tensor: a strided view of a buffer.
type Value struct {
	Shape   op.Shape
	Dtype   op.Dtype
	Buffer  *Buffer
	Offset  int   // values from the buffer's begin
	Strides []int // values, one an axis

	step   *Step  // makes it; nil for inputs, storages and views
	view   *view  // what it is of another value, if it is a view
	home   *home  // where it is written if not into a buffer of its own
	twin   *Value // a contiguous copy, once one was needed
	kept   bool   // read after the run, or the new value of a storage
	base   bool   // products are added onto it in place
	merged bool   // a product that is added to a sum as it is made
}

// Type is the shape and the dtype; with it a Value is an op.Value, so that decompositions can be written into a plan.
func (v *Value) Type() op.Type { return op.Type{Shape: v.Shape, Dtype: v.Dtype} }

// Stored reports whether the value is a storage or a view of one.
func (v *Value) Stored() bool {
	b := v.source().Buffer
	return b != nil && b.Kind == Storage
}

// Contiguous reports whether the value is row-major without gaps.
func (v *Value) Contiguous() bool { return contiguous(v.Shape, v.Strides) }

// source is the value whose memory a view shows, or v itself.
func (v *Value) source() *Value {
	for v.view != nil {
		v = v.view.of
	}
	return v
}

// Step is one call of a kernel.
type Step struct {
	Op      *op.Op
	Attrs   op.Attrs
	In, Out []*Value
	// Accumulate adds the result to what the only output holds.
	Accumulate bool
	// Region is the index of the first step of the run of steps, one or more, that this one may run together with.
	Region int
	// Node is the graph's node that the step comes from; nil for copies after the last node.
	Node *graph.Node

	kernel   Kernel
	index    int
	repeats  bool // another step, whose results were not kept
	together bool // as the target says
}

// Output is a named output; its value is contiguous.
type Output struct {
	Name  string
	Value *Value
}

// Plan is a graph made ready for a backend.
type Plan struct {
	Name     string
	Steps    []*Step
	Inputs   []*Value // in the graph's order, Buffer.Name is the name
	Storages []*Value
	Outputs  []Output
	Buffers  []*Buffer // that occupy memory

	ArenaSize int64 // values of 4 bytes
	// LiveSize is the most that is alive at any step, the least that any arena could be. UnplannedSize is the sum of all
	// values. StoreSize is the size of the storages.
	LiveSize, UnplannedSize, StoreSize int64
	FLOPs                              float64

	// values are those of each node, for Value.
	values map[*graph.Node][]*Value
}

// Value is where a node's value is; its memory may hold something else by the end of a run unless the plan keeps all.
func (p *Plan) Value(n *graph.Node) (*Value, bool) {
	vs := p.values[n]
	if len(vs) != 1 || vs[0].Buffer == nil || vs[0].merged {
		return nil, false
	}
	return vs[0], true
}

// Stats describes the plan as a program does.
func (p *Plan) Stats() backends.Stats {
	return backends.Stats{
		Kernels:        len(p.Steps),
		ArenaBytes:     4 * p.ArenaSize,
		UnplannedBytes: 4 * p.UnplannedSize,
		StoreBytes:     4 * p.StoreSize,
		FLOPs:          p.FLOPs,
	}
}

// Build plans a sealed graph for a machine that has every kernel.
func Build(g *graph.Graph) (*Plan, error) { return For(g, generic) }

// For plans a sealed graph for a target. An operation for which the target has no kernel and which has no decomposition is an error
// that names the node's place.
func For(g *graph.Graph, t Target) (*Plan, error) {
	l := &lowering{target: t, values: map[*graph.Node][]*Value{}}
	if err := l.graph(g); err != nil {
		return nil, err
	}
	l.gather()
	if !t.KeepAll {
		l.recompute()
	}
	l.joinPads()
	l.accumulate()
	if !t.KeepAll {
		l.placePieces()
	}
	a := &layout{target: t}
	p := a.plan(l)
	a.reuse(p)
	p.arena()
	if err := p.Verify(); err != nil {
		return nil, err
	}
	return p, nil
}

// fault is a lowering error on its way out of a decomposition.
type fault struct{ err error }

func at(n *graph.Node, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if n == nil {
		return fmt.Errorf("plan: %s", text)
	}
	place := n.Place.Span
	if n.Place.Text != "" {
		place += " (" + n.Place.Text + ")"
	}
	if place == "" {
		place = n.Name
	}
	return fmt.Errorf("%s: %s", place, text)
}
