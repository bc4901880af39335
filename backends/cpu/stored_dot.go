package cpu

import (
	"forge/backends"
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Products of activations with a storage. With few rows the storage is read once, where it lies, at the speed of memory; with many,
// packed storages are widened panel by panel while they are packed, and plain ones go the way of all products.

// fewRows is the number of rows up to which a product reads its weight where it lies.
const fewRows = 8

// storedOperands are a product in the form that the kernels of weights take.
type storedOperands struct {
	weight  int // which input it is
	held    heldView
	full    bool // nothing is rounded
	rows    dotAxis
	cols    dotAxis
	inner   dotAxis
	byInput bool      // the cols lie side by side, not the inner ones
	outside []dotAxis // other axes that are not summed over
	more    []dotAxis // other summed axes
	starts  []int     // of GroupedDot: where each expert's weight begins
}

// dotOperands finds the storage among the operands of a Dot; false if there is none or the product has no matrix form.
func (s *store) dotOperands(step *plan.Step) (storedOperands, bool) {
	a := step.Attrs.(op.DotAttrs)
	d := storedOperands{weight: 1, full: a.Precision == (op.Precision{})}
	labelsX, labelsW := a.A, a.B
	var ok bool
	if d.held, ok = s.view(step.In[1]); !ok || !d.held.packed() {
		if first, is := s.view(step.In[0]); is && (!ok || first.packed()) {
			d.weight, d.held, ok = 0, first, true
			labelsX, labelsW = a.B, a.A
		}
	}
	if !ok {
		return d, false
	}
	d.starts = []int{0}
	return d, d.sort(op.DotAttrs{A: labelsX, B: labelsW, Out: a.Out}, shapeOf(step.In[1-d.weight]), shapeOf(step.In[d.weight]), shapeOf(step.Out[0]))
}

// groupOperands is dotOperands for a GroupedDot: without the axes of experts and rows.
func (s *store) groupOperands(step *plan.Step) (storedOperands, bool) {
	a := step.Attrs.(op.GroupedDotAttrs)
	g := storedOperands{weight: 1, full: a.Precision == (op.Precision{})}
	var ok bool
	if g.held, ok = s.view(step.In[1]); !ok {
		return g, false
	}
	for e := range g.held.shape[0] {
		g.starts = append(g.starts, e*g.held.strides[0])
	}
	x, w, y := shapeOf(step.In[0]), shapeOf(step.In[1]), shapeOf(step.Out[0])
	if !g.sort(op.DotAttrs{A: a.X[1:], B: a.W[1:], Out: a.Out[1:]}, x.inside(), w.inside(), y.inside()) {
		return g, false
	}
	// The rows of the matrices are those of the experts.
	if g.rows.size > 1 {
		g.outside = append(g.outside, g.rows)
	}
	g.rows = dotAxis{size: x.shape[0], a: x.strides[0], c: y.strides[0]}
	return g, true
}

// shapeOf is a value as a tensor without memory.
func shapeOf(v *plan.Value) tensor { return tensor{shape: v.Shape, strides: v.Strides} }

// sort chooses the axes of the matrices: the weight must have one whose entries lie side by side.
func (d *storedOperands) sort(labels op.DotAttrs, x, w, y tensor) bool {
	axes := sortDotAxes(labels, x, w, y)
	var moreRows, moreCols []dotAxis
	if k := sideBySide(axes.inner); k >= 0 {
		d.inner, d.more = take(axes.inner, k)
		d.cols, moreCols = takeLargest(axes.cols)
	} else if k := sideBySide(axes.cols); k >= 0 {
		d.cols, moreCols = take(axes.cols, k)
		d.inner, d.more = takeLargest(axes.inner)
		d.byInput = true
	} else {
		return false
	}
	d.rows, moreRows = takeLargest(axes.rows)
	d.outside = append(append(axes.batch, moreRows...), moreCols...)
	return true
}

// sideBySide finds the axis along which the weight's entries lie side by side; -1 if there is none.
func sideBySide(axes []dotAxis) int {
	for i, a := range axes {
		if a.b == 1 {
			return i
		}
	}
	return -1
}

func take(axes []dotAxis, k int) (taken dotAxis, rest []dotAxis) {
	return axes[k], append(append([]dotAxis{}, axes[:k]...), axes[k+1:]...)
}

// gaps reports whether the rows of the activations or of the result have gaps, as contiguous tensors whose axes come in an unusual order do.
func (d *storedOperands) gaps() bool {
	return d.inner.size > 1 && d.inner.a != 1 || d.cols.size > 1 && d.cols.c != 1
}

// readable reports whether the kernels can read every part of the weight where it is.
func (d *storedOperands) readable() bool {
	if !d.full {
		return false
	}
	for _, start := range d.starts {
		ok := true
		visit(d.more, 0, 0, 0, func(_, b, _ int) {
			visit(d.outside, 0, b, 0, func(_, b, _ int) {
				_, is := d.part(start + b)
				ok = ok && is
			})
		})
		if !ok {
			return false
		}
	}
	return true
}

// part is the weight that begins so many values behind the view's first; false if the kernels can't read it there.
func (d *storedOperands) part(at int) (kernel.Weight, bool) {
	at += d.held.offset
	size := d.held.pieceSize()
	p := &d.held.pieces[at/size]
	at %= size
	w := kernel.Weight{Format: p.format, Outputs: d.cols.size, Inputs: d.inner.size, Stride: d.cols.b, ByInput: d.byInput}
	rows, width := d.cols.size, d.inner.size
	if d.byInput {
		w.Stride, rows, width = d.inner.b, width, rows
	}
	if rows == 1 {
		w.Stride = width
	}
	end := at + (rows-1)*w.Stride + width
	if end > size {
		return w, false
	}
	switch p.format {
	case kernel.Float32:
		w.Float32s = p.float32s[at:end]
	case kernel.BFloat16:
		w.BFloat16s = p.halves[at:end]
	default:
		w.Bytes, w.BlockScales, w.HalfScales = p.bytes[at:end], p.blockScales, p.halfScales
		w.Row, w.Column, w.Columns = at/p.columns, at%p.columns, p.columns
		return w, w.Column%backends.Int8Block == 0 && w.Column+width <= p.columns && (rows == 1 || w.Stride == p.columns)
	}
	return w, true
}

// rounds are the products of every index of the axes outside the matrices, those of one start after the other; the products of
// later rounds add to the first.
func (d *storedOperands) rounds(x, y []float32, accumulate bool) [][]kernel.WeightProduct {
	var all [][]kernel.WeightProduct
	visit(d.more, 0, 0, 0, func(a, b, c int) {
		var round []kernel.WeightProduct
		for _, start := range d.starts {
			visit(d.outside, a, b, c, func(a, b, c int) {
				w, _ := d.part(start + b)
				round = append(round, kernel.WeightProduct{
					X:          kernel.Matrix{Data: x[a:], Rows: d.rows.size, Cols: d.inner.size, RowStride: d.rows.a, ColStride: d.inner.a},
					W:          w,
					Y:          kernel.Matrix{Data: y[c:], Rows: d.rows.size, Cols: d.cols.size, RowStride: d.rows.c, ColStride: d.cols.c},
					Accumulate: accumulate || len(all) > 0,
				})
			})
		}
		all = append(all, round)
	})
	return all
}

// storedProducts is a Dot with a storage that is packed, or of few rows.
type storedProducts struct {
	pool   *kernel.Pool
	rounds [][]kernel.WeightProduct
	few    bool
	staged []staged
}

// staged is a product whose operands are copied, since the kernel wants rows without gaps.
type staged struct {
	round int
	x, y  kernel.Matrix // where they are
	q     kernel.WeightProduct
}

// stage gives products whose rows have gaps memory of their own.
func (k *storedProducts) stage() {
	for r, round := range k.rounds {
		for i := range round {
			q := &round[i]
			gapsX, gapsY := q.X.Cols > 1 && q.X.ColStride != 1, q.Y.Cols > 1 && q.Y.ColStride != 1
			if !gapsX && !gapsY {
				continue
			}
			s := staged{round: r, x: q.X, y: q.Y}
			q.X = kernel.RowMajor(alignedFloats(q.X.Rows*q.X.Cols), q.X.Rows, q.X.Cols)
			q.Y = kernel.RowMajor(alignedFloats(q.Y.Rows*q.Y.Cols), q.Y.Rows, q.Y.Cols)
			s.q = *q
			k.staged = append(k.staged, s)
		}
	}
}

// copyMatrix copies a matrix to another of the same size.
func copyMatrix(to, from kernel.Matrix) {
	for i := range from.Rows {
		for j := range from.Cols {
			to.Data[i*to.RowStride+j*to.ColStride] = from.Data[i*from.RowStride+j*from.ColStride]
		}
	}
}

// storedProducts makes the call of a Dot that reads its weight where it lies; false if another way is better or the only one.
func (c *compilation) storedProducts(s *plan.Step) (call, bool) {
	d, ok := c.program.store.dotOperands(s)
	if !ok || !d.held.packed() && d.rows.size > fewRows || !d.readable() {
		return nil, false
	}
	x, y := c.tensor(s.In[1-d.weight]), c.tensor(s.Out[0])
	k := &storedProducts{pool: c.pool, rounds: d.rounds(x.data, y.data, s.Accumulate), few: d.rows.size <= fewRows}
	k.stage()
	return k, true
}

func (k *storedProducts) run() error {
	for r, round := range k.rounds {
		k.copyIn(r)
		if k.few {
			kernel.MulWeights(k.pool, round)
		} else {
			kernel.GemmWeights(k.pool, round)
		}
		k.copyOut(r)
	}
	return nil
}

// copyIn brings the operands of a round to where they are staged.
func (k *storedProducts) copyIn(round int) {
	for i := range k.staged {
		if s := &k.staged[i]; s.round == round {
			copyMatrix(s.q.X, s.x)
			if s.q.Accumulate {
				copyMatrix(s.q.Y, s.y)
			}
		}
	}
}

// copyOut brings the results of a round to where they belong.
func (k *storedProducts) copyOut(round int) {
	for i := range k.staged {
		if s := &k.staged[i]; s.round == round {
			copyMatrix(s.y, s.q.Y)
		}
	}
}

// storedGroups is a GroupedDot with a storage. The experts that few rows have picked make one parallel region, the others another.
type storedGroups struct {
	pool    *kernel.Pool
	offsets []int32
	rows    int
	a, c    int // from one row to the next, in x and the result
	rounds  [][]kernel.WeightProduct
	experts int

	few    []kernel.WeightProduct // of a round
	many   []kernel.WeightProduct
	end    int       // of the rows that some expert has
	result []float32 // in which rows of no expert become 0; nil if they stay
	width  int       // of a row of it
}

func (c *compilation) storedGroups(s *plan.Step) (call, bool) {
	d, ok := c.program.store.groupOperands(s)
	if !ok || !d.readable() || d.gaps() {
		return nil, false
	}
	x, y := c.tensor(s.In[0]), c.tensor(s.Out[0])
	g := &storedGroups{pool: c.pool, offsets: c.ints(s.In[2]), rows: d.rows.size, a: d.rows.a, c: d.rows.c,
		rounds: d.rounds(x.data, y.data, s.Accumulate), experts: len(d.starts)}
	g.few = make([]kernel.WeightProduct, 0, len(g.rounds[0]))
	g.many = make([]kernel.WeightProduct, 0, len(g.rounds[0]))
	if !s.Accumulate {
		g.result, g.width = y.data[:s.Out[0].Shape.Size()], y.strides[0]
	}
	return g, true
}

func (g *storedGroups) run() error {
	for round := range g.rounds {
		g.cut(round)
		kernel.MulWeights(g.pool, g.few)
		kernel.GemmWeights(g.pool, g.many)
	}
	g.clearUnused()
	return nil
}

// cut gives the products of a round the rows of their experts.
func (g *storedGroups) cut(round int) {
	g.few, g.many, g.end = g.few[:0], g.many[:0], 0
	products := g.rounds[round]
	each := len(products) / g.experts
	for i := range products {
		from, to := run(g.offsets, i/each, g.rows)
		g.end = max(g.end, to)
		if from == to {
			continue
		}
		q := products[i]
		q.X.Rows, q.Y.Rows = to-from, to-from
		q.X.Data, q.Y.Data = q.X.Data[from*g.a:], q.Y.Data[from*g.c:]
		if to-from <= fewRows {
			g.few = append(g.few, q)
		} else {
			g.many = append(g.many, q)
		}
	}
}

// clearUnused clears the rows of no expert.
func (g *storedGroups) clearUnused() {
	if g.result != nil {
		clear(g.result[g.end*g.width:])
	}
}
