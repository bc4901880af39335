package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.SumSquares, plan.Kernel{}, func(c *compilation, s *plan.Step) (call, error) {
	const most = 16 << 10 // entries a piece
	var pieces [][]float32
	for _, v := range s.In {
		for x := c.floats(v); len(x) > 0; {
			n := min(most, len(x))
			pieces, x = append(pieces, x[:n]), x[n:]
		}
	}
	y, partial := c.floats(s.Out[0]), make([]float32, len(pieces))
	return sequence{
		c.slices(len(pieces), 0.1*most, func(from, to, _ int) {
			for i := from; i < to; i++ {
				partial[i] = kernel.SumSquares(pieces[i])
			}
		}),
		serial(func() error {
			total := 0.0
			for _, v := range partial {
				total += float64(v)
			}
			y[0] = float32(total)
			return nil
		}),
	}, nil
})
