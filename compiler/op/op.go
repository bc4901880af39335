// Package op defines the operations of forge's graphs: one file, one value an operation. Each value says what the operation is,
// how shapes follow, what its gradient is, and what it computes, either as a decomposition into simpler operations or as a plain
// reference loop in float64. Nothing central lists the operations: Define collects them, and two suites (this package's own and
// backends/backendtest) loop over all of them, so that adding a file adds its tests.
//
// Operations have no names of axes and know no backend and no graph library. Decompositions and gradients are written against
// Builder, which compiler/graph implements. Axes are addressed by position, or, where several tensors must be aligned, by label
// strings as in einsum: "bsd" names the three axes of an operand, equal letters are the same axis.
package op

import (
	"fmt"
	"sort"
	"strings"
)

// Dtype is the type of a tensor's entries. Float is the graph's floating type: float32, or float64 in reference graphs.
type Dtype uint8

// The types of entries.
const (
	Float Dtype = iota
	Int32
)

func (d Dtype) String() string {
	if d == Int32 {
		return "int32"
	}
	return "float"
}

// Shape is the size of each axis, row-major; the empty shape is a scalar.
type Shape []int

// Size is the number of entries.
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal reports whether both have the same axes.
func (s Shape) Equal(t Shape) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range s {
		if s[i] != t[i] {
			return false
		}
	}
	return true
}

func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// Type is the shape and the entry type of a tensor.
type Type struct {
	Shape Shape
	Dtype Dtype
}

// Tensor is a contiguous tensor as the reference computes with it: float64 whatever the graph's type; Int32 entries are whole
// float64 values.
type Tensor struct {
	Shape Shape
	Data  []float64
}

// Attrs are the attributes of an operation: a struct value of the type that the operation's file declares, or nil. Two attribute
// values mean the same exactly if AttrText gives the same text.
type Attrs any

// AttrText is the text of attributes, used for printing and for telling nodes apart.
func AttrText(a Attrs) string {
	if a == nil {
		return ""
	}
	if s, ok := a.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%+v", a)
}

// Value is a tensor in a graph under construction.
type Value interface{ Type() Type }

// Builder applies operations; compiler/graph implements it, and so does this package's test interpreter.
type Builder interface {
	// Apply gives one value for each output of the operation. A wrong use is a programmer's fault and panics with the
	// operation and the shapes; the graph turns it into an error that names the recipe line.
	Apply(o *Op, a Attrs, in ...Value) []Value
}

// One applies an operation that has a single output.
func One(b Builder, o *Op, a Attrs, in ...Value) Value { return b.Apply(o, a, in...)[0] }

// Gradient is how gradients flow through an operation; exactly one of Rule, Through and None is set.
type Gradient struct {
	// Rule gives the gradient for each input (nil for inputs without one: Int32 inputs and those in Except). grad has an entry
	// for each output, nil where nothing depends on that output.
	Rule func(b Builder, a Attrs, in, out, grad []Value) []Value
	// Through takes the gradient of the decomposition.
	Through bool
	// None says why there is none.
	None string
	// Except lists inputs that have no gradient though they are Float.
	Except []int
}

// Cost is what one application needs.
type Cost struct {
	FLOPs float64 // floating-point operations, a multiply-add counting two
	Bytes float64 // bytes read and written once, 4 a value
}

// Sample is a case to test an operation with, on every backend. In gives the inputs' types; Fill makes the data of input i
// from a deterministic source of uniform numbers in [0, 1); where Fill or its result is nil the data are standard normal, which
// Int32 inputs must not leave so. Inputs gives the data.
type Sample struct {
	Name  string
	Attrs Attrs
	In    []Type
	Fill  func(i int, t Type, random func() float64) []float64
	// Tolerance is the largest difference allowed in float32, relative to the largest magnitude of the output (0: 2e-5).
	Tolerance float64
	// NoGradientCheck says why central differences don't apply (ties, kinks); "" applies them.
	NoGradientCheck string
}

// Op is an operation.
type Op struct {
	Name string
	Doc  string // one sentence
	// Inputs names the inputs; a last name ending in "..." may repeat, one ending in "?" may be absent.
	Inputs []string
	// Outputs names the outputs.
	Outputs []string
	// Infer gives the types of the outputs, or says what is wrong with the inputs.
	Infer    func(a Attrs, in []Type) ([]Type, error)
	Gradient Gradient
	// Decompose expresses the operation by simpler ones. Reference computes it. At least one is set; with both, tests check
	// that they agree.
	Decompose func(b Builder, a Attrs, in []Value) []Value
	Reference func(a Attrs, in, out []Tensor)
	Samples   []Sample
	Cost      func(a Attrs, in, out []Type) Cost
	// View says that outputs share the input's memory under another shape or stride (reshape, slice, transpose, split).
	View bool
	// Moves says that entries are only copied to other places, so that where an input is kept the output need not be.
	Moves bool
	// InPlace maps an output to the input whose memory it may take over: a kernel must work when both are the same memory.
	InPlace map[int]int
}

func (o *Op) String() string { return o.Name }

var defined = map[string]*Op{}

// Define registers an operation; two of one name are a programmer's fault.
func Define(o Op) *Op {
	if defined[o.Name] != nil {
		panic("op: " + o.Name + " is defined twice")
	}
	defined[o.Name] = &o
	return &o
}

// Named gives the operation of that name, nil if there is none. Gradient rules refer to their own operation, or to one whose rule
// refers back, by name: Go's initialization order allows no cycle between variables.
func Named(name string) *Op { return defined[name] }

// All lists every operation by name.
func All() []*Op {
	list := make([]*Op, 0, len(defined))
	for _, o := range defined {
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}
