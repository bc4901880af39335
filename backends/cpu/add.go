package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Add, plan.Kernel{In: plan.Strided, Out: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	e := op.In(0)
	in := []tensor{c.tensor(s.In[0])}
	for i, v := range s.In[1:] {
		e = op.Call(op.FnAdd, e, op.In(i+1))
		in = append(in, c.tensor(v))
	}
	return c.elementwise(e, c.tensor(s.Out[0]), in)
})
