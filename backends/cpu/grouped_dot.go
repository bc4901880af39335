package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// The rows of each expert make one matrix product, all of them one parallel region.

var _ = define(op.GroupedDot, plan.Kernel{Accumulate: true}, func(c *compilation, s *plan.Step) (call, error) {
	if products, ok := c.storedGroups(s); ok {
		return products, nil
	}
	a := s.Attrs.(op.GroupedDotAttrs)
	x, w, y := c.tensor(s.In[0]), c.tensor(s.In[1]), c.tensor(s.Out[0])
	bf16 := roundsAsItReads(s)
	if bf16 {
		a.Precision = op.Precision{}
	}
	summed, batch := sharedLabels(a.X, a.W, a.Out)
	x, roundX, rest := c.rounded(a.Precision.A, x, a.X, summed, batch, c.scratch)
	w, roundW, _ := c.rounded(a.Precision.B, w, a.W, summed, a.W[:1]+batch, rest)
	axes := sortDotAxes(op.DotAttrs{A: a.X[1:], B: a.W[1:], Out: a.Out[1:]}, x.inside(), w.inside(), y.inside())
	g := &groupedProducts{pool: c.pool, offsets: c.ints(s.In[2]), rows: x.shape[0], bf16: bf16}
	ragged := dotAxis{size: g.rows, a: x.strides[0], c: y.strides[0]}
	g.a, g.c = ragged.a, ragged.c
	if !s.Accumulate {
		g.result, g.width = c.floats(s.Out[0]), y.strides[0]
	}
	inner, moreInner := takeLargest(axes.inner)
	g.build(axes, w.shape[0], s.Accumulate, moreInner, func(cols dotAxis, e, ao, bo, co int) kernel.Product {
		return product(ragged, cols, inner, x.data[ao:], w.data[e*w.strides[0]+bo:], y.data[co:])
	}, axes.rows)
	return before(g.after(w.shape[0], roundX), roundW), nil
})

var _ = define(op.GroupedDotWeight, plan.Kernel{Accumulate: true}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.GroupedDotWeightAttrs)
	x, g, y := c.tensor(s.In[0]), c.tensor(s.In[1]), c.tensor(s.Out[0])
	bf16 := roundsAsItReads(s)
	if bf16 {
		a.Precision = op.Precision{}
	}
	summed, batch := sharedLabels(a.X, a.G, a.Out)
	x, roundX, rest := c.rounded(a.Precision.A, x, a.X, summed, batch, c.scratch)
	g, roundG, _ := c.rounded(a.Precision.B, g, a.G, summed, batch, rest)
	axes := sortDotAxes(op.DotAttrs{A: a.X[1:], B: a.G[1:], Out: a.Out[1:]}, x.inside(), g.inside(), y.inside())
	k := &groupedProducts{pool: c.pool, offsets: c.ints(s.In[2]), rows: x.shape[0], summed: true, bf16: bf16}
	ragged := dotAxis{size: k.rows, a: x.strides[0], b: g.strides[0]}
	k.a, k.b = ragged.a, ragged.b
	rows, moreRows := takeLargest(axes.rows)
	k.build(axes, y.shape[0], s.Accumulate, axes.inner, func(cols dotAxis, e, ao, bo, co int) kernel.Product {
		return product(rows, cols, ragged, x.data[ao:], g.data[bo:], y.data[e*y.strides[0]+co:])
	}, moreRows)
	return k.after(y.shape[0], roundX, roundG), nil
})

// after is the products after the rounding of each expert's rows.
func (g *groupedProducts) after(experts int, rounders ...*rounder) call {
	if rounders[0] == nil && rounders[len(rounders)-1] == nil {
		return g
	}
	return sequence{serial(func() error {
		for e := range experts {
			from, to := run(g.offsets, e, g.rows)
			for _, r := range rounders {
				r.some(from, to-from)
			}
		}
		return nil
	}), g}
}

// inside is the tensor without its first axis.
func (t tensor) inside() tensor { return tensor{t.data, t.shape[1:], t.strides[1:]} }

// groupedProducts are products in which the axis of rows, or the summed axis, is cut into a run for each expert.
type groupedProducts struct {
	pool    *kernel.Pool
	offsets []int32
	rows    int
	summed  bool // the ragged axis is the summed one
	bf16    bool // operands are rounded to bfloat16 as they are read
	a, b, c int  // its strides

	rounds [][]kernel.Product // products of all rows; those of later rounds add to the first
	expert [][]int            // of each product
	now    []kernel.Product   // of a round, cut to the runs
	mixed  []kernel.MixedProduct

	result []float32 // in which rows of no expert become 0; nil if they stay
	width  int       // of a row of it
}

// build makes the products of each expert for each index of the axes outside the matrices.
func (g *groupedProducts) build(x dotAxes, experts int, accumulate bool, moreInner []dotAxis,
	product func(cols dotAxis, e, a, b, c int) kernel.Product, moreRows []dotAxis) {
	cols, moreCols := takeLargest(x.cols)
	outside := append(append(append([]dotAxis{}, x.batch...), moreRows...), moreCols...)
	visit(moreInner, 0, 0, 0, func(ai, bi, ci int) {
		var products []kernel.Product
		var expert []int
		visit(outside, ai, bi, ci, func(a, b, c int) {
			for e := range experts {
				p := product(cols, e, a, b, c)
				if len(g.rounds) == 0 && !accumulate {
					p.Beta = 0
				}
				products, expert = append(products, p), append(expert, e)
			}
		})
		g.rounds, g.expert = append(g.rounds, products), append(g.expert, expert)
		g.now = make([]kernel.Product, len(products))
	})
}

func (g *groupedProducts) run() error {
	end := 0
	for round, products := range g.rounds {
		for i := range products {
			from, to := run(g.offsets, g.expert[round][i], g.rows)
			end = max(end, to)
			p := products[i]
			n := to - from
			if g.summed {
				p.A.Cols, p.B.Rows = n, n
			} else {
				p.A.Rows, p.C.Rows = n, n
			}
			if n > 0 {
				p.A.Data, p.B.Data, p.C.Data = p.A.Data[from*g.a:], p.B.Data[from*g.b:], p.C.Data[from*g.c:]
			}
			g.now[i] = p
		}
		if !g.bf16 {
			kernel.GemmGroups(g.pool, g.now)
			continue
		}
		g.mixed = g.mixed[:0]
		for i := range g.now {
			g.mixed = append(g.mixed, rounded(&g.now[i]))
		}
		kernel.GemmGroupsBF16(g.pool, g.mixed)
	}
	if g.result != nil {
		clear(g.result[end*g.width:])
	}
	return nil
}
