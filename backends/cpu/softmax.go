package cpu

import (
	"math"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Softmax, plan.Kernel{InPlace: map[int]int{0: 0}}, func(c *compilation, s *plan.Step) (call, error) {
	x, y := c.floats(s.In[0]), c.floats(s.Out[0])
	outer, n, inner := around(s.In[0].Shape, s.Attrs.(op.SoftmaxAttrs).Axis)
	if inner == 1 {
		return serial(func() error {
			kernel.Softmax(c.pool, kernel.RowMajor(y, outer, n), kernel.RowMajor(x, outer, n))
			return nil
		}), nil
	}
	return c.slices(outer, float64(2*n*inner), func(from, to, worker int) {
		memory := c.pool.Scratch(worker, 2*inner)
		highest, total := memory[:inner], memory[inner:]
		for o := from; o < to; o++ {
			row := func(v []float32, i int) []float32 { return v[(o*n+i)*inner : (o*n+i+1)*inner] }
			copy(highest, row(x, 0))
			for i := 1; i < n; i++ {
				kernel.Max(highest, highest, row(x, i))
			}
			for k, v := range highest {
				if math.IsInf(float64(v), -1) {
					highest[k] = 0 // a masked row: all exponentials are 0
				}
			}
			clear(total)
			for i := range n {
				kernel.Sub(row(y, i), row(x, i), highest)
				kernel.Exp(row(y, i), row(y, i))
				kernel.Add(total, total, row(y, i))
			}
			for k, v := range total {
				if v == 0 {
					total[k] = 1
				}
			}
			for i := range n {
				kernel.Div(row(y, i), row(y, i), total)
			}
		}
	}), nil
})

var _ = define(op.SoftmaxGrad, plan.Kernel{InPlace: map[int]int{0: 1}}, func(c *compilation, s *plan.Step) (call, error) {
	y, g, dx := c.floats(s.In[0]), c.floats(s.In[1]), c.floats(s.Out[0])
	outer, n, inner := around(s.In[0].Shape, s.Attrs.(op.SoftmaxAttrs).Axis)
	if inner == 1 {
		return serial(func() error {
			kernel.SoftmaxGrad(c.pool, kernel.RowMajor(dx, outer, n), kernel.RowMajor(y, outer, n), kernel.RowMajor(g, outer, n))
			return nil
		}), nil
	}
	return c.slices(outer, float64(n*inner), func(from, to, worker int) {
		total := c.pool.Scratch(worker, inner)
		for o := from; o < to; o++ {
			row := func(v []float32, i int) []float32 { return v[(o*n+i)*inner : (o*n+i+1)*inner] }
			clear(total)
			for i := range n {
				kernel.MulAdd(total, row(y, i), row(g, i))
			}
			for i := range n {
				kernel.Sub(row(dx, i), row(g, i), total)
				kernel.Mul(row(dx, i), row(dx, i), row(y, i))
			}
		}
	}), nil
})
