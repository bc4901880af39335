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
	_, keys, keyStep := around(shape, a.Key)
	_, queries, queryStep := around(shape, a.Seq)
	// A run is the entries between two steps of the key axis: all of one query and one key if the keys are inside, else of one
	// key and whole queries.
	rows := len(x) / (keys * keyStep)
	return c.slices(rows, 0.3*float64(keys*keyStep), func(from, to, _ int) {
		first := int(offset[0])
		fill := float32(a.Fill)
		for i := from * keys * keyStep; i < to*keys*keyStep; i++ {
			key, position := i/keyStep%keys, i/queryStep%queries+first
			if key <= position && (a.Window == 0 || key > position-a.Window) {
				y[i] = x[i]
			} else {
				y[i] = fill
			}
		}
	}), nil
})

// offset is the optional last input that says how many positions came before: a slice of one entry, 0 without it.
func (c *compilation) offset(rest []*plan.Value) []int32 {
	if len(rest) == 0 {
		return make([]int32, 1)
	}
	return c.ints(rest[0])
}
