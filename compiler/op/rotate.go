package op

import (
	"fmt"
	"math"
)

// RotateAttrs turn pairs of features by position (rotary position embedding, Su et al. 2021, equation 34).
type RotateAttrs struct {
	Seq, Axis   int       // the axis of positions and the axis of features
	Frequencies []float64 // the angle per position of each pair, in radians
	Scale       float64   // a factor on cosine and sine (YaRN's attention factor)
	Halves      bool      // pair i is (i, i + d/2) rather than (2i, 2i+1)
	Inverse     bool      // turn back
}

// Rotate turns pair i of the entry at position p by (offset + p)·Frequencies[i], times Scale.
var Rotate = Define(Op{
	Name:    "rotate",
	Doc:     "pairs of features turned by angles that grow with the position",
	Inputs:  []string{"x", "offset?"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		r, err := attrsAs[RotateAttrs](a)
		if err != nil {
			return nil, err
		}
		rank := len(in[0].Shape)
		if err := wantFloat("x", in[0]); err != nil {
			return nil, err
		}
		if err := wantAxis("the axis of positions", r.Seq, rank); err != nil {
			return nil, err
		}
		if err := wantAxis("the axis of features", r.Axis, rank); err != nil {
			return nil, err
		}
		if d := in[0].Shape[r.Axis]; r.Seq == r.Axis || d != 2*len(r.Frequencies) {
			return nil, fmt.Errorf("axis %d of %v for %d frequencies, want twice as many features", r.Axis, in[0], len(r.Frequencies))
		}
		return in[:1:1], checkOffset(in[1:])
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		r := a.(RotateAttrs)
		r.Inverse = !r.Inverse
		d := []Value{One(b, Named("rotate"), r, append([]Value{grad[0]}, in[1:]...)...)}
		return append(d, make([]Value, len(in)-1)...)
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		r, x, y := a.(RotateAttrs), in[0], out[0]
		seqStep, first := strides(x.Shape)[r.Seq], offsetOf(in[1:])
		rows(x.Shape, r.Axis, func(start, step, n int) {
			position := first + float64(start/seqStep%x.Shape[r.Seq])
			for i, frequency := range r.Frequencies {
				one, two := start+2*i*step, start+(2*i+1)*step
				if r.Halves {
					one, two = start+i*step, start+(i+n/2)*step
				}
				sin, cos := math.Sincos(position * frequency)
				if r.Inverse {
					sin = -sin
				}
				p, q := x.Data[one], x.Data[two]
				y.Data[one] = r.Scale * (p*cos - q*sin)
				y.Data[two] = r.Scale * (p*sin + q*cos)
			}
		})
	},
	Cost: costEach(3),
	Samples: []Sample{
		{Name: "interleaved, heads", Attrs: RotateAttrs{Seq: 1, Axis: 3, Frequencies: []float64{1, 0.1, 0.01}, Scale: 1},
			In: []Type{floats(2, 5, 3, 6)}},
		{Name: "halves", Attrs: RotateAttrs{Seq: 1, Axis: 2, Frequencies: []float64{1, 0.03}, Scale: 1, Halves: true}, In: []Type{floats(2, 7, 4)}},
		{Name: "offset, scaled", Attrs: RotateAttrs{Seq: 0, Axis: 1, Frequencies: []float64{1, 0.1}, Scale: 1.2},
			In: []Type{floats(1, 4), ints()}, Fill: offsetFill(1, 37)},
		{Name: "inverse halves, features first", Attrs: RotateAttrs{Seq: 1, Axis: 0, Frequencies: []float64{0.5}, Scale: 1, Halves: true, Inverse: true},
			In: []Type{floats(2, 3)}},
	},
})

// checkOffset checks the optional last input that says how many positions came before.
func checkOffset(in []Type) error {
	if len(in) == 0 {
		return nil
	}
	return wantRank("offset", in[0], 0, Int32)
}

func offsetOf(in []Tensor) float64 {
	if len(in) == 0 {
		return 0
	}
	return in[0].Data[0]
}

// offsetFill gives input i one whole value.
func offsetFill(i int, v float64) func(int, Type, func() float64) []float64 {
	return fill(map[int]func(Type, func() float64) []float64{i: values(v)})
}
