package cpu

import (
	"strings"

	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Map, plan.Kernel{In: plan.Strided, Out: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.MapAttrs)
	out := c.tensor(s.Out[0])
	in := make([]tensor, len(s.In))
	for i, v := range s.In {
		in[i] = c.tensor(v).along(a.In[i], a.Out, out.shape)
	}
	return c.elementwise(a.Expr, out, in)
})

// along is a tensor with labelled axes seen as one with the axes of order; axes that it lacks have stride 0.
func (t tensor) along(labels, order string, shape op.Shape) tensor {
	strides := make([]int, len(order))
	for i := range strides {
		if k := strings.IndexByte(labels, order[i]); k >= 0 {
			strides[i] = t.strides[k]
		}
	}
	return tensor{t.data, shape, strides}
}
