package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// The kernels keep the logits' gradient in float32; in low precision the loss is decomposed.
func inFull(a op.Attrs) bool { return a == nil }

var _ = defineIf(inFull, op.CrossEntropy, plan.Kernel{In: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	h, w, loss := c.plane(s.In[0]), c.plane(s.In[1]), c.floats(s.Out[0])
	targets := newTargets(c.ints(s.In[2]), s.In[1].Shape[0])
	return serial(func() error {
		kernel.CrossEntropy(c.pool, h, w, targets.within(), loss, nil)
		return nil
	}), nil
})

var _ = defineIf(inFull, op.CrossEntropyGrad, plan.Kernel{In: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	h, w := c.plane(s.In[0]), c.plane(s.In[1])
	targets := newTargets(c.ints(s.In[2]), s.In[1].Shape[0])
	g := c.tensor(s.In[3])
	dloss := make([]float32, g.shape[0])
	dh, dw := c.plane(s.Out[0]), c.plane(s.Out[1])
	return serial(func() error {
		copyIn(dloss, g.data, g.strides[0])
		kernel.CrossEntropyGrad(c.pool, h, w, targets.within(), dloss, dh, dw)
		return nil
	}), nil
})

// plane is a value of two axes with any strides.
func (c *compilation) plane(v *plan.Value) kernel.Matrix {
	return kernel.Matrix{Data: c.program.memory(v), Rows: v.Shape[0], Cols: v.Shape[1], RowStride: v.Strides[0], ColStride: v.Strides[1]}
}

// targets are tokens of which those outside the vocabulary count as none.
type targets struct {
	given, clean []int32
	vocabulary   int
}

func newTargets(given []int32, vocabulary int) *targets {
	return &targets{given, make([]int32, len(given)), vocabulary}
}

// within gives the targets with −1 for those outside.
func (t *targets) within() []int32 {
	for i, v := range t.given {
		if v < 0 || int(v) >= t.vocabulary {
			v = -1
		}
		t.clean[i] = v
	}
	return t.clean
}
