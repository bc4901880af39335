package op

import "fmt"

// GatherRows copies the row of each slot of a plan (see RoutePlan); an unused slot gives zeros.
var GatherRows = Define(Op{
	Name:    "gather_rows",
	Doc:     "the rows of x in the order of the slots",
	Inputs:  []string{"x", "slots", "positions"},
	Outputs: []string{"y"},
	Moves:   true,
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		n, err := checkPlan(in[1], in[2])
		if err != nil {
			return nil, err
		}
		if len(in[0].Shape) == 0 || in[0].Shape[0] != n || in[0].Dtype != Float {
			return nil, fmt.Errorf("x is %v for a plan of %d rows", in[0], n)
		}
		return []Type{{resized(in[0].Shape, 0, in[1].Shape[0]), Float}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		return []Value{One(b, Named("scatter_rows"), nil, grad[0], in[1], in[2]), nil, nil}
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		width := in[0].Shape[1:].Size()
		for slot, row := range in[1].Data {
			if row >= 0 {
				copy(out[0].Data[slot*width:(slot+1)*width], in[0].Data[int(row)*width:])
			}
		}
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(7, 5), ints(14), ints(7, 2)}, Fill: planned(7, 6, 2, "x", "slots", "positions")},
		{Name: "numbers", In: []Type{floats(4), ints(8), ints(4, 2)}, Fill: planned(4, 5, 2, "x", "slots", "positions")},
		{Name: "of two axes", In: []Type{floats(4, 2, 3), ints(4), ints(4, 1)}, Fill: planned(4, 5, 1, "x", "slots", "positions")},
	},
})

// ScatterRows sums the slots of each row of a plan: the reverse of GatherRows.
var ScatterRows = Define(Op{
	Name:    "scatter_rows",
	Doc:     "for each row, the sum of y over its slots",
	Inputs:  []string{"y", "slots", "positions"},
	Outputs: []string{"x"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		n, err := checkPlan(in[1], in[2])
		if err != nil {
			return nil, err
		}
		if len(in[0].Shape) == 0 || in[0].Shape[0] != in[1].Shape[0] || in[0].Dtype != Float {
			return nil, fmt.Errorf("y is %v for a plan of %d slots", in[0], in[1].Shape[0])
		}
		return []Type{{resized(in[0].Shape, 0, n), Float}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		return []Value{One(b, Named("gather_rows"), nil, grad[0], in[1], in[2]), nil, nil}
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		width, topK := in[0].Shape[1:].Size(), in[2].Shape[1]
		for i, slot := range in[2].Data {
			if slot < 0 {
				continue
			}
			for j := range width {
				out[0].Data[i/topK*width+j] += in[0].Data[int(slot)*width+j]
			}
		}
	},
	Cost: costInput(0, 1),
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(14, 5), ints(14), ints(7, 2)}, Fill: planned(7, 6, 2, "y", "slots", "positions")},
		{Name: "numbers", In: []Type{floats(8), ints(8), ints(4, 2)}, Fill: planned(4, 5, 2, "y", "slots", "positions")},
	},
})
