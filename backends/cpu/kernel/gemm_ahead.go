package kernel

import "unsafe"

// Operands of large products come from the last cache or from memory. While a
// block is computed, what the next one needs is asked for, a little with each
// row of tiles, so that packing finds it in the second cache.

// ahead are the next blocks of A and B, without rows where there are none.
type ahead struct {
	a, b         MixedMatrix
	shareB, allB int // the share of B that has been asked for, in rows of tiles
}

// lookAhead notes what follows the block of rows from i on, columns [j, end) and
// depth from k on, when blocks of rows are the innermost loop, the depth the next
// and columns the outermost.
func (t *blockTask) lookAhead(p area, i, j, end, k int) {
	t.ahead.a.Rows, t.ahead.b.Rows = 0, 0
	nextI, nextJ, nextK := i+blockRows, j, k
	if nextI >= p.i1 {
		nextI, nextK = p.i0, k+t.depth
	}
	if nextK >= p.k1 {
		nextJ, nextK = end, p.k0
	}
	if nextJ < p.j1 {
		t.ahead.a = t.q.a.block(nextI, min(blockRows, p.i1-nextI), nextK, min(t.depth, p.k1-nextK))
	}
	nextJ, nextK = j, k+t.depth
	if nextK >= p.k1 {
		nextJ, nextK = end, p.k0
	}
	if nextJ < p.j1 {
		width := min(blockCols, p.j1-nextJ)
		t.ahead.b = t.q.b.block(nextK, min(t.depth, p.k1-nextK), nextJ, width)
		t.ahead.shareB, t.ahead.allB = (i-p.i0)/t.height, (p.i1-p.i0+t.height-1)/t.height
	}
}

// fetch asks for one of so many shares of the next block of A, and for the next
// share of B.
func (t *blockTask) fetch(share, shares int) {
	t.ahead.a.fetch(share, shares)
	t.ahead.b.fetch(t.ahead.shareB, t.ahead.allB)
	t.ahead.shareB++
}

// address is where a value lies.
func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// fetch asks for a share of the rows, or of the columns if these are contiguous.
func (m *MixedMatrix) fetch(share, shares int) {
	if m.Rows == 0 {
		return
	}
	x := *m
	if !x.alongRows() {
		x = m.T()
	}
	from, to := x.Rows*share/shares, x.Rows*(share+1)/shares
	if !x.alongRows() || from >= to {
		return
	}
	rows := x.block(from, to-from, 0, x.Cols)
	switch {
	case x.weight != nil:
		prefetch(address(&x.weight.Bytes[rows.row*x.RowStride+rows.column]), x.RowStride, rows.Rows, (x.Cols+63)/64)
	case x.narrow():
		prefetch(address(&rows.BFloat16s[0]), 2*x.RowStride, rows.Rows, (x.Cols+31)/32)
	default:
		prefetch(address(&rows.Float32s[0]), 4*x.RowStride, rows.Rows, (x.Cols+15)/16)
	}
}
