package op

import (
	"math"
	"slices"
	"testing"
)

// codes lists the numbers of an 8-bit format that are not negative, by the definition of its bits.
func codes(exponentBits, fractionBits, bias int, largest float64) []float32 {
	var list []float32
	for exponent := range 1 << exponentBits {
		for fraction := range 1 << fractionBits {
			part := float64(fraction) / float64(int(1)<<fractionBits)
			v := math.Ldexp(1+part, exponent-bias)
			if exponent == 0 {
				v = math.Ldexp(part, 1-bias)
			}
			if v <= largest {
				list = append(list, float32(v))
			}
		}
	}
	return list
}

// TestRoundFindsTheNearest compares rounding with a search of the nearest number, of two the one with an even code.
func TestRoundFindsTheNearest(t *testing.T) {
	for _, f := range []struct {
		format Format
		codes  []float32
	}{{E4M3, codes(4, 3, 7, 448)}, {E5M2, codes(5, 2, 15, 57344)}} {
		nearest := func(v float32) float32 {
			i, exact := slices.BinarySearch(f.codes, v)
			switch {
			case exact:
				return v
			case i == len(f.codes):
				return f.codes[i-1]
			}
			below, above := float64(v)-float64(f.codes[i-1]), float64(f.codes[i])-float64(v)
			if below < above || below == above && i%2 == 1 {
				return f.codes[i-1]
			}
			return f.codes[i]
		}
		var tried []float32
		for i, c := range f.codes {
			tried = append(tried, c, c*1.3)
			if i > 0 {
				middle := (c + f.codes[i-1]) / 2
				tried = append(tried, middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, 1e9))
			}
		}
		for _, v := range append(tried, 1e-30, 1e9, math.MaxFloat32, float32(math.Inf(1))) {
			for _, sign := range []float32{1, -1} {
				if got, want := f.format.Round(sign*v), sign*nearest(v); got != want {
					t.Errorf("%v: %v becomes %v, want %v", f.format, sign*v, got, want)
				}
			}
		}
	}
}

func TestRound(t *testing.T) {
	infinite, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		format   Format
		in, want float32
	}{
		{E4M3, 17, 16}, {E4M3, 19, 20}, // halfway: to the even code
		{E4M3, 464, 448}, {E4M3, -500, -448},
		{BFloat16, 1 + 0x1p-8, 1}, {BFloat16, 1 + 0x3p-8, 1 + 0x1p-6}, {BFloat16, 1 + 0x1.8p-8, 1 + 0x1p-7},
		{BFloat16, -math.MaxFloat32, -infinite}, {BFloat16, infinite, infinite}, {BFloat16, 0x1p-149, 0},
		{Float32, 0.1, 0.1},
	} {
		if got := c.format.Round(c.in); got != c.want {
			t.Errorf("%v: %v becomes %v, want %v", c.format, c.in, got, c.want)
		}
	}
	for f := Float32; f <= E5M2; f++ {
		if v := f.Round(nan); v == v {
			t.Errorf("%v: a NaN becomes %v", f, v)
		}
		all := []float32{0.3, -7, 1e6, 0}
		f.RoundAll(all, all)
		for i, v := range []float32{0.3, -7, 1e6, 0} {
			if all[i] != f.Round(v) {
				t.Errorf("%v: %v in a list becomes %v", f, v, all[i])
			}
		}
	}
}

// TestTilesHaveScales rounds what the facts of DeepSeek-V3's format give: a tile with a largest size of 3.5 has the scale 2^−7, one
// with 3.0 has 3/448.
func TestTilesHaveScales(t *testing.T) {
	x := Tensor{Shape{2, 5}, []float64{1, -2, 3.5, 0.1, 7, 1, -2, 3, 0.1, 0}}
	r := Rounding{Format: E4M3, Across: 1, Along: 4}
	got := r.tensor(x, "nd", "d", "").Data
	scale := float32(3) / 448
	want := []float64{1, -2, 3.5, 0.1015625, 7, float64(scale * 144), float64(scale * -288), float64(scale * 448), float64(scale * 15), 0}
	if !slices.Equal(got, want) {
		t.Errorf("tiles of 1×4 become\n%v, want\n%v", got, want)
	}
}

// TestGradientsAreRoundedProducts computes the gradients of a product in fp8 by hand: each is the plain product of operands rounded
// along the axis that it sums over.
func TestGradientsAreRoundedProducts(t *testing.T) {
	p := tiles(E4M3, 1, 4, 3, 4)
	p.Gradient.Format = E5M2
	s := Sample{Name: "x", In: []Type{floats(6, 9), floats(9, 7), floats(6, 7)}}
	in := s.Inputs()
	x, w, g := &evaluated{s.In[0], in[0]}, &evaluated{s.In[1], in[1]}, &evaluated{s.In[2], in[2]}
	got := Backward(evaluator{}, Dot, DotAttrs{A: "nd", B: "df", Out: "nf", Precision: p}, []Value{x, w}, nil, []Value{g})

	product := func(a, b, out string, x, y Tensor) []float64 {
		types := []Type{{Shape: x.Shape}, {Shape: y.Shape}}
		v, err := Evaluate(Dot, DotAttrs{A: a, B: b, Out: out}, types, []Tensor{x, y})
		if err != nil {
			t.Fatal(err)
		}
		return v[0].Data
	}
	tile, block := Rounding{E5M2, 1, 4, false}, Rounding{E4M3, 4, 3, true} // the block is turned: w sums over f here
	dx := product("nf", "df", "nd", tile.tensor(in[2], "nf", "f", ""), block.tensor(in[1], "df", "f", ""))
	dw := product("nd", "nf", "df", Rounding{E4M3, 1, 4, false}.tensor(in[0], "nd", "n", ""), tile.tensor(in[2], "nf", "n", ""))
	for i, want := range [][]float64{dx, dw} {
		if have := got[i].(*evaluated).tensor.Data; !slices.Equal(have, want) {
			t.Errorf("gradient %d is\n%v, want\n%v", i, have, want)
		}
	}
	// A block is the same entries whichever axis is summed.
	forward := Rounding{E4M3, 3, 4, true}.tensor(in[1], "df", "d", "").Data
	if !slices.Equal(forward, block.tensor(in[1], "df", "f", "").Data) {
		t.Error("the weight is rounded to other numbers backwards than forwards")
	}
}

func TestPrecisionsRefused(t *testing.T) {
	in := []Type{floats(2, 3), floats(3, 4)}
	for _, r := range []Rounding{{Format: E4M3}, {Format: BFloat16, Across: 1, Along: 4}, {Across: 1}, {Format: 9}, {Format: E5M2, Across: -1, Along: 3}} {
		if _, err := InferTypes(Dot, DotAttrs{A: "nd", B: "df", Out: "nf", Precision: Precision{A: r}}, in); err == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}
