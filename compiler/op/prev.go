package op

// PrevAttrs shift by N along an axis: towards later positions, or, where N is negative, towards earlier ones.
type PrevAttrs struct{ Axis, N int }

// Prev gives each position the entry N before it, and 0 where there is none.
var Prev = Define(Op{
	Name:    "prev",
	Doc:     "the entry n positions before along an axis, 0 before the start",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		p, err := attrsAs[PrevAttrs](a)
		if err != nil {
			return nil, err
		}
		return in[:1:1], wantAxis("axis", p.Axis, len(in[0].Shape))
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, _, _, grad []Value) []Value {
		p := a.(PrevAttrs)
		return []Value{One(b, Named("prev"), PrevAttrs{p.Axis, -p.N}, grad[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		p := a.(PrevAttrs)
		rows(in[0].Shape, p.Axis, func(start, step, n int) {
			for i := range n {
				if from := i - p.N; from >= 0 && from < n {
					out[0].Data[start+i*step] = in[0].Data[start+from*step]
				}
			}
		})
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "by one", Attrs: PrevAttrs{1, 1}, In: []Type{floats(2, 5, 3)}},
		{Name: "towards earlier", Attrs: PrevAttrs{0, -2}, In: []Type{floats(5, 2)}},
		{Name: "by nothing", Attrs: PrevAttrs{0, 0}, In: []Type{floats(3)}},
		{Name: "past the end", Attrs: PrevAttrs{0, 7}, In: []Type{floats(3)}},
		{Name: "integers", Attrs: PrevAttrs{1, 1}, In: []Type{ints(2, 4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(0, 9)})},
	},
})
