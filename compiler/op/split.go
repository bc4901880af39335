package op

import "fmt"

// SplitAttrs cut one axis into runs of the given sizes.
type SplitAttrs struct {
	Axis  int
	Sizes []int
}

// Split cuts an axis into runs, one output each.
var Split = Define(Op{
	Name:    "split",
	Doc:     "an axis cut into runs, an output each",
	Inputs:  []string{"x"},
	Outputs: []string{"part..."},
	View:    true,
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		s, err := attrsAs[SplitAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", s.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		total, out := 0, make([]Type, len(s.Sizes))
		for i, n := range s.Sizes {
			if n < 1 {
				return nil, fmt.Errorf("a part of %d entries", n)
			}
			total += n
			out[i] = Type{resized(in[0].Shape, s.Axis, n), in[0].Dtype}
		}
		if total != in[0].Shape[s.Axis] {
			return nil, fmt.Errorf("parts of %v are %d entries together, the axis has %d", s.Sizes, total, in[0].Shape[s.Axis])
		}
		return out, nil
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		s, present := a.(SplitAttrs), 0
		for _, g := range grad {
			if g != nil {
				present++
			}
		}
		if present == len(grad) {
			return []Value{One(b, Named("concat"), ConcatAttrs{s.Axis}, grad...)}
		}
		var padded []Value
		at, n := 0, in[0].Type().Shape[s.Axis]
		for i, g := range grad {
			if g != nil {
				padded = append(padded, One(b, Named("pad"), PadAttrs{s.Axis, at, n - at - s.Sizes[i]}, g))
			}
			at += s.Sizes[i]
		}
		if len(padded) == 1 {
			return padded
		}
		return []Value{One(b, Add, nil, padded...)}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		s, at := a.(SplitAttrs), 0
		for i, n := range s.Sizes {
			copyRun(in[0], s.Axis, at, out[i], 0, n)
			at += n
		}
	},
	Cost: costView,
	Samples: []Sample{
		{Name: "last axis", Attrs: SplitAttrs{1, []int{3, 1, 5}}, In: []Type{floats(4, 9)}},
		{Name: "first axis", Attrs: SplitAttrs{0, []int{1, 2}}, In: []Type{floats(3, 2)}},
		{Name: "middle axis", Attrs: SplitAttrs{1, []int{2, 2}}, In: []Type{floats(2, 4, 3)}},
		{Name: "one part", Attrs: SplitAttrs{0, []int{5}}, In: []Type{floats(5)}},
	},
})
