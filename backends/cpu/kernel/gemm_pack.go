package kernel

// Packed panels of float32 matrices, as attention and others keep them between
// tiles: a panel holds tileCols columns, row after row; missing columns are zero.

// packB packs all columns of b, one panel after the other.
func (r *gemmRoutines) packB(dst []float32, b Matrix) {
	r.packColumns(dst, b.Rows, 0, b)
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

// packPanel writes the rows of b, width values apart, zero behind b.Cols.
func (r *gemmRoutines) packPanel(dst []float32, width int, b Matrix) {
	switch {
	case b.ColStride == 1 && width%packGroup == 0 && b.Cols == width && r.packWords != nil:
		for j := 0; j < width; j += packGroup {
			r.packWords(b.Rows, b.at(0, j), b.RowStride, &dst[j], width)
		}
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
