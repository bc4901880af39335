package cpu

import (
	"slices"
	"strings"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Dot, plan.Kernel{In: plan.Strided, Out: plan.Strided, Accumulate: true}, buildDot)

// dotAxis is a labelled axis, or several that every operand steps through as through one, with its stride in a, b and the result.
type dotAxis struct{ size, a, b, c int }

// dotAxes are the axes of a product by the operands that have them.
type dotAxes struct {
	rows  []dotAxis // in a and the result
	cols  []dotAxis // in b and the result
	inner []dotAxis // in a and b: summed over
	batch []dotAxis // in all three
}

func buildDot(c *compilation, s *plan.Step) (call, error) {
	if products, ok := c.storedProducts(s); ok {
		return products, nil
	}
	attrs := s.Attrs.(op.DotAttrs)
	a, b, y := c.tensor(s.In[0]), c.tensor(s.In[1]), c.tensor(s.Out[0])
	summed, batch := sharedLabels(attrs.A, attrs.B, attrs.Out)
	bf16 := roundsAsItReads(s)
	if bf16 {
		attrs.Precision = op.Precision{}
	}
	a, roundA, rest := c.rounded(attrs.Precision.A, a, attrs.A, summed, batch, c.scratch)
	b, roundB, _ := c.rounded(attrs.Precision.B, b, attrs.B, summed, batch, rest)
	x := sortDotAxes(attrs, a, b, y)
	var product call
	var err error
	switch {
	case len(x.inner) == 0:
		product, err = c.outerProduct(attrs, a, b, y, s.Accumulate)
	case len(x.rows) == 0 && len(x.cols) == 0:
		product = c.innerProducts(x, a.data, b.data, y.data, s.Accumulate)
	default:
		product = c.matrixProducts(x, a.data, b.data, y.data, s.Accumulate, bf16)
	}
	return before(product, roundA, roundB), err
}

// sortDotAxes finds and merges the axes of a product. Axes of size 1 vanish.
func sortDotAxes(attrs op.DotAttrs, a, b, y tensor) dotAxes {
	var x dotAxes
	stride := func(labels string, t tensor, l byte) int {
		if k := strings.IndexByte(labels, l); k >= 0 {
			return t.strides[k]
		}
		return 0
	}
	add := func(l byte, size int) {
		if size == 1 {
			return
		}
		axis := dotAxis{size, stride(attrs.A, a, l), stride(attrs.B, b, l), stride(attrs.Out, y, l)}
		inA, inB, inOut := strings.IndexByte(attrs.A, l) >= 0, strings.IndexByte(attrs.B, l) >= 0, strings.IndexByte(attrs.Out, l) >= 0
		switch {
		case !inOut:
			x.inner = append(x.inner, axis)
		case inA && inB:
			x.batch = append(x.batch, axis)
		case inA:
			x.rows = append(x.rows, axis)
		default:
			x.cols = append(x.cols, axis)
		}
	}
	for i := range len(attrs.A) {
		add(attrs.A[i], a.shape[i])
	}
	for i := range len(attrs.B) {
		if strings.IndexByte(attrs.A, attrs.B[i]) < 0 {
			add(attrs.B[i], b.shape[i])
		}
	}
	x.rows, x.cols = mergeDotAxes(x.rows), mergeDotAxes(x.cols)
	x.inner, x.batch = mergeDotAxes(x.inner), mergeDotAxes(x.batch)
	return x
}

// mergeDotAxes puts axes with long strides first and joins neighbours that are one axis to every operand.
func mergeDotAxes(axes []dotAxis) []dotAxis {
	slices.SortStableFunc(axes, func(x, y dotAxis) int {
		if x.c != y.c {
			return y.c - x.c
		}
		return y.a - x.a
	})
	var merged []dotAxis
	for _, x := range axes {
		if n := len(merged); n > 0 {
			l := &merged[n-1]
			if l.a == x.a*x.size && l.b == x.b*x.size && l.c == x.c*x.size {
				*l = dotAxis{l.size * x.size, x.a, x.b, x.c}
				continue
			}
		}
		merged = append(merged, x)
	}
	return merged
}

// takeLargest removes the largest axis, of equals the last; an axis of size 1 if there are none.
func takeLargest(axes []dotAxis) (largest dotAxis, rest []dotAxis) {
	if len(axes) == 0 {
		return dotAxis{size: 1}, nil
	}
	best := 0
	for i, x := range axes {
		if x.size >= axes[best].size {
			best = i
		}
	}
	return axes[best], append(slices.Clone(axes[:best]), axes[best+1:]...)
}

// matrixProducts is a product as batches of matrix products. The largest axis of each kind makes the matrices, the others the batch;
// a second summed axis makes further batches that add to the first.
type matrixProducts struct {
	pool    *kernel.Pool
	batch   kernel.Batch
	batched bool
	calls   []kernel.Product
	bf16    bool // operands are rounded to bfloat16 as they are read
}

func (c *compilation) matrixProducts(x dotAxes, a, b, y []float32, accumulate, bf16 bool) call {
	rows, moreRows := takeLargest(x.rows)
	cols, moreCols := takeLargest(x.cols)
	inner, moreInner := takeLargest(x.inner)
	// Batch strides that are not summed over come from axes of rows and columns too: there one operand stays.
	batch := append(append(slices.Clone(x.batch), moreRows...), moreCols...)
	slices.SortStableFunc(batch, func(x, y dotAxis) int { return y.c - x.c })
	k := &matrixProducts{pool: c.pool, bf16: bf16}
	outside := 0
	if len(batch) > kernel.BatchDims {
		outside = len(batch) - kernel.BatchDims
	}
	for i, axis := range batch[outside:] {
		k.batched = true
		k.batch.Counts[i], k.batch.A[i], k.batch.B[i], k.batch.C[i] = axis.size, axis.a, axis.b, axis.c
	}
	visit(batch[:outside], 0, 0, 0, func(ao, bo, co int) {
		first := !accumulate
		visit(moreInner, ao, bo, co, func(ao, bo, co int) {
			p := product(rows, cols, inner, a[ao:], b[bo:], y[co:])
			if first {
				p.Beta, first = 0, false
			}
			k.calls = append(k.calls, p)
		})
	})
	return k
}

// product is the matrix product of three axes that adds to the result.
func product(rows, cols, inner dotAxis, a, b, y []float32) kernel.Product {
	p := kernel.Product{
		Alpha: 1,
		A:     kernel.Matrix{Data: a, Rows: rows.size, Cols: inner.size, RowStride: rows.a, ColStride: inner.a},
		B:     kernel.Matrix{Data: b, Rows: inner.size, Cols: cols.size, RowStride: inner.b, ColStride: cols.b},
		Beta:  1,
		C:     kernel.Matrix{Data: y, Rows: rows.size, Cols: cols.size, RowStride: rows.c, ColStride: cols.c},
	}
	// An axis of one entry has no stride; these let the loops see that the other axis is contiguous.
	for _, m := range []*kernel.Matrix{&p.A, &p.B, &p.C} {
		if m.Cols == 1 {
			m.ColStride = 1
		}
		if m.Rows == 1 {
			m.RowStride = max(m.Cols*m.ColStride, 1)
		}
	}
	return p
}

// visit calls f with the offsets of every index of the axes.
func visit(axes []dotAxis, a, b, c int, f func(a, b, c int)) {
	if len(axes) == 0 {
		f(a, b, c)
		return
	}
	for i := range axes[0].size {
		visit(axes[1:], a+i*axes[0].a, b+i*axes[0].b, c+i*axes[0].c, f)
	}
}

func (k *matrixProducts) run() error {
	for i := range k.calls {
		p := &k.calls[i]
		switch {
		case k.bf16:
			kernel.GemmBatchBF16(k.pool, k.batch, rounded(p))
		case k.batched:
			kernel.GemmBatch(k.pool, k.batch, p.Alpha, p.A, p.B, p.Beta, p.C)
		default:
			kernel.Gemm(k.pool, p.Alpha, p.A, p.B, p.Beta, p.C)
		}
	}
	return nil
}

// outerProduct is a product without a summed axis: elementwise.
func (c *compilation) outerProduct(attrs op.DotAttrs, a, b, y tensor, accumulate bool) (call, error) {
	in := []tensor{a.along(attrs.A, attrs.Out, y.shape), b.along(attrs.B, attrs.Out, y.shape)}
	e := op.Call(op.FnMul, op.In(0), op.In(1))
	if accumulate {
		e = op.Call(op.FnAdd, op.In(2), e)
		in = append(in, y)
	}
	return c.elementwise(e, y, in)
}

// innerProducts is a product whose axes are summed over or in all of a, b and the result.
type innerProducts struct {
	pool       *kernel.Pool
	batch      []dotAxis
	inner      []dotAxis // all but the last
	last       dotAxis   // of the summed axes
	a, b, y    []float32
	accumulate bool
	count      int
	parts      int
}

func (c *compilation) innerProducts(x dotAxes, a, b, y []float32, accumulate bool) call {
	k := &innerProducts{pool: c.pool, batch: x.batch, a: a, b: b, y: y, accumulate: accumulate, count: 1}
	k.last, k.inner = takeLargest(x.inner)
	size := float64(k.last.size)
	for _, axis := range k.inner {
		size *= float64(axis.size)
	}
	for _, axis := range k.batch {
		k.count *= axis.size
	}
	k.parts = c.parts(k.count, 10+size)
	return k
}

func (k *innerProducts) run() error {
	k.pool.RunTask(k.parts, k)
	return nil
}

func (k *innerProducts) Do(part, _ int) {
	from, to := bounds(k.count, k.parts, part)
	for i := from; i < to; i++ {
		a, b, c, rest := 0, 0, 0, i
		for j := len(k.batch) - 1; j >= 0; j-- {
			axis := &k.batch[j]
			at := rest % axis.size
			rest /= axis.size
			a, b, c = a+at*axis.a, b+at*axis.b, c+at*axis.c
		}
		v := float32(k.sum(k.inner, a, b))
		if k.accumulate {
			v += k.y[c]
		}
		k.y[c] = v
	}
}

func (k *innerProducts) sum(axes []dotAxis, a, b int) float64 {
	total := 0.0
	if len(axes) > 0 {
		for i := range axes[0].size {
			total += k.sum(axes[1:], a+i*axes[0].a, b+i*axes[0].b)
		}
		return total
	}
	n := k.last.size
	if k.last.a == 1 && k.last.b == 1 {
		return float64(kernel.Dot(k.a[a:a+n], k.b[b:b+n]))
	}
	for range n {
		total += float64(k.a[a]) * float64(k.b[b])
		a, b = a+k.last.a, b+k.last.b
	}
	return total
}
