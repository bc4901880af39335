package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.RMSNorm, plan.Kernel{In: plan.Matrices, InPlace: map[int]int{0: 0}}, func(c *compilation, s *plan.Step) (call, error) {
	x, gain, y := c.matrix(s.In[0]), c.floats(s.In[1]), c.matrix(s.Out[0])
	eps := float32(s.Attrs.(op.RMSNormAttrs).Eps)
	return serial(func() error {
		kernel.RMSNorm(c.pool, y, x, gain, eps, nil)
		return nil
	}), nil
})

var _ = define(op.RMSNormGrad, plan.Kernel{In: plan.Matrices, InPlace: map[int]int{0: 2}}, func(c *compilation, s *plan.Step) (call, error) {
	x, gain, g := c.matrix(s.In[0]), c.floats(s.In[1]), c.matrix(s.In[2])
	dx, dgain := c.matrix(s.Out[0]), c.floats(s.Out[1])
	eps := float32(s.Attrs.(op.RMSNormAttrs).Eps)
	return serial(func() error {
		kernel.RMSNormGrad(c.pool, dx, x, gain, g, eps, dgain)
		return nil
	}), nil
})
