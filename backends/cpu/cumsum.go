package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Cumsum, plan.Kernel{InPlace: map[int]int{0: 0}}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.CumsumAttrs)
	x, y := c.floats(s.In[0]), c.floats(s.Out[0])
	outer, n, inner := around(s.In[0].Shape, a.Axis)
	return c.slices(outer, 10+float64(n*inner), func(from, to, _ int) {
		for o := from; o < to; o++ {
			x, y := x[o*n*inner:(o+1)*n*inner], y[o*n*inner:(o+1)*n*inner]
			first, step := 0, 1
			if a.Reverse {
				first, step = n-1, -1
			}
			if inner == 1 {
				total := 0.0
				for k, i := 0, first; k < n; k, i = k+1, i+step {
					total += float64(x[i])
					y[i] = float32(total)
				}
				continue
			}
			row := func(v []float32, i int) []float32 { return v[i*inner : (i+1)*inner] }
			copy(row(y, first), row(x, first))
			for k, i := 1, first+step; k < n; k, i = k+1, i+step {
				kernel.Add(row(y, i), row(x, i), row(y, i-step))
			}
		}
	}), nil
})
