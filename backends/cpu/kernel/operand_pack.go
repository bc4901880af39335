package kernel

import "unsafe"

// Tiles multiply words of 32 bits: float32 values, or pairs of bfloat16 values.
// Operands are brought into words while they are packed, whatever they are
// stored as, a block at a time: B into panels as wide as a tile, A by rows, or,
// if its columns are contiguous, by columns.

// wordKind says what a word is.
type wordKind int

const (
	plainWords   wordKind = iota // float32 values
	roundedWords                 // float32 values that were rounded to bfloat16
	pairWords                    // pairs of bfloat16 values, the first in the lower half
)

// unit is the number of values of a word.
func (k wordKind) unit() int {
	if k == pairWords {
		return 2
	}
	return 1
}

// count is the number of words of so many values.
func (k wordKind) count(values int) int { return (values + k.unit() - 1) / k.unit() }

// packGroup is the number of columns that the packing routines take.
const packGroup = 16

// packRun is the number of rows of words that are packed before the next columns
// are: so few that reading goes along the rows.
const packRun = 16

// words is the same memory as pairs of bfloat16 values.
func words(s []float32) []uint32 { return unsafe.Slice((*uint32)(unsafe.Pointer(&s[0])), len(s)) }

// halves is the same memory as single ones.
func halves(s []uint32) []uint16 { return unsafe.Slice((*uint16)(unsafe.Pointer(&s[0])), 2*len(s)) }

// packer packs the operands of one product into words of a kind.
type packer struct {
	routines *routines
	kind     wordKind
	turn     *scratch // for weightRows
}

// line fills dst with n values of row i of m from column j on, and a zero behind
// them if a word is left half empty.
func (p *packer) line(dst []float32, m *MixedMatrix, i, j, n int) {
	if m.weight != nil {
		p.weightLine(dst, m, i, j, n)
		return
	}
	from := i*m.RowStride + j*m.ColStride
	if p.kind == pairWords {
		p.pairLine(halves(words(dst)), m, from, n)
		return
	}
	dst = dst[:n]
	switch {
	case m.narrow() && m.ColStride == 1:
		WidenBFloat16(dst, m.BFloat16s[from:from+n])
	case m.narrow():
		for x := range dst {
			dst[x] = FromBFloat16(m.BFloat16s[from+x*m.ColStride])
		}
	case p.kind == roundedWords:
		for x := range dst {
			dst[x] = FromBFloat16(ToBFloat16(m.Float32s[from+x*m.ColStride]))
		}
	case m.ColStride == 1:
		copy(dst, m.Float32s[from:from+n])
	default:
		for x := range dst {
			dst[x] = m.Float32s[from+x*m.ColStride]
		}
	}
}

// pairLine is line for pairs of bfloat16 values.
func (p *packer) pairLine(dst []uint16, m *MixedMatrix, from, n int) {
	switch {
	case m.narrow() && m.ColStride == 1:
		copy(dst[:n], m.BFloat16s[from:from+n])
	case m.narrow():
		for x := range n {
			dst[x] = m.BFloat16s[from+x*m.ColStride]
		}
	case m.ColStride == 1:
		whole := n &^ (packGroup - 1)
		if whole > 0 {
			p.routines.bf16.line(&dst[0], &m.Float32s[from], whole)
		}
		for x := whole; x < n; x++ {
			dst[x] = ToBFloat16(m.Float32s[from+x])
		}
	default:
		for x := range n {
			dst[x] = ToBFloat16(m.Float32s[from+x*m.ColStride])
		}
	}
	if n%2 == 1 {
		dst[n] = 0
	}
}

// rows writes values [k0, k0+depth) × [j0, j0+cols) of m, whose rows are
// contiguous: a row of words for each of its rows, or pair of rows, width words
// apart.
func (p *packer) rows(dst []float32, width int, m *MixedMatrix, k0, depth, j0, cols int) {
	if m.weight != nil {
		p.weightRows(dst, width, m, k0, depth, j0, cols)
		return
	}
	unit := p.kind.unit()
	whole := depth / unit // rows of words without the last, half empty one
	for first := 0; first < whole; first += packRun {
		count := min(packRun, whole-first)
		k, to := k0+first*unit, dst[first*width:]
		done := 0
		for ; done+packGroup <= cols; done += packGroup {
			p.group(to[done:], width, m, k, count, j0+done)
		}
		p.plainRows(to[done:], width, m, k, count, j0+done, cols-done)
	}
	if unit*whole < depth {
		last := words(dst[whole*width : whole*width+cols])
		for x := range last {
			last[x] = uint32(m.at(k0+depth-1, j0+x))
		}
	}
}

// group is rows for packGroup columns, and whole words.
func (p *packer) group(dst []float32, width int, m *MixedMatrix, k0, count, j0 int) {
	r, from := p.routines, k0*m.RowStride+j0
	switch {
	case p.kind == plainWords && m.plain() && r.gemm.packWords != nil:
		r.gemm.packWords(count, &m.Float32s[from], m.RowStride, &dst[0], width)
	case p.kind == pairWords && !m.narrow():
		r.bf16.pairs(count, &m.Float32s[from], m.RowStride, &dst[0], width)
	case p.kind == pairWords:
		r.bf16.halves(count, &m.BFloat16s[from], m.RowStride, &dst[0], width)
	default:
		p.plainRows(dst, width, m, k0, count, j0, packGroup)
	}
}

// plainRows is rows for any number of columns, and whole words.
func (p *packer) plainRows(dst []float32, width int, m *MixedMatrix, k0, count, j0, cols int) {
	if cols == 0 {
		return
	}
	for k := range count {
		row := dst[k*width : k*width+cols]
		if p.kind != pairWords {
			p.line(row, m, k0+k, j0, cols)
			continue
		}
		pairs := words(row)
		for x := range pairs {
			pairs[x] = uint32(m.at(k0+2*k, j0+x)) | uint32(m.at(k0+2*k+1, j0+x))<<16
		}
	}
}

// packed is a block of A in words: word k of row i is at[i·row + k·col].
type packed struct {
	at       []float32
	row, col int
}

// blockSize is the memory that packBlock needs for a block of so many rows and
// words.
func blockSize(rows, words int) int {
	return max(rows*oddLines(words), words*roundUp(rows, packGroup))
}

// packBlock packs rows [i0, i0+rows) and columns [k0, k0+depth) of a.
func (p *packer) packBlock(memory []float32, a *MixedMatrix, i0, rows, k0, depth int) packed {
	if a.alongColumns() {
		width := roundUp(rows, packGroup)
		columns := a.T()
		p.rows(memory, width, &columns, k0, depth, i0, rows)
		return packed{memory, 1, width}
	}
	stride := oddLines(p.kind.count(depth))
	for i := range rows {
		p.line(memory[i*stride:], a, i0+i, k0, depth)
	}
	return packed{memory, stride, 1}
}

// packPanels packs rows [k0, k0+depth) and columns [j0, j0+cols) of b into
// panels of width words a row. lines is memory for width lines of lineSize(depth)
// words.
func (p *packer) packPanels(dst []float32, width int, b *MixedMatrix, k0, depth, j0, cols int, lines []float32) {
	count := p.kind.count(depth)
	if b.alongRows() {
		// Some rows of all panels, then the next rows: a row is read in one go.
		for first := 0; first < count; first += packRun {
			values := packRun * p.kind.unit()
			from := first * p.kind.unit()
			for j := 0; j < cols; j += width {
				p.rows(dst[j*count+first*width:], width, b, k0+from, min(values, depth-from), j0+j, min(width, cols-j))
			}
		}
	} else {
		for j := 0; j < cols; j += width {
			p.columns(dst[j*count:(j+width)*count], width, b, k0, depth, j0+j, min(width, cols-j), lines)
		}
	}
	if n := cols % width; n > 0 {
		last := dst[(cols-n)*count:]
		for k := range count {
			clear(last[k*width+n : (k+1)*width])
		}
	}
}

// lineSize is the distance of lines of so many words.
func lineSize(words int) int { return oddLines(words) }

// columns packs cols columns of b, whose columns may be contiguous: they become
// lines, which are turned.
func (p *packer) columns(panel []float32, width int, b *MixedMatrix, k0, depth, j0, cols int, lines []float32) {
	count := p.kind.count(depth)
	transpose := p.routines.gemm.packTranspose
	whole := 0 // words that are turned eight by eight
	if transpose != nil {
		whole = count &^ 7
	}
	direct := p.kind == plainWords && b.plain() && b.RowStride == 1
	stride := lineSize(count)
	turned := b.T()
	for x := 0; x < cols; x += 8 {
		n := min(8, cols-x)
		from, step := lines, stride
		if direct {
			from, step = b.Float32s[k0+(j0+x)*b.ColStride:], b.ColStride
		} else {
			for y := range n {
				p.line(lines[y*stride:], &turned, j0+x+y, k0, depth)
			}
		}
		first := 0
		if n == 8 && whole > 0 {
			transpose(whole, &from[0], step, &panel[x], width)
			first = whole
		}
		for y := range n {
			for k := first; k < count; k++ {
				panel[k*width+x+y] = from[y*step+k]
			}
		}
	}
}

// oddLines is n rounded up to an odd number of cache lines, so that rows that
// far apart spread over all places of the first cache.
func oddLines(n int) int { return (n+cacheLine-1)/cacheLine*cacheLine | cacheLine }
