package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// WeightProduct is Y = X·Wᵀ, or Y += X·Wᵀ with Accumulate, for an X of few
// rows, as when tokens are decoded: every weight is read once, at the speed of
// the memory, and used for all rows. The rows of X and of Y must be contiguous
// (a column stride of 1). Y must share no memory with X or W.
type WeightProduct struct {
	X          Matrix // rows × Inputs
	W          Weight
	Y          Matrix // rows × Outputs
	Accumulate bool
}

func (q *WeightProduct) check() {
	if q.X.Cols != q.W.Inputs || q.Y.Cols != q.W.Outputs || q.X.Rows != q.Y.Rows {
		panic(fmt.Sprintf("kernel: product of %d×%d and a weight of %d×%d into %d×%d",
			q.X.Rows, q.X.Cols, q.W.Outputs, q.W.Inputs, q.Y.Rows, q.Y.Cols))
	}
	if q.X.ColStride != 1 && q.X.Cols > 1 || q.Y.ColStride != 1 && q.Y.Cols > 1 {
		panic(fmt.Sprintf("kernel: product with a weight of rows whose values are %d and %d apart", q.X.ColStride, q.Y.ColStride))
	}
	q.X.mustHold("X")
	q.Y.mustHold("Y")
	q.W.mustHold()
}

// weightRoutines are the innermost loops of products with weights. Strides are
// in bytes, and all counts above 0.
type weightRoutines struct {
	// dot sums y[i, j] += Σ x[i, k]·w[j, k] for k inputs, a multiple of
	// weightStep, and n outputs, a multiple of cols. For each weightStep
	// inputs Float8 has a float32 scale, 2^120 times that of the block, and
	// Int8 a float16 for each output, scaleRow apart. By format, those with more
	// rows first, and last one of one row and output.
	dot [Int8 + 1][]weightDotRoutine

	// strip sums y[i, j] += Σ x[i, k]·w[k, j] for k inputs of a weight whose
	// outputs are contiguous, and asks for what lies ahead bytes behind what
	// it reads. By format, those with more rows, then those with more columns
	// first.
	strip [BFloat16 + 1][]weightStripRoutine

	// widen writes k rows of packGroup bfloat16 values as float32; strides are in
	// values. It is nil where the level has none.
	widen func(k int, src *uint16, srcRow int, dst *float32, dstRow int)

	// These write n values, a multiple of weightStep, as float32: Float8 with a
	// scale of 2^120 times that of the block, Int8 with a float16 for each
	// weightStep values. They are nil where the level has none.
	widenFloat8 func(dst *float32, w *byte, n int, scale float32)
	widenInt8   func(dst *float32, w *byte, n int, scale *uint16)
}

type weightDotRoutine struct {
	rows, cols int
	run        func(n, k int, x *float32, xRow int, w *byte, wRow int, scale *byte, scaleRow int, y *float32, yRow int, ahead uintptr)
}

type weightStripRoutine struct {
	rows, cols int
	run        func(k int, x *float32, xRow int, w *byte, wRow int, y *float32, yRow int, ahead int)
}

// add adds outputs [from, to) of a product to Y; next as for compute.
func (t *weightTask) add(q *WeightProduct, from, to int, next uintptr, l *lane) {
	switch {
	case q.W.Inputs == 0:
	case !q.W.ByInput:
		t.dots(q, from, to, l)
	case q.W.Format == Float32 || q.W.Format == BFloat16:
		t.strips(q, from, to, next)
	default:
		t.widenedAxpys(q, from, to, &l.own)
	}
}

// dots adds outputs [from, to) of a weight whose inputs are contiguous.
func (t *weightTask) dots(q *WeightProduct, from, to int, l *lane) {
	w := &q.W
	whole := w.Inputs / weightStep * weightStep
	x := t.blocksOf(&q.X, whole, l)
	for o := from; o < to && whole > 0; {
		n := to - o
		scale := (*byte)(nil)
		scaleRow := 0
		switch w.Format {
		case Float8:
			n = min(n, float8Block-(w.Row+o)%float8Block)
			scales, ok := t.float8Scales(w, o, whole, &l.own)
			if !ok {
				t.plainDots(q, o, o+n, 0, whole)
				o += n
				continue
			}
			scale = (*byte)(unsafe.Pointer(&scales[0]))
		case Int8:
			scaleRow = 2 * w.scaleColumns(int8Block)
			scale = (*byte)(unsafe.Pointer(&w.HalfScales[w.halfScale(o, 0)]))
		}
		t.runDots(q, x, o, n, scale, scaleRow)
		o += n
	}
	t.plainDots(q, from, to, whole, w.Inputs)
}

// float8Scales are the scales of the block row of an output, one for each
// weightStep inputs, times 2^120; false if one is too large for that.
func (t *weightTask) float8Scales(w *Weight, output, inputs int, s *scratch) ([]float32, bool) {
	scales := s.get(inputs / weightStep)
	for i := range scales {
		scales[i] = w.blockScale(output, i*weightStep) * 0x1p120
		if math.IsInf(float64(scales[i]), 0) {
			return nil, false
		}
	}
	return scales, true
}

// runDots adds n outputs from o on, over the first k inputs.
func (t *weightTask) runDots(q *WeightProduct, x []inputBlock, o, n int, scale *byte, scaleRow int) {
	w := &q.W
	list := t.routines.weight.dot[w.Format]
	for n > 0 {
		group := min(n, weightGroup)
		if q.X.Rows > list[0].rows {
			// Several passes: the weights of some outputs stay in the first cache.
			group = min(n, weightGrain)
		}
		// While the routines go through these outputs in blocks of inputs, they
		// ask for the next outputs in the order of the memory.
		ahead := address(w.address(o*w.Stride)) + uintptr(group*w.Stride*w.Format.bytes())
		for i := range x {
			b := &x[i]
			at := scale
			if scale != nil {
				at = (*byte)(unsafe.Add(unsafe.Pointer(scale), b.first/weightStep*scaleBytes[w.Format]))
			}
			for r := 0; r < q.X.Rows; {
				d := weightDotFor(list, q.X.Rows-r)
				for done := 0; done < group; {
					count := (group - done) / d.cols * d.cols
					if count == 0 {
						// The last outputs one by one, and row by row.
						for row := r; row < r+d.rows; row++ {
							t.runDot(&list[len(list)-1], q, b, row, o+done, group-done, at, done*scaleRow, scaleRow, ahead)
						}
						break
					}
					t.runDot(d, q, b, r, o+done, count, at, done*scaleRow, scaleRow, ahead)
					if r == 0 {
						ahead += uintptr(count * b.count * w.Format.bytes())
					}
					done += count
				}
				r += d.rows
			}
		}
		o, n = o+group, n-group
		if scaleRow > 0 && n > 0 {
			scale = (*byte)(unsafe.Add(unsafe.Pointer(scale), group*scaleRow))
		}
	}
}

// runDot adds n outputs of some rows, over a block of inputs.
func (t *weightTask) runDot(d *weightDotRoutine, q *WeightProduct, b *inputBlock, row, o, n int, scale *byte, scaleAt, scaleRow int, ahead uintptr) {
	if scaleRow > 0 {
		scale = (*byte)(unsafe.Add(unsafe.Pointer(scale), scaleAt))
	}
	w := &q.W
	d.run(n, b.count, &b.values[row*b.stride], 4*b.stride, w.address(o*w.Stride+b.first), w.Stride*w.Format.bytes(),
		scale, scaleRow, &q.Y.Data[row*q.Y.RowStride+o], 4*q.Y.RowStride, ahead)
}

// weightGroup is the number of outputs that meet one block of the inputs before
// the next block.
const weightGroup = 64

// scaleBytes is the size of a scale in the order in which routines read them.
var scaleBytes = [Int8 + 1]int{Float8: 4, Int8: 2}

// inputBlock is a run of inputs of all rows of X.
type inputBlock struct {
	first, count int
	values       []float32 // of input first of row 0
	stride       int
}

// blocksOf cuts the first k inputs into blocks whose rows of X fit half of the
// first cache, and copies those of several rows, which would else lie in the same
// places of it.
func (t *weightTask) blocksOf(x *Matrix, k int, l *lane) []inputBlock {
	const size = 4 << 10 // values of a block
	l.inputs = l.inputs[:0]
	rows := min(x.Rows, maximalDotRows)
	count := max(size/max(rows, 1), 8*weightStep) / weightStep * weightStep
	if rows < 3 || k <= count {
		l.inputs = append(l.inputs, inputBlock{0, k, x.Data, x.RowStride})
		return l.inputs
	}
	stride := oddLines(count)
	memory := l.result.get((k + count - 1) / count * x.Rows * stride)
	for first := 0; first < k; first += count {
		b := inputBlock{first, min(count, k-first), memory[:x.Rows*stride], stride}
		for r := range x.Rows {
			copy(b.values[r*stride:r*stride+b.count], x.Data[r*x.RowStride+first:])
		}
		l.inputs, memory = append(l.inputs, b), memory[x.Rows*stride:]
	}
	return l.inputs
}

// maximalDotRows is the most rows that a routine takes.
const maximalDotRows = 8

// weightDotFor is the first routine that takes at most so many rows.
func weightDotFor(list []weightDotRoutine, rows int) *weightDotRoutine {
	for i := range list {
		if d := &list[i]; d.rows <= rows {
			return d
		}
	}
	return &list[len(list)-1]
}

// address is where a value is stored.
func (w *Weight) address(i int) *byte {
	switch w.Format {
	case Float32:
		return (*byte)(unsafe.Pointer(&w.Float32s[i]))
	case BFloat16:
		return (*byte)(unsafe.Pointer(&w.BFloat16s[i]))
	}
	return &w.Bytes[i]
}

// plainDots adds the products of inputs [first, end) one by one.
func (t *weightTask) plainDots(q *WeightProduct, from, to, first, end int) {
	if first == end {
		return
	}
	for o := from; o < to; o++ {
		for r := range q.X.Rows {
			x := q.X.Data[r*q.X.RowStride:]
			sum := float32(0)
			for i := first; i < end; i++ {
				sum += x[i] * q.W.at(o, i)
			}
			q.Y.Data[r*q.Y.RowStride+o] += sum
		}
	}
}
