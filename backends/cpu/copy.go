package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

// Copies move 4-byte entries whatever they mean, integers too.
var _ = define(plan.Copy, plan.Kernel{In: plan.Strided, Out: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	if held, ok := c.program.store.view(s.In[0]); ok && held.packed() {
		return c.widen(held, c.tensor(s.Out[0])), nil
	}
	return c.elementwise(op.In(0), c.tensor(s.Out[0]), []tensor{c.tensor(s.In[0])})
})

var _ = define(plan.Zero, plan.Kernel{In: plan.Strided, Out: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	return c.elementwise(op.Const(0), c.tensor(s.Out[0]), nil)
})
