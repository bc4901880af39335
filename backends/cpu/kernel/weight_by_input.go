package kernel

import "math"

// Weights with scales whose outputs are contiguous: the absorbed products of
// latent attention read the key half of a checkpoint's matrix so. Some rows are
// widened into the first cache, and the float32 loops do the rest.

// widenedOutputs is how many outputs are widened at a time, for narrowStep
// inputs: 16 KiB.
const widenedOutputs = 512

// widenedAxpys adds outputs [from, to) of a Float8 or Int8 weight whose outputs
// are contiguous.
func (t *weightTask) widenedAxpys(q *WeightProduct, from, to int, s *scratch) {
	w := &q.W
	// Blocks of outputs begin where blocks of scales do.
	for o := from; o < to; {
		n := min(widenedOutputs-(w.Column+o)%float8Block, to-o)
		values := s.get(narrowStep * n)
		for i := 0; i < w.Inputs; i += narrowStep {
			inputs := min(narrowStep, w.Inputs-i)
			for k := range inputs {
				w.widenRow(values[k*n:(k+1)*n], i+k, o)
			}
			t.routines.gemm.narrowRows(Product{1, q.X.block(0, q.X.Rows, i, inputs), RowMajor(values, inputs, n), 1, q.Y.block(0, q.Y.Rows, o, n)})
		}
		o += n
	}
}

// widenRow fills dst with values of a row of the stored matrix, from a column
// on, scales applied.
func (w *Weight) widenRow(dst []float32, row, column int) {
	at := row*w.Stride + column
	switch w.Format {
	case Float32:
		copy(dst, w.Float32s[at:])
	case BFloat16:
		WidenBFloat16(dst, w.BFloat16s[at:at+len(dst)])
	case Float8:
		widen := active.Load().weight.widenFloat8
		for len(dst) > 0 {
			n := min(len(dst), float8Block-(w.Column+column)%float8Block)
			scale, whole := w.blockScale(row, column), 0
			// The routine reads the codes times 2^-120.
			if large := scale * 0x1p120; widen != nil && n >= weightStep && !math.IsInf(float64(large), 0) {
				whole = n &^ (weightStep - 1)
				widen(&dst[0], &w.Bytes[at], whole, large)
			}
			for i, b := range w.Bytes[at+whole : at+n] {
				dst[whole+i] = float8Values[b] * scale
			}
			dst, at, column = dst[n:], at+n, column+n
		}
	case Int8:
		widen := active.Load().weight.widenInt8
		for len(dst) > 0 {
			n := min(len(dst), int8Block-(w.Column+column)%int8Block)
			if whole := len(dst) &^ (weightStep - 1); n == int8Block && widen != nil {
				n = whole
				widen(&dst[0], &w.Bytes[at], n, &w.HalfScales[w.halfScale(row, column)])
			} else {
				scale := FromFloat16(w.HalfScales[w.halfScale(row, column)])
				for i, b := range w.Bytes[at : at+n] {
					dst[i] = float32(int8(b)) * scale
				}
			}
			dst, at, column = dst[n:], at+n, column+n
		}
	}
}

// float8Values is FromFloat8 of every code.
var float8Values = func() (table [256]float32) {
	for code := range table {
		table[code] = FromFloat8(uint8(code))
	}
	return table
}()
