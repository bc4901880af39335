package op

import "fmt"

// SliceAttrs keep the entries [Start, Stop) of one axis.
type SliceAttrs struct{ Axis, Start, Stop int }

// Slice is a run of entries along an axis.
var Slice = Define(Op{
	Name:    "slice",
	Doc:     "a run of entries along an axis",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	View:    true,
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		s, err := attrsAs[SliceAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", s.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		if n := in[0].Shape[s.Axis]; s.Start < 0 || s.Stop <= s.Start || s.Stop > n {
			return nil, fmt.Errorf("[%d, %d) is no part of an axis of %d", s.Start, s.Stop, n)
		}
		return []Type{{resized(in[0].Shape, s.Axis, s.Stop-s.Start), in[0].Dtype}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		s := a.(SliceAttrs)
		after := in[0].Type().Shape[s.Axis] - s.Stop
		return []Value{One(b, Named("pad"), PadAttrs{s.Axis, s.Start, after}, grad[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		s := a.(SliceAttrs)
		copyRun(in[0], s.Axis, s.Start, out[0], 0, s.Stop-s.Start)
	},
	Cost: costView,
	Samples: []Sample{
		{Name: "last axis", Attrs: SliceAttrs{1, 2, 5}, In: []Type{floats(3, 7)}},
		{Name: "first axis", Attrs: SliceAttrs{0, 0, 1}, In: []Type{floats(3, 7)}},
		{Name: "middle axis", Attrs: SliceAttrs{1, 1, 4}, In: []Type{floats(2, 4, 3)}},
		{Name: "all", Attrs: SliceAttrs{0, 0, 5}, In: []Type{floats(5)}},
		{Name: "integers", Attrs: SliceAttrs{1, 1, 3}, In: []Type{ints(2, 3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(-5, 5)})},
	},
})

// PadAttrs add zeros before and after the entries of one axis.
type PadAttrs struct{ Axis, Before, After int }

// Pad surrounds entries by zeros along an axis.
var Pad = Define(Op{
	Name:    "pad",
	Doc:     "zeros before and after the entries of an axis",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		p, err := attrsAs[PadAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", p.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		if p.Before < 0 || p.After < 0 {
			return nil, fmt.Errorf("%d zeros before and %d after", p.Before, p.After)
		}
		return []Type{{resized(in[0].Shape, p.Axis, p.Before+in[0].Shape[p.Axis]+p.After), in[0].Dtype}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		p := a.(PadAttrs)
		return []Value{One(b, Named("slice"), SliceAttrs{p.Axis, p.Before, p.Before + in[0].Type().Shape[p.Axis]}, grad[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		p := a.(PadAttrs)
		copyRun(in[0], p.Axis, 0, out[0], p.Before, in[0].Shape[p.Axis])
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "last axis", Attrs: PadAttrs{1, 2, 1}, In: []Type{floats(3, 7)}},
		{Name: "first axis", Attrs: PadAttrs{0, 0, 4}, In: []Type{floats(3, 2)}},
		{Name: "nothing", Attrs: PadAttrs{0, 0, 0}, In: []Type{floats(1)}},
	},
})

// resized is the shape with another length of one axis.
func resized(s Shape, axis, n int) Shape {
	t := append(Shape{}, s...)
	t[axis] = n
	return t
}

// copyRun copies n entries along the axis, from one position of x to another of y.
func copyRun(x Tensor, axis, from int, y Tensor, to, n int) {
	inner := 1
	for _, d := range x.Shape[axis+1:] {
		inner *= d
	}
	xRow, yRow := x.Shape[axis]*inner, y.Shape[axis]*inner
	for outer := range len(x.Data) / xRow {
		source := x.Data[outer*xRow+from*inner:]
		copy(y.Data[outer*yRow+to*inner:], source[:n*inner])
	}
}
