package op

import (
	"fmt"
	"math"
)

// ReduceAttrs say what is computed over the axes that In has and Out lacks: "sum", "mean", "max" or "min".
type ReduceAttrs struct{ Kind, In, Out string }

var negativeInfinity = math.Inf(-1)

// Reduce sums, averages or takes the extreme over axes.
var Reduce = Define(Op{
	Name:    "reduce",
	Doc:     "sum, mean, max or min over the axes that the result lacks",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	Infer:   inferReduce,
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, out, grad []Value) []Value {
		r := a.(ReduceAttrs)
		switch r.Kind {
		case "max", "min":
			return []Value{One(b, ReduceGrad, r, in[0], out[0], grad[0])}
		}
		factor := Const(1)
		if r.Kind == "mean" {
			factor = Const(float64(out[0].Type().Shape.Size()) / float64(in[0].Type().Shape.Size()))
		}
		// The input gives the lengths of the axes along which the gradient is repeated; its values are not used.
		spread := MapAttrs{Expr: Call(FnMul, factor, In(0)).Simplify(), In: []string{r.Out, r.In}, Out: r.In}
		return []Value{One(b, Named("map"), spread, grad[0], in[0])}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		r := a.(ReduceAttrs)
		x, y := in[0], out[0]
		switch r.Kind {
		case "max":
			for i := range y.Data {
				y.Data[i] = negativeInfinity
			}
		case "min":
			for i := range y.Data {
				y.Data[i] = math.Inf(1)
			}
		}
		walk(x.Shape, func(at []int) {
			v, to := x.Data[at[0]], &y.Data[at[1]]
			switch r.Kind {
			case "max":
				*to = math.Max(*to, v)
			case "min":
				*to = math.Min(*to, v)
			default:
				*to += v
			}
		}, strides(x.Shape), along(r.In, r.Out, y.Shape))
		if r.Kind == "mean" {
			n := float64(x.Shape.Size() / y.Shape.Size())
			for i := range y.Data {
				y.Data[i] /= n
			}
		}
	},
	Cost: costInput(0, 1),
	Samples: []Sample{
		{Name: "sum over rows", Attrs: ReduceAttrs{"sum", "nd", "d"}, In: []Type{floats(33, 7)}},
		{Name: "sum along rows", Attrs: ReduceAttrs{"sum", "nd", "n"}, In: []Type{floats(3, 65)}},
		{Name: "sum of all", Attrs: ReduceAttrs{"sum", "abc", ""}, In: []Type{floats(2, 3, 5)}},
		{Name: "sum of the middle, permuted", Attrs: ReduceAttrs{"sum", "abcd", "da"}, In: []Type{floats(2, 3, 4, 5)}},
		{Name: "mean", Attrs: ReduceAttrs{"mean", "nd", "n"}, In: []Type{floats(4, 9)}},
		{Name: "mean of all", Attrs: ReduceAttrs{"mean", "ab", ""}, In: []Type{floats(4, 9)}},
		{Name: "max", Attrs: ReduceAttrs{"max", "abc", "ac"}, In: []Type{floats(2, 5, 3)}},
		{Name: "min", Attrs: ReduceAttrs{"min", "abc", "b"}, In: []Type{floats(2, 5, 3)}},
		{Name: "max with equals", Attrs: ReduceAttrs{"max", "ab", "a"}, In: []Type{floats(3, 4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(0, 2)}), NoGradientCheck: "ties"},
		{Name: "nothing", Attrs: ReduceAttrs{"sum", "ab", "ba"}, In: []Type{floats(3, 4)}},
		{Name: "size 1", Attrs: ReduceAttrs{"mean", "ab", "b"}, In: []Type{floats(1, 1)}},
	},
})

func inferReduce(a Attrs, in []Type) ([]Type, error) {
	r, err := attrsAs[ReduceAttrs](a)
	if err != nil {
		return nil, err
	}
	switch r.Kind {
	case "sum", "mean", "max", "min":
	default:
		return nil, fmt.Errorf("kind is %q, want sum, mean, max or min", r.Kind)
	}
	s := sizes{}
	if err := s.bind("x", r.In, in[0]); err != nil {
		return nil, err
	}
	shape, err := s.shape("the result", r.Out)
	return []Type{{shape, Float}}, err
}

// ReduceGrad is the gradient of a max or min: it goes to the first of the entries that are equal to the result.
var ReduceGrad = Define(Op{
	Name:    "reduce_grad",
	Doc:     "the gradient of reduce's max or min",
	Inputs:  []string{"x", "y", "g"},
	Outputs: []string{"dx"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		y, err := inferReduce(a, in[:1])
		if err != nil {
			return nil, err
		}
		if kind := a.(ReduceAttrs).Kind; kind != "max" && kind != "min" {
			return nil, fmt.Errorf("kind is %q, want max or min", kind)
		}
		if err := wantType("y", in[1], y[0]); err != nil {
			return nil, err
		}
		return in[:1:1], wantType("g", in[2], y[0])
	},
	Gradient: Gradient{None: secondDerivative},
	Reference: func(a Attrs, in, out []Tensor) {
		r := a.(ReduceAttrs)
		x, y, g, dx := in[0], in[1], in[2], out[0]
		given := make([]bool, len(y.Data))
		walk(x.Shape, func(at []int) {
			if !given[at[1]] && x.Data[at[0]] == y.Data[at[1]] {
				given[at[1]] = true
				dx.Data[at[0]] = g.Data[at[1]]
			}
		}, strides(x.Shape), along(r.In, r.Out, y.Shape))
	},
	Cost: costEach(1),
	Samples: []Sample{
		{Name: "max with equals", Attrs: ReduceAttrs{"max", "ab", "a"}, In: []Type{floats(3, 4), floats(3), floats(3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(1, 2, 2, 0), 1: values(2)})},
		{Name: "min over the outer axis", Attrs: ReduceAttrs{"min", "ab", "b"}, In: []Type{floats(3, 4), floats(4), floats(4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(1, 2, 3, 4, 5), 1: values(1, 1, 1, 2)})},
	},
})

// secondDerivative is why gradient operations have no gradient themselves.
const secondDerivative = "gradients are not differentiated again"
