package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.RoutePlan, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	gate := c.floats(s.In[0])
	slots, offsets, positions := c.ints(s.Out[0]), c.ints(s.Out[1]), c.ints(s.Out[2])
	n, experts := matrixOf(s.In[0].Shape)
	topK := s.Attrs.(op.RoutePlanAttrs).TopK
	next := make([]int32, experts)
	return serial(func() error {
		// positions holds the experts of each row first, then where the row went.
		clear(offsets)
		for row := range n {
			picks := positions[row*topK : (row+1)*topK]
			k := 0
			for e, v := range gate[row*experts : (row+1)*experts] {
				if v != 0 && k < topK {
					picks[k] = int32(e)
					offsets[e+1]++
					k++
				}
			}
			for ; k < topK; k++ {
				picks[k] = -1
			}
		}
		for e := range experts {
			next[e] = offsets[e]
			offsets[e+1] += offsets[e]
		}
		for i := range slots {
			slots[i] = -1
		}
		for i, e := range positions {
			if e >= 0 {
				slots[next[e]] = int32(i / topK)
				positions[i] = next[e]
				next[e]++
			}
		}
		return nil
	}), nil
})
