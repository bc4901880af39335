package op

import "fmt"

// HeadLoss is the mean loss of predicting the next token from hidden states through the output head, and in the same pass its
// gradients: once the logits of a row are there, so is all that their gradient needs, and a step that computed them again on the way
// back would spend a third more on the head, the largest product of a small model. As the mean is a scalar, what comes back from
// whatever is made of it is a factor:
//
//	loss = Σ over n of −log softmax(h·wᵀ)[n, targets[n]] / count,  dh = ∂loss/∂h,  dw = ∂loss/∂w
//
// count is the number of targets that are not negative. A target that is negative or outside the vocabulary adds nothing. In low
// precision it is the gradient of the mean's logits that is rounded, before the factor comes in.
var HeadLoss = Define(Op{
	Name:    "head_loss",
	Doc:     "the mean of −log softmax(h·wᵀ) at the targets, with its gradients",
	Inputs:  []string{"h", "w", "targets"},
	Outputs: []string{"loss", "dh", "dw"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := checkHead(a, in); err != nil {
			return nil, err
		}
		return []Type{floats(), in[0], in[1]}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, _, out, grad []Value) []Value {
		if grad[0] == nil || grad[1] != nil || grad[2] != nil {
			panic(fmt.Sprintf("op: head_loss: only the loss has a gradient, here are %v", grad))
		}
		times := MapAttrs{Expr: Call(FnMul, In(0), In(1)), In: []string{"ab", ""}, Out: "ab"}
		return []Value{One(b, Map, times, out[1], grad[0]), One(b, Map, times, out[2], grad[0]), nil}
	}},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		p := headPrecision(a)
		logits := One(b, Dot, DotAttrs{A: "nd", B: "vd", Out: "nv", Precision: p}, in[0], in[1])
		loss := One(b, MaskedMean, nil, One(b, TokenLoss, nil, logits, in[2]), in[2])
		one := One(b, Map, MapAttrs{Expr: Const(1), In: []string{""}}, loss)
		d := One(b, TokenLossGrad, nil, logits, in[2], One(b, MaskedMeanGrad, nil, in[2], one))
		return append([]Value{loss}, headGradients(b, p, d, in[0], in[1])...)
	},
	Cost: func(_ Attrs, in, out []Type) Cost {
		return Cost{FLOPs: 3 * headFLOPs(in), Bytes: moved(in, out)}
	},
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(5, 4), floats(9, 4), ints(5)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})},
		{Name: "targets outside", In: []Type{floats(3, 3), floats(4, 3), ints(3)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(4, 1, -7)})},
		{Name: "no targets", In: []Type{floats(2, 3), floats(4, 3), ints(2)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(-1)})},
		{Name: "sizes 1", In: []Type{floats(1, 1), floats(1, 1), ints(1)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0)})},
		{Name: "wide", In: []Type{floats(19, 33), floats(130, 33), ints(19)}, Tolerance: 1e-4,
			Fill: fill(map[int]func(Type, func() float64) []float64{2: indices(-1, 130)}), NoGradientCheck: "covered by the smaller ones"},
		roundedHead("bf16", InFormat(BFloat16), tolerateFlips),
		roundedHead("fp8", tiles(E4M3, 1, 3, 4, 3), 0.1),
	},
})

func roundedHead(name string, p Precision, tolerance float64) Sample {
	s := lowPrecision(Sample{Name: name, Attrs: CrossEntropyAttrs{p}, In: []Type{floats(5, 4), floats(9, 4), ints(5)},
		Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})})
	s.Tolerance = tolerance
	return s
}

// headGradients are the gradients of hidden states and head for the gradient d of the logits.
func headGradients(b Builder, p Precision, d, h, w Value) []Value {
	toH, toW := p.backwards()
	toW.A, toW.B = toW.B, toW.A
	return []Value{
		One(b, Dot, DotAttrs{A: "nv", B: "vd", Out: "nd", Precision: toH}, d, w),
		One(b, Dot, DotAttrs{A: "nv", B: "nd", Out: "vd", Precision: toW}, d, h),
	}
}
