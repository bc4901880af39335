package kernel

import (
	"fmt"
	"unsafe"
)

// Products of bfloat16 values with float32 sums. Operands that are stored in
// float32 are rounded to bfloat16 as they are packed. On levels without the dot
// product of bfloat16 pairs the operands are rounded and the float32 product
// does the rest: sums then differ in their order and last bits only.

// MixedMatrix is a view like Matrix of values stored as float32 or, where
// BFloat16s is not nil, as bfloat16.
type MixedMatrix struct {
	Float32s             []float32
	BFloat16s            []uint16
	Rows, Cols           int
	RowStride, ColStride int
}

func (m *MixedMatrix) mustHold(name string) {
	if m.Rows < 0 || m.Cols < 0 || m.RowStride < 0 || m.ColStride < 0 {
		panic(fmt.Sprintf("kernel: matrix %s of %d×%d with strides %d, %d", name, m.Rows, m.Cols, m.RowStride, m.ColStride))
	}
	have := len(m.Float32s)
	if m.BFloat16s != nil {
		have = len(m.BFloat16s)
	}
	if m.Rows > 0 && m.Cols > 0 && (m.Rows-1)*m.RowStride+(m.Cols-1)*m.ColStride >= have {
		panic(fmt.Sprintf("kernel: matrix %s of %d×%d with strides %d, %d does not fit a slice of %d", name, m.Rows, m.Cols, m.RowStride, m.ColStride, have))
	}
}

// at is element (i, j) rounded to bfloat16.
func (m *MixedMatrix) at(i, j int) uint16 {
	at := i*m.RowStride + j*m.ColStride
	if m.BFloat16s != nil {
		return m.BFloat16s[at]
	}
	return ToBFloat16(m.Float32s[at])
}

// bf16Routines are the innermost loops; nil where the level has none. Counts of
// values are multiples of 16 and above 0.
type bf16Routines struct {
	// convert rounds n values.
	convert func(dst *uint16, x *float32, n int)
	// pairs rounds n values of two rows; dst[i] has low[i] in its lower half.
	pairs func(dst *uint32, low, high *float32, n int)
	// tile adds A·B to the bf16TileRows × bf16TileCols values of C: A by rows,
	// aRow bytes apart, of pairs; B a panel of pairs, bf16TileCols of them a
	// row; rows of C cRow bytes apart.
	tile func(pairs int, a *uint16, aRow int, b *uint32, c *float32, cRow int)
}

const (
	bf16TileRows = 12
	bf16TileCols = 32
	bf16Depth    = 512 // inputs of a block: a panel of B is 32 KiB
	bf16Rows     = 240 // rows of a block of A
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
	for i, v := range src {
		dst[i] = FromBFloat16(v)
	}
}

// mixedTask is a product of bfloat16 values.
type mixedTask struct {
	pool       *Pool
	routines   *bf16Routines
	a, b       MixedMatrix
	c          Matrix
	accumulate bool
	rows, cols int // the grid of parts
}

// GemmBF16 computes c = a·b, or c += a·b with accumulate, of operands rounded
// to bfloat16, with float32 sums. The rows of c must be contiguous, and c must
// share no memory with a or b.
func GemmBF16(p *Pool, a, b MixedMatrix, accumulate bool, c Matrix) {
	if a.Cols != b.Rows || a.Rows != c.Rows || b.Cols != c.Cols || c.ColStride != 1 && c.Cols > 1 {
		panic(fmt.Sprintf("kernel: bfloat16 product of %d×%d and %d×%d into %d×%d with values %d apart", a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols, c.ColStride))
	}
	a.mustHold("A")
	b.mustHold("B")
	c.mustHold("C")
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Rows == 0 || c.Cols == 0 {
		return
	}
	r := &active.Load().bf16
	if r.tile == nil {
		wideA, wideB := p.wide.get(a.Rows*a.Cols+b.Rows*b.Cols), []float32(nil)
		wideA, wideB = wideA[:a.Rows*a.Cols], wideA[a.Rows*a.Cols:]
		q := Product{1, a.rounded(wideA), b.rounded(wideB), 0, c}
		if accumulate {
			q.Beta = 1
		}
		p.mixedWide.runOne(p, q)
		return
	}
	t := &p.mixed
	*t = mixedTask{pool: p, routines: r, a: a, b: b, c: c, accumulate: accumulate, rows: 1, cols: 1}
	if threads := p.Threads(); threads > 1 {
		wanted := min(partsPerThread*threads, c.Rows*c.Cols*max(a.Cols, 1)/minimalWork)
		for t.rows*t.cols < wanted {
			switch {
			case c.Rows/t.rows >= c.Cols/t.cols && c.Rows/t.rows >= 4*bf16TileRows:
				t.rows++
			case c.Cols/t.cols >= 4*bf16TileCols:
				t.cols++
			default:
				wanted = 0
			}
		}
	}
	p.run(t.rows*t.cols, t)
	p.mixed = mixedTask{}
}

// rounded is a float32 copy of the rounded values.
func (m *MixedMatrix) rounded(dst []float32) Matrix {
	for i := range m.Rows {
		for j := range m.Cols {
			dst[i*m.Cols+j] = FromBFloat16(m.at(i, j))
		}
	}
	return RowMajor(dst, m.Rows, m.Cols)
}

// Do computes one block of C.
func (t *mixedTask) Do(part, worker int) {
	i0, i1 := cutAt(t.c.Rows, t.rows, part%t.rows, bf16TileRows), cutAt(t.c.Rows, t.rows, part%t.rows+1, bf16TileRows)
	j0, j1 := cutAt(t.c.Cols, t.cols, part/t.rows, bf16TileCols), cutAt(t.c.Cols, t.cols, part/t.rows+1, bf16TileCols)
	if !t.accumulate {
		for i := i0; i < i1; i++ {
			clear(t.c.Data[i*t.c.RowStride+j0 : i*t.c.RowStride+j1])
		}
	}
	const (
		panelSize = bf16Depth / 2 * bf16TileCols      // words
		blockRow  = (bf16Depth + 32) / 2              // words from one row of A to the next
		blockSize = bf16Rows * blockRow               // words
		columns   = 12                                // panels packed at a time
		edge      = bf16TileRows * bf16TileCols       // a tile that C does not hold whole
		lineSize  = bf16TileCols * (bf16Depth/2 + 16) // rows of B before they are turned
	)
	s := t.pool.lanes[worker].own.get(columns*panelSize + blockSize + edge + lineSize)
	panels, rest := words(s[:columns*panelSize]), s[columns*panelSize:]
	block, rest := words(rest[:blockSize]), rest[blockSize:]
	tile, lines := rest[:edge], words(rest[edge:])
	for j := j0; j < j1; j += columns * bf16TileCols {
		jEnd := min(j+columns*bf16TileCols, j1)
		for k := 0; k < t.a.Cols; k += bf16Depth {
			depth := min(bf16Depth, t.a.Cols-k)
			pairs := (depth + 1) / 2
			for n := j; n < jEnd; n += bf16TileCols {
				t.packB(panels[(n-j)*pairs:], k, depth, n, min(bf16TileCols, jEnd-n), lines)
			}
			for i := i0; i < i1; i += bf16Rows {
				iEnd := min(i+bf16Rows, i1)
				t.packA(block, blockRow, i, iEnd, k, depth)
				for n := j; n < jEnd; n += bf16TileCols {
					for m := i; m < iEnd; m += bf16TileRows {
						a := (*uint16)(unsafe.Pointer(&block[(m-i)*blockRow]))
						if m+bf16TileRows <= iEnd && n+bf16TileCols <= jEnd {
							t.routines.tile(pairs, a, 4*blockRow, &panels[(n-j)*pairs], &t.c.Data[m*t.c.RowStride+n], 4*t.c.RowStride)
							continue
						}
						clear(tile)
						t.routines.tile(pairs, a, 4*blockRow, &panels[(n-j)*pairs], &tile[0], 4*bf16TileCols)
						for x := m; x < min(m+bf16TileRows, iEnd); x++ {
							c := t.c.Data[x*t.c.RowStride+n : x*t.c.RowStride+min(n+bf16TileCols, jEnd)]
							for y := range c {
								c[y] += tile[(x-m)*bf16TileCols+y]
							}
						}
					}
				}
			}
		}
	}
}

// words is the same memory as pairs of bfloat16 values.
func words(s []float32) []uint32 { return unsafe.Slice((*uint32)(unsafe.Pointer(&s[0])), len(s)) }

// halves is the same memory as single ones.
func halves(s []uint32) []uint16 { return unsafe.Slice((*uint16)(unsafe.Pointer(&s[0])), 2*len(s)) }

// packLine fills n values with those of a row of m from (i, j) on, and a zero
// behind them if n is odd.
func (t *mixedTask) packLine(dst []uint16, m *MixedMatrix, i, j, n, rowStride, colStride int) {
	from := i*rowStride + j*colStride
	switch {
	case colStride == 1 && m.BFloat16s != nil:
		copy(dst[:n], m.BFloat16s[from:])
	case colStride == 1:
		whole := n &^ 15
		if whole > 0 {
			t.routines.convert(&dst[0], &m.Float32s[from], whole)
		}
		for x := whole; x < n; x++ {
			dst[x] = ToBFloat16(m.Float32s[from+x])
		}
	case m.BFloat16s != nil:
		for x := range n {
			dst[x] = m.BFloat16s[from+x*colStride]
		}
	default:
		for x := range n {
			dst[x] = ToBFloat16(m.Float32s[from+x*colStride])
		}
	}
	if n%2 == 1 {
		dst[n] = 0
	}
}

// packA fills rows of pairs, rowWords apart, up to a whole tile.
func (t *mixedTask) packA(block []uint32, rowWords, i, iEnd, k, depth int) {
	rows := iEnd - i
	for m := range (rows + bf16TileRows - 1) / bf16TileRows * bf16TileRows {
		row := block[m*rowWords : (m+1)*rowWords]
		if m >= rows {
			clear(row[:(depth+1)/2])
			continue
		}
		t.packLine(halves(row), &t.a, i+m, k, depth, t.a.RowStride, t.a.ColStride)
	}
}

// packB fills one panel: for each pair of inputs a row of bf16TileCols pairs.
func (t *mixedTask) packB(panel []uint32, k, depth, n, cols int, lines []uint32) {
	pairs := (depth + 1) / 2
	b := &t.b
	if b.ColStride == 1 && b.BFloat16s == nil && cols == bf16TileCols {
		for p := range depth / 2 {
			low := (k+2*p)*b.RowStride + n
			t.routines.pairs(&panel[p*bf16TileCols], &b.Float32s[low], &b.Float32s[low+b.RowStride], bf16TileCols)
		}
		if depth%2 == 1 {
			for x := range bf16TileCols {
				panel[(pairs-1)*bf16TileCols+x] = uint32(b.at(k+depth-1, n+x))
			}
		}
		return
	}
	if b.ColStride == 1 {
		for p := range pairs {
			for x := range bf16TileCols {
				v := uint32(0)
				if x < cols {
					v = uint32(b.at(k+2*p, n+x))
					if 2*p+1 < depth {
						v |= uint32(b.at(k+2*p+1, n+x)) << 16
					}
				}
				panel[p*bf16TileCols+x] = v
			}
		}
		return
	}
	// The inputs of a column are closer: columns become lines, and lines of
	// pairs are turned like float32 values.
	const lineWords = bf16Depth/2 + 16
	for x := range bf16TileCols {
		line := lines[x*lineWords : (x+1)*lineWords]
		if x < cols {
			t.packLine(halves(line), b, n+x, k, depth, b.ColStride, b.RowStride)
		} else {
			clear(line[:pairs])
		}
	}
	gemm := &active.Load().gemm
	whole := pairs &^ 7
	if gemm.packTranspose == nil {
		whole = 0
	}
	for x := 0; x < bf16TileCols && whole > 0; x += 8 {
		gemm.packTranspose(whole, (*float32)(unsafe.Pointer(&lines[x*lineWords])), lineWords, (*float32)(unsafe.Pointer(&panel[x])), bf16TileCols)
	}
	for p := whole; p < pairs; p++ {
		for x := range bf16TileCols {
			panel[p*bf16TileCols+x] = lines[x*lineWords+p]
		}
	}
}
