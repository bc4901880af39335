package kernel

import "math"

// GemmWeights computes products of any numbers of rows, each with a weight of any
// format, as one parallel region. Float32 weights make a product in float32; the
// others make one of bfloat16 values, to which X and weights with scales are
// rounded while they are packed. Where the processor has no bfloat16 products,
// weights are widened instead, and X is not rounded. The destinations must not
// overlap.
func GemmWeights(p *Pool, products []WeightProduct) {
	multiplyAll(p, products)
}

func (q *WeightProduct) job() job {
	w := &q.W
	rowStride, colStride := w.strides()
	b := MixedMatrix{Float32s: w.Float32s, BFloat16s: w.BFloat16s, Rows: w.Inputs, Cols: w.Outputs, RowStride: rowStride, ColStride: colStride}
	switch w.Format {
	case Float32:
		b.BFloat16s = nil
	case Float8, Int8:
		b.Float32s, b.BFloat16s, b.weight, b.turned = nil, nil, w, !w.ByInput
	}
	x := job{a: q.X.Mixed(), b: b, c: q.Y.Mixed(), alpha: 1, kind: plainWords}
	if w.Format != Float32 && active.Load().bf16.tile != nil {
		x.kind = pairWords
	}
	if q.Accumulate {
		x.beta = 1
	}
	return x
}

// strides are those of the weight as a matrix of Inputs × Outputs.
func (w *Weight) strides() (row, col int) {
	if w.ByInput {
		return w.Stride, 1
	}
	return 1, w.Stride
}

// weightLine is line for a weight with scales.
func (p *packer) weightLine(dst []float32, m *MixedMatrix, i, j, n int) {
	w, row, column := m.weight, m.row+i, m.column+j
	if p.kind == pairWords {
		line := halves(words(dst))
		p.weightHalves(line[:n], w, row, column)
		if n%2 == 1 {
			line[n] = 0
		}
		return
	}
	w.widenRow(dst[:n], row, column)
}

// weightHalves rounds values of a row of the stored matrix, from a column on, to
// bfloat16.
func (p *packer) weightHalves(dst []uint16, w *Weight, row, column int) {
	r := &p.routines.bf16
	for len(dst) > 0 {
		n, whole := len(dst), 0
		at := &w.Bytes[row*w.Stride+column]
		if w.Format == Float8 {
			n = min(n, float8Block-(w.Column+column)%float8Block)
			// The routine reads the codes times 2^-120.
			if scale := w.blockScale(row, column) * 0x1p120; !math.IsInf(float64(scale), 0) && n >= packGroup {
				whole = n &^ (packGroup - 1)
				r.float8s(&dst[0], at, whole, scale)
			}
		} else if (w.Column+column)%int8Block == 0 && n >= int8Block {
			whole = n &^ (int8Block - 1)
			r.int8s(&dst[0], at, whole, &w.HalfScales[w.halfScale(row, column)])
		} else {
			n = min(n, int8Block-(w.Column+column)%int8Block)
		}
		if whole == 0 {
			for i := range dst[:n] {
				dst[i] = ToBFloat16(w.stored(row, column+i))
			}
			whole = n
		}
		dst, column = dst[whole:], column+whole
	}
}

// weightRows is rows for a weight with scales: some rows are rounded, or widened,
// and packed from there.
func (p *packer) weightRows(dst []float32, width int, m *MixedMatrix, k0, depth, j0, cols int) {
	unit := p.kind.unit()
	values := MixedMatrix{Rows: weightRun, Cols: weightRun, RowStride: weightRun, ColStride: 1}
	memory := p.turn.get(weightRun * weightRun)
	for k := 0; k < depth; k += weightRun {
		rows := min(weightRun, depth-k)
		for j := 0; j < cols; j += weightRun {
			n := min(weightRun, cols-j)
			for i := range rows {
				line := memory[i*weightRun/unit : i*weightRun/unit+weightRun]
				p.weightLine(line, m, k0+k+i, j0+j, n)
			}
			if unit == 2 {
				values.BFloat16s = halves(words(memory))
			} else {
				values.Float32s = memory
			}
			p.rows(dst[k/unit*width+j:], width, &values, 0, rows, 0, n)
		}
	}
}

// weightRun is the number of rows, and of columns, that weightRows widens at a
// time.
const weightRun = 32
