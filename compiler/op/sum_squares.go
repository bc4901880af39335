package op

import "fmt"

// SumSquares is the sum of the squares of all entries of all inputs: the square of the global norm that clipping needs.
var SumSquares = Define(Op{
	Name:    "sum_squares",
	Doc:     "the sum of the squares of all entries of all inputs",
	Inputs:  []string{"x..."},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		for i, t := range in {
			if err := wantFloat(fmt.Sprintf("input %d", i), t); err != nil {
				return nil, err
			}
		}
		return []Type{floats()}, nil
	},
	Gradient: Gradient{None: "it is taken of gradients, which are not differentiated again"},
	Reference: func(_ Attrs, in, out []Tensor) {
		for _, x := range in {
			for _, v := range x.Data {
				out[0].Data[0] += v * v
			}
		}
	},
	Cost: func(_ Attrs, in, out []Type) Cost {
		bytes := moved(in, out)
		return Cost{FLOPs: bytes / 2, Bytes: bytes} // two operations for 4 bytes
	},
	Samples: []Sample{
		{Name: "several shapes", In: []Type{floats(3, 5), floats(7), floats(), floats(1, 1, 2)}},
		{Name: "one", In: []Type{floats(130)}},
	},
})
