package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Rows and slots outside the tensor count as unused, whatever made the plan.

var _ = define(op.GatherRows, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	x, slots, y := c.floats(s.In[0]), c.ints(s.In[1]), c.floats(s.Out[0])
	n, d := s.In[0].Shape[0], s.In[0].Shape[1:].Size()
	return c.slices(len(slots), 10+0.2*float64(d), func(from, to, _ int) {
		for i := from; i < to; i++ {
			if row := int(slots[i]); row >= 0 && row < n {
				copy(y[i*d:(i+1)*d], x[row*d:(row+1)*d])
			} else {
				clear(y[i*d : (i+1)*d])
			}
		}
	}), nil
})

var _ = define(op.ScatterRows, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	y, positions, x := c.floats(s.In[0]), c.ints(s.In[2]), c.floats(s.Out[0])
	slots, d := s.In[0].Shape[0], s.In[0].Shape[1:].Size()
	n, k := matrixOf(s.In[2].Shape)
	return c.slices(n, float64(k)*(10+0.2*float64(d)), func(from, to, _ int) {
		for i := from; i < to; i++ {
			sum := x[i*d : (i+1)*d]
			empty := true
			for _, slot := range positions[i*k : (i+1)*k] {
				if slot < 0 || int(slot) >= slots {
					continue
				}
				row := y[int(slot)*d : (int(slot)+1)*d]
				if empty {
					copy(sum, row)
				} else {
					kernel.Add(sum, sum, row)
				}
				empty = false
			}
			if empty {
				clear(sum)
			}
		}
	}), nil
})
