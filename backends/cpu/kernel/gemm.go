package kernel

import "fmt"

// Matrix is a view of a slice: element (i, j) is Data[i·RowStride +
// j·ColStride]. Any strides >= 0 are allowed, so a transposed view costs
// nothing; a stride of 0 repeats a row or column (not in a destination).
type Matrix struct {
	Data                 []float32
	Rows, Cols           int
	RowStride, ColStride int
}

// RowMajor is the view of rows × cols contiguous values.
func RowMajor(data []float32, rows, cols int) Matrix {
	return Matrix{data, rows, cols, cols, 1}
}

// T is the transposed view of the same values.
func (m Matrix) T() Matrix {
	return Matrix{m.Data, m.Cols, m.Rows, m.ColStride, m.RowStride}
}

// block is the view of rows [i, i+rows) and columns [j, j+cols).
func (m Matrix) block(i, rows, j, cols int) Matrix {
	b := Matrix{Rows: rows, Cols: cols, RowStride: m.RowStride, ColStride: m.ColStride}
	if rows > 0 && cols > 0 {
		b.Data = m.Data[i*m.RowStride+j*m.ColStride:]
	}
	return b
}

// at returns the address of element (i, j).
func (m *Matrix) at(i, j int) *float32 { return &m.Data[i*m.RowStride+j*m.ColStride] }

// mustHold panics when the view reaches beyond its slice.
func (m *Matrix) mustHold(name string) {
	if m.Rows < 0 || m.Cols < 0 || m.RowStride < 0 || m.ColStride < 0 {
		panic(fmt.Sprintf("kernel: matrix %s of %d×%d with strides %d, %d", name, m.Rows, m.Cols, m.RowStride, m.ColStride))
	}
	if m.Rows == 0 || m.Cols == 0 {
		return
	}
	if last := (m.Rows-1)*m.RowStride + (m.Cols-1)*m.ColStride; last >= len(m.Data) {
		panic(fmt.Sprintf("kernel: matrix %s of %d×%d with strides %d, %d needs %d values, the slice has %d",
			name, m.Rows, m.Cols, m.RowStride, m.ColStride, last+1, len(m.Data)))
	}
}

// Product is one matrix product C = Alpha·A·B + Beta·C. With Beta = 0 the old
// values of C are not read, so they may be NaN. C must not share memory with A
// or B.
type Product struct {
	Alpha float32
	A, B  Matrix
	Beta  float32
	C     Matrix
}

func (q *Product) check() {
	if q.A.Cols != q.B.Rows || q.A.Rows != q.C.Rows || q.B.Cols != q.C.Cols {
		panic(fmt.Sprintf("kernel: product of %d×%d and %d×%d into %d×%d",
			q.A.Rows, q.A.Cols, q.B.Rows, q.B.Cols, q.C.Rows, q.C.Cols))
	}
	q.A.mustHold("A")
	q.B.mustHold("B")
	q.C.mustHold("C")
}

// job is the product with operands of any storage.
func (q *Product) job() job {
	return job{q.A.Mixed(), q.B.Mixed(), q.C.Mixed(), q.Alpha, q.Beta, plainWords}
}

// Gemm computes c = alpha·a·b + beta·c; see Product.
func Gemm(p *Pool, alpha float32, a, b Matrix, beta float32, c Matrix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gemm.runOne(p, Product{alpha, a, b, beta, c})
}

// runOne computes one product; p.mu is held.
func (t *gemmTask) runOne(p *Pool, q Product) {
	q.check()
	t.jobs = append(t.jobs[:0], q.job())
	t.compute(p)
}

// GemmGroups computes independent products of any shapes, as one parallel
// region: experts of a mixture, each with its own number of rows. The
// destinations must not overlap.
func GemmGroups(p *Pool, products []Product) {
	multiplyAll(p, products)
}

// anyProduct is a pointer to a product of any kind of operands.
type anyProduct[T any] interface {
	*T
	check()
	job() job
}

// multiplyAll computes products as one parallel region.
func multiplyAll[T any, P anyProduct[T]](p *Pool, products []T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.gemm
	t.jobs = t.jobs[:0]
	for i := range products {
		q := P(&products[i])
		q.check()
		t.jobs = append(t.jobs, q.job())
	}
	t.compute(p)
}

// BatchDims is the number of batch axes that Batch has.
const BatchDims = 4

// Batch says how GemmBatch repeats a product: Counts[d] times along axis d,
// moving each operand by its stride on that axis. A count of 0 on an axis with
// all strides 0 means that the axis is not used, and counts as 1; set Empty to
// say that there is nothing to compute.
type Batch struct {
	Counts  [BatchDims]int
	A, B, C [BatchDims]int
	Empty   bool
}

// size is the number of products.
func (b *Batch) size() int {
	if b.Empty {
		return 0
	}
	n := 1
	for _, count := range b.Counts {
		n *= max(count, 1)
	}
	return n
}

// sharesB reports whether all products have the same B.
func (b *Batch) sharesB() bool { return b.B == [BatchDims]int{} }

// offsets returns where the operands of product i begin.
func (b *Batch) offsets(i int) (a, bb, c int) {
	for d := BatchDims - 1; d >= 0; d-- {
		count := max(b.Counts[d], 1)
		at := i % count
		i /= count
		a += at * b.A[d]
		bb += at * b.B[d]
		c += at * b.C[d]
	}
	return a, bb, c
}

// GemmBatch computes the product once for every index of the batch: c = alpha
// · a · b + beta · c with the data of a, b and c moved by the batch strides.
// The last batch axis is the fastest. An operand that is the same for all has
// strides of 0; destinations must not overlap.
func GemmBatch(p *Pool, batch Batch, alpha float32, a, b Matrix, beta float32, c Matrix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	copies := batch.size()
	if copies == 0 {
		return
	}
	q := Product{alpha, a, b, beta, c}
	q.check()
	lastA, lastB, lastC := batch.offsets(copies - 1)
	last := Product{alpha, moved(a, lastA), moved(b, lastB), beta, moved(c, lastC)}
	last.check()
	p.gemm.runBatch(p, batch, q.job())
}

// runBatch computes a product for every index of the batch; p.mu is held.
func (t *gemmTask) runBatch(p *Pool, batch Batch, q job) {
	if q.standsOnEnd() {
		batch.A, batch.B = batch.B, batch.A
	}
	t.jobs, t.batch, t.copies = append(t.jobs[:0], q), batch, batch.size()
	t.compute(p)
	t.copies = 1
}

// moved is the view offset values further on.
func moved(m Matrix, offset int) Matrix {
	if m.Rows > 0 && m.Cols > 0 {
		m.Data = m.Data[min(offset, len(m.Data)):]
	}
	return m
}
