package op

import "fmt"

// TransposeAttrs: axis i of the result is axis Perm[i] of the input.
type TransposeAttrs struct{ Perm []int }

// Transpose reorders axes.
var Transpose = Define(Op{
	Name:    "transpose",
	Doc:     "the same entries with the axes in another order",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	View:    true,
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		t, err := attrsAs[TransposeAttrs](a)
		if err != nil {
			return nil, err
		}
		rank := len(in[0].Shape)
		if len(t.Perm) != rank {
			return nil, fmt.Errorf("the permutation %v is for %d axes, the input has %d", t.Perm, len(t.Perm), rank)
		}
		shape, seen := make(Shape, rank), make([]bool, rank)
		for i, from := range t.Perm {
			if from < 0 || from >= rank || seen[from] {
				return nil, fmt.Errorf("%v is no permutation of %d axes", t.Perm, rank)
			}
			seen[from] = true
			shape[i] = in[0].Shape[from]
		}
		return []Type{{shape, in[0].Dtype}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, _, _, grad []Value) []Value {
		perm := a.(TransposeAttrs).Perm
		inverse := make([]int, len(perm))
		for i, from := range perm {
			inverse[from] = i
		}
		return []Value{One(b, Named("transpose"), TransposeAttrs{inverse}, grad[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		d := strides(in[0].Shape)
		steps, n := make([]int, len(d)), 0
		for i, from := range a.(TransposeAttrs).Perm {
			steps[i] = d[from]
		}
		walk(out[0].Shape, func(at []int) {
			out[0].Data[n] = in[0].Data[at[0]]
			n++
		}, steps)
	},
	Cost: costView,
	Samples: []Sample{
		{Name: "matrix", Attrs: TransposeAttrs{[]int{1, 0}}, In: []Type{floats(3, 5)}},
		{Name: "four axes", Attrs: TransposeAttrs{[]int{0, 2, 3, 1}}, In: []Type{floats(2, 3, 4, 5)}},
		{Name: "cycle", Attrs: TransposeAttrs{[]int{2, 0, 1}}, In: []Type{floats(2, 1, 3)}},
		{Name: "integers", Attrs: TransposeAttrs{[]int{1, 0}}, In: []Type{ints(2, 3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(-5, 5)})},
	},
})
