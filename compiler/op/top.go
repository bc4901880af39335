package op

import (
	"fmt"
	"sort"
)

// TopAttrs choose the N largest entries along an axis.
type TopAttrs struct{ Axis, N int }

// Top marks the largest entries along an axis with 1 and the others with 0. Of equal entries the earlier is taken first.
var Top = Define(Op{
	Name:    "top",
	Doc:     "1 for the n largest entries along an axis, 0 for the others",
	Inputs:  []string{"x"},
	Outputs: []string{"mask"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		t, err := attrsAs[TopAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", t.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		if n := in[0].Shape[t.Axis]; t.N < 1 || t.N > n {
			return nil, fmt.Errorf("the top %d of %d entries", t.N, n)
		}
		return in[:1:1], wantFloat("x", in[0])
	},
	Gradient: Gradient{None: "a choice has no derivative"},
	Reference: func(a Attrs, in, out []Tensor) {
		t := a.(TopAttrs)
		rows(in[0].Shape, t.Axis, func(start, step, n int) {
			order := make([]int, n)
			for i := range order {
				order[i] = start + i*step
			}
			sort.SliceStable(order, func(i, j int) bool { return in[0].Data[order[i]] > in[0].Data[order[j]] })
			for _, at := range order[:t.N] {
				out[0].Data[at] = 1
			}
		})
	},
	Cost: costEach(1),
	Samples: []Sample{
		{Name: "of experts", Attrs: TopAttrs{1, 3}, In: []Type{floats(7, 9)}},
		{Name: "middle axis", Attrs: TopAttrs{1, 2}, In: []Type{floats(2, 5, 3)}},
		{Name: "all", Attrs: TopAttrs{0, 1}, In: []Type{floats(1)}},
		{Name: "many", Attrs: TopAttrs{1, 21}, In: []Type{floats(3, 40)}},
		{Name: "ties", Attrs: TopAttrs{1, 2}, In: []Type{floats(3, 5)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(1, 2, 2, 2, 0, 1, 1, 1, 1, 1, 0, 0, 3, 0, 0)})},
		{Name: "masked groups", Attrs: TopAttrs{1, 3}, In: []Type{floats(1, 4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(negativeInfinity, 0.5, negativeInfinity, 0.7)})},
	},
})
