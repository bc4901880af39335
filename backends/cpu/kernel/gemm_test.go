package kernel

import (
	"fmt"
	"math"
	"runtime"
	"testing"
)

// layouts are the ways in which a test matrix lies in memory.
var layouts = []string{"rows", "columns", "padded rows", "padded columns", "scattered"}

// testMatrix returns a view of rows × cols in the given layout; values outside
// the view are NaN.
func testMatrix(seed uint64, layout string, rows, cols int) Matrix {
	m := Matrix{Rows: rows, Cols: cols}
	switch layout {
	case "rows":
		m.RowStride, m.ColStride = cols, 1
	case "columns":
		m.RowStride, m.ColStride = 1, rows
	case "padded rows":
		m.RowStride, m.ColStride = cols+3, 1
	case "padded columns":
		m.RowStride, m.ColStride = 1, rows+5
	case "scattered":
		m.RowStride, m.ColStride = 2, 2*rows+3
	}
	size := 0
	if rows > 0 && cols > 0 {
		size = (rows-1)*m.RowStride + (cols-1)*m.ColStride + 1
	}
	m.Data = nans(size)
	values := randoms(seed, rows*cols)
	for i := range rows {
		for j := range cols {
			*m.at(i, j) = values[i*cols+j]
		}
	}
	return m
}

func cloneMatrix(m Matrix) Matrix {
	m.Data = append([]float32(nil), m.Data...)
	return m
}

// checkProduct compares c with alpha·a·b + beta·old in float64, and what lies
// around c with what was there.
func checkProduct(t *testing.T, q Product, old Matrix) {
	t.Helper()
	inView := make([]bool, len(q.C.Data))
	for i := range q.C.Rows {
		for j := range q.C.Cols {
			sum, size := 0.0, 1.0
			for k := range q.A.Cols {
				term := float64(*q.A.at(i, k)) * float64(*q.B.at(k, j))
				sum += term
				size += math.Abs(term)
			}
			want := float64(q.Alpha) * sum
			if q.Beta != 0 {
				want += float64(q.Beta) * float64(*old.at(i, j))
			}
			if got := *q.C.at(i, j); !closeTo(got, want, 3e-7*size) {
				t.Fatalf("%d×%d×%d alpha %g beta %g: element (%d, %d) is %g, want %g",
					q.C.Rows, q.C.Cols, q.A.Cols, q.Alpha, q.Beta, i, j, got, want)
			}
			inView[i*q.C.RowStride+j*q.C.ColStride] = true
		}
	}
	for i, in := range inView {
		if !in && q.C.Data[i] == q.C.Data[i] {
			t.Fatalf("%d×%d×%d: wrote outside the view at %d", q.C.Rows, q.C.Cols, q.A.Cols, i)
		}
	}
}

func TestGemm(t *testing.T) {
	sizes := [][3]int{
		{0, 5, 3}, {5, 0, 3}, {5, 3, 0}, {1, 1, 1}, {1, 17, 33}, {2, 31, 9}, {3, 8, 64}, {4, 100, 7}, {5, 5, 5},
		{8, 33, 130}, {7, 16, 16}, {6, 16, 8}, {9, 17, 23}, {13, 47, 65}, {33, 7, 50}, {61, 1, 40}, {100, 130, 11},
		{16, 2, 600}, {10, 12, 1100}, {97, 50, 390}, {98, 790, 5},
	}
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 2, 5} {
			p := newPool(t, threads)
			seed := uint64(0)
			for _, size := range sizes {
				m, n, k := size[0], size[1], size[2]
				for i := range len(layouts) * len(layouts) {
					seed += 3
					layoutC := layouts[(i+int(seed))%len(layouts)]
					q := Product{
						A:     testMatrix(seed, layouts[i%len(layouts)], m, k),
						B:     testMatrix(seed+1, layouts[i/len(layouts)], k, n),
						C:     testMatrix(seed+2, layoutC, m, n),
						Alpha: []float32{1, -0.5}[i%2],
						Beta:  []float32{0, 1, 0.25}[i%3],
					}
					if q.Beta == 0 {
						copy(q.C.Data, nans(len(q.C.Data)))
					}
					old := cloneMatrix(q.C)
					Gemm(p, q.Alpha, q.A, q.B, q.Beta, q.C)
					checkProduct(t, q, old)
				}
			}
		}
	})
}

func TestGemmSplitsDepth(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 7)
		q := Product{A: testMatrix(1, "columns", 12, 4100), B: testMatrix(2, "rows", 4100, 20),
			C: testMatrix(3, "padded rows", 12, 20), Alpha: 2, Beta: 0.5}
		old := cloneMatrix(q.C)
		Gemm(p, q.Alpha, q.A, q.B, q.Beta, q.C)
		checkProduct(t, q, old)
		if p.gemm.cuts[0].depth < 2 {
			t.Errorf("the depth was not split: %+v", p.gemm.cuts[0])
		}
	})
}

func TestGemmIsDeterministic(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 3)
		a, b := testMatrix(1, "rows", 150, 520), testMatrix(2, "columns", 520, 70)
		var first []float32
		for range 20 {
			c := testMatrix(3, "rows", 150, 70)
			Gemm(p, 1, a, b, 0, c)
			if first == nil {
				first = c.Data
				continue
			}
			for i, v := range c.Data {
				if v != first[i] {
					t.Fatalf("value %d is %g, was %g", i, v, first[i])
				}
			}
		}
	})
}

// TestGemmPacksAgain: what workers keep of B between the parts of a call is not
// used in the next one, and who computes which part changes nothing.
func TestGemmPacksAgain(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 3)
		a, b := testMatrix(1, "padded rows", 500, 900), testMatrix(2, "columns", 900, 390)
		for round := range 3 {
			for i := range b.Data {
				b.Data[i] = float32((i*(7+round))%17) / 16
			}
			c, again := testMatrix(3, "rows", 500, 390), testMatrix(3, "rows", 500, 390)
			Gemm(p, 1, a, b, 0, c)
			Gemm(p, 1, a, b, 0, again)
			for i, v := range c.Data {
				if v != again.Data[i] {
					t.Fatalf("round %d: value %d is %g, was %g", round, i, again.Data[i], v)
				}
			}
			for _, at := range [][2]int{{0, 0}, {250, 200}, {499, 389}} {
				want := 0.0
				for k := range a.Cols {
					want += float64(*a.at(at[0], k)) * float64(*b.at(k, at[1]))
				}
				if got := *c.at(at[0], at[1]); !closeTo(got, want, 1e-4) {
					t.Errorf("round %d: element %v is %g, want %g", round, at, got, want)
				}
			}
		}
	})
}

func TestGemmBatch(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, size := range [][3]int{{1, 9, 33}, {7, 5, 3}, {40, 33, 20}, {130, 140, 70}} {
			m, n, k := size[0], size[1], size[2]
			const heads, batch = 3, 2
			p := newPool(t, 2)
			// A is [batch, m, heads, k]; B is [batch, k, n], shared by heads.
			a := Matrix{randoms(1, batch*m*heads*k), m, k, heads * k, 1}
			b := RowMajor(randoms(2, batch*k*n), k, n)
			c := RowMajor(nans(heads*batch*m*n), m, n)
			GemmBatch(p, Batch{
				Counts: [BatchDims]int{heads, batch},
				A:      [BatchDims]int{k, m * heads * k},
				B:      [BatchDims]int{0, k * n},
				C:      [BatchDims]int{batch * m * n, m * n},
			}, 1, a, b, 0, c)
			for h := range heads {
				for x := range batch {
					q := Product{1, moved(a, h*k+x*m*heads*k), moved(b, x*k*n), 0, c}
					q.C.Data = c.Data[(h*batch+x)*m*n:][:m*n]
					checkProduct(t, q, q.C)
				}
			}
		}
		p := newPool(t, 2)
		c := RowMajor([]float32{5}, 1, 1)
		GemmBatch(p, Batch{Empty: true}, 1, RowMajor([]float32{1}, 1, 1), RowMajor([]float32{1}, 1, 1), 0, c)
		if c.Data[0] != 5 {
			t.Error("an empty batch wrote")
		}
	})
}

func TestGemmGroups(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			p := newPool(t, threads)
			var products []Product
			var old []Matrix
			for e, rows := range []int{0, 1, 70, 3, 0, 200, 12, 9} {
				seed := uint64(10 * e)
				q := Product{Alpha: 1, Beta: float32(e % 2), A: testMatrix(seed, "rows", rows, 50),
					B: testMatrix(seed+1, "columns", 50, 64), C: testMatrix(seed+2, "rows", rows, 64)}
				products = append(products, q)
				old = append(old, cloneMatrix(q.C))
			}
			GemmGroups(p, products)
			for i, q := range products {
				checkProduct(t, q, old[i])
			}
			GemmGroups(p, nil)
		}
	})
}

func TestGemmRefuses(t *testing.T) {
	p := newPool(t, 1)
	for name, q := range map[string]Product{
		"shapes":  {A: RowMajor(nil, 0, 3), B: RowMajor(nil, 2, 0), C: RowMajor(nil, 0, 0)},
		"short A": {A: RowMajor(make([]float32, 5), 2, 3), B: RowMajor(make([]float32, 3), 3, 1), C: RowMajor(make([]float32, 2), 2, 1)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			Gemm(p, 1, q.A, q.B, 0, q.C)
		}()
		// The pool is usable after a refusal.
		p.Run(1, func(int, int) {})
	}
}

func TestGemmAllocatesNothing(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 2)
		a, b, c := testMatrix(1, "rows", 130, 600), testMatrix(2, "columns", 600, 40), testMatrix(3, "rows", 130, 40)
		products := []Product{{1, a, b, 0, c}, {1, b.T(), a.T(), 0, testMatrix(3, "columns", 40, 130)}}
		if n := testing.AllocsPerRun(20, func() {
			Gemm(p, 1, a, b, 0, c)
			Gemm(p, 1, a.block(0, 3, 0, 600), b, 0, c.block(0, 3, 0, 40))
			GemmBatch(p, Batch{Counts: [BatchDims]int{2}}, 1, a.block(0, 0, 0, 600), b, 0, c.block(0, 0, 0, 40))
			GemmGroups(p, products)
		}); n != 0 {
			t.Errorf("%g allocations a call", n)
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	for _, size := range []struct {
		m, n, k          int
		layoutA, layoutB string
	}{
		{512, 512, 512, "rows", "rows"},
		{512, 512, 512, "rows", "columns"},
		{1024, 1024, 1024, "rows", "columns"},
		{2048, 128, 128, "rows", "rows"},
		{2048, 256, 64, "rows", "rows"},
		{2048, 256, 1024, "rows", "columns"},
		{2048, 1024, 256, "rows", "rows"},
		{256, 1024, 2048, "columns", "rows"},
		{2048, 384, 128, "rows", "rows"},
		{2048, 128, 384, "rows", "columns"},
		{128, 384, 2048, "columns", "rows"},
		{128, 96, 2048, "columns", "rows"},
		{2048, 2048, 2048, "rows", "rows"},
		{1, 4096, 4096, "rows", "rows"},
		{1, 4096, 4096, "rows", "columns"},
		{4, 4096, 4096, "rows", "columns"},
		{8, 4096, 4096, "rows", "rows"},
		{8, 512, 512, "rows", "rows"},
		{64, 64, 64, "rows", "rows"},
	} {
		for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
			name := fmt.Sprintf("%dx%dx%d/A=%s/B=%s/threads=%d", size.m, size.n, size.k, size.layoutA, size.layoutB, threads)
			b.Run(name, func(b *testing.B) {
				p := newPool(b, threads)
				x := testMatrix(1, size.layoutA, size.m, size.k)
				y := testMatrix(2, size.layoutB, size.k, size.n)
				z := testMatrix(3, "rows", size.m, size.n)
				for b.Loop() {
					Gemm(p, 1, x, y, 0, z)
				}
				flops := 2 * float64(size.m) * float64(size.n) * float64(size.k) * float64(b.N)
				b.ReportMetric(flops/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
