package cpu

import (
	"strings"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Attention over more outer axes than the kernel has is decomposed.
func fewAxes(a op.Attrs) bool {
	x, err := a.(op.AttentionAttrs).Axes()
	return err == nil && len(x.Outer) <= kernel.AttentionDims
}

var _ = defineIf(fewAxes, op.Attention, plan.Kernel{In: plan.Strided, Out: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.AttentionAttrs)
	k, err := c.attention(a, s.In, s.In[2*len(a.Q)+1:], s.Out[0].Shape)
	if err != nil {
		return nil, err
	}
	out := k.tensor(a.Out, k.axes.Value, a.Seq, c.tensor(s.Out[0]))
	lse := k.tensor(k.axes.LSE, 0, a.Seq, c.tensor(s.Out[1]))
	return serial(func() error {
		k.shape.Offset = int(k.offset[0])
		kernel.AttentionForward(c.pool, &k.shape, out, lse)
		return nil
	}), nil
})

var _ = defineIf(fewAxes, op.AttentionGrad, plan.Kernel{In: plan.Strided, Out: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.AttentionAttrs)
	own := len(s.In) - 3
	k, err := c.attention(a, s.In, s.In[2*len(a.Q)+1:own], s.In[own].Shape)
	if err != nil {
		return nil, err
	}
	out := k.tensor(a.Out, k.axes.Value, a.Seq, c.tensor(s.In[own]))
	lse := k.tensor(k.axes.LSE, 0, a.Seq, c.tensor(s.In[own+1]))
	g := k.tensor(a.Out, k.axes.Value, a.Seq, c.tensor(s.In[own+2]))
	var to kernel.AttentionGradients
	for p := range a.Q {
		to.DQ = append(to.DQ, k.tensor(a.Q[p], k.axes.Feature[p], a.Seq, c.tensor(s.Out[2*p])))
		to.DK = append(to.DK, k.tensor(a.K[p], k.axes.Feature[p], a.Key, c.tensor(s.Out[2*p+1])))
	}
	to.DV = k.tensor(a.V, k.axes.Value, a.Key, c.tensor(s.Out[2*len(a.Q)]))
	return serial(func() error {
		k.shape.Offset = int(k.offset[0])
		kernel.AttentionBackward(c.pool, &k.shape, out, lse, g, to)
		return nil
	}), nil
})

// attention is what the forward and the backward call have in common.
type attention struct {
	axes   op.AttentionAxes
	shape  kernel.Attention
	offset []int32
}

// attention describes the queries, keys and values, which come first among the inputs.
func (c *compilation) attention(a op.AttentionAttrs, in, offset []*plan.Value, out op.Shape) (*attention, error) {
	axes, err := a.Axes()
	if err != nil {
		return nil, err
	}
	k := &attention{axes: axes, offset: c.offset(offset)}
	for i := range k.shape.Counts {
		k.shape.Counts[i] = 1
		if i < len(axes.Outer) {
			k.shape.Counts[i] = out[strings.IndexByte(a.Out, axes.Outer[i])]
		}
	}
	v := in[2*len(a.Q)]
	k.shape.Queries = out[strings.IndexByte(a.Out, a.Seq)]
	k.shape.Keys = v.Shape[strings.IndexByte(a.V, a.Key)]
	k.shape.Scale, k.shape.Causal, k.shape.Window = float32(a.Scale), true, a.Window
	k.shape.Rounded = a.Format == op.BFloat16
	for p := range a.Q {
		f := axes.Feature[p]
		k.shape.Parts = append(k.shape.Parts, kernel.AttentionPart{
			Q:     k.tensor(a.Q[p], f, a.Seq, c.tensor(in[2*p])),
			K:     k.tensor(a.K[p], f, a.Key, c.tensor(in[2*p+1])),
			Width: in[2*p].Shape[strings.IndexByte(a.Q[p], f)],
		})
	}
	k.shape.V = k.tensor(a.V, axes.Value, a.Key, c.tensor(v))
	k.shape.ValueWidth = v.Shape[strings.IndexByte(a.V, axes.Value)]
	return k, nil
}

// tensor is a view by outer axes, positions and features; it does not move along outer axes that its labels lack. Without a feature
// axis feature is 0.
func (k *attention) tensor(labels string, feature, position byte, t tensor) kernel.AttentionTensor {
	x := kernel.AttentionTensor{Data: t.data, Feature: 1}
	for i := range len(k.axes.Outer) {
		if at := strings.IndexByte(labels, k.axes.Outer[i]); at >= 0 {
			x.Axes[i] = t.strides[at]
		}
	}
	x.Row = t.strides[strings.IndexByte(labels, position)]
	if feature != 0 {
		x.Feature = t.strides[strings.IndexByte(labels, feature)]
	}
	return x
}
