package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// testWeight is a random weight of a format; what lies between its rows is
// strange.
func testWeight(seed uint64, format Format, outputs, inputs int, byInput bool) Weight {
	rows, width := outputs, inputs
	if byInput {
		rows, width = inputs, outputs
	}
	w := Weight{Format: format, Outputs: outputs, Inputs: inputs, Stride: width + 3, ByInput: byInput}
	r := rand.New(rand.NewPCG(seed, 2))
	size := 0
	if outputs > 0 && inputs > 0 {
		size = (rows-1)*w.Stride + width
	}
	values := randoms(seed, size)
	for i := range values {
		if i%w.Stride >= width {
			values[i] = float32(math.NaN())
		}
	}
	switch format {
	case Float32:
		w.Float32s = values
	case BFloat16:
		for _, v := range values {
			w.BFloat16s = append(w.BFloat16s, ToBFloat16(v))
		}
	case Float8:
		for range values {
			b := uint8(r.IntN(256))
			if b&0x7f == 0x7f {
				b--
			}
			w.Bytes = append(w.Bytes, b)
		}
		for range scalesOf(rows, float8Block) * scalesOf(width, float8Block) {
			w.BlockScales = append(w.BlockScales, 0.001+0.01*r.Float32())
		}
	case Int8:
		for range values {
			w.Bytes = append(w.Bytes, uint8(r.IntN(256)))
		}
		for range rows * scalesOf(width, int8Block) {
			w.HalfScales = append(w.HalfScales, ToFloat16(0.001+0.01*r.Float32()))
		}
	}
	return w
}

// checkWeightProduct compares y with x·wᵀ (+ old) in float64.
func checkWeightProduct(t *testing.T, q *WeightProduct, old Matrix) {
	t.Helper()
	for r := range q.Y.Rows {
		for o := range q.Y.Cols {
			want, size := 0.0, 1.0
			if q.Accumulate {
				want = float64(*old.at(r, o))
			}
			for i := range q.X.Cols {
				term := float64(*q.X.at(r, i)) * float64(q.W.at(o, i))
				want += term
				size += math.Abs(term)
			}
			if got := *q.Y.at(r, o); !closeTo(got, want, 1e-6*size) {
				t.Fatalf("%v, %d rows, %d outputs, %d inputs, by input %v: element (%d, %d) is %g, want %g",
					q.W.Format, q.Y.Rows, q.W.Outputs, q.W.Inputs, q.W.ByInput, r, o, got, want)
			}
		}
	}
}

func TestMulWeights(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			p := newPool(t, threads)
			seed := uint64(1)
			for _, format := range []Format{Float32, BFloat16, Float8, Int8} {
				for _, byInput := range []bool{false, true} {
					for _, size := range [][3]int{{0, 3, 4}, {1, 0, 4}, {1, 4, 0}, {1, 1, 1}, {1, 17, 33}, {2, 40, 64}, {3, 33, 96}, {4, 130, 32},
						{5, 260, 200}, {7, 19, 160}, {8, 300, 288}, {9, 16, 31}, {13, 64, 128}, {1, 1500, 300}, {4, 1100, 64}} {
						seed += 3
						q := WeightProduct{
							X: testMatrix(seed, "padded rows", size[0], size[2]), W: testWeight(seed+1, format, size[1], size[2], byInput),
							Y: testMatrix(seed+2, "padded rows", size[0], size[1]), Accumulate: seed%2 == 0,
						}
						if !q.Accumulate {
							copy(q.Y.Data, nans(len(q.Y.Data)))
						}
						old := cloneMatrix(q.Y)
						MulWeights(p, []WeightProduct{q})
						checkWeightProduct(t, &q, old)
						for i, v := range q.Y.Data {
							if i%q.Y.RowStride >= q.Y.Cols && v == v {
								t.Fatalf("%v: wrote outside the view at %d", format, i)
							}
						}
					}
				}
			}
		}
	})
}

// TestGemmWeights: many rows with weights of every format and layout, whole
// matrices and parts of them, in one region.
func TestGemmWeights(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			p := newPool(t, threads)
			var products []WeightProduct
			var old []Matrix
			seed := uint64(1)
			for _, format := range []Format{Float32, BFloat16, Float8, Int8} {
				for _, byInput := range []bool{false, true} {
					for _, size := range [][3]int{{0, 3, 4}, {9, 0, 4}, {9, 4, 0}, {1, 1, 1}, {13, 1, 40}, {13, 40, 1}, {3, 17, 33}, {25, 260, 200}, {130, 140, 161}, {10, 45, 1100}} {
						seed += 3
						w := testWeight(seed+1, format, size[1], size[2], byInput)
						y := testMatrix(seed+2, []string{"rows", "padded rows"}[seed%2], size[0], size[1])
						products = append(products, WeightProduct{X: testMatrix(seed, "padded rows", size[0], size[2]), W: w, Y: y, Accumulate: seed%4 < 2})
						if seed%4 >= 2 {
							copy(y.Data, nans(len(y.Data)))
						}
						old = append(old, cloneMatrix(y))
					}
					// The part of a matrix from row 130 and column 64 on.
					part := testWeight(seed+1, format, 400, 300, byInput)
					rows, columns := part.matrix()
					part.Row, part.Column, part.Columns = 130, 64, columns
					at := part.Row*part.Stride + part.Column
					switch format {
					case Float32:
						part.Float32s = part.Float32s[at:]
					case BFloat16:
						part.BFloat16s = part.BFloat16s[at:]
					default:
						part.Bytes = part.Bytes[at:]
					}
					part.Outputs, part.Inputs = rows-part.Row, columns-part.Column
					if byInput {
						part.Outputs, part.Inputs = part.Inputs, part.Outputs
					}
					y := testMatrix(seed+2, "rows", 20, part.Outputs)
					products = append(products, WeightProduct{X: testMatrix(seed, "rows", 20, part.Inputs), W: part, Y: y})
					old = append(old, cloneMatrix(y))
				}
			}
			GemmWeights(p, products)
			for i := range products {
				checkRoundedWeightProduct(t, &products[i], old[i])
				copy(products[i].Y.Data, old[i].Data)
				GemmWeights(p, products[i:i+1])
				checkRoundedWeightProduct(t, &products[i], old[i])
			}
			if threads > 1 {
				continue // which worker needs how much memory differs
			}
			if n := testing.AllocsPerRun(3, func() { GemmWeights(p, products) }); n != 0 {
				t.Errorf("%g allocations a call", n)
			}
		}
	})
}

// checkRoundedWeightProduct is checkWeightProduct with operands rounded where the
// level multiplies bfloat16 values.
func checkRoundedWeightProduct(t *testing.T, q *WeightProduct, old Matrix) {
	t.Helper()
	round := func(v float32) float64 { return float64(v) }
	if q.W.Format != Float32 && active.Load().bf16.tile != nil {
		round = func(v float32) float64 { return float64(FromBFloat16(ToBFloat16(v))) }
	}
	for r := range q.Y.Rows {
		for o := range q.Y.Cols {
			want, size := 0.0, 1.0
			if q.Accumulate {
				want = float64(*old.at(r, o))
			}
			for i := range q.X.Cols {
				term := round(*q.X.at(r, i)) * round(q.W.at(o, i))
				want += term
				size += math.Abs(term)
			}
			if got := *q.Y.at(r, o); !closeTo(got, want, 1e-6*size) {
				t.Fatalf("%v, %d rows, %d outputs, %d inputs, by input %v: element (%d, %d) is %g, want %g",
					q.W.Format, q.Y.Rows, q.W.Outputs, q.W.Inputs, q.W.ByInput, r, o, got, want)
			}
		}
	}
}

// TestMulWeightsOfExperts: several products of different formats and shapes in
// one region, the same on every run.
func TestMulWeightsOfExperts(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 3)
		var products []WeightProduct
		var old []Matrix
		for i, format := range []Format{Int8, BFloat16, Float32, Float8, Int8, BFloat16} {
			rows, outputs := i%4, 100+37*i
			if i == 3 {
				rows = 1
			}
			q := WeightProduct{X: testMatrix(uint64(i), "rows", rows, 256), W: testWeight(uint64(i), format, outputs, 256, false),
				Y: testMatrix(9, "rows", rows, outputs)}
			products = append(products, q)
			old = append(old, cloneMatrix(q.Y))
		}
		var first []float32
		for range 5 {
			MulWeights(p, products)
			var all []float32
			for i := range products {
				checkWeightProduct(t, &products[i], old[i])
				all = append(all, products[i].Y.Data...)
			}
			if first == nil {
				first = all
			}
			for i, v := range all {
				if v != first[i] {
					t.Fatalf("value %d is %g, was %g", i, v, first[i])
				}
			}
		}
		if n := testing.AllocsPerRun(5, func() { MulWeights(p, products) }); n != 0 {
			t.Errorf("%g allocations a call", n)
		}
		MulWeights(p, nil)
	})
}

// TestFloat8Values: every encoding but NaN, by the routines and with scales that
// they can't take, is the value of the definition.
func TestFloat8Values(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 1)
		for _, scale := range []float32{1, 0.37, 4096, 1e30} {
			w := Weight{Format: Float8, Outputs: 256, Inputs: weightStep, Stride: weightStep, Bytes: make([]uint8, 256*weightStep),
				BlockScales: []float32{scale, scale}}
			x, y := RowMajor(make([]float32, weightStep), 1, weightStep), RowMajor(make([]float32, 256), 1, 256)
			x.Data[5] = 1
			for b := range 256 {
				w.Bytes[b*weightStep+5] = uint8(b)
			}
			MulWeights(p, []WeightProduct{{X: x, W: w, Y: y}})
			for b, got := range y.Data {
				if b&0x7f == 0x7f {
					continue
				}
				exponent, mantissa := b>>3&15, float64(b&7)/8
				want := math.Ldexp(1+mantissa, exponent-7)
				if exponent == 0 {
					want = math.Ldexp(mantissa, -6)
				}
				if b >= 128 {
					want = -want
				}
				if want *= float64(scale); got != float32(want) {
					t.Fatalf("scale %g: %#02x is %g, want %g", scale, b, got, want)
				}
			}
		}
	})
}

func TestQuantizeInt8(t *testing.T) {
	p := newPool(t, 2)
	const rows, cols = 9, 75
	values := randoms(4, rows*cols)
	clear(values[cols : cols+40]) // a block of zeros
	w := QuantizeInt8(p, values, rows, cols)
	w.mustHold()
	for o := range rows {
		for i := range cols {
			scale := FromFloat16(w.HalfScales[o*3+i/32])
			// Half a step, and what float16 takes from the largest value.
			if got, want := w.at(o, i), values[o*cols+i]; !closeTo(got, float64(want), float64(scale)*0.6) {
				t.Fatalf("value %d, %d is %g, want %g (scale %g)", o, i, got, want, scale)
			}
		}
	}
	strange := QuantizeInt8(p, []float32{1, float32(math.NaN()), 3, float32(math.Inf(1))}, 2, 2)
	for o, s := range strange.HalfScales {
		if v := float64(FromFloat16(s)); !math.IsNaN(v) && !math.IsInf(v, 0) {
			t.Errorf("block %d with strange values has the scale %g", o, v)
		}
	}
}

func TestHalves(t *testing.T) {
	for h := range 1 << 16 {
		if v := FromFloat16(uint16(h)); v == v && ToFloat16(v) != uint16(h) {
			t.Fatalf("half %#04x is %g, and that is %#04x", h, v, ToFloat16(v))
		}
		if v := FromBFloat16(uint16(h)); v == v && ToBFloat16(v) != uint16(h) {
			t.Fatalf("bfloat16 %#04x is %g, and that is %#04x", h, v, ToBFloat16(v))
		}
	}
	for _, c := range []struct {
		value        float32
		half, bfloat uint16
	}{
		{1, 0x3c00, 0x3f80}, {-2, 0xc000, 0xc000}, {65504, 0x7bff, 0x4780}, {65519, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780},
		{1 + 0x1p-11, 0x3c00, 0x3f80}, {1 + 3*0x1p-11, 0x3c02, 0x3f80}, {1 + 0x1p-8, 0x3c04, 0x3f80}, {1 + 3*0x1p-8, 0x3c0c, 0x3f82},
		{0x1p-24, 1, 0x3380}, {0x1p-25, 0, 0x3300}, {0x1.8p-25, 1, 0x3340}, {3.3e38, 0x7c00, 0x7f78}, {3.4028235e38, 0x7c00, 0x7f80},
		{float32(math.Inf(-1)), 0xfc00, 0xff80},
	} {
		if got := ToFloat16(c.value); got != c.half {
			t.Errorf("%g as a half is %#04x, want %#04x", c.value, got, c.half)
		}
		if got := ToBFloat16(c.value); got != c.bfloat {
			t.Errorf("%g as a bfloat16 is %#04x, want %#04x", c.value, got, c.bfloat)
		}
	}
	if v := FromBFloat16(ToBFloat16(float32(math.NaN()))); v == v {
		t.Error("NaN as a bfloat16 is a number")
	}
	if v := FromFloat16(ToFloat16(float32(math.NaN()))); v == v {
		t.Error("NaN as a half is a number")
	}
}

func TestMulWeightsRefuses(t *testing.T) {
	p := newPool(t, 1)
	good := func() WeightProduct {
		return WeightProduct{X: testMatrix(1, "rows", 2, 64), W: testWeight(2, Int8, 5, 64, false), Y: testMatrix(3, "rows", 2, 5)}
	}
	MulWeights(p, []WeightProduct{good()})
	for name, spoil := range map[string]func(q *WeightProduct){
		"shapes":        func(q *WeightProduct) { q.X.Cols-- },
		"short weight":  func(q *WeightProduct) { q.W.Bytes = q.W.Bytes[1:] },
		"short scales":  func(q *WeightProduct) { q.W.HalfScales = q.W.HalfScales[1:] },
		"format":        func(q *WeightProduct) { q.W.Format = 9 },
		"int8 by input": func(q *WeightProduct) { q.W.ByInput = true },
		"scattered":     func(q *WeightProduct) { q.X = testMatrix(1, "columns", 2, 64) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			q := good()
			spoil(&q)
			MulWeights(p, []WeightProduct{q})
		}()
	}
}

func BenchmarkMulWeights(b *testing.B) {
	const outputs, inputs = 8192, 2048
	for _, format := range []Format{Float32, BFloat16, Float8, Int8} {
		for _, byInput := range []bool{false, true} {
			w := testWeight(1, format, outputs, inputs, byInput)
			for _, rows := range []int{1, 4, 8} {
				for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
					b.Run(fmt.Sprintf("%v/byInput=%v/rows=%d/threads=%d", format, byInput, rows, threads), func(b *testing.B) {
						p := newPool(b, threads)
						products := []WeightProduct{{X: testMatrix(2, "rows", rows, inputs), W: w, Y: testMatrix(3, "rows", rows, outputs)}}
						for b.Loop() {
							MulWeights(p, products)
						}
						b.ReportMetric(float64(w.Size())*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
					})
				}
			}
		}
	}
}

func BenchmarkGemmWeights(b *testing.B) {
	const rows, outputs, inputs = 512, 1024, 1024
	for _, format := range []Format{Float32, BFloat16, Float8, Int8} {
		for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
			b.Run(fmt.Sprintf("%v/threads=%d", format, threads), func(b *testing.B) {
				p := newPool(b, threads)
				products := []WeightProduct{{X: testMatrix(2, "rows", rows, inputs), W: testWeight(1, format, outputs, inputs, false), Y: testMatrix(3, "rows", rows, outputs)}}
				for b.Loop() {
					GemmWeights(p, products)
				}
				b.ReportMetric(2*float64(rows*outputs*inputs)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
