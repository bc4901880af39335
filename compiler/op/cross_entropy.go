package op

import "math"

// CrossEntropyAttrs say what the product with the head is rounded to: A are the hidden states, B is the head. Without attributes
// nothing is rounded.
type CrossEntropyAttrs struct{ Precision Precision }

func (a CrossEntropyAttrs) String() string { return a.Precision.String() }

// headPrecision is that of the attributes, or full.
func headPrecision(a Attrs) Precision {
	c, _ := a.(CrossEntropyAttrs)
	return c.Precision
}

// CrossEntropy is the loss of predicting the next token from a hidden state, through the output head, without keeping the logits:
// −log softmax(h·wᵀ)[target]. A target outside the vocabulary gives 0 and no gradient.
var CrossEntropy = Define(Op{
	Name:    "cross_entropy",
	Doc:     "−log softmax(h·wᵀ) at the target, for each row",
	Inputs:  []string{"h", "w", "targets"},
	Outputs: []string{"loss"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := checkHead(a, in); err != nil {
			return nil, err
		}
		return []Type{floats(in[0].Shape[0])}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		return append(b.Apply(CrossEntropyGrad, a, in[0], in[1], in[2], grad[0]), nil)
	}},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		logits := One(b, Dot, DotAttrs{A: "nd", B: "vd", Out: "nv", Precision: headPrecision(a)}, in[0], in[1])
		return b.Apply(TokenLoss, nil, logits, in[2])
	},
	Reference: func(a Attrs, in, out []Tensor) {
		p := headPrecision(a)
		h, w, targets := p.A.tensor(in[0], "nd", "d", ""), p.B.tensor(in[1], "vd", "d", ""), in[2].Data
		d, vocabulary := h.Shape[1], w.Shape[0]
		logits := make([]float64, vocabulary)
		for n, target := range targets {
			for v := range logits {
				logits[v] = 0
				for i := range d {
					logits[v] += h.Data[n*d+i] * w.Data[v*d+i]
				}
			}
			if target >= 0 && int(target) < vocabulary {
				out[0].Data[n] = logSumExp(logits) - logits[int(target)]
			}
		}
	},
	Cost: func(_ Attrs, in, out []Type) Cost {
		return Cost{FLOPs: headFLOPs(in), Bytes: moved(in, out)}
	},
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(5, 4), floats(9, 4), ints(5)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})},
		{Name: "no targets", In: []Type{floats(2, 3), floats(4, 3), ints(2)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(-1, 4)})},
		{Name: "sizes 1", In: []Type{floats(1, 1), floats(1, 1), ints(1)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0)})},
		{Name: "wide", In: []Type{floats(19, 33), floats(130, 33), ints(19)}, Tolerance: 1e-4,
			Fill: fill(map[int]func(Type, func() float64) []float64{2: indices(0, 130)}), NoGradientCheck: "covered by the smaller ones"},
		lowPrecision(Sample{Name: "bf16", Attrs: CrossEntropyAttrs{InFormat(BFloat16)}, In: []Type{floats(5, 4), floats(9, 4), ints(5)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})}),
		lowPrecision(Sample{Name: "fp8", Attrs: CrossEntropyAttrs{tiles(E4M3, 1, 3, 4, 3)}, In: []Type{floats(5, 4), floats(9, 4), ints(5)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})}),
	},
})

// CrossEntropyGrad recomputes the logits.
var CrossEntropyGrad = Define(Op{
	Name:    "cross_entropy_grad",
	Doc:     "the gradients of cross_entropy's hidden states and head",
	Inputs:  []string{"h", "w", "targets", "g"},
	Outputs: []string{"dh", "dw"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := checkHead(a, in); err != nil {
			return nil, err
		}
		return in[:2:2], wantType("g", in[3], floats(in[0].Shape[0]))
	},
	Gradient: Gradient{None: secondDerivative},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		p := headPrecision(a)
		logits := One(b, Dot, DotAttrs{A: "nd", B: "vd", Out: "nv", Precision: p}, in[0], in[1])
		return headGradients(b, p, One(b, TokenLossGrad, nil, logits, in[2], in[3]), in[0], in[1])
	},
	Cost: func(_ Attrs, in, out []Type) Cost {
		return Cost{FLOPs: 3 * headFLOPs(in), Bytes: moved(in, out)}
	},
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(5, 4), floats(9, 4), ints(5), floats(5)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})},
		{Name: "wide", In: []Type{floats(19, 33), floats(130, 33), ints(19), floats(19)}, Tolerance: 1e-4,
			Fill: fill(map[int]func(Type, func() float64) []float64{2: indices(-1, 130)})},
		{Name: "bf16", Attrs: CrossEntropyAttrs{InFormat(BFloat16)}, In: []Type{floats(5, 4), floats(9, 4), ints(5), floats(5)}, Tolerance: tolerateFlips,
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})},
		{Name: "fp8", Attrs: CrossEntropyAttrs{tiles(E4M3, 1, 3, 4, 3)}, In: []Type{floats(5, 4), floats(9, 4), ints(5), floats(5)}, Tolerance: 0.1,
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 8, 3, -1, 3)})},
	},
})

// checkHead checks h [N, d], w [V, d] and targets [N].
func checkHead(a Attrs, in []Type) error {
	if a != nil {
		c, err := attrsAs[CrossEntropyAttrs](a)
		if err != nil {
			return err
		}
		if err := c.Precision.check(); err != nil {
			return err
		}
	}
	if err := wantRank("h", in[0], 2, Float); err != nil {
		return err
	}
	if err := wantRank("w", in[1], 2, Float); err != nil {
		return err
	}
	if err := wantType("w", in[1], floats(in[1].Shape[0], in[0].Shape[1])); err != nil {
		return err
	}
	return wantType("targets", in[2], ints(in[0].Shape[0]))
}

func headFLOPs(in []Type) float64 {
	return float64(in[0].Shape.Size()) * float64(in[1].Shape[0]) * 2
}

func logSumExp(x []float64) float64 {
	highest, total := negativeInfinity, 0.0
	for _, v := range x {
		highest = math.Max(highest, v)
	}
	for _, v := range x {
		total += math.Exp(v - highest)
	}
	return highest + math.Log(total)
}
