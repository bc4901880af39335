package cpu

import (
	"math"
	"strings"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Products in low precision: an operand is rounded into scratch memory, where it lies row-major, and the product in float32 reads it
// there. Package op defines what is rounded to what.

// precisionOf is the precision of a product, and of what its operands are: full for other operations.
func precisionOf(a op.Attrs) op.Precision {
	switch a := a.(type) {
	case op.DotAttrs:
		return a.Precision
	case op.GroupedDotAttrs:
		return a.Precision
	case op.GroupedDotWeightAttrs:
		return a.Precision
	}
	return op.Precision{}
}

// scratchSize is how many values the steps need for rounded operands and logits; steps run one at a time and share them.
func scratchSize(steps []*plan.Step) int {
	most := 0
	for _, s := range steps {
		n := 0
		if s.Op == op.HeadLoss {
			n = headLossScratch(s)
		}
		p := precisionOf(s.Attrs)
		if roundsAsItReads(s) {
			p = op.Precision{}
		}
		for i, r := range []op.Rounding{p.A, p.B} {
			if r.Format != op.Float32 {
				n += aligned(s.In[i].Shape.Size())
			}
		}
		most = max(most, n)
	}
	return most
}

// aligned is n rounded up to whole lines of 64 bytes.
func aligned(n int) int { return (n + 15) &^ 15 }

// rounder rounds an operand, or some of the entries of its first axis.
type rounder struct {
	pool    *kernel.Pool
	how     op.Rounding
	from    []float32
	to      []float32 // row-major
	shape   op.Shape  // of at least two axes
	strides []int     // of from
	roles   []role    // of the axes
	middle  int       // entries of the axes between the first and the last

	// Of the run at hand: rows are the indices of all axes but the last.
	first, rows, parts int
	tiles, tileRows    int // tiles along the summed axes and along the others
	scaling            bool
	largest            [][]uint32 // bits of the largest size of each tile, as each part has found it
	scales             []float32
}

// role is how an axis counts in the three indices that say which tile an entry is of.
type role struct{ batch, row, column int }

// rounded gives a tensor of rounded entries and what rounds them, nil if the tensor stays as it is. rest is scratch; what is left of
// it comes back.
func (c *compilation) rounded(r op.Rounding, t tensor, labels, summed, batch string, rest []float32) (tensor, *rounder, []float32) {
	if r.Format == op.Float32 {
		return t, nil, rest
	}
	size := t.shape.Size()
	k := &rounder{pool: c.pool, how: r, from: t.data, to: rest[:size:size], shape: t.shape, strides: t.strides, roles: make([]role, len(t.shape))}
	inBatch, inRow, inColumn := 1, 1, 1
	for i := len(labels) - 1; i >= 0; i-- {
		switch n := t.shape[i]; {
		case strings.IndexByte(summed, labels[i]) >= 0:
			k.roles[i].column, inColumn = inColumn, inColumn*n
		case strings.IndexByte(batch, labels[i]) >= 0:
			k.roles[i].batch, inBatch = inBatch, inBatch*n
		default:
			k.roles[i].row, inRow = inRow, inRow*n
		}
	}
	for len(k.shape) < 2 {
		k.shape = append(k.shape[:len(k.shape):len(k.shape)], 1)
		k.strides = append(k.strides[:len(k.strides):len(k.strides)], 1)
		k.roles = append(k.roles, role{})
	}
	k.middle = k.shape[1 : len(k.shape)-1].Size()
	if r.Format.Largest() > 0 {
		k.tiles, k.tileRows = (inColumn+r.Along-1)/r.Along, (inRow+r.Across-1)/r.Across
		n := inBatch * k.tiles * k.tileRows
		k.largest, k.scales = make([][]uint32, c.pool.Cuts()), make([]float32, n)
		for i := range k.largest {
			k.largest[i] = make([]uint32, n)
		}
	}
	return tensor{k.to, t.shape, rowMajor(t.shape)}, k, rest[aligned(size):]
}

func rowMajor(s op.Shape) []int {
	strides, n := make([]int, len(s)), 1
	for i := len(s) - 1; i >= 0; i-- {
		strides[i], n = n, n*s[i]
	}
	return strides
}

// run rounds all entries.
func (k *rounder) run() error {
	k.some(0, k.shape[0])
	return nil
}

// some rounds n entries of the first axis from one on; tiles begin there. What is nil rounds nothing.
func (k *rounder) some(first, n int) {
	if k == nil || n <= 0 {
		return
	}
	k.first, k.rows = first, n*k.middle
	k.parts = max(1, min(k.rows, k.pool.Cuts(), k.rows*k.shape[len(k.shape)-1]/4096))
	if k.largest == nil {
		k.pool.RunTask(k.parts, k)
		return
	}
	used := k.largest[:k.parts]
	k.scaling = false
	k.pool.RunTask(k.parts, k)
	for i := range k.scales {
		bits := uint32(0)
		for _, part := range used {
			bits = max(bits, part[i])
		}
		k.scales[i] = math.Float32frombits(bits) / k.how.Format.Largest()
	}
	k.scaling = true
	k.pool.RunTask(k.parts, k)
}

// Do is a part of the rows: it finds the largest sizes, or rounds.
func (k *rounder) Do(part, _ int) {
	last := len(k.shape) - 1
	width, step := k.shape[last], k.strides[last]
	from, to := bounds(k.rows, k.parts, part)
	if k.largest != nil && !k.scaling {
		clear(k.largest[part])
	}
	for row := from; row < to; row++ {
		// Where the row begins, and its place among the tiles.
		at, p, rest := 0, role{}, row
		for i := last - 1; i >= 0; i-- {
			index := rest
			if i > 0 {
				index, rest = rest%k.shape[i], rest/k.shape[i]
			}
			p.batch += index * k.roles[i].batch
			p.row += index * k.roles[i].row
			p.column += index * k.roles[i].column
			at += index * k.strides[i]
		}
		at += k.first * k.strides[0]
		dst := k.to[(k.first*k.middle+row)*width:][:width]
		if k.largest == nil {
			if step == 1 {
				k.how.Format.RoundAll(dst, k.from[at:at+width])
				continue
			}
			for i := range dst {
				dst[i] = k.how.Format.Round(k.from[at])
				at += step
			}
			continue
		}
		tile := (p.batch*k.tileRows+p.row/k.how.Across)*k.tiles + p.column/k.how.Along
		// Along the row a new tile begins every size entries, some of which lie before the row.
		size, next, before := 1, 0, 0
		switch r := k.roles[last]; {
		case r.column > 0:
			size, next, before = k.how.Along, 1, p.column%k.how.Along
		case r.row > 0:
			size, next, before = k.how.Across, k.tiles, p.row%k.how.Across
		case r.batch > 0:
			next = k.tileRows * k.tiles
		}
		for i := 0; i < width; tile += next {
			n := min(size-before, width-i)
			before = 0
			if k.scaling {
				k.scale(dst[i:i+n], k.from[at:], step, k.scales[tile])
			} else {
				k.largest[part][tile] = max(k.largest[part][tile], largestBits(k.from[at:], step, n))
			}
			i, at = i+n, at+n*step
		}
	}
}

// largestBits is the largest size among n entries as bits, whose order is that of the sizes, with NaNs above all numbers.
func largestBits(x []float32, step, n int) uint32 {
	largest := uint32(0)
	for i := range n {
		largest = max(largest, math.Float32bits(x[i*step])&^(1<<31))
	}
	return largest
}

func (k *rounder) scale(dst, x []float32, step int, scale float32) {
	if scale == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		dst[i] = k.how.Format.Round(x[i*step]/scale) * scale
	}
}

// sharedLabels splits the labels of a product: those summed over, and those of a, b and the result.
func sharedLabels(a, b, out string) (summed, batch string) {
	for i := range len(a) {
		l := a[i : i+1]
		switch {
		case !strings.Contains(out, l):
			summed += l
		case strings.Contains(b, l):
			batch += l
		}
	}
	return summed, batch
}

// before is a call after the rounding of its operands.
func before(c call, rounders ...*rounder) call {
	var all sequence
	for _, r := range rounders {
		if r != nil {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return c
	}
	return append(all, c)
}
