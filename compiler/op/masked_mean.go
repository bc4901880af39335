package op

// MaskedMean averages over the rows that have a target, those where it is not negative; without any it is 0.
var MaskedMean = Define(Op{
	Name:    "masked_mean",
	Doc:     "the mean over rows whose target is not negative",
	Inputs:  []string{"x", "targets"},
	Outputs: []string{"mean"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		if err := wantRank("x", in[0], 1, Float); err != nil {
			return nil, err
		}
		return []Type{floats()}, wantType("targets", in[1], ints(in[0].Shape[0]))
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		return []Value{One(b, MaskedMeanGrad, nil, in[1], grad[0]), nil}
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		total, count := 0.0, 0.0
		for i, target := range in[1].Data {
			if target >= 0 {
				total += in[0].Data[i]
				count++
			}
		}
		if count > 0 {
			out[0].Data[0] = total / count
		}
	},
	Cost: costInput(0, 1),
	Samples: []Sample{
		{Name: "some", In: []Type{floats(7), ints(7)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(3, -1, 0, 5)})},
		{Name: "none", In: []Type{floats(3), ints(3)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(-1)})},
		{Name: "one", In: []Type{floats(1), ints(1)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(2)})},
	},
})

// MaskedMeanGrad is g divided by the number of targets where there is one, else 0.
var MaskedMeanGrad = Define(Op{
	Name:    "masked_mean_grad",
	Doc:     "the gradient of masked_mean",
	Inputs:  []string{"targets", "g"},
	Outputs: []string{"dx"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		if err := wantRank("targets", in[0], 1, Int32); err != nil {
			return nil, err
		}
		return []Type{floats(in[0].Shape[0])}, wantType("g", in[1], floats())
	},
	Gradient: Gradient{None: secondDerivative},
	Reference: func(_ Attrs, in, out []Tensor) {
		count := 0.0
		for _, target := range in[0].Data {
			if target >= 0 {
				count++
			}
		}
		for i, target := range in[0].Data {
			if target >= 0 {
				out[0].Data[i] = in[1].Data[0] / count
			}
		}
	},
	Cost: costEach(1),
	Samples: []Sample{
		{Name: "some", In: []Type{ints(7), floats()}, Fill: fill(map[int]func(Type, func() float64) []float64{0: values(3, -1, 0, 5)})},
		{Name: "none", In: []Type{ints(3), floats()}, Fill: fill(map[int]func(Type, func() float64) []float64{0: values(-1)})},
	},
})
