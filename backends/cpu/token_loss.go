package cpu

import (
	"math"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.TokenLoss, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	logits, targets, loss := c.floats(s.In[0]), c.ints(s.In[1]), c.floats(s.Out[0])
	n, v := matrixOf(s.In[0].Shape)
	return c.slices(n, 20+float64(v), func(from, to, worker int) {
		exps := c.pool.Scratch(worker, v)
		for i := from; i < to; i++ {
			loss[i] = 0
			if t := int(targets[i]); t >= 0 && t < v {
				row := logits[i*v : (i+1)*v]
				highest := kernel.MaxReduce(row)
				kernel.AddScalar(exps, row, -highest)
				kernel.Exp(exps, exps)
				loss[i] = float32(math.Log(float64(kernel.Sum(exps))) + float64(highest) - float64(row[t]))
			}
		}
	}), nil
})

var _ = define(op.TokenLossGrad, plan.Kernel{InPlace: map[int]int{0: 0}}, func(c *compilation, s *plan.Step) (call, error) {
	logits, targets, g, d := c.floats(s.In[0]), c.ints(s.In[1]), c.floats(s.In[2]), c.floats(s.Out[0])
	n, v := matrixOf(s.In[0].Shape)
	return c.slices(n, 20+float64(v), func(from, to, _ int) {
		for i := from; i < to; i++ {
			row := d[i*v : (i+1)*v]
			if t := int(targets[i]); t >= 0 && t < v {
				x := logits[i*v : (i+1)*v]
				kernel.AddScalar(row, x, -kernel.MaxReduce(x))
				kernel.Exp(row, row)
				kernel.Scale(row, row, g[i]/kernel.Sum(row))
				row[t] -= g[i]
			} else {
				clear(row)
			}
		}
	}), nil
})
