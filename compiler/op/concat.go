package op

import "fmt"

// ConcatAttrs name the axis along which inputs follow each other.
type ConcatAttrs struct{ Axis int }

// Concat puts tensors one after another along an axis.
var Concat = Define(Op{
	Name:    "concat",
	Doc:     "tensors one after another along an axis",
	Inputs:  []string{"x..."},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		c, err := attrsAs[ConcatAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", c.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		total := 0
		for i, t := range in {
			if len(t.Shape) != len(in[0].Shape) {
				return nil, fmt.Errorf("input %d is %v beside %v", i, t, in[0])
			}
			n := t.Shape[c.Axis]
			if err := wantType(fmt.Sprintf("input %d", i), t, Type{resized(in[0].Shape, c.Axis, n), in[0].Dtype}); err != nil {
				return nil, err
			}
			total += n
		}
		return []Type{{resized(in[0].Shape, c.Axis, total), in[0].Dtype}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		c, parts := a.(ConcatAttrs), make([]int, len(in))
		for i, x := range in {
			parts[i] = x.Type().Shape[c.Axis]
		}
		return b.Apply(Named("split"), SplitAttrs{c.Axis, parts}, grad[0])
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		axis, at := a.(ConcatAttrs).Axis, 0
		for _, x := range in {
			copyRun(x, axis, 0, out[0], at, x.Shape[axis])
			at += x.Shape[axis]
		}
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "last axis", Attrs: ConcatAttrs{1}, In: []Type{floats(4, 3), floats(4, 1), floats(4, 5)}},
		{Name: "first axis", Attrs: ConcatAttrs{0}, In: []Type{floats(1, 2), floats(3, 2)}},
		{Name: "middle axis", Attrs: ConcatAttrs{1}, In: []Type{floats(2, 2, 3), floats(2, 1, 3)}},
		{Name: "one", Attrs: ConcatAttrs{0}, In: []Type{floats(5)}},
		{Name: "integers", Attrs: ConcatAttrs{0}, In: []Type{ints(2), ints(3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(-5, 5), 1: indices(-5, 5)})},
	},
})
