package op

import "fmt"

// CausalMaskAttrs name the axes of queries and keys. Window 0 looks back without limit; Fill, −∞ or 0, takes the place of masked
// entries.
type CausalMaskAttrs struct {
	Seq, Key, Window int
	Fill             float64
}

// CausalMask keeps entries whose key is not later than their query: key ≤ seq + offset, and, with a window, key > seq + offset −
// Window.
var CausalMask = Define(Op{
	Name:    "causal_mask",
	Doc:     "entries whose key comes after the query, or before its window, replaced by −∞ or 0",
	Inputs:  []string{"s", "offset?"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		m, err := attrsAs[CausalMaskAttrs](a)
		if err != nil {
			return nil, err
		}
		rank := len(in[0].Shape)
		if err := wantFloat("s", in[0]); err != nil {
			return nil, err
		}
		if err := wantAxis("the axis of queries", m.Seq, rank); err != nil {
			return nil, err
		}
		if err := wantAxis("the axis of keys", m.Key, rank); err != nil {
			return nil, err
		}
		if m.Seq == m.Key || m.Window < 0 {
			return nil, fmt.Errorf("queries on axis %d, keys on axis %d, window %d", m.Seq, m.Key, m.Window)
		}
		return in[:1:1], checkOffset(in[1:])
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		m := a.(CausalMaskAttrs)
		m.Fill = 0
		d := []Value{One(b, Named("causal_mask"), m, append([]Value{grad[0]}, in[1:]...)...)}
		return append(d, make([]Value, len(in)-1)...)
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		m, s := a.(CausalMaskAttrs), in[0]
		step, offset := strides(s.Shape), int(offsetOf(in[1:]))
		for i, v := range s.Data {
			seq, key := i/step[m.Seq]%s.Shape[m.Seq], i/step[m.Key]%s.Shape[m.Key]
			if visible(seq+offset, key, m.Window) {
				out[0].Data[i] = v
			} else {
				out[0].Data[i] = m.Fill
			}
		}
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "square", Attrs: CausalMaskAttrs{2, 3, 0, 0}, In: []Type{floats(1, 2, 5, 5)}},
		{Name: "−∞", Attrs: CausalMaskAttrs{0, 1, 0, negativeInfinity}, In: []Type{floats(3, 3)}, NoGradientCheck: "−∞ has no neighbours"},
		{Name: "window", Attrs: CausalMaskAttrs{0, 1, 2, 0}, In: []Type{floats(5, 5)}},
		{Name: "keys first, offset", Attrs: CausalMaskAttrs{1, 0, 3, 0}, In: []Type{floats(6, 2), ints()}, Fill: offsetFill(1, 2)},
		{Name: "everything masked", Attrs: CausalMaskAttrs{0, 1, 2, 0}, In: []Type{floats(2, 3), ints()}, Fill: offsetFill(1, 10)},
		{Name: "size 1", Attrs: CausalMaskAttrs{0, 1, 0, 0}, In: []Type{floats(1, 1)}},
	},
})

// visible reports whether the query at a position sees a key.
func visible(position, key, window int) bool {
	return key <= position && (window == 0 || key > position-window)
}
