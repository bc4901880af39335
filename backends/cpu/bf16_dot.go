package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Products whose two operands are rounded to bfloat16 round them while they are packed: bfloat16 has no scales, so that an entry can
// be rounded where it is read, as often as it is read. What comes out is what package op defines, the product of the rounded
// operands with sums in float32.

// bothBFloat16 reports whether a product rounds both operands to bfloat16.
func bothBFloat16(p op.Precision) bool {
	plain := op.Rounding{Format: op.BFloat16}
	return p.A == plain && p.B == plain
}

// bf16Product is a product of bfloat16 values, which adds to c or replaces it.
type bf16Product struct {
	a, b kernel.MixedMatrix
	add  bool
	c    kernel.Matrix
}

// inBF16 is a product with operands that are rounded as they are read; false if no axis of the result is contiguous.
func inBF16(p kernel.Product) (bf16Product, bool) {
	if p.C.ColStride != 1 && p.C.Cols > 1 {
		p.A, p.B, p.C = p.B.T(), p.A.T(), p.C.T()
	}
	return bf16Product{mixed(p.A), mixed(p.B), p.Beta != 0, p.C}, p.C.ColStride == 1 || p.C.Cols <= 1
}

// bf16Products is a product as matrix products, one after the other.
type bf16Products struct {
	pool  *kernel.Pool
	calls []bf16Product
}

func (k *bf16Products) run() error {
	for i := range k.calls {
		p := &k.calls[i]
		kernel.GemmBF16(k.pool, p.a, p.b, p.add, p.c)
	}
	return nil
}

// bf16Dot is the call of a product of bfloat16 values; false if it is none, or one that no matrix product computes.
func (c *compilation) bf16Dot(s *plan.Step) (call, bool) {
	x, ok := bf16Axes(s)
	if !ok {
		return nil, false
	}
	a, b, y := c.program.memory(s.In[0]), c.program.memory(s.In[1]), c.program.memory(s.Out[0])
	rows, moreRows := takeLargest(x.rows)
	cols, moreCols := takeLargest(x.cols)
	inner, moreInner := takeLargest(x.inner)
	k := &bf16Products{pool: c.pool}
	outside := append(append(append([]dotAxis{}, x.batch...), moreRows...), moreCols...)
	visit(outside, 0, 0, 0, func(ao, bo, co int) {
		add := s.Accumulate
		visit(moreInner, ao, bo, co, func(ao, bo, co int) {
			p := product(rows, cols, inner, a[ao:], b[bo:], y[co:])
			if !add {
				p.Beta, add = 0, true
			}
			one, _ := inBF16(p)
			k.calls = append(k.calls, one)
		})
	})
	return k, true
}

// bf16Axes are the axes of a product of bfloat16 values; false if matrix products can't compute it as it lies.
func bf16Axes(s *plan.Step) (x dotAxes, ok bool) {
	attrs, ok := s.Attrs.(op.DotAttrs)
	if !ok || !bothBFloat16(attrs.Precision) {
		return x, false
	}
	x = sortDotAxes(attrs, unplaced(s.In[0]), unplaced(s.In[1]), unplaced(s.Out[0]))
	if len(x.inner) == 0 || len(x.rows) == 0 && len(x.cols) == 0 {
		return x, false
	}
	rows, _ := takeLargest(x.rows)
	cols, _ := takeLargest(x.cols)
	_, ok = inBF16(product(rows, cols, dotAxis{}, nil, nil, nil))
	return x, ok
}

// unplaced is a view without memory.
func unplaced(v *plan.Value) tensor { return tensor{nil, v.Shape, v.Strides} }

// bf16Groups reports whether the grouped products of a step are of bfloat16 values that matrix products can read where they lie. The
// result of one expert is contiguous, and so then is one of its axes.
func bf16Groups(s *plan.Step) bool {
	if !bothBFloat16(precisionOf(s.Attrs)) {
		return false
	}
	var x dotAxes
	inside := func(i int) tensor { return unplaced(s.In[i]).inside() }
	y := unplaced(s.Out[0]).inside()
	ragged := dotAxis{size: s.In[0].Shape[0], a: s.In[0].Strides[0]}
	switch a := s.Attrs.(type) {
	case op.GroupedDotAttrs:
		x = sortDotAxes(op.DotAttrs{A: a.X[1:], B: a.W[1:], Out: a.Out[1:]}, inside(0), inside(1), y)
		ragged.c = s.Out[0].Strides[0]
		x.rows = []dotAxis{ragged}
	case op.GroupedDotWeightAttrs:
		x = sortDotAxes(op.DotAttrs{A: a.X[1:], B: a.G[1:], Out: a.Out[1:]}, inside(0), inside(1), y)
	}
	rows, _ := takeLargest(x.rows)
	cols, _ := takeLargest(x.cols)
	_, ok := inBF16(product(rows, cols, dotAxis{}, nil, nil, nil))
	return ok
}
