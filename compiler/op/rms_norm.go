package op

import "math"

// RMSNormAttrs hold the number added to the mean square.
type RMSNormAttrs struct{ Eps float64 }

// RMSNorm scales rows to a mean square of 1 and by a learned gain (Zhang and Sennrich 2019, equation 4):
// y = x / sqrt(mean(x²) + eps) · gain over the last axis.
var RMSNorm = Define(Op{
	Name:    "rms_norm",
	Doc:     "x / sqrt(mean(x²) + eps) · gain over the last axis",
	Inputs:  []string{"x", "gain"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		return in[:1:1], checkNorm(a, in)
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		return b.Apply(RMSNormGrad, a, in[0], in[1], grad[0])
	}},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		labels := positional(len(in[0].Type().Shape))
		row, last := labels[:len(labels)-1], labels[len(labels)-1:]
		r := reciprocalRMS(b, a.(RMSNormAttrs).Eps, in[0], labels, row)
		expr := Call(FnMul, Call(FnMul, In(0), In(1)), In(2))
		return b.Apply(Map, MapAttrs{expr, []string{labels, row, last}, labels}, in[0], r, in[1])
	},
	Reference: func(a Attrs, in, out []Tensor) {
		x, gain, eps := in[0], in[1], a.(RMSNormAttrs).Eps
		rows(x.Shape, len(x.Shape)-1, func(start, _, n int) {
			row := x.Data[start : start+n]
			r := 1 / math.Sqrt(meanSquare(row)+eps)
			for i, v := range row {
				out[0].Data[start+i] = v * r * gain.Data[i]
			}
		})
	},
	Cost: costEach(4),
	Samples: []Sample{
		{Name: "batch", Attrs: RMSNormAttrs{1e-6}, In: []Type{floats(2, 3, 33), floats(33)}},
		{Name: "large eps", Attrs: RMSNormAttrs{0.5}, In: []Type{floats(5, 7), floats(7)}},
		{Name: "one row", Attrs: RMSNormAttrs{1e-6}, In: []Type{floats(8), floats(8)}},
		{Name: "size 1", Attrs: RMSNormAttrs{0.1}, In: []Type{floats(1, 1), floats(1)}},
	},
})

// RMSNormGrad: with r = 1/sqrt(mean(x²) + eps) and h = g·gain, dx = r·h − x·r³·mean(h·x) and dgain = Σ g·x·r over rows.
var RMSNormGrad = Define(Op{
	Name:    "rms_norm_grad",
	Doc:     "the gradients of rms_norm's input and gain",
	Inputs:  []string{"x", "gain", "g"},
	Outputs: []string{"dx", "dgain"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := checkNorm(a, in); err != nil {
			return nil, err
		}
		return in[:2:2], wantType("g", in[2], in[0])
	},
	Gradient: Gradient{None: secondDerivative},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		labels := positional(len(in[0].Type().Shape))
		row, last := labels[:len(labels)-1], labels[len(labels)-1:]
		x, gain, g := in[0], in[1], in[2]
		r := reciprocalRMS(b, a.(RMSNormAttrs).Eps, x, labels, row)
		xgh := Call(FnMul, Call(FnMul, In(0), In(1)), In(2))
		hx := One(b, Reduce, ReduceAttrs{"mean", labels, row}, One(b, Map, MapAttrs{xgh, []string{labels, last, labels}, labels}, x, gain, g))
		cube := Call(FnMul, In(1), Call(FnSquare, In(1)))
		dx := Call(FnSub, Call(FnMul, Call(FnMul, In(1), In(2)), In(3)), Call(FnMul, Call(FnMul, In(0), cube), In(4)))
		return []Value{
			One(b, Map, MapAttrs{dx, []string{labels, row, last, labels, row}, labels}, x, r, gain, g, hx),
			One(b, Reduce, ReduceAttrs{"sum", labels, last}, One(b, Map, MapAttrs{xgh, []string{labels, row, labels}, labels}, x, r, g)),
		}
	},
	Reference: func(a Attrs, in, out []Tensor) {
		x, gain, g, eps := in[0], in[1], in[2], a.(RMSNormAttrs).Eps
		rows(x.Shape, len(x.Shape)-1, func(start, _, n int) {
			row, up := x.Data[start:start+n], g.Data[start:start+n]
			r := 1 / math.Sqrt(meanSquare(row)+eps)
			hx := 0.0
			for i, v := range row {
				hx += up[i] * gain.Data[i] * v
				out[1].Data[i] += up[i] * v * r
			}
			hx /= float64(n)
			for i, v := range row {
				out[0].Data[start+i] = r*up[i]*gain.Data[i] - v*r*r*r*hx
			}
		})
	},
	Cost: costEach(10),
	Samples: []Sample{
		{Name: "batch", Attrs: RMSNormAttrs{1e-6}, In: []Type{floats(2, 3, 33), floats(33), floats(2, 3, 33)}},
		{Name: "one row", Attrs: RMSNormAttrs{0.5}, In: []Type{floats(8), floats(8), floats(8)}},
		{Name: "size 1", Attrs: RMSNormAttrs{0.1}, In: []Type{floats(1, 1), floats(1), floats(1, 1)}},
	},
})

func checkNorm(a Attrs, in []Type) error {
	if _, err := attrsAs[RMSNormAttrs](a); err != nil {
		return err
	}
	rank := len(in[0].Shape)
	if err := wantAxis("the last axis", rank-1, rank); err != nil {
		return err
	}
	if err := wantFloat("x", in[0]); err != nil {
		return err
	}
	return wantType("gain", in[1], Type{in[0].Shape[rank-1:], Float})
}

func meanSquare(row []float64) float64 {
	total := 0.0
	for _, v := range row {
		total += v * v
	}
	return total / float64(len(row))
}

// reciprocalRMS builds 1/sqrt(mean(x²) + eps) of each row.
func reciprocalRMS(b Builder, eps float64, x Value, labels, row string) Value {
	squares := One(b, Map, MapAttrs{Call(FnSquare, In(0)), []string{labels}, labels}, x)
	mean := One(b, Reduce, ReduceAttrs{"mean", labels, row}, squares)
	expr := Call(FnDiv, Const(1), Call(FnSqrt, Call(FnAdd, In(0), Const(eps))))
	return One(b, Map, MapAttrs{expr, []string{row}, row}, mean)
}
