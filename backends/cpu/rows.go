package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// sliced is a call whose work is n items, cut into parts that the threads share.
type sliced struct {
	pool     *kernel.Pool
	n, parts int
	f        func(from, to, worker int)
}

// slices is a call of f over n items that take some nanoseconds each. The parts depend on sizes only.
func (c *compilation) slices(n int, nanoseconds float64, f func(from, to, worker int)) *sliced {
	return &sliced{c.pool, n, c.parts(n, nanoseconds), f}
}

func (s *sliced) Do(part, worker int) {
	from, to := bounds(s.n, s.parts, part)
	s.f(from, to, worker)
}

func (s *sliced) run() error {
	s.pool.RunTask(s.parts, s)
	return nil
}

// serial is a call on one thread.
type serial func() error

func (f serial) run() error { return f() }

// sequence runs calls one after the other.
type sequence []call

func (s sequence) run() error {
	for _, c := range s {
		if err := c.run(); err != nil {
			return err
		}
	}
	return nil
}

// around gives the sizes before, of and behind an axis of a contiguous tensor: entry (o, i, k) is at (o·n + i)·inner + k.
func around(s op.Shape, axis int) (outer, n, inner int) {
	return s[:axis].Size(), s[axis], s[axis+1:].Size()
}

// matrixOf gives the number of rows of a contiguous tensor and their length, the last axis.
func matrixOf(s op.Shape) (rows, width int) {
	last := len(s) - 1
	return s[:last].Size(), s[last]
}

// matrix is a value whose leading axes step like one, as rows of its last axis (plan.Matrices).
func (c *compilation) matrix(v *plan.Value) kernel.Matrix {
	last := len(v.Shape) - 1
	m := kernel.Matrix{Data: c.program.memory(v), Rows: v.Shape[:last].Size(), Cols: v.Shape[last], ColStride: 1}
	m.RowStride = m.Cols
	for i := last - 1; i >= 0; i-- {
		if v.Shape[i] != 1 {
			m.RowStride = v.Strides[i]
			break
		}
	}
	return m
}
