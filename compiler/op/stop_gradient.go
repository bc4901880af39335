package op

// StopGradient is its input, and no gradient flows back through it.
var StopGradient = Define(Op{
	Name:    "stop_gradient",
	Doc:     "the input itself, through which no gradient flows",
	Inputs:  []string{"x"},
	Outputs: []string{"y"},
	View:    true,
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		return in[:1:1], noAttrs(a)
	},
	Gradient:  Gradient{None: "it stops the gradient"},
	Reference: func(_ Attrs, in, out []Tensor) { copy(out[0].Data, in[0].Data) },
	Cost:      costView,
	Samples:   []Sample{{Name: "matrix", In: []Type{floats(2, 3)}}, {Name: "scalar", In: []Type{floats()}}},
})
