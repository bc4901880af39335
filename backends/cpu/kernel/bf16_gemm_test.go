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
	for _, size := range []int{512, 1024} {
		for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
			b.Run(fmt.Sprintf("%d/threads=%d", size, threads), func(b *testing.B) {
				p := newPool(b, threads)
				x, y := mixed(testMatrix(1, "rows", size, size), true), mixed(testMatrix(2, "columns", size, size), true)
				z := testMatrix(3, "rows", size, size)
				for b.Loop() {
					GemmBF16(p, x, y, false, z)
				}
				b.ReportMetric(2*float64(size*size*size)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
