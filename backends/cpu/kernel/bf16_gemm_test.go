package kernel

import (
	"fmt"
	"math"
	"runtime"
	"testing"
)

// mixed is the test matrix m stored as float32 or bfloat16.
func mixed(m Matrix, narrow bool) MixedMatrix {
	x := MixedMatrix{Float32s: m.Data, Rows: m.Rows, Cols: m.Cols, RowStride: m.RowStride, ColStride: m.ColStride}
	if narrow {
		x.Float32s, x.BFloat16s = nil, make([]uint16, len(m.Data))
		ConvertBFloat16(x.BFloat16s, m.Data)
	}
	return x
}

func TestGemmBF16(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			p := newPool(t, threads)
			seed := uint64(0)
			for _, size := range [][3]int{{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {1, 1, 1}, {12, 32, 2}, {13, 33, 17}, {5, 70, 64}, {250, 40, 33},
				{30, 400, 50}, {24, 64, 1030}, {61, 97, 515}} {
				for i := range 2 * len(layouts) {
					seed += 3
					a, b := testMatrix(seed, layouts[i%len(layouts)], size[0], size[2]), testMatrix(seed+1, layouts[(i/2+int(seed))%len(layouts)], size[2], size[1])
					c := testMatrix(seed+2, "padded rows", size[0], size[1])
					accumulate := i%3 == 0
					if !accumulate {
						copy(c.Data, nans(len(c.Data)))
					}
					old := cloneMatrix(c)
					x, y := mixed(a, i%2 == 0), mixed(b, i%4 < 2)
					GemmBF16(p, x, y, accumulate, c)
					for m := range c.Rows {
						for n := range c.Cols {
							want, sum := 0.0, 1.0
							if accumulate {
								want = float64(*old.at(m, n))
							}
							for k := range a.Cols {
								term := float64(FromBFloat16(x.at(m, k))) * float64(FromBFloat16(y.at(k, n)))
								want += term
								sum += math.Abs(term)
							}
							if got := *c.at(m, n); !closeTo(got, want, 3e-7*sum) {
								t.Fatalf("%v, layout %d: element (%d, %d) is %g, want %g", size, i, m, n, got, want)
							}
						}
					}
					for at, v := range c.Data {
						if at%c.RowStride >= c.Cols && v == v {
							t.Fatalf("%v: wrote outside the view at %d", size, at)
						}
					}
				}
			}
		}
	})
}

// TestGemmGroupsBF16: products of different shapes and storages in one region,
// some into bfloat16, in any layout.
func TestGemmGroupsBF16(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			p := newPool(t, threads)
			var products []MixedProduct
			var old []MixedMatrix
			for e, rows := range []int{0, 1, 70, 3, 0, 200, 12, 9} {
				seed := uint64(10 * e)
				q := MixedProduct{Accumulate: e%2 == 0,
					A: mixed(testMatrix(seed, layouts[e%len(layouts)], rows, 51), e%3 == 0),
					B: mixed(testMatrix(seed+1, layouts[(e+1)%len(layouts)], 51, 68), e%2 == 0),
					C: mixed(testMatrix(seed+2, layouts[(e+3)%len(layouts)], rows, 68), e%4 > 1)}
				products = append(products, q)
				old = append(old, clone(q.C))
			}
			GemmGroupsBF16(p, products)
			for i := range products {
				checkMixed(t, &products[i], old[i])
			}
			GemmGroupsBF16(p, nil)
		}
	})
}

func TestGemmBatchBF16(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		const heads, batch, m, n, k = 3, 2, 40, 33, 21
		p := newPool(t, 2)
		// A is [batch, m, heads, k]; B is [batch, k, n], shared by heads.
		a := mixed(Matrix{randoms(1, batch*m*heads*k), m, k, heads * k, 1}, true)
		b := mixed(RowMajor(randoms(2, batch*k*n), k, n), false)
		for _, narrow := range []bool{false, true} {
			c := mixed(RowMajor(randoms(3, heads*batch*m*n), m, n), narrow)
			old := clone(c)
			GemmBatchBF16(p, Batch{
				Counts: [BatchDims]int{heads, batch},
				A:      [BatchDims]int{k, m * heads * k},
				B:      [BatchDims]int{0, k * n},
				C:      [BatchDims]int{batch * m * n, m * n},
			}, MixedProduct{a, b, true, c})
			for h := range heads {
				for x := range batch {
					at := (h*batch + x) * m * n
					checkMixed(t, &MixedProduct{a.moved(h*k + x*m*heads*k), b.moved(x * k * n), true, c.moved(at)}, old.moved(at))
				}
			}
		}
	})
}

func TestGemmBF16AllocatesNothing(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 2)
		q := MixedProduct{mixed(testMatrix(1, "rows", 130, 600), false), mixed(testMatrix(2, "columns", 600, 40), true), false,
			mixed(testMatrix(3, "rows", 130, 40), true)}
		products := []MixedProduct{q, {q.B.T(), q.A.T(), false, mixed(testMatrix(3, "columns", 40, 130), false)}}
		if n := testing.AllocsPerRun(20, func() {
			GemmGroupsBF16(p, products)
			GemmBatchBF16(p, Batch{}, q)
		}); n != 0 {
			t.Errorf("%g allocations a call", n)
		}
	})
}

func clone(m MixedMatrix) MixedMatrix {
	m.Float32s, m.BFloat16s = append([]float32(nil), m.Float32s...), append([]uint16(nil), m.BFloat16s...)
	if len(m.BFloat16s) == 0 {
		m.BFloat16s = nil
	}
	return m
}

// checkMixed compares a product with the definition in float64.
func checkMixed(t *testing.T, q *MixedProduct, old MixedMatrix) {
	t.Helper()
	for m := range q.C.Rows {
		for n := range q.C.Cols {
			want, sum := 0.0, 1.0
			if q.Accumulate {
				want = float64(old.value(m, n))
			}
			for k := range q.A.Cols {
				term := float64(FromBFloat16(q.A.at(m, k))) * float64(FromBFloat16(q.B.at(k, n)))
				want += term
				sum += math.Abs(term)
			}
			tolerance := 3e-7 * sum
			if q.C.narrow() {
				tolerance += math.Abs(want) / 256
			}
			if got := q.C.value(m, n); !closeTo(got, want, tolerance) {
				t.Fatalf("%d×%d×%d: element (%d, %d) is %g, want %g", q.C.Rows, q.C.Cols, q.A.Cols, m, n, got, want)
			}
		}
	}
}

// TestConvertBFloat16: the routine rounds as ToBFloat16 does, ties and strange
// values included.
func TestConvertBFloat16(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		var values []float32
		for upper := 0; upper < 1<<16; upper += 7 {
			for _, lower := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
				values = append(values, math.Float32frombits(uint32(upper)<<16|lower))
			}
		}
		got := make([]uint16, len(values))
		ConvertBFloat16(got, values)
		for i, v := range values {
			back := FromBFloat16(got[i])
			if v != v && back != back {
				continue
			}
			if want := ToBFloat16(v); got[i] != want {
				t.Fatalf("%g (%#08x) is %#04x, want %#04x", v, math.Float32bits(v), got[i], want)
			}
		}
		wide := make([]float32, len(got))
		WidenBFloat16(wide, got)
		for i, v := range wide {
			if math.Float32bits(v) != uint32(got[i])<<16 {
				t.Fatalf("%#04x is %#08x", got[i], math.Float32bits(v))
			}
		}
	})
}

func BenchmarkGemmBF16(b *testing.B) {
	for _, size := range [][3]int{{512, 512, 512}, {1024, 1024, 1024}, {2048, 256, 128}, {2048, 256, 1024}, {48, 448, 1024}} {
		for _, stored := range []bool{true, false} {
			for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
				m, n, k := size[0], size[1], size[2]
				b.Run(fmt.Sprintf("%dx%dx%d/stored=%v/threads=%d", m, n, k, stored, threads), func(b *testing.B) {
					p := newPool(b, threads)
					x, y := mixed(testMatrix(1, "rows", m, k), stored), mixed(testMatrix(2, "columns", k, n), stored)
					z := testMatrix(3, "rows", m, n)
					for b.Loop() {
						GemmBF16(p, x, y, false, z)
					}
					b.ReportMetric(2*float64(m*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	}
}

// BenchmarkExperts is a layer of 64 experts, each with some rows, forward.
func BenchmarkExperts(b *testing.B) {
	const experts, inputs, outputs = 64, 512, 128
	for _, rows := range []int{48, 192} {
		var plain []Product
		var narrow []MixedProduct
		for e := range uint64(experts) {
			x, w, y := testMatrix(3*e, "rows", rows, inputs), testMatrix(3*e+1, "rows", inputs, outputs), testMatrix(3*e+2, "rows", rows, outputs)
			plain = append(plain, Product{1, x, w, 0, y})
			narrow = append(narrow, MixedProduct{x.Mixed(), w.Mixed(), false, y.Mixed()})
		}
		for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
			p := newPool(b, threads)
			for name, run := range map[string]func(){
				"float32": func() { GemmGroups(p, plain) }, "bfloat16": func() { GemmGroupsBF16(p, narrow) },
			} {
				b.Run(fmt.Sprintf("%s/rows=%d/threads=%d", name, rows, threads), func(b *testing.B) {
					for b.Loop() {
						run()
					}
					b.ReportMetric(2*float64(experts*rows*inputs*outputs)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	}
}
