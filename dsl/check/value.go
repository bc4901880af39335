package check

import "forge/dsl/diag"

// Value is what an expression outside tensors evaluates to: Int, Float, Quantity, Text, Bool, Nothing, List, *Schedule, *Built,
// *Record, *Table or *Any. Numbers are exact (Int, Quantity) or 64-bit floats evaluated in the order written.
type Value interface{ value() }

// Int is a whole number.
type Int int64

// Float is any other number.
type Float float64

// Text is a text.
type Text string

// Bool is true or false.
type Bool bool

// Nothing is `none`.
type Nothing struct{}

// List is a list of values.
type List []Value

// Record is a value made by a builder of the prelude (adamw(…), yarn(…), normal(…), gosource(…)): the builder's name, its type
// (optim, pos, init, source …) and every attribute with defaults filled in. Equal records compare equal by equalValues.
type Record struct {
	Builder string
	Type    string
	Attrs   map[string]Value
	Order   []string // attribute names in the header's order

	builder *builder
	given   given // what was written, the rest are defaults
	span    diag.Span
}

func (Int) value()       {}
func (Float) value()     {}
func (Quantity) value()  {}
func (Text) value()      {}
func (Bool) value()      {}
func (Nothing) value()   {}
func (List) value()      {}
func (*Schedule) value() {}
func (*Built) value()    {}
func (*Record) value()   {}
func (*Table) value()    {}
func (*Any) value()      {}
