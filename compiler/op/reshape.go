package op

import "fmt"

// ReshapeAttrs give the new axes.
type ReshapeAttrs struct{ Shape Shape }

// Reshape reads the same entries, in row-major order, as other axes.
var Reshape = Define(Op{
	Name:    "reshape",
	Doc:     "the same entries in the same order as other axes",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	View:    true,
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		r, err := attrsAs[ReshapeAttrs](a)
		if err != nil {
			return nil, err
		}
		if r.Shape.Size() != in[0].Shape.Size() {
			return nil, fmt.Errorf("%v has %d entries, %v has %d", in[0], in[0].Shape.Size(), r.Shape, r.Shape.Size())
		}
		return []Type{{r.Shape, in[0].Dtype}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		return []Value{One(b, Named("reshape"), ReshapeAttrs{in[0].Type().Shape}, grad[0])}
	}},
	Reference: func(_ Attrs, in, out []Tensor) { copy(out[0].Data, in[0].Data) },
	Cost:      costView,
	Samples: []Sample{
		{Name: "merge", Attrs: ReshapeAttrs{Shape{6, 5}}, In: []Type{floats(2, 3, 5)}},
		{Name: "split", Attrs: ReshapeAttrs{Shape{2, 1, 3}}, In: []Type{floats(6)}},
		{Name: "to a scalar", Attrs: ReshapeAttrs{Shape{}}, In: []Type{floats(1, 1)}},
		{Name: "from a scalar", Attrs: ReshapeAttrs{Shape{1}}, In: []Type{floats()}},
		{Name: "integers", Attrs: ReshapeAttrs{Shape{6}}, In: []Type{ints(2, 3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(-5, 5)})},
	},
})
