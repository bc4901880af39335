package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Embed, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	rows, d := matrixOf(s.In[1].Shape)
	if held, ok := c.program.store.view(s.In[1]); ok && held.packed() {
		return c.embedPacked(held, c.ints(s.In[0]), c.floats(s.Out[0])), nil
	}
	ids, table, y := c.ints(s.In[0]), c.floats(s.In[1]), c.floats(s.Out[0])
	return c.slices(len(ids), 10+0.2*float64(d), func(from, to, _ int) {
		for i := from; i < to; i++ {
			if id := int(ids[i]); id >= 0 && id < rows {
				copy(y[i*d:(i+1)*d], table[id*d:(id+1)*d])
			} else {
				clear(y[i*d : (i+1)*d])
			}
		}
	}), nil
})

// Every part adds a range of columns of all rows, so that rows which occur often don't meet.
var _ = define(op.EmbedGrad, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	const strip = 32
	ids, g, table := c.ints(s.In[0]), c.floats(s.In[1]), c.floats(s.Out[0])
	rows, d := matrixOf(s.Out[0].Shape)
	return sequence{
		c.slices(rows, 0.1*float64(d), func(from, to, _ int) { clear(table[from*d : to*d]) }),
		c.slices((d+strip-1)/strip, 15*float64(len(ids)), func(from, to, _ int) {
			first, end := strip*from, min(strip*to, d)
			for i, id := range ids {
				if id := int(id); id >= 0 && id < rows {
					sum := table[id*d+first : id*d+end]
					kernel.Add(sum, sum, g[i*d+first:i*d+end])
				}
			}
		}),
	}, nil
})
