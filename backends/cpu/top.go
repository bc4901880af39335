package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Top, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.TopAttrs)
	x, mask := c.floats(s.In[0]), c.floats(s.Out[0])
	outer, n, inner := around(s.In[0].Shape, a.Axis)
	return c.slices(outer*inner, float64(a.N*n), func(from, to, _ int) {
		for row := from; row < to; row++ {
			at := row/inner*n*inner + row%inner
			markTop(mask[at:], x[at:], n, inner, a.N)
		}
	}), nil
})

// markTop sets n entries, step apart, to 1 for the largest and 0 for the others; of equal ones the earlier counts.
func markTop(mask, x []float32, n, step, largest int) {
	for i := range n {
		mask[i*step] = 0
	}
	for range largest {
		best := -1
		for i := range n {
			if mask[i*step] == 0 && (best < 0 || x[i*step] > x[best*step]) {
				best = i
			}
		}
		mask[best*step] = 1
	}
}
