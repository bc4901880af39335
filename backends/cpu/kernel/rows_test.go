package kernel

import (
	"math"
	"testing"
)

// rowSizes are rows × columns that meet all loops of the row kernels.
var rowSizes = [][2]int{{0, 4}, {3, 0}, {1, 1}, {2, 3}, {5, 8}, {7, 17}, {3, 64}, {130, 100}, {9, 1029}, {1500, 33}}

// compare fails where got differs from want(i, j) by more than tolerance.
func compare(t *testing.T, what string, got Matrix, tolerance float64, want func(i, j int) float64) {
	t.Helper()
	for i := range got.Rows {
		for j := range got.Cols {
			if v, w := *got.at(i, j), want(i, j); !closeTo(v, w, tolerance) {
				t.Fatalf("%s of %d×%d: (%d, %d) is %g, want %g", what, got.Rows, got.Cols, i, j, v, w)
			}
		}
	}
}

func softmax64(x []float64) []float64 {
	largest, sum := math.Inf(-1), 0.0
	for _, v := range x {
		largest = math.Max(largest, v)
	}
	y := make([]float64, len(x))
	if math.IsInf(largest, -1) {
		return y
	}
	for j, v := range x {
		y[j] = math.Exp(v - largest)
		sum += y[j]
	}
	for j := range y {
		y[j] /= sum
	}
	return y
}

// row64 is row i in float64.
func row64(m Matrix, i int) []float64 {
	values := make([]float64, m.Cols)
	for j := range values {
		values[j] = float64(*m.at(i, j))
	}
	return values
}

func TestSoftmax(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 3)
		for k, size := range rowSizes {
			x := testMatrix(uint64(k), layouts[k%len(layouts)], size[0], size[1])
			for i := range x.Rows {
				for j := range x.Cols {
					*x.at(i, j) *= 20
					if i == 1 || j == 1 {
						*x.at(i, j) = float32(math.Inf(-1))
					}
				}
			}
			y := testMatrix(1, layouts[(k+1)%len(layouts)], size[0], size[1])
			Softmax(p, y, x)
			g := testMatrix(2, layouts[(k+2)%len(layouts)], size[0], size[1])
			dx := testMatrix(3, layouts[(k+3)%len(layouts)], size[0], size[1])
			SoftmaxGrad(p, dx, y, g)
			rows, grads := make([][]float64, x.Rows), make([][]float64, x.Rows)
			for i := range rows {
				rows[i], grads[i] = softmax64(row64(x, i)), row64(g, i)
				sum := 0.0
				for j, v := range grads[i] {
					sum += v * rows[i][j]
				}
				for j := range grads[i] {
					grads[i][j] = rows[i][j] * (grads[i][j] - sum)
				}
			}
			compare(t, "Softmax", y, 3e-7, func(i, j int) float64 { return rows[i][j] })
			compare(t, "SoftmaxGrad", dx, 5e-7, func(i, j int) float64 { return grads[i][j] })
			Softmax(p, x, x)
			compare(t, "Softmax in place", x, 3e-7, func(i, j int) float64 { return rows[i][j] })
			SoftmaxGrad(p, g, x, g)
			compare(t, "SoftmaxGrad in place", g, 5e-7, func(i, j int) float64 { return grads[i][j] })
		}
	})
}

func TestRMSNorm(t *testing.T) {
	const eps = 1e-3
	onLevels(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			p := newPool(t, threads)
			for k, size := range rowSizes {
				rows, cols := size[0], size[1]
				x := testMatrix(uint64(k), layouts[k%len(layouts)], rows, cols)
				g := testMatrix(2, layouts[(k+2)%len(layouts)], rows, cols)
				for _, gain := range [][]float32{nil, randoms(9, cols)} {
					y := testMatrix(1, layouts[(k+1)%len(layouts)], rows, cols)
					dx := testMatrix(3, layouts[(k+3)%len(layouts)], rows, cols)
					dgain := nans(cols)
					inverse := nans(rows)
					RMSNorm(p, y, x, gain, eps, inverse)
					RMSNormGrad(p, dx, x, gain, g, eps, dgain)

					factor := func(j int) float64 {
						if gain == nil {
							return 1
						}
						return float64(gain[j])
					}
					wantGain := make([]float64, cols)
					wantX := make([][]float64, rows)
					r := make([]float64, rows)
					for i := range rows {
						row, grad := row64(x, i), row64(g, i)
						squares, mixed := 0.0, 0.0
						for j, v := range row {
							squares += v * v
							mixed += factor(j) * grad[j] * v
						}
						r[i] = 1 / math.Sqrt(squares/float64(cols)+eps)
						wantX[i] = make([]float64, cols)
						for j, v := range row {
							wantX[i][j] = r[i]*factor(j)*grad[j] - v*r[i]*r[i]*r[i]*mixed/float64(cols)
							wantGain[j] += grad[j] * v * r[i]
						}
						if cols > 0 && !closeTo(inverse[i], r[i], 1e-6*r[i]) {
							t.Fatalf("1/rms of row %d is %g, want %g", i, inverse[i], r[i])
						}
					}
					compare(t, "RMSNorm", y, 2e-6, func(i, j int) float64 { return r[i] * factor(j) * float64(*x.at(i, j)) })
					compare(t, "RMSNormGrad", dx, 5e-6, func(i, j int) float64 { return wantX[i][j] })
					compare(t, "gain of RMSNormGrad", RowMajor(dgain, 1, cols), 5e-5, func(_, j int) float64 { return wantGain[j] })

					RMSNormGrad(p, Matrix{}, x, gain, g, eps, dgain)
					compare(t, "gain alone", RowMajor(dgain, 1, cols), 5e-5, func(_, j int) float64 { return wantGain[j] })
					inPlace := cloneMatrix(g)
					RMSNormGrad(p, inPlace, x, gain, inPlace, eps, nil)
					compare(t, "RMSNormGrad in place of g", inPlace, 5e-6, func(i, j int) float64 { return wantX[i][j] })
					inPlace = cloneMatrix(x)
					RMSNormGrad(p, inPlace, inPlace, gain, g, eps, nil)
					compare(t, "RMSNormGrad in place of x", inPlace, 5e-6, func(i, j int) float64 { return wantX[i][j] })
				}
			}
		}
	})
}

func TestRotate(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 2)
		for _, pairs := range []int{1, 2, 3, 4, 5, 8, 11, 32} {
			const batch, positions, heads = 2, 5, 3
			cos, sin := make([]float32, positions*pairs), make([]float32, positions*pairs)
			for i := range cos {
				angle := float64(i%pairs+1) * float64(i/pairs) / 3
				cos[i], sin[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
			width := 2*pairs + 3 // three features that are not turned
			x := randoms(1, batch*positions*heads*width)
			for _, halves := range []bool{false, true} {
				// x is [batch, position, head, feature], dst [batch, head, position, feature].
				rows := RotateRows{
					Counts:   [RotateDims]int{1, batch, positions, heads},
					X:        [RotateDims]int{0, positions * heads * width, heads * width, width},
					Dst:      [RotateDims]int{0, positions * heads * width, width, positions * width},
					Position: 2,
				}
				dst := nans(len(x))
				r := Rotation{Cos: cos, Sin: sin, Pairs: pairs, Halves: halves}
				Rotate(p, r, rows, dst, x)
				for b := range batch {
					for s := range positions {
						for h := range heads {
							from := x[((b*positions+s)*heads+h)*width:]
							to := dst[((b*heads+h)*positions+s)*width:]
							for i := range pairs {
								first, second := 2*i, 2*i+1
								if halves {
									first, second = i, i+pairs
								}
								c, sn := float64(cos[s*pairs+i]), float64(sin[s*pairs+i])
								wantA := float64(from[first])*c - float64(from[second])*sn
								wantB := float64(from[first])*sn + float64(from[second])*c
								if !closeTo(to[first], wantA, 2e-7) || !closeTo(to[second], wantB, 2e-7) {
									t.Fatalf("%d pairs, halves %v: pair %d is (%g, %g), want (%g, %g)", pairs, halves, i, to[first], to[second], wantA, wantB)
								}
							}
							for j := 2 * pairs; j < width; j++ {
								if to[j] == to[j] {
									t.Fatalf("%d pairs: wrote feature %d", pairs, j)
								}
							}
						}
					}
				}
				// Turned back in place.
				r.Inverse = true
				rows.X = rows.Dst
				Rotate(p, r, rows, dst, dst)
				if got := dst[0]; !closeTo(got, float64(x[0]), 3e-7) {
					t.Errorf("turned back: %g, want %g", got, x[0])
				}
				last := 2*pairs - 1
				if got, want := dst[len(dst)-width+last], x[len(x)-width+last]; !closeTo(got, float64(want), 3e-7) {
					t.Errorf("turned back: last is %g, want %g", got, want)
				}
			}
		}
	})
}

func TestAdamW(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 2)
		for _, n := range []int{0, 1, 7, 8, 9, 31, 100, 70001} {
			param, grad, m, v := randoms(1, n), randoms(2, n), randoms(3, n), randoms(4, n)
			Abs(v, v)
			old := [3][]float32{append([]float32(nil), param...), append([]float32(nil), m...), append([]float32(nil), v...)}
			const lr, beta1, beta2, eps, decay, gradScale, correction1, correction2 = 0.01, 0.9, 0.95, 1e-8, 0.1, 0.5, 0.19, 0.0975
			AdamW(p, param, grad, m, v, lr, beta1, beta2, eps, decay, gradScale, correction1, correction2)
			for i := range n {
				g := float64(grad[i]) * gradScale
				wantM := beta1*float64(old[1][i]) + (1-beta1)*g
				wantV := beta2*float64(old[2][i]) + (1-beta2)*g*g
				want := float64(old[0][i])*(1-lr*decay) - lr*(wantM/correction1)/(math.Sqrt(wantV/correction2)+eps)
				if !closeTo(m[i], wantM, 3e-7) || !closeTo(v[i], wantV, 3e-7) || !closeTo(param[i], want, 1e-6) {
					t.Fatalf("%d values: value %d is %g, %g, %g, want %g, %g, %g", n, i, param[i], m[i], v[i], want, wantM, wantV)
				}
			}
		}
	})
}

func TestRowsAllocateNothing(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		p := newPool(t, 2)
		x, y, g := testMatrix(1, "rows", 700, 64), testMatrix(2, "columns", 700, 64), testMatrix(3, "rows", 700, 64)
		gain, cos := randoms(4, 64), randoms(5, 700*32)
		rows := RotateRows{Counts: [RotateDims]int{1, 1, 1, 700}, Dst: [RotateDims]int{0, 0, 0, 64}, X: [RotateDims]int{0, 0, 0, 64}, Position: 3}
		if n := testing.AllocsPerRun(20, func() {
			Softmax(p, y, x)
			SoftmaxGrad(p, y, x, g)
			RMSNorm(p, y, x, gain, 1e-6, nil)
			RMSNormGrad(p, y, x, gain, g, 1e-6, gain)
			Rotate(p, Rotation{Cos: cos, Sin: cos, Pairs: 32}, rows, x.Data, x.Data)
			AdamW(p, x.Data, g.Data, y.Data, y.Data, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 1, 1)
		}); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}

func BenchmarkRows(b *testing.B) {
	p := newPool(b, 0)
	const rows, cols = 2048, 512
	x, y, g := testMatrix(1, "rows", rows, cols), testMatrix(2, "rows", rows, cols), testMatrix(3, "rows", rows, cols)
	gain, dgain := randoms(4, cols), make([]float32, cols)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"Softmax", func() { Softmax(p, y, x) }},
		{"SoftmaxGrad", func() { SoftmaxGrad(p, y, x, g) }},
		{"RMSNorm", func() { RMSNorm(p, y, x, gain, 1e-6, nil) }},
		{"RMSNormGrad", func() { RMSNormGrad(p, y, x, gain, g, 1e-6, dgain) }},
		{"AdamW", func() { AdamW(p, x.Data, g.Data, y.Data, y.Data, 0, 0.9, 0.9, 0.1, 0.1, 0.1, 1, 1) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 * rows * cols)
			for b.Loop() {
				c.run()
			}
		})
	}
}
