package op

// CumsumAttrs name the axis, and whether sums run from its end.
type CumsumAttrs struct {
	Axis    int
	Reverse bool
}

// Cumsum sums each entry and those before it (after it, if Reverse) along an axis.
var Cumsum = Define(Op{
	Name:    "cumsum",
	Doc:     "running sums along an axis, each including its own entry",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		c, err := attrsAs[CumsumAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", c.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		return in[:1:1], wantFloat("x", in[0])
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, _, _, grad []Value) []Value {
		c := a.(CumsumAttrs)
		return []Value{One(b, Named("cumsum"), CumsumAttrs{c.Axis, !c.Reverse}, grad[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		c := a.(CumsumAttrs)
		rows(in[0].Shape, c.Axis, func(start, step, n int) {
			total := 0.0
			for i := range n {
				at := start + i*step
				if c.Reverse {
					at = start + (n-1-i)*step
				}
				total += in[0].Data[at]
				out[0].Data[at] = total
			}
		})
	},
	Cost: costEach(1),
	Samples: []Sample{
		{Name: "last axis", Attrs: CumsumAttrs{1, false}, In: []Type{floats(3, 9)}},
		{Name: "middle axis, from the end", Attrs: CumsumAttrs{1, true}, In: []Type{floats(2, 4, 3)}},
		{Name: "size 1", Attrs: CumsumAttrs{0, true}, In: []Type{floats(1)}},
	},
})
