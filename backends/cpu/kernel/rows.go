package kernel

import (
	"fmt"
	"math"
)

// rowRoutines are the innermost loops of the kernels on rows, for n >= 1
// values.
type rowRoutines struct {
	// expSum sets dst = e^(x-shift) and returns the sum of dst.
	expSum func(dst, x *float32, shift float32, n int) float32

	scaledMul    func(dst, x, y *float32, s float32, n int) // dst = x·s·y
	mulSubScalar func(dst, x, y *float32, s float32, n int) // dst = x·(y-s)

	// rotateHalves turns the n pairs (x[i], x[half+i]), rotatePairs the n
	// pairs (x[2i], x[2i+1]), by the angle with the given cosine and
	// sign·sine.
	rotateHalves func(dst, x, cos, sin *float32, sign float32, n, half int)
	rotatePairs  func(dst, x, cos, sin *float32, sign float32, n int)

	// adamW reads the fields of adamWFactors from s on.
	adamW func(param, grad, m, v *float32, n int, s *float32)
}

// rowsPerPart is the number of values that a part of a kernel on rows has at
// least.
const rowsPerPart = 16 << 10

// rowParts is how many parts rows of this width are cut into.
func rowParts(p *Pool, rows, width int) int {
	return max(1, min(p.Cuts()*partsPerThread, rows*max(width, 1)/rowsPerPart, rows))
}

// rowRange is part i of count parts of n rows.
func rowRange(n, count, i int) (from, to int) { return n * i / count, n * (i + 1) / count }

// row returns row i: the slice itself if its values are contiguous, else a
// copy in temporary.
func (m *Matrix) row(i int, temporary []float32) []float32 {
	if m.Cols == 0 {
		return nil
	}
	if m.ColStride == 1 {
		return m.Data[i*m.RowStride : i*m.RowStride+m.Cols]
	}
	temporary = temporary[:m.Cols]
	for j := range temporary {
		temporary[j] = m.Data[i*m.RowStride+j*m.ColStride]
	}
	return temporary
}

// rowToFill returns where to compute row i: the slice itself if its values
// are contiguous, else temporary, which fillRow then copies to the row.
func (m *Matrix) rowToFill(i int, temporary []float32) []float32 {
	if m.Cols == 0 {
		return nil
	}
	if m.ColStride == 1 {
		return m.Data[i*m.RowStride : i*m.RowStride+m.Cols]
	}
	return temporary[:m.Cols]
}

func (m *Matrix) fillRow(i int, values []float32) {
	if m.ColStride == 1 {
		return
	}
	for j, v := range values {
		m.Data[i*m.RowStride+j*m.ColStride] = v
	}
}

// mustMatch panics unless both are views of the same sizes that fit.
func mustMatch(name string, m, as *Matrix) {
	if m.Rows != as.Rows || m.Cols != as.Cols {
		panic(fmt.Sprintf("kernel: %s is %d×%d where %d×%d is needed", name, m.Rows, m.Cols, as.Rows, as.Cols))
	}
	m.mustHold(name)
}

// softmaxTask is Softmax (g unset) or SoftmaxGrad.
type softmaxTask struct {
	pool     *Pool
	routines *routines
	parts    int
	dst, x   Matrix
	g        Matrix
	backward bool
}

// Softmax sets every row of dst to the softmax of that row of x:
// e^(x-max)/Σe^(x-max). A row that is -∞ everywhere gives 0. dst may be x.
func Softmax(p *Pool, dst, x Matrix) {
	mustMatch("x", &x, &x)
	mustMatch("dst", &dst, &x)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.softmax = softmaxTask{p, active.Load(), rowParts(p, x.Rows, x.Cols), dst, x, Matrix{}, false}
	p.run(p.softmax.parts, &p.softmax)
	p.softmax = softmaxTask{}
}

// SoftmaxGrad sets dx = y·(g - Σ y·g) in every row, for the result y of
// Softmax and the gradient g of it. dx may be y or g.
func SoftmaxGrad(p *Pool, dx, y, g Matrix) {
	mustMatch("y", &y, &y)
	mustMatch("g", &g, &y)
	mustMatch("dx", &dx, &y)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.softmax = softmaxTask{p, active.Load(), rowParts(p, y.Rows, y.Cols), dx, y, g, true}
	p.run(p.softmax.parts, &p.softmax)
	p.softmax = softmaxTask{}
}

func (t *softmaxTask) Do(part, worker int) {
	n := t.x.Cols
	if n == 0 {
		return
	}
	temporary := t.pool.Scratch(worker, 3*n)
	from, to := rowRange(t.x.Rows, t.parts, part)
	for i := from; i < to; i++ {
		x := t.x.row(i, temporary)
		dst := t.dst.rowToFill(i, temporary[n:])
		if t.backward {
			g := t.g.row(i, temporary[2*n:])
			sum := t.routines.vector.dot(&x[0], &g[0], n)
			t.routines.rows.mulSubScalar(&dst[0], &x[0], &g[0], sum, n)
		} else {
			t.routines.softmaxRow(dst, x)
		}
		t.dst.fillRow(i, dst)
	}
}

// softmaxRow is the softmax of one row of at least one value.
func (r *routines) softmaxRow(dst, x []float32) {
	largest := r.vector.maximum(&x[0], len(x))
	if math.IsInf(float64(largest), -1) {
		clear(dst)
		return
	}
	sum := r.expSum(dst, x, largest)
	r.vector.scale(&dst[0], &dst[0], float32(1/sum), len(x))
}

// expSum sets dst = e^(x-shift) and returns the sum of dst; see sumBlock.
func (r *routines) expSum(dst, x []float32, shift float32) float64 {
	sum := 0.0
	for len(x) > 0 {
		n := min(sumBlock, len(x))
		sum += float64(r.rows.expSum(&dst[0], &x[0], shift, n))
		dst, x = dst[n:], x[n:]
	}
	return sum
}
