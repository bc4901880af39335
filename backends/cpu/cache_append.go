package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.CacheAppend, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	state, entries, position, out := c.floats(s.In[0]), c.floats(s.In[1]), c.ints(s.In[2]), c.floats(s.Out[0])
	axis := s.Attrs.(op.CacheAppendAttrs).Axis
	outer, size, inner := around(s.In[0].Shape, axis)
	n := s.In[1].Shape[axis]
	return serial(func() error {
		copyApart(out, state)
		at := int(position[0])
		first, last := max(0, -at), min(n, size-at)
		if first >= last {
			return nil
		}
		for o := range outer {
			copy(out[(o*size+at+first)*inner:(o*size+at+last)*inner], entries[(o*n+first)*inner:])
		}
		return nil
	}), nil
})
