package cpu

import (
	"math"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Rotate, plan.Kernel{In: plan.Strided, Out: plan.Strided, InPlace: map[int]int{0: 0}}, buildRotate)

// angles are the cosines and sines of every position and pair, for the offset that they were computed with.
type angles struct {
	attrs    op.RotateAttrs
	offset   []int32
	computed bool
	at       int32
	cos, sin []float32
}

// update computes the tables again when the offset has changed.
func (t *angles) update() {
	if t.computed && t.at == t.offset[0] {
		return
	}
	t.computed, t.at = true, t.offset[0]
	pairs := len(t.attrs.Frequencies)
	for i := range len(t.cos) / pairs {
		position := float64(t.at) + float64(i)
		for k, f := range t.attrs.Frequencies {
			sin, cos := math.Sincos(position * f)
			t.sin[i*pairs+k], t.cos[i*pairs+k] = float32(t.attrs.Scale*sin), float32(t.attrs.Scale*cos)
		}
	}
}

func buildRotate(c *compilation, s *plan.Step) (call, error) {
	a := s.Attrs.(op.RotateAttrs)
	x, y := c.tensor(s.In[0]), c.tensor(s.Out[0])
	table := c.angles(a, x.shape[a.Seq], s.In[1:])
	pairs := len(a.Frequencies)
	var rows kernel.RotateRows
	dims := 0
	fits := x.strides[a.Axis] == 1 && y.strides[a.Axis] == 1
	for i, n := range x.shape {
		if i == a.Axis || n == 1 && i != a.Seq {
			continue
		}
		if dims == kernel.RotateDims {
			fits = false
			break
		}
		if i == a.Seq {
			rows.Position = dims
		}
		rows.Counts[dims], rows.X[dims], rows.Dst[dims] = n, x.strides[i], y.strides[i]
		dims++
	}
	if !fits {
		return rotateAny(c, a, x, y, table), nil
	}
	for ; dims < kernel.RotateDims; dims++ {
		rows.Counts[dims] = 1
	}
	r := kernel.Rotation{Cos: table.cos, Sin: table.sin, Pairs: pairs, Halves: a.Halves, Inverse: a.Inverse}
	return serial(func() error {
		table.update()
		kernel.Rotate(c.pool, r, rows, y.data, x.data)
		return nil
	}), nil
}

// angles are the tables for the attributes, shared by all rotations of the program that turn alike.
func (c *compilation) angles(a op.RotateAttrs, positions int, rest []*plan.Value) *angles {
	offset := c.offset(rest)
	for _, t := range c.tables {
		same := len(rest) > 0 && &t.offset[0] == &offset[0] || len(rest) == 0 && t.offset[0] == 0 && t.fixed
		if same && t.positions == positions && sameAngles(t.attrs, a) {
			return t.angles
		}
	}
	n := positions * len(a.Frequencies)
	t := &angles{attrs: a, offset: offset, cos: make([]float32, n), sin: make([]float32, n)}
	c.tables = append(c.tables, angleTable{t, positions, len(rest) == 0})
	return t
}

// angleTable is a table of angles with what it was made for.
type angleTable struct {
	*angles
	positions int
	fixed     bool // without an offset
}

func sameAngles(a, b op.RotateAttrs) bool {
	if a.Scale != b.Scale || len(a.Frequencies) != len(b.Frequencies) {
		return false
	}
	for i := range a.Frequencies {
		if a.Frequencies[i] != b.Frequencies[i] {
			return false
		}
	}
	return true
}

// rotateAny turns features that don't lie side by side, or rows along more axes than the loops know.
func rotateAny(c *compilation, a op.RotateAttrs, x, y tensor, table *angles) call {
	pairs := len(a.Frequencies)
	// Walk all axes but the features'.
	sizes := append(op.Shape{}, x.shape...)
	sizes[a.Axis] = 1
	total := sizes.Size()
	xStep, yStep := x.strides[a.Axis], y.strides[a.Axis]
	return sequence{
		serial(func() error { table.update(); return nil }),
		c.slices(total, 5*float64(pairs), func(from, to, _ int) {
			for i := from; i < to; i++ {
				rest, xo, yo, position := i, 0, 0, 0
				for d := len(sizes) - 1; d >= 0; d-- {
					at := rest % sizes[d]
					rest /= sizes[d]
					xo, yo = xo+at*x.strides[d], yo+at*y.strides[d]
					if d == a.Seq {
						position = at
					}
				}
				for k := range pairs {
					one, two := 2*k, 2*k+1
					if a.Halves {
						one, two = k, k+pairs
					}
					cos, sin := table.cos[position*pairs+k], table.sin[position*pairs+k]
					if a.Inverse {
						sin = -sin
					}
					p, q := x.data[xo+one*xStep], x.data[xo+two*xStep]
					y.data[yo+one*yStep] = p*cos - q*sin
					y.data[yo+two*yStep] = p*sin + q*cos
				}
			}
		}),
	}
}
