package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.GatherGate, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	gate, slots, offsets, y := c.floats(s.In[0]), c.ints(s.In[1]), c.ints(s.In[2]), c.floats(s.Out[0])
	n, experts := matrixOf(s.In[0].Shape)
	return serial(func() error {
		clear(y)
		for e := range experts {
			from, to := run(offsets, e, len(slots))
			for r := from; r < to; r++ {
				if row := int(slots[r]); row >= 0 && row < n {
					y[r] = gate[row*experts+e]
				}
			}
		}
		return nil
	}), nil
})

var _ = define(op.ScatterGate, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	g, slots, offsets, y := c.floats(s.In[0]), c.ints(s.In[1]), c.ints(s.In[2]), c.floats(s.Out[0])
	n, experts := matrixOf(s.Out[0].Shape)
	return serial(func() error {
		clear(y)
		for e := range experts {
			from, to := run(offsets, e, len(slots))
			for r := from; r < to; r++ {
				if row := int(slots[r]); row >= 0 && row < n {
					y[row*experts+e] = g[r]
				}
			}
		}
		return nil
	}), nil
})

// run gives the rows of an expert, none of them outside the n that there are.
func run(offsets []int32, expert, n int) (from, to int) {
	to = min(int(offsets[expert+1]), n)
	return max(min(int(offsets[expert]), to), 0), max(to, 0)
}
