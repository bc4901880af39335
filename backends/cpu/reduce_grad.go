package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.ReduceGrad, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.ReduceAttrs)
	x, y, g, dx := c.floats(s.In[0]), c.floats(s.In[1]), c.floats(s.In[2]), c.floats(s.Out[0])
	shape := s.In[0].Shape
	// Strides of the result along the input's axes, 0 where it lacks one.
	steps := c.tensor(s.In[1]).along(a.Out, a.In, shape).strides
	given := make([]bool, len(y))
	index := make([]int, len(shape))
	return serial(func() error {
		clear(given)
		clear(index)
		at := 0
		for i, v := range x {
			dx[i] = 0
			if !given[at] && v == y[at] {
				given[at] = true
				dx[i] = g[at]
			}
			for axis := len(shape) - 1; axis >= 0; axis-- {
				index[axis]++
				at += steps[axis]
				if index[axis] < shape[axis] {
					break
				}
				at -= steps[axis] * shape[axis]
				index[axis] = 0
			}
		}
		return nil
	}), nil
})
