package kernel

import (
	"math"
	"testing"
)

func TestCrossEntropy(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, size := range [][3]int{{0, 5, 3}, {1, 1, 1}, {3, 7, 0}, {9, 33, 10}, {250, 300, 17}, {100, 44000, 2}} {
			n, vocabulary, d := size[0], size[1], size[2]
			h, w := testMatrix(1, "padded rows", n, d), testMatrix(2, layouts[n%2], vocabulary, d)
			for i := range n {
				for f := range d {
					*h.at(i, f) *= 3
				}
			}
			targets := make([]int32, n)
			for i := range targets {
				targets[i] = int32(i * 7 % (vocabulary + 1))
				if int(targets[i]) == vocabulary || i%5 == 3 {
					targets[i] = -1 - int32(i%2)
				}
			}
			dloss := randoms(3, n)
			wantLoss, wantLSE := make([]float64, n), make([]float64, n)
			wantH, wantW := make([]float64, n*d), make([]float64, vocabulary*d)
			logits := make([]float64, vocabulary)
			for i := range n {
				sum := 0.0
				for v := range logits {
					logits[v] = 0
					for f := range d {
						logits[v] += float64(*h.at(i, f)) * float64(*w.at(v, f))
					}
					sum += math.Exp(logits[v])
				}
				wantLSE[i] = math.Log(sum)
				if targets[i] < 0 {
					continue
				}
				wantLoss[i] = wantLSE[i] - logits[targets[i]]
				for v := range logits {
					g := math.Exp(logits[v]) / sum
					if v == int(targets[i]) {
						g--
					}
					g *= float64(dloss[i])
					for f := range d {
						wantH[i*d+f] += g * float64(*w.at(v, f))
						wantW[v*d+f] += g * float64(*h.at(i, f))
					}
				}
			}
			for _, threads := range []int{1, 3} {
				p := newPool(t, threads)
				loss, lse := nans(n), nans(n)
				CrossEntropy(p, h, w, targets, loss, lse)
				compareSlices(t, "loss", loss, wantLoss, 4e-6)
				compareSlices(t, "log-sum-exp", lse, wantLSE, 4e-6)
				loss = nans(n)
				CrossEntropy(p, h, w, targets, loss, nil)
				compareSlices(t, "loss alone", loss, wantLoss, 4e-6)
				dh, dw := RowMajor(nans(n*d), n, d), RowMajor(nans(vocabulary*d), vocabulary, d)
				CrossEntropyGrad(p, h, w, targets, dloss, dh, dw)
				compareSlices(t, "dh", dh.Data, wantH, 3e-5)
				compareSlices(t, "dw", dw.Data, wantW, 2e-5)
				dw = RowMajor(nans(vocabulary*d), vocabulary, d)
				CrossEntropyGrad(p, h, w, targets, dloss, Matrix{}, dw)
				compareSlices(t, "dw alone", dw.Data, wantW, 2e-5)
			}
		}
	})
}

func TestCrossEntropyRefusesTargets(t *testing.T) {
	p := newPool(t, 1)
	defer func() {
		if recover() == nil {
			t.Error("a target beyond the head was accepted")
		}
	}()
	CrossEntropy(p, RowMajor(make([]float32, 2), 1, 2), RowMajor(make([]float32, 6), 3, 2), []int32{3}, make([]float32, 1), nil)
}

func TestCrossEntropyAllocatesNothing(t *testing.T) {
	p := newPool(t, 2)
	h, w := RowMajor(randoms(1, 200*16), 200, 16), RowMajor(randoms(2, 500*16), 500, 16)
	targets, loss := make([]int32, 200), make([]float32, 200)
	if n := testing.AllocsPerRun(5, func() {
		CrossEntropy(p, h, w, targets, loss, nil)
		CrossEntropyGrad(p, h, w, targets, loss, h, w)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkCrossEntropy(b *testing.B) {
	p := newPool(b, 0)
	const n, vocabulary, d = 2048, 8192, 384
	h, w := RowMajor(randoms(1, n*d), n, d), RowMajor(randoms(2, vocabulary*d), vocabulary, d)
	dh, dw := RowMajor(randoms(1, n*d), n, d), RowMajor(randoms(2, vocabulary*d), vocabulary, d)
	targets, loss := make([]int32, n), make([]float32, n)
	b.Run("forward", func(b *testing.B) {
		for b.Loop() {
			CrossEntropy(p, h, w, targets, loss, nil)
		}
		b.ReportMetric(2*n*vocabulary*d*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
	})
	b.Run("backward", func(b *testing.B) {
		for b.Loop() {
			CrossEntropyGrad(p, h, w, targets, loss, dh, dw)
		}
		b.ReportMetric(6*n*vocabulary*d*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
	})
}
