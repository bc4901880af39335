package op

import "math"

// TokenLoss is the cross-entropy of logits with a target token a row. A target outside the vocabulary gives 0 and no gradient.
var TokenLoss = Define(Op{
	Name:    "token_loss",
	Doc:     "−log softmax(logits) at the target, for each row",
	Inputs:  []string{"logits", "targets"},
	Outputs: []string{"loss"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := checkLogits(a, in); err != nil {
			return nil, err
		}
		return []Type{floats(in[0].Shape[0])}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		return []Value{One(b, TokenLossGrad, nil, in[0], in[1], grad[0]), nil}
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		vocabulary := in[0].Shape[1]
		for n, target := range in[1].Data {
			if target >= 0 && int(target) < vocabulary {
				row := in[0].Data[n*vocabulary : (n+1)*vocabulary]
				out[0].Data[n] = logSumExp(row) - row[int(target)]
			}
		}
	},
	Cost: costInput(0, 4),
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(5, 9), ints(5)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(0, 8, 3, -1, 3)})},
		{Name: "size 1", In: []Type{floats(1, 1), ints(1)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(0)})},
		{Name: "large", In: []Type{floats(2, 3), ints(2)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(1000, 998, -1000, 0, 1, 2), 1: values(1, 0)})},
	},
})

// TokenLossGrad is g·(softmax(logits) − 1 at the target).
var TokenLossGrad = Define(Op{
	Name:    "token_loss_grad",
	Doc:     "the gradient of token_loss's logits",
	Inputs:  []string{"logits", "targets", "g"},
	Outputs: []string{"dlogits"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := checkLogits(a, in); err != nil {
			return nil, err
		}
		return in[:1:1], wantType("g", in[2], floats(in[0].Shape[0]))
	},
	Gradient: Gradient{None: secondDerivative},
	Reference: func(_ Attrs, in, out []Tensor) {
		vocabulary := in[0].Shape[1]
		for n, target := range in[1].Data {
			if target < 0 || int(target) >= vocabulary {
				continue
			}
			row, g := in[0].Data[n*vocabulary:(n+1)*vocabulary], in[2].Data[n]
			lse := logSumExp(row)
			for v, x := range row {
				out[0].Data[n*vocabulary+v] = g * math.Exp(x-lse)
			}
			out[0].Data[n*vocabulary+int(target)] -= g
		}
	},
	Cost: costEach(5),
	Samples: []Sample{
		{Name: "rows", In: []Type{floats(5, 9), ints(5), floats(5)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(0, 8, 3, -1, 3)})},
	},
})

func checkLogits(a Attrs, in []Type) error {
	if err := noAttrs(a); err != nil {
		return err
	}
	if err := wantRank("logits", in[0], 2, Float); err != nil {
		return err
	}
	return wantType("targets", in[1], ints(in[0].Shape[0]))
}
