package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.AdamW, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.AdamWAttrs)
	param, grad, m, v := c.floats(s.In[0]), c.floats(s.In[1]), c.floats(s.In[2]), c.floats(s.In[3])
	lr, clip, correction1, correction2 := c.floats(s.In[4]), c.floats(s.In[5]), c.floats(s.In[6]), c.floats(s.In[7])
	newParam, newM, newV := c.floats(s.Out[0]), c.floats(s.Out[1]), c.floats(s.Out[2])
	kept := grad
	if a.Grad != op.Float32 {
		grad = make([]float32, len(kept))
	}
	// keep rounds values to a format.
	keep := func(f op.Format, dst, src []float32) call {
		return c.slices(len(dst), 1, func(from, to, _ int) { f.RoundAll(dst[from:to], src[from:to]) })
	}
	step := serial(func() error {
		// Nothing is copied where the plan works in place.
		copyApart(newParam, param)
		copyApart(newM, m)
		copyApart(newV, v)
		kernel.AdamW(c.pool, newParam, grad, newM, newV, lr[0]*float32(a.LRScale), float32(a.Beta1), float32(a.Beta2), float32(a.Eps),
			float32(a.Decay), clip[0], correction1[0], correction2[0])
		return nil
	})
	var all sequence
	if a.Grad != op.Float32 {
		all = append(all, keep(a.Grad, grad, kept))
	}
	all = append(all, step)
	if a.Param != op.Float32 {
		all = append(all, keep(a.Param, newParam, newParam))
	}
	if a.Moments != op.Float32 {
		all = append(all, keep(a.Moments, newM, newM), keep(a.Moments, newV, newV))
	}
	return all, nil
})

// copyApart copies unless both are the same memory.
func copyApart(dst, src []float32) {
	if len(dst) > 0 && &dst[0] != &src[0] {
		copy(dst, src)
	}
}
