package op

import "fmt"

// Add sums tensors of one shape. Where a value is used several times its gradients meet in it.
var Add = Define(Op{
	Name:    "add",
	Doc:     "the sum of any number of tensors of one shape",
	Inputs:  []string{"x..."},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		for i, t := range in {
			if err := wantType(fmt.Sprintf("input %d", i), t, Type{in[0].Shape, Float}); err != nil {
				return nil, err
			}
		}
		return in[:1:1], nil
	},
	Gradient: Gradient{Rule: func(_ Builder, _ Attrs, in, _, grad []Value) []Value {
		d := make([]Value, len(in))
		for i := range d {
			d[i] = grad[0]
		}
		return d
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		for _, x := range in {
			for i, v := range x.Data {
				out[0].Data[i] += v
			}
		}
	},
	Cost: func(_ Attrs, in, out []Type) Cost {
		return Cost{FLOPs: float64((len(in) - 1) * out[0].Shape.Size()), Bytes: moved(in, out)}
	},
	Samples: []Sample{
		{Name: "two", In: []Type{floats(3, 5), floats(3, 5)}},
		{Name: "three", In: []Type{floats(65), floats(65), floats(65)}},
		{Name: "five scalars", In: []Type{floats(), floats(), floats(), floats(), floats()}},
		{Name: "one", In: []Type{floats(1, 3)}},
	},
})
