package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.MaskedMean, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	x, targets, mean := c.floats(s.In[0]), c.ints(s.In[1]), c.floats(s.Out[0])
	return serial(func() error {
		total, count := 0.0, 0.0
		for i, t := range targets {
			if t >= 0 {
				total += float64(x[i])
				count++
			}
		}
		mean[0] = 0
		if count > 0 {
			mean[0] = float32(total / count)
		}
		return nil
	}), nil
})

var _ = define(op.MaskedMeanGrad, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	targets, g, dx := c.ints(s.In[0]), c.floats(s.In[1]), c.floats(s.Out[0])
	return serial(func() error {
		count := 0
		for _, t := range targets {
			if t >= 0 {
				count++
			}
		}
		for i, t := range targets {
			dx[i] = 0
			if t >= 0 {
				dx[i] = g[0] / float32(count)
			}
		}
		return nil
	}), nil
})
