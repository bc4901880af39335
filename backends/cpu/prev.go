package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Prev, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.PrevAttrs)
	x, y := c.floats(s.In[0]), c.floats(s.Out[0])
	outer, n, inner := around(s.In[0].Shape, a.Axis)
	size := n * inner
	shift := min(max(a.N, -n), n) * inner
	return c.slices(outer, 10+0.2*float64(size), func(from, to, _ int) {
		for o := from; o < to; o++ {
			x, y := x[o*size:(o+1)*size], y[o*size:(o+1)*size]
			if shift >= 0 {
				clear(y[:shift])
				copy(y[shift:], x)
			} else {
				copy(y, x[-shift:])
				clear(y[size+shift:])
			}
		}
	}), nil
})
