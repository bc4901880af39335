package kernel

import "fmt"

// MixedMatrix is a view like Matrix of values stored as float32 or, where
// BFloat16s is not nil, as bfloat16.
type MixedMatrix struct {
	Float32s             []float32
	BFloat16s            []uint16
	Rows, Cols           int
	RowStride, ColStride int

	// A weight with scales takes the place of the slices. Its stored matrix is
	// this one from (row, column) on, or, turned, the transposed one.
	weight      *Weight
	turned      bool
	row, column int
}

// Mixed is the same view as a MixedMatrix.
func (m Matrix) Mixed() MixedMatrix {
	return MixedMatrix{Float32s: m.Data, Rows: m.Rows, Cols: m.Cols, RowStride: m.RowStride, ColStride: m.ColStride}
}

// T is the transposed view of the same values.
func (m MixedMatrix) T() MixedMatrix {
	m.Rows, m.Cols, m.RowStride, m.ColStride = m.Cols, m.Rows, m.ColStride, m.RowStride
	m.turned = m.weight != nil && !m.turned
	return m
}

// plain reports whether the values are stored as float32.
func (m *MixedMatrix) plain() bool { return !m.narrow() && m.weight == nil }

// alongRows reports whether the values of a row are contiguous.
func (m *MixedMatrix) alongRows() bool { return m.ColStride == 1 && !m.turned }

// alongColumns reports whether those of a column are, and not those of a row.
func (m *MixedMatrix) alongColumns() bool { return m.RowStride == 1 && !m.alongRows() }

// matrix is the view of stored float32 values.
func (m *MixedMatrix) matrix() Matrix {
	return Matrix{m.Float32s, m.Rows, m.Cols, m.RowStride, m.ColStride}
}

// narrow reports whether the values are stored as bfloat16.
func (m *MixedMatrix) narrow() bool { return m.BFloat16s != nil }

func (m *MixedMatrix) mustHold(name string) {
	if m.Rows < 0 || m.Cols < 0 || m.RowStride < 0 || m.ColStride < 0 {
		panic(fmt.Sprintf("kernel: matrix %s of %d×%d with strides %d, %d", name, m.Rows, m.Cols, m.RowStride, m.ColStride))
	}
	if m.Rows == 0 || m.Cols == 0 {
		return
	}
	have := len(m.Float32s)
	if m.narrow() {
		have = len(m.BFloat16s)
	}
	if last := (m.Rows-1)*m.RowStride + (m.Cols-1)*m.ColStride; last >= have {
		panic(fmt.Sprintf("kernel: matrix %s of %d×%d with strides %d, %d needs %d values, the slice has %d",
			name, m.Rows, m.Cols, m.RowStride, m.ColStride, last+1, have))
	}
}

// moved is the view offset values further on.
func (m MixedMatrix) moved(offset int) MixedMatrix {
	if m.Rows == 0 || m.Cols == 0 {
		return m
	}
	if m.narrow() {
		m.BFloat16s = m.BFloat16s[min(offset, len(m.BFloat16s)):]
	} else {
		m.Float32s = m.Float32s[min(offset, len(m.Float32s)):]
	}
	return m
}

// at is element (i, j) rounded to bfloat16.
func (m *MixedMatrix) at(i, j int) uint16 {
	at := i*m.RowStride + j*m.ColStride
	if m.narrow() {
		return m.BFloat16s[at]
	}
	return ToBFloat16(m.Float32s[at])
}

// value is element (i, j) as it is stored.
func (m *MixedMatrix) value(i, j int) float32 {
	at := i*m.RowStride + j*m.ColStride
	if m.narrow() {
		return FromBFloat16(m.BFloat16s[at])
	}
	return m.Float32s[at]
}

// put sets element (i, j).
func (m *MixedMatrix) put(i, j int, v float32) {
	at := i*m.RowStride + j*m.ColStride
	if m.narrow() {
		m.BFloat16s[at] = ToBFloat16(v)
	} else {
		m.Float32s[at] = v
	}
}

// block is the view of rows [i, i+rows) and columns [j, j+cols).
func (m *MixedMatrix) block(i, rows, j, cols int) MixedMatrix {
	b := *m
	b.Rows, b.Cols = rows, cols
	if m.weight != nil {
		if m.turned {
			i, j = j, i
		}
		b.row, b.column = m.row+i, m.column+j
		return b
	}
	return b.moved(i*m.RowStride + j*m.ColStride)
}

// scale multiplies the values by beta; 0 clears them whatever they were.
func (m *MixedMatrix) scale(beta float32) {
	if beta == 1 {
		return
	}
	for i := range m.Rows {
		for j := range m.Cols {
			v := float32(0)
			if beta != 0 {
				v = beta * m.value(i, j)
			}
			m.put(i, j, v)
		}
	}
}

// set sets the values to those of rows that lie rowStride apart plus beta times
// the old ones.
func (m *MixedMatrix) set(values []float32, rowStride int, beta float32) {
	for i := range m.Rows {
		row := values[i*rowStride : i*rowStride+m.Cols]
		if beta == 0 && m.ColStride == 1 && m.narrow() {
			ConvertBFloat16(m.BFloat16s[i*m.RowStride:], row)
			continue
		}
		for j, v := range row {
			if beta != 0 {
				v += beta * m.value(i, j)
			}
			m.put(i, j, v)
		}
	}
}
