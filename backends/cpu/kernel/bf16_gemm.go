package kernel

import "fmt"

// Products of bfloat16 values with float32 sums. Operands that are stored in
// float32 are rounded to bfloat16 as they are packed. On levels without the dot
// product of bfloat16 pairs the operands are rounded all the same and multiplied
// in float32: sums then differ in their order and last bits only.

// MixedProduct is one product C = A·B, or C += A·B with Accumulate, of operands
// rounded to bfloat16 and summed up in float32. A C stored as bfloat16 is rounded
// once, when its sums are whole. C must share no memory with A or B.
type MixedProduct struct {
	A, B       MixedMatrix
	Accumulate bool
	C          MixedMatrix
}

func (q *MixedProduct) check() {
	if q.A.Cols != q.B.Rows || q.A.Rows != q.C.Rows || q.B.Cols != q.C.Cols {
		panic(fmt.Sprintf("kernel: bfloat16 product of %d×%d and %d×%d into %d×%d",
			q.A.Rows, q.A.Cols, q.B.Rows, q.B.Cols, q.C.Rows, q.C.Cols))
	}
	q.A.mustHold("A")
	q.B.mustHold("B")
	q.C.mustHold("C")
}

func (q *MixedProduct) job() job {
	x := job{a: q.A, b: q.B, c: q.C, alpha: 1, kind: roundedWords}
	if active.Load().bf16.tile != nil {
		x.kind = pairWords
	}
	if q.Accumulate {
		x.beta = 1
	}
	return x
}

// bf16Routines are the innermost loops; without entries where the level has none.
type bf16Routines struct {
	// convert rounds n values, a multiple of 16 above 0.
	convert func(dst *uint16, x *float32, n int)

	// tile[m] is gemmRoutines.tile[m] on words that are pairs of bfloat16
	// values, for m <= bf16TileRows and n <= bf16TileCols.
	tile []tileRoutine

	// line is convert, but that what is below the smallest normal may become 0,
	// as it does in the tiles.
	line func(dst *uint16, x *float32, n int)

	// pairs and halves write k rows of packGroup pairs from 2k rows of values
	// stored as float32, which are rounded, and as bfloat16.
	pairs  func(k int, src *float32, srcRow int, dst *float32, dstRow int)
	halves func(k int, src *uint16, srcRow int, dst *float32, dstRow int)

	// float8s rounds n codes, a multiple of packGroup, times scale·2^-120; int8s
	// n codes, a multiple of int8Block, times a float16 scale for each block.
	float8s func(dst *uint16, x *byte, n int, scale float32)
	int8s   func(dst *uint16, x *byte, n int, scales *uint16)
}

const (
	bf16TileRows = 12
	bf16TileCols = 32
)

// ConvertBFloat16 rounds the values of src, to the nearest, ties to even.
func ConvertBFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	whole := 0
	if convert := active.Load().bf16.convert; convert != nil {
		if whole = len(src) &^ 15; whole > 0 {
			convert(&dst[0], &src[0], whole)
		}
	}
	for i, v := range src[whole:] {
		dst[whole+i] = ToBFloat16(v)
	}
}

// WidenBFloat16 sets dst to the values of src, exactly.
func WidenBFloat16(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	whole := 0
	if widen := active.Load().weight.widen; widen != nil {
		if whole = len(src) &^ (packGroup - 1); whole > 0 {
			widen(whole/packGroup, &src[0], packGroup, &dst[0], packGroup)
		}
	}
	for i, v := range src[whole:] {
		dst[whole+i] = FromBFloat16(v)
	}
}

// GemmBF16 computes c = a·b, or c += a·b with accumulate; see MixedProduct.
func GemmBF16(p *Pool, a, b MixedMatrix, accumulate bool, c Matrix) {
	q := MixedProduct{a, b, accumulate, c.Mixed()}
	q.check()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gemm.jobs = append(p.gemm.jobs[:0], q.job())
	p.gemm.compute(p)
}

// GemmGroupsBF16 computes independent products of any shapes and storages as one
// parallel region. The destinations must not overlap.
func GemmGroupsBF16(p *Pool, products []MixedProduct) {
	multiplyAll(p, products)
}

// GemmBatchBF16 computes the product once for every index of the batch, with the
// data of its operands moved by the batch strides; see GemmBatch.
func GemmBatchBF16(p *Pool, batch Batch, q MixedProduct) {
	p.mu.Lock()
	defer p.mu.Unlock()
	copies := batch.size()
	if copies == 0 {
		return
	}
	q.check()
	lastA, lastB, lastC := batch.offsets(copies - 1)
	last := MixedProduct{q.A.moved(lastA), q.B.moved(lastB), q.Accumulate, q.C.moved(lastC)}
	last.check()
	p.gemm.runBatch(p, batch, q.job())
}
