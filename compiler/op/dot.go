package op

import "fmt"

// DotAttrs label the axes of the operands and of the result, as in einsum. Letters in A and B and not in Out are contracted.
type DotAttrs struct {
	A, B, Out string
	Precision Precision
}

func (d DotAttrs) String() string {
	return fmt.Sprintf("{A:%s B:%s Out:%s%s}", d.A, d.B, d.Out, d.Precision.suffix())
}

// Dot is the product of two tensors along labelled axes: matrix products, batched or not, inner and outer products.
var Dot = Define(Op{
	Name:    "dot",
	Doc:     "products of two tensors summed over the axes that they share and the result lacks",
	Inputs:  []string{"a", "b"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		d, err := attrsAs[DotAttrs](a)
		if err != nil {
			return nil, err
		}
		s := sizes{}
		if err := s.bind("a", d.A, in[0]); err != nil {
			return nil, err
		}
		if err := s.bind("b", d.B, in[1]); err != nil {
			return nil, err
		}
		if err := checkContraction(d.A, d.B, d.Out); err != nil {
			return nil, err
		}
		if err := d.Precision.check(); err != nil {
			return nil, err
		}
		shape, err := s.shape("the result", d.Out)
		return []Type{{shape, Float}}, err
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		d, dot := a.(DotAttrs), Named("dot")
		toA, toB := d.Precision.backwards()
		return []Value{
			One(b, dot, DotAttrs{A: d.Out, B: d.B, Out: d.A, Precision: toA}, grad[0], in[1]),
			One(b, dot, DotAttrs{A: d.A, B: d.Out, Out: d.B, Precision: toB}, in[0], grad[0]),
		}
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		d := a.(DotAttrs)
		summed, batch := without(d.A, d.Out), common(d.A, d.B, d.Out)
		x := d.Precision.A.tensor(in[0], d.A, summed, batch)
		y := d.Precision.B.tensor(in[1], d.B, summed, batch)
		contract(d.A, d.B, d.Out, x.Shape, y.Shape, x.Data, y.Data, out[0].Data)
	},
	Cost: func(a Attrs, in, out []Type) Cost {
		d := a.(DotAttrs)
		flops := 2 * float64(out[0].Shape.Size())
		for i := range len(d.A) {
			if !has(d.Out, d.A[i]) {
				flops *= float64(in[0].Shape[i])
			}
		}
		return Cost{FLOPs: flops, Bytes: moved(in, out)}
	},
	Samples: []Sample{
		{Name: "x·w", Attrs: DotAttrs{A: "nd", B: "df", Out: "nf"}, In: []Type{floats(5, 7), floats(7, 3)}},
		{Name: "x·wᵀ", Attrs: DotAttrs{A: "nd", B: "fd", Out: "nf"}, In: []Type{floats(33, 17), floats(9, 17)}},
		{Name: "xᵀ·x", Attrs: DotAttrs{A: "nd", B: "nf", Out: "fd"}, In: []Type{floats(12, 4), floats(12, 6)}},
		{Name: "[batch, seq, d]·[d, heads, k]", Attrs: DotAttrs{A: "bsd", B: "dhk", Out: "bshk"}, In: []Type{floats(2, 3, 8), floats(8, 2, 5)}},
		{Name: "scores, batched and grouped", Attrs: DotAttrs{A: "bsgre", B: "bkge", Out: "bgrsk"},
			In: []Type{floats(2, 3, 2, 3, 4), floats(2, 5, 2, 4)}},
		{Name: "two axes contracted", Attrs: DotAttrs{A: "bshv", B: "hvd", Out: "bsd"}, In: []Type{floats(1, 5, 3, 2), floats(3, 2, 7)}},
		{Name: "outer product", Attrs: DotAttrs{A: "a", B: "b", Out: "ba"}, In: []Type{floats(3), floats(4)}},
		{Name: "inner product", Attrs: DotAttrs{A: "a", B: "a", Out: ""}, In: []Type{floats(65), floats(65)}},
		{Name: "by a scalar", Attrs: DotAttrs{A: "ab", B: "", Out: "ba"}, In: []Type{floats(2, 3), floats()}},
		{Name: "sizes 1", Attrs: DotAttrs{A: "nd", B: "df", Out: "nf"}, In: []Type{floats(1, 1), floats(1, 1)}},
		{Name: "a row", Attrs: DotAttrs{A: "nd", B: "df", Out: "nf"}, In: []Type{floats(1, 9), floats(9, 1)}},
		{Name: "wide", Attrs: DotAttrs{A: "nd", B: "df", Out: "nf"}, In: []Type{floats(67, 130), floats(130, 71)}, Tolerance: 1e-4},
		lowPrecision(Sample{Name: "bf16", Attrs: DotAttrs{A: "bsd", B: "dhk", Out: "bshk", Precision: InFormat(BFloat16)},
			In: []Type{floats(2, 3, 9), floats(9, 2, 5)}}),
		lowPrecision(Sample{Name: "fp8, partial tiles", Attrs: DotAttrs{A: "bsd", B: "dhk", Out: "bshk", Precision: tiles(E4M3, 1, 4, 3, 4)},
			In: []Type{floats(2, 3, 9), floats(9, 2, 5)}}),
		lowPrecision(Sample{Name: "fp8, summed axes around others", Attrs: DotAttrs{A: "hbsv", B: "hdv", Out: "bsd", Precision: tiles(E4M3, 2, 5, 4, 3)},
			In: []Type{floats(3, 2, 5, 2), floats(3, 7, 2)}}),
		lowPrecision(Sample{Name: "fp8, a weight for each head", Attrs: DotAttrs{A: "bshd", B: "hdv", Out: "bshv", Precision: tiles(E5M2, 1, 4, 4, 4)},
			In: []Type{floats(2, 3, 2, 6), floats(2, 6, 5)}}),
		lowPrecision(Sample{Name: "fp8, the weight first, zeros", Attrs: DotAttrs{A: "fd", B: "nd", Out: "nf", Precision: turnedTiles(E4M3)},
			In: []Type{floats(5, 6), floats(3, 6)}, Fill: fill(map[int]func(Type, func() float64) []float64{1: values(0, 0, 0, 0, 1e-3, -700)})}),
	},
})

// lowPrecision marks a sample whose operands are rounded. A sum that differs in its last bit may round to another number where it is an
// operand again, but here operands are inputs, so that tolerances stay those of float32.
func lowPrecision(s Sample) Sample {
	s.NoGradientCheck = "rounded numbers move in steps"
	return s
}

// tolerateFlips is the tolerance of a sample that rounds what it computes to bfloat16: numbers that differ in the last bit of float32 may
// become numbers that differ in the last bit of bfloat16.
const tolerateFlips = 0x1p-7

// tiles is the precision of an activation times a weight.
func tiles(f Format, across, along, blockAcross, blockAlong int) Precision {
	return Precision{Rounding{f, across, along, false}, Rounding{f, blockAcross, blockAlong, true}, Rounding{f, across, along, false}}
}

// turnedTiles is the precision of a weight times an activation.
func turnedTiles(f Format) Precision {
	p := tiles(f, 1, 4, 3, 4)
	p.A, p.B = p.B, p.A
	return p
}

// checkContraction reports an axis of one operand that neither the other operand nor the result has.
func checkContraction(a, b, out string) error {
	if rest := without(without(a, b), out); rest != "" {
		return fmt.Errorf("axis %q of the first operand %q is in neither %q nor %q", rest[0], a, b, out)
	}
	if rest := without(without(b, a), out); rest != "" {
		return fmt.Errorf("axis %q of the second operand %q is in neither %q nor %q", rest[0], b, a, out)
	}
	return nil
}

// contract adds the products of a and b to y along labelled axes.
func contract(a, b, out string, aShape, bShape Shape, aData, bData, yData []float64) {
	inner := without(a, out)
	free, sum := make(Shape, len(out)), make(Shape, len(inner))
	for _, o := range []struct {
		labels string
		shape  Shape
	}{{a, aShape}, {b, bShape}} {
		for i := range len(o.labels) {
			for j := range len(out) {
				if out[j] == o.labels[i] {
					free[j] = o.shape[i]
				}
			}
			for j := range len(inner) {
				if inner[j] == o.labels[i] {
					sum[j] = o.shape[i]
				}
			}
		}
	}
	var aSum, bSum []int // where the terms of a sum are
	walk(sum, func(at []int) { aSum, bSum = append(aSum, at[0]), append(bSum, at[1]) }, along(inner, a, aShape), along(inner, b, bShape))
	walk(free, func(at []int) {
		total := 0.0
		for i, k := range aSum {
			total += aData[at[0]+k] * bData[at[1]+bSum[i]]
		}
		yData[at[2]] += total
	}, along(out, a, aShape), along(out, b, bShape), strides(free))
}
