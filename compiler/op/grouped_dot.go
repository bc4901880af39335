package op

import "fmt"

// GroupedDotAttrs label the axes: X and Out start with the axis of rows, W with the axis of experts; the others are as in Dot.
type GroupedDotAttrs struct {
	X, W, Out string
	Precision Precision // A is x, B is w
}

func (d GroupedDotAttrs) String() string {
	return fmt.Sprintf("{X:%s W:%s Out:%s%s}", d.X, d.W, d.Out, d.Precision.suffix())
}

// Touched is the largest share of the experts' weights that the inputs of a GroupedDot can meet: a row meets one expert.
func Touched(in []Type) float64 {
	return min(1, float64(in[0].Shape[0])/float64(max(in[1].Shape[0], 1)))
}

// GroupedDot multiplies each row by the weight of its expert: rows offsets[e] to offsets[e+1] belong to expert e. Rows beyond the
// last offset give zeros.
var GroupedDot = Define(Op{
	Name:    "grouped_dot",
	Doc:     "each run of rows times the weight of its expert",
	Inputs:  []string{"x", "w", "offsets"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		d, err := attrsAs[GroupedDotAttrs](a)
		if err != nil {
			return nil, err
		}
		if d.X == "" || d.W == "" || d.Out == "" || d.X[0] != d.Out[0] || has(d.X, d.W[0]) || has(d.Out, d.W[0]) || has(d.W, d.X[0]) {
			return nil, fmt.Errorf("%q and %q must start with the axis of rows, %q with that of experts", d.X, d.Out, d.W)
		}
		s := sizes{}
		if err := s.bind("x", d.X, in[0]); err != nil {
			return nil, err
		}
		if err := s.bind("w", d.W, in[1]); err != nil {
			return nil, err
		}
		if err := checkContraction(d.X[1:], d.W[1:], d.Out[1:]); err != nil {
			return nil, err
		}
		if err := d.Precision.check(); err != nil {
			return nil, err
		}
		if err := wantType("offsets", in[2], ints(in[1].Shape[0]+1)); err != nil {
			return nil, err
		}
		shape, err := s.shape("the result", d.Out)
		return []Type{{shape, Float}}, err
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		d := a.(GroupedDotAttrs)
		toX, toW := d.Precision.backwards()
		return []Value{
			One(b, Named("grouped_dot"), GroupedDotAttrs{X: d.Out, W: d.W, Out: d.X, Precision: toX}, grad[0], in[1], in[2]),
			One(b, GroupedDotWeight, GroupedDotWeightAttrs{X: d.X, G: d.Out, Out: d.W, Precision: toW}, in[0], grad[0], in[2]),
			nil,
		}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		d, y := a.(GroupedDotAttrs), out[0]
		summed, batch := without(d.X, d.Out), common(d.X, d.W, d.Out)
		x := d.Precision.A.runs(in[0], in[2], d.X, summed, batch)
		w := d.Precision.B.tensor(in[1], d.W, summed, d.W[:1]+batch)
		eachRun(in[2], len(x.Data)/x.Shape[1:].Size(), func(row, expert int) {
			contract(d.X[1:], d.W[1:], d.Out[1:], x.Shape[1:], w.Shape[1:], part(x, row), part(w, expert), part(y, row))
		})
	},
	Cost: func(a Attrs, in, out []Type) Cost {
		d := a.(GroupedDotAttrs)
		flops := 2 * float64(out[0].Shape.Size())
		for i := range len(d.X) {
			if !has(d.Out, d.X[i]) {
				flops *= float64(in[0].Shape[i])
			}
		}
		return Cost{FLOPs: flops, Bytes: moved(in, out) - 4*(1-Touched(in))*float64(in[1].Shape.Size())}
	},
	Samples: []Sample{
		{Name: "experts", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf"}, In: []Type{floats(14, 5), floats(6, 5, 3), ints(7)},
			Fill: planned(7, 6, 2, "x", "w", "offsets")},
		{Name: "transposed weight", Attrs: GroupedDotAttrs{X: "rf", W: "edf", Out: "rd"}, In: []Type{floats(8, 3), floats(5, 4, 3), ints(6)},
			Fill: planned(4, 5, 2, "x", "w", "offsets")},
		{Name: "all rows to one", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf"}, In: []Type{floats(5, 4), floats(3, 4, 6), ints(4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 0, 5, 5)})},
		{Name: "no rows", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf"}, In: []Type{floats(2, 3), floats(2, 3, 2), ints(3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0)})},
		{Name: "sizes 1", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf"}, In: []Type{floats(1, 1), floats(1, 1, 1), ints(2)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 1)})},
		{Name: "wider", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf"}, In: []Type{floats(40, 33), floats(6, 33, 17), ints(7)},
			Fill: planned(20, 6, 2, "x", "w", "offsets")},
		lowPrecision(Sample{Name: "bf16", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf", Precision: InFormat(BFloat16)},
			In: []Type{floats(14, 5), floats(6, 5, 3), ints(7)}, Fill: planned(7, 6, 2, "x", "w", "offsets")}),
		lowPrecision(Sample{Name: "fp8, partial tiles", Attrs: GroupedDotAttrs{X: "rd", W: "edf", Out: "rf", Precision: tiles(E4M3, 1, 4, 2, 4)},
			In: []Type{floats(14, 5), floats(6, 5, 3), ints(7)}, Fill: planned(7, 6, 2, "x", "w", "offsets")}),
		lowPrecision(Sample{Name: "fp8, tiles of several rows", Attrs: GroupedDotAttrs{X: "rd", W: "efd", Out: "rf", Precision: tiles(E4M3, 2, 3, 2, 4)},
			In: []Type{floats(14, 5), floats(3, 4, 5), ints(4)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 3, 3, 12)})}),
	},
})

// GroupedDotWeightAttrs label the axes: X and G start with the axis of rows, Out with the axis of experts.
type GroupedDotWeightAttrs struct {
	X, G, Out string
	Precision Precision // A is x, B is g
}

func (d GroupedDotWeightAttrs) String() string {
	return fmt.Sprintf("{X:%s G:%s Out:%s%s}", d.X, d.G, d.Out, d.Precision.suffix())
}

// GroupedDotWeight is the gradient of GroupedDot's weight: for each expert the product of its rows of x and g, summed over them.
// An expert without rows gets zeros.
var GroupedDotWeight = Define(Op{
	Name:    "grouped_dot_weight",
	Doc:     "for each expert the products of its rows of x and of g",
	Inputs:  []string{"x", "g", "offsets"},
	Outputs: []string{"dw"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		d, err := attrsAs[GroupedDotWeightAttrs](a)
		if err != nil {
			return nil, err
		}
		if d.X == "" || d.G == "" || d.Out == "" || d.X[0] != d.G[0] || has(d.X, d.Out[0]) || has(d.G, d.Out[0]) || has(d.Out, d.X[0]) {
			return nil, fmt.Errorf("%q and %q must start with the axis of rows, %q with that of experts", d.X, d.G, d.Out)
		}
		s := sizes{}
		if err := s.bind("x", d.X, in[0]); err != nil {
			return nil, err
		}
		if err := s.bind("g", d.G, in[1]); err != nil {
			return nil, err
		}
		if err := checkContraction(d.X[1:], d.G[1:], d.Out[1:]); err != nil {
			return nil, err
		}
		if err := d.Precision.check(); err != nil {
			return nil, err
		}
		if err := wantRank("offsets", in[2], 1, Int32); err != nil {
			return nil, err
		}
		s[d.Out[0]] = in[2].Shape[0] - 1
		shape, err := s.shape("the result", d.Out)
		return []Type{{shape, Float}}, err
	},
	Gradient: Gradient{None: secondDerivative},
	Reference: func(a Attrs, in, out []Tensor) {
		d, w := a.(GroupedDotWeightAttrs), out[0]
		summed, batch := without(d.X, d.Out), common(d.X, d.G, d.Out)
		x := d.Precision.A.runs(in[0], in[2], d.X, summed, batch)
		g := d.Precision.B.runs(in[1], in[2], d.G, summed, batch)
		eachRun(in[2], x.Shape[0], func(row, expert int) {
			contract(d.X[1:], d.G[1:], d.Out[1:], x.Shape[1:], g.Shape[1:], part(x, row), part(g, row), part(w, expert))
		})
	},
	Cost: func(a Attrs, in, out []Type) Cost {
		d := a.(GroupedDotWeightAttrs)
		flops := 2 * float64(in[0].Shape.Size())
		for i := 1; i < len(d.G); i++ {
			if !has(d.X, d.G[i]) {
				flops *= float64(in[1].Shape[i])
			}
		}
		return Cost{FLOPs: flops, Bytes: moved(in, out)}
	},
	Samples: []Sample{
		{Name: "experts", Attrs: GroupedDotWeightAttrs{X: "rd", G: "rf", Out: "edf"}, In: []Type{floats(14, 5), floats(14, 3), ints(7)},
			Fill: planned(7, 6, 2, "x", "g", "offsets")},
		{Name: "transposed", Attrs: GroupedDotWeightAttrs{X: "rd", G: "rf", Out: "efd"}, In: []Type{floats(8, 5), floats(8, 3), ints(6)},
			Fill: planned(4, 5, 2, "x", "g", "offsets")},
		{Name: "no rows", Attrs: GroupedDotWeightAttrs{X: "rd", G: "rf", Out: "edf"}, In: []Type{floats(2, 3), floats(2, 2), ints(3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0)})},
		lowPrecision(Sample{Name: "bf16", Attrs: GroupedDotWeightAttrs{X: "rd", G: "rf", Out: "edf", Precision: InFormat(BFloat16)},
			In: []Type{floats(14, 5), floats(14, 3), ints(7)}, Fill: planned(7, 6, 2, "x", "g", "offsets")}),
		lowPrecision(Sample{Name: "fp8, tiles begin at each group", Attrs: GroupedDotWeightAttrs{X: "rd", G: "rf", Out: "edf", Precision: tiles(E5M2, 1, 4, 1, 4)},
			In: []Type{floats(14, 5), floats(14, 3), ints(4)}, Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 3, 3, 12)})}),
	},
})

// runs rounds each expert's rows as a tensor of their own. Rows of no expert stay as they are.
func (r Rounding) runs(t, offsets Tensor, labels, summed, batch string) Tensor {
	if r.Format == Float32 {
		return t
	}
	out := newTensor(t.Shape)
	copy(out.Data, t.Data)
	n := t.Shape[1:].Size()
	for e := range len(offsets.Data) - 1 {
		from, to := int(offsets.Data[e]), min(int(offsets.Data[e+1]), t.Shape[0])
		if from >= to {
			continue
		}
		run := Tensor{append(Shape{to - from}, t.Shape[1:]...), t.Data[from*n : to*n]}
		copy(out.Data[from*n:], r.tensor(run, labels, summed, batch).Data)
	}
	return out
}

// eachRun calls body for every row that belongs to an expert.
func eachRun(offsets Tensor, rows int, body func(row, expert int)) {
	for e := range len(offsets.Data) - 1 {
		for row := int(offsets.Data[e]); row < int(offsets.Data[e+1]) && row < rows; row++ {
			body(row, e)
		}
	}
}

// part is entry i along the first axis.
func part(t Tensor, i int) []float64 {
	n := t.Shape[1:].Size()
	return t.Data[i*n : (i+1)*n]
}
