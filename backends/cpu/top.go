package cpu

import (
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Top, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.TopAttrs)
	x, mask := c.floats(s.In[0]), c.floats(s.Out[0])
	outer, n, inner := around(s.In[0].Shape, a.Axis)
	return c.slices(outer*inner, float64(2*n+4*a.N), func(from, to, _ int) {
		for row := from; row < to; row++ {
			at := row/inner*n*inner + row%inner
			markTop(mask[at:], x[at:], n, inner, a.N)
		}
	}), nil
})

// fewest is the number of largest entries up to which they are kept in order while the others pass by once.
const fewest = 16

// markTop sets n entries, step apart, to 1 for the largest and 0 for the others; of equal ones the earlier counts.
func markTop(mask, x []float32, n, step, largest int) {
	for i := range n {
		mask[i*step] = 0
	}
	if largest > fewest {
		markMany(mask, x, n, step, largest)
		return
	}
	// The largest so far, in descending order, equal ones in the order of their places.
	var values [fewest]float32
	var places [fewest]int
	last := largest - 1
	for i := range n {
		v := x[i*step]
		at := min(i, last)
		if i >= largest && !(v > values[last]) {
			continue
		}
		for ; at > 0 && v > values[at-1]; at-- {
			values[at], places[at] = values[at-1], places[at-1]
		}
		values[at], places[at] = v, i*step
	}
	for _, at := range places[:largest] {
		mask[at] = 1
	}
}

// markMany looks for the largest entry that is not marked yet, as often as there are entries to mark.
func markMany(mask, x []float32, n, step, largest int) {
	for range largest {
		best := -1
		for i := range n {
			if mask[i*step] == 0 && (best < 0 || x[i*step] > x[best*step]) {
				best = i
			}
		}
		mask[best*step] = 1
	}
}
