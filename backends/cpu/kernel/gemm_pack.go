package kernel

// Packed panels: the order in which a tile reads B. A panel holds tileCols
// columns, row after row; missing columns are zero. A needs no panels, since a
// tile reads it by any strides; it is at most copied together.

// packB packs all columns of b, one panel after the other.
func (r *gemmRoutines) packB(dst []float32, b Matrix) {
	width := r.tileCols
	for j := 0; j < b.Cols; j += width {
		r.packPanel(dst[j*b.Rows:], width, b.block(0, b.Rows, j, min(width, b.Cols-j)))
	}
}

// packColumns packs the rows of b as rows [first, first+b.Rows) of panels that
// have depth rows.
func (r *gemmRoutines) packColumns(dst []float32, depth, first int, b Matrix) {
	if b.Rows == 0 {
		return
	}
	width := r.tileCols
	for j := 0; j < b.Cols; j += width {
		r.packPanel(dst[j*depth+first*width:], width, b.block(0, b.Rows, j, min(width, b.Cols-j)))
	}
}

// copyBlock copies a to dst, along the axis that is contiguous, and returns the
// view of the copy. Its rows, or columns, are an odd number of cache lines apart,
// so that they spread over all places of the first cache.
func copyBlock(dst []float32, a Matrix) Matrix {
	if a.ColStride != 1 && a.RowStride == 1 {
		return copyBlock(dst, a.T()).T()
	}
	stride := oddLines(a.Cols)
	for i := range a.Rows {
		row := dst[i*stride : i*stride+a.Cols]
		if a.ColStride == 1 {
			copy(row, a.Data[i*a.RowStride:])
			continue
		}
		for j := range row {
			row[j] = *a.at(i, j)
		}
	}
	return Matrix{dst, a.Rows, a.Cols, stride, 1}
}

// oddLines is n rounded up to an odd number of cache lines.
func oddLines(n int) int { return (n+cacheLine-1)/cacheLine*cacheLine | cacheLine }

// copySize is the memory that copyBlock needs for a block of these sizes.
func copySize(rows, cols int) int { return max(rows*oddLines(cols), cols*oddLines(rows)) }

// packPanel writes the rows of b, width values apart, zero behind b.Cols.
func (r *gemmRoutines) packPanel(dst []float32, width int, b Matrix) {
	switch {
	case b.ColStride == 1 && width == 16 && b.Cols == 16:
		for p := range b.Rows {
			*(*[16]float32)(dst[p*16:]) = *(*[16]float32)(b.Data[p*b.RowStride:])
		}
	case b.ColStride == 1:
		for p := range b.Rows {
			row := dst[p*width : (p+1)*width]
			n := copy(row, b.Data[p*b.RowStride:p*b.RowStride+b.Cols])
			clear(row[n:])
		}
	case b.RowStride == 1 && r.packTranspose != nil && b.Cols%8 == 0 && width%8 == 0:
		whole := b.Rows &^ 7
		for j := 0; j < b.Cols; j += 8 {
			if whole > 0 {
				r.packTranspose(whole, b.at(0, j), b.ColStride, &dst[j], width)
			}
		}
		packScalar(dst[whole*width:], width, b.block(whole, b.Rows-whole, 0, b.Cols))
		for p := range whole {
			clear(dst[p*width+b.Cols : (p+1)*width])
		}
	default:
		packScalar(dst, width, b)
	}
}

func packScalar(dst []float32, width int, b Matrix) {
	for j := range b.Cols {
		for p := range b.Rows {
			dst[p*width+j] = b.Data[p*b.RowStride+j*b.ColStride]
		}
	}
	for p := range b.Rows {
		clear(dst[p*width+b.Cols : (p+1)*width])
	}
}
