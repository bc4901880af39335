package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.CausalMask, plan.Kernel{InPlace: map[int]int{0: 0}}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.CausalMaskAttrs)
	x, y := c.floats(s.In[0]), c.floats(s.Out[0])
	offset := c.offset(s.In[1:])
	shape := s.In[0].Shape
	outer, keys, step := around(shape, a.Key)
	_, queries, queryStep := around(shape, a.Seq)
	value := float32(a.Fill)
	// Where the keys are the last axis, a row belongs to one query and what it sees is one run.
	if step == 1 {
		return c.slices(outer, 10+0.2*float64(keys), func(from, to, _ int) {
			first := int(offset[0])
			for row := from; row < to; row++ {
				x, y := x[row*keys:(row+1)*keys], y[row*keys:(row+1)*keys]
				low, high := visible(row*keys/queryStep%queries+first, keys, a.Window)
				fill(y[:low], value)
				copy(y[low:high], x[low:high])
				fill(y[high:], value)
			}
		}), nil
	}
	return c.slices(outer, 2*float64(keys*step), func(from, to, _ int) {
		first := int(offset[0])
		for i := from * keys * step; i < to*keys*step; i++ {
			low, high := visible(i/queryStep%queries+first, keys, a.Window)
			if key := i / step % keys; key >= low && key < high {
				y[i] = x[i]
			} else {
				y[i] = value
			}
		}
	}), nil
})

// visible is the run of keys that a query at a position sees; window 0 has no limit.
func visible(position, keys, window int) (low, high int) {
	high = min(max(position+1, 0), keys)
	if window > 0 {
		low = min(max(position-window+1, 0), high)
	}
	return low, high
}

// offset is the optional last input that says how many positions came before: a slice of one entry, 0 without it.
func (c *compilation) offset(rest []*plan.Value) []int32 {
	if len(rest) == 0 {
		return make([]int32, 1)
	}
	return c.ints(rest[0])
}
