package cpu

import (
	"slices"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Storages that kernels read as they were put into the store: where they lie, in their format. Products do (Dot, GroupedDot), and
// Embed; other operations get a copy, widened by a step that the plan adds.

// target is what the backend has kernels for, with the storages as they lie.
func (s *store) target() plan.Target {
	t := target()
	t.Storage, t.Reads, t.Together = s.held, s.reads, runTogether
	return t
}

// held tells the plan how a storage lies.
func (s *store) held(name string) plan.Held {
	st := s.storages[name]
	if st == nil {
		return plan.Held{}
	}
	return plan.Held{Strides: st.strides, Packed: st.data == nil, Fixed: st.fixed}
}

// heldView is a view of a storage.
type heldView struct {
	*storage
	offset  int
	shape   op.Shape
	strides []int
}

// view finds the storage that a value lies in, if it does.
func (s *store) view(v *plan.Value) (heldView, bool) {
	if v.Buffer.Kind != plan.Storage || v.Dtype != op.Float {
		return heldView{}, false
	}
	st := s.storages[v.Buffer.Name]
	return heldView{st, v.Offset, v.Shape, v.Strides}, st != nil
}

func (st *storage) packed() bool { return st.data == nil }

// pieceSize is the number of values of each piece.
func (st *storage) pieceSize() int { return st.pieces[0].rows * st.pieces[0].columns }

// reads reports whether a step reads its k-th input, a view of a packed storage, where it is.
func (s *store) reads(step *plan.Step, k int) bool {
	held, ok := s.view(step.In[k])
	if !ok {
		return false
	}
	switch step.Op {
	case op.Dot:
		d, ok := s.dotOperands(step)
		return ok && d.weight == k && d.readable()
	case op.GroupedDot:
		g, ok := s.groupOperands(step)
		return ok && k == 1 && g.readable() && !g.gaps()
	case op.Embed:
		return k == 1 && held.strides[1] == 1
	}
	return false
}

// fill copies values that lie stride apart, from one on, widened.
func (st *storage) fill(dst []float32, at, stride int) {
	size := st.pieceSize()
	p := &st.pieces[at/size]
	from := at % size
	if stride == 1 && from+len(dst) <= size {
		switch p.format {
		case kernel.Float32:
			copy(dst, p.float32s[from:])
			return
		case kernel.BFloat16:
			kernel.WidenBFloat16(dst, p.halves[from:from+len(dst)])
			return
		}
	}
	for i := range dst {
		dst[i] = st.stored.Pieces[at/size].At(at % size)
		at += stride
	}
}

// widen copies a view of a packed storage.
func (c *compilation) widen(from heldView, to tensor) call {
	shape, in, out := slices.Clone(from.shape), slices.Clone(from.strides), slices.Clone(to.strides)
	if len(shape) == 0 {
		shape, in, out = op.Shape{1}, []int{1}, []int{1}
	}
	last := len(shape) - 1
	width := shape[last]
	rows := shape[:last].Size()
	lines := make([][]float32, c.pool.Threads())
	return c.slices(rows, 2*float64(width), func(first, end, worker int) {
		for row := first; row < end; row++ {
			x, y, rest := from.offset, 0, row
			for i := last - 1; i >= 0; i-- {
				index := rest % shape[i]
				rest /= shape[i]
				x, y = x+index*in[i], y+index*out[i]
			}
			if out[last] == 1 {
				from.fill(to.data[y:y+width], x, in[last])
				continue
			}
			if lines[worker] == nil {
				lines[worker] = make([]float32, width)
			}
			from.fill(lines[worker], x, in[last])
			for i, v := range lines[worker] {
				to.data[y+i*out[last]] = v
			}
		}
	})
}

// embedPacked gathers rows of a packed table.
func (c *compilation) embedPacked(table heldView, ids []int32, y []float32) call {
	rows, d := table.shape[0], table.shape[1]
	return c.slices(len(ids), 10+float64(d), func(from, to, _ int) {
		for i := from; i < to; i++ {
			if id := int(ids[i]); id >= 0 && id < rows {
				table.fill(y[i*d:(i+1)*d], table.offset+id*table.strides[0], 1)
			} else {
				clear(y[i*d : (i+1)*d])
			}
		}
	})
}
