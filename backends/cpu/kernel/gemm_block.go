package kernel

// The blocked product on one worker. C is computed in blocks: columns blockCols
// at a time, depth blockDepth at a time, rows blockRows at a time, and inside
// a block in tiles that stay in registers. A panel of B (blockDepth × tile
// columns) stays in the first cache while the rows of A pass by, a block of A
// in the second. (Goto and van de Geijn, Anatomy of High-Performance Matrix
// Multiplication, 2008.)
const (
	blockDepth = 384
	blockRows  = 192
	blockCols  = 384

	// narrowRows is the largest number of rows of C that the loops without
	// packing (gemm_narrow.go) are used for.
	narrowRows = 8

	// directColumns is the number of columns of B up to which an A with
	// contiguous rows is read where it lies. Beyond it a copy pays: rows that
	// are a large power of two apart share a few places of the first cache.
	// One with contiguous columns has hundreds of such rows to a tile.
	directColumns = 512
)

// product computes one product on the calling worker with scratch memory s.
func (r *gemmRoutines) product(s *scratch, q Product) {
	if q.C.Rows == 0 || q.C.Cols == 0 {
		return
	}
	if q.A.Cols == 0 || q.Alpha == 0 {
		scaleMatrix(q.C, q.Beta)
		return
	}
	if r.narrow(s, q) {
		return
	}
	if q.C.ColStride != 1 {
		if q.C.RowStride != 1 {
			r.scattered(s, q)
			return
		}
		q = q.transposed()
	}
	r.blocked(s, q)
}

// scattered computes into contiguous rows first, for a C whose rows and
// columns are both strided.
func (r *gemmRoutines) scattered(s *scratch, q Product) {
	const rows = blockRows
	cols := min(q.C.Cols, blockCols)
	need := blockedScratch(r, rows, cols, q.A.Cols)
	memory := s.get(need + rows*cols)
	for i := 0; i < q.C.Rows; i += rows {
		for j := 0; j < q.C.Cols; j += cols {
			m, n := min(rows, q.C.Rows-i), min(cols, q.C.Cols-j)
			c := q.C.block(i, m, j, n)
			temporary := RowMajor(memory[need:], m, n)
			r.blockedIn(memory[:need], Product{q.Alpha, q.A.block(i, m, 0, q.A.Cols), q.B.block(0, q.B.Rows, j, n), 0, temporary})
			for x := range m {
				for y := range n {
					to := c.at(x, y)
					v := *temporary.at(x, y)
					if q.Beta != 0 {
						v += q.Beta * *to
					}
					*to = v
				}
			}
		}
	}
}

// blockedScratch is the scratch that blockedIn needs for a product of these
// sizes.
func blockedScratch(r *gemmRoutines, rows, cols, depth int) int {
	depth = min(depth, blockDepth)
	panels := (min(cols, blockCols) + r.tileCols - 1) / r.tileCols
	return depth*panels*r.tileCols + copySize(min(rows, blockRows), depth)
}

func (r *gemmRoutines) blocked(s *scratch, q Product) {
	r.blockedIn(s.get(blockedScratch(r, q.C.Rows, q.C.Cols, q.A.Cols)), q)
}

// blockedIn is the blocked product with contiguous rows of C.
func (r *gemmRoutines) blockedIn(memory []float32, q Product) {
	m, n, k := q.C.Rows, q.C.Cols, q.A.Cols
	depthBlocks := (k + blockDepth - 1) / blockDepth
	depth := (k + depthBlocks - 1) / depthBlocks
	bSize := depth * ((min(n, blockCols) + r.tileCols - 1) / r.tileCols * r.tileCols)
	packedB, copiedA := memory[:bSize], memory[bSize:]
	copyA := n > directColumns || q.A.ColStride != 1 && n > r.tileCols
	for j0 := 0; j0 < n; j0 += blockCols {
		cols := min(blockCols, n-j0)
		beta := q.Beta
		for k0 := 0; k0 < k; k0 += depth {
			kc := min(depth, k-k0)
			r.packB(packedB, q.B.block(k0, kc, j0, cols))
			for i0 := 0; i0 < m; i0 += blockRows {
				rows := min(blockRows, m-i0)
				a := q.A.block(i0, rows, k0, kc)
				if copyA {
					a = copyBlock(copiedA, a)
				}
				c := q.C.block(i0, rows, j0, cols)
				for j := 0; j < cols; j += r.tileCols {
					b := &packedB[j*kc]
					width := min(r.tileCols, cols-j)
					for i := 0; i < rows; i += r.tileRows {
						height := min(r.tileRows, rows-i)
						r.tile[height](kc, a.at(i, 0), a.RowStride, a.ColStride, b, r.tileCols, c.at(i, j), c.RowStride, width, q.Alpha, beta)
					}
				}
			}
			beta = 1
		}
	}
}

// multiply is the tile routine on slices, for any depth: C[height×width] =
// alpha·A·B + beta·C with contiguous rows of A, aRow apart, at a[aAt], a packed
// panel of B at b[bAt], and C at c[cAt].
func (r *gemmRoutines) multiply(height, depth int, a []float32, aAt, aRow int, b []float32, bAt int, c []float32, cAt, cRow, width int, alpha, beta float32) {
	if depth > 0 {
		r.tile[height](depth, &a[aAt], aRow, 1, &b[bAt], r.tileCols, &c[cAt], cRow, width, alpha, beta)
		return
	}
	scaleMatrix(Matrix{c[cAt:], height, width, cRow, 1}, beta)
}

// scaleMatrix sets c = beta·c; beta = 0 clears it whatever it held.
func scaleMatrix(c Matrix, beta float32) {
	if beta == 1 {
		return
	}
	for i := range c.Rows {
		for j := range c.Cols {
			v := c.at(i, j)
			if beta == 0 {
				*v = 0
			} else {
				*v *= beta
			}
		}
	}
}
