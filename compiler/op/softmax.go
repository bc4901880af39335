package op

import "math"

// SoftmaxAttrs name the axis along which entries sum to 1.
type SoftmaxAttrs struct{ Axis int }

// Softmax is exp(x − max) divided by its sum along an axis. A row of all −∞ gives zeros.
var Softmax = Define(Op{
	Name:    "softmax",
	Doc:     "exponentials divided by their sum along an axis",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		s, err := attrsAs[SoftmaxAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", s.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		return in[:1:1], wantFloat("x", in[0])
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, _, out, grad []Value) []Value {
		return []Value{One(b, SoftmaxGrad, a, out[0], grad[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		x, y := in[0].Data, out[0].Data
		rows(in[0].Shape, a.(SoftmaxAttrs).Axis, func(start, step, n int) {
			highest, total := negativeInfinity, 0.0
			for i := range n {
				highest = math.Max(highest, x[start+i*step])
			}
			if math.IsInf(highest, -1) {
				return // zeros
			}
			for i := range n {
				e := math.Exp(x[start+i*step] - highest)
				y[start+i*step] = e
				total += e
			}
			for i := range n {
				y[start+i*step] /= total
			}
		})
	},
	Cost: costEach(5),
	Samples: []Sample{
		{Name: "last axis", Attrs: SoftmaxAttrs{1}, In: []Type{floats(5, 33)}},
		{Name: "middle axis", Attrs: SoftmaxAttrs{1}, In: []Type{floats(2, 7, 3)}},
		{Name: "size 1", Attrs: SoftmaxAttrs{0}, In: []Type{floats(1)}},
		{Name: "a masked row", Attrs: SoftmaxAttrs{1}, In: []Type{floats(2, 3)}, NoGradientCheck: "−∞ has no neighbours",
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(negativeInfinity, negativeInfinity, negativeInfinity, 1, 2, negativeInfinity)})},
		{Name: "large", Attrs: SoftmaxAttrs{1}, In: []Type{floats(1, 4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(1000, 999, 998.5, -1000)})},
	},
})

// SoftmaxGrad is y·(g − Σ y·g) along the axis.
var SoftmaxGrad = Define(Op{
	Name:    "softmax_grad",
	Doc:     "the gradient of softmax, from its result",
	Inputs:  []string{"y", "g"},
	Outputs: []string{"dx"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		s, err := attrsAs[SoftmaxAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", s.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		if err := wantFloat("y", in[0]); err != nil {
			return nil, err
		}
		return in[:1:1], wantType("g", in[1], in[0])
	},
	Gradient: Gradient{None: secondDerivative},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		labels, axis := positional(len(in[0].Type().Shape)), a.(SoftmaxAttrs).Axis
		rest := labels[:axis] + labels[axis+1:]
		product := One(b, Map, MapAttrs{Call(FnMul, In(0), In(1)), []string{labels, labels}, labels}, in...)
		total := One(b, Reduce, ReduceAttrs{"sum", labels, rest}, product)
		expr := Call(FnMul, In(0), Call(FnSub, In(1), In(2)))
		return b.Apply(Map, MapAttrs{expr, []string{labels, labels, rest}, labels}, in[0], in[1], total)
	},
	Reference: func(a Attrs, in, out []Tensor) {
		y, g := in[0].Data, in[1].Data
		rows(in[0].Shape, a.(SoftmaxAttrs).Axis, func(start, step, n int) {
			total := 0.0
			for i := range n {
				total += y[start+i*step] * g[start+i*step]
			}
			for i := range n {
				at := start + i*step
				out[0].Data[at] = y[at] * (g[at] - total)
			}
		})
	},
	Cost: costEach(4),
	Samples: []Sample{
		{Name: "last axis", Attrs: SoftmaxAttrs{1}, In: []Type{floats(5, 33), floats(5, 33)}},
		{Name: "first axis", Attrs: SoftmaxAttrs{0}, In: []Type{floats(7, 3), floats(7, 3)}},
		{Name: "size 1", Attrs: SoftmaxAttrs{0}, In: []Type{floats(1), floats(1)}},
	},
})
