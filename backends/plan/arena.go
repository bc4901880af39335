package plan

import (
	"fmt"
	"slices"
)

// line is the number of values in a cache line; buffers begin on one.
const line = 16

func aligned(n int) int { return (n + line - 1) / line * line }

// arena gives every buffer its offset, in one of two ways, whichever needs less.
func (p *Plan) arena() {
	p.inTime()
	if p.ArenaSize > p.LiveSize && len(p.Buffers) <= mostBySize {
		p.bySize()
	}
}

// inTime goes from step to step: what dies makes room, what is born takes the smallest hole that holds it.
func (p *Plan) inTime() {
	born := make([][]*Buffer, len(p.Steps)+1)
	dead := make([][]*Buffer, len(p.Steps)+1)
	for _, b := range p.Buffers {
		if b.Kind == Storage {
			continue
		}
		if b.Kind == Input {
			b.First, b.Last = 0, len(p.Steps)
		}
		born[b.First] = append(born[b.First], b)
		dead[b.Last] = append(dead[b.Last], b)
	}
	var h holes
	live := int64(0)
	for i := range born {
		// Inputs lie at the front, then larger before smaller.
		slices.SortStableFunc(born[i], func(x, y *Buffer) int {
			if x.Kind != y.Kind {
				return int(y.Kind) - int(x.Kind)
			}
			return y.Size - x.Size
		})
		for _, b := range born[i] {
			b.Offset = h.take(aligned(b.Size))
			live += int64(aligned(b.Size))
		}
		p.LiveSize = max(p.LiveSize, live)
		for _, b := range dead[i] {
			h.give(b.Offset, aligned(b.Size))
			live -= int64(aligned(b.Size))
		}
	}
	p.ArenaSize = int64(h.top)
}

// mostBySize is the most buffers that are placed by size, which takes time that grows with their square.
const mostBySize = 5000

// bySize places buffers from the largest to the smallest, each at the lowest offset where nothing lies that lives at the same time: the
// large ones, which make the gaps, find each other first. The offsets are kept if they make a smaller arena.
func (p *Plan) bySize() {
	order := make([]*Buffer, 0, len(p.Buffers))
	for _, b := range p.Buffers {
		if b.Kind != Storage && b.Size > 0 {
			order = append(order, b)
		}
	}
	slices.SortStableFunc(order, func(x, y *Buffer) int {
		if x.Kind != y.Kind {
			return int(y.Kind) - int(x.Kind) // inputs live all the time: at the front
		}
		return y.Size - x.Size
	})
	offsets, top := make([]int, len(order)), 0
	placed := make([]int, 0, len(order)) // by offset
	for i, b := range order {
		at, size := 0, aligned(b.Size)
		for _, j := range placed {
			c := order[j]
			if b.First > c.Last || c.First > b.Last {
				continue
			}
			if at+size <= offsets[j] {
				break
			}
			at = max(at, offsets[j]+aligned(c.Size))
		}
		if top = max(top, at+size); int64(top) >= p.ArenaSize {
			return
		}
		offsets[i] = at
		k, _ := slices.BinarySearchFunc(placed, at, func(j, at int) int { return offsets[j] - at })
		placed = slices.Insert(placed, k, i)
	}
	for i, b := range order {
		b.Offset = offsets[i]
	}
	p.ArenaSize = int64(top)
}

// holes are the free parts of an arena below top, in order and never adjacent.
type holes struct {
	free []hole
	top  int
}

type hole struct{ offset, size int }

// take finds room: the smallest hole that is large enough, else at the top.
func (h *holes) take(size int) int {
	if size == 0 {
		return 0
	}
	best := -1
	for i, f := range h.free {
		if f.size >= size && (best < 0 || f.size < h.free[best].size) {
			best = i
		}
	}
	if best < 0 {
		offset := h.top
		if n := len(h.free); n > 0 && h.free[n-1].offset+h.free[n-1].size == h.top {
			// The last hole reaches the top: grow from it.
			offset = h.free[n-1].offset
			h.free = h.free[:n-1]
		}
		h.top = offset + size
		return offset
	}
	f := &h.free[best]
	offset := f.offset
	f.offset += size
	f.size -= size
	if f.size == 0 {
		h.free = slices.Delete(h.free, best, best+1)
	}
	return offset
}

// give returns a part, joined with the holes next to it.
func (h *holes) give(offset, size int) {
	if size == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(h.free, offset, func(f hole, at int) int { return f.offset - at })
	h.free = slices.Insert(h.free, i, hole{offset, size})
	if i+1 < len(h.free) && offset+size == h.free[i+1].offset {
		h.free[i].size += h.free[i+1].size
		h.free = slices.Delete(h.free, i+1, i+2)
	}
	if i > 0 && h.free[i-1].offset+h.free[i-1].size == offset {
		h.free[i-1].size += h.free[i].size
		h.free = slices.Delete(h.free, i, i+1)
	}
}

// Verify reports buffers that live at the same time and overlap, values that reach beyond their buffer, and steps that read a buffer
// before anything was written there.
func (p *Plan) Verify() error {
	var live []*Buffer
	order := slices.Clone(p.Buffers)
	slices.SortStableFunc(order, func(x, y *Buffer) int { return x.First - y.First })
	for _, b := range order {
		if b.Kind == Storage || b.Size == 0 {
			continue
		}
		kept := live[:0]
		for _, c := range live {
			if c.Last < b.First {
				continue
			}
			kept = append(kept, c)
			if b.Offset < c.Offset+c.Size && c.Offset < b.Offset+b.Size {
				return fmt.Errorf("plan: buffers %d (steps %d to %d) and %d (steps %d to %d) overlap", c.ID, c.First, c.Last, b.ID, b.First, b.Last)
			}
		}
		live = append(kept, b)
		if int64(b.Offset+b.Size) > p.ArenaSize {
			return fmt.Errorf("plan: buffer %d ends behind the arena", b.ID)
		}
	}
	written := map[*Buffer]bool{}
	for i, s := range p.Steps {
		for _, v := range s.In {
			if err := p.verifyValue(s, v, i); err != nil {
				return err
			}
			if v.Buffer.Kind == Arena && !written[v.Buffer] && v.Shape.Size() > 0 {
				return at(s.Node, "step %d (%s) reads buffer %d before it is written", i, s.Op.Name, v.Buffer.ID)
			}
		}
		for _, v := range s.Out {
			if err := p.verifyValue(s, v, i); err != nil {
				return err
			}
			if v.Buffer.Kind == Input {
				return at(s.Node, "step %d (%s) writes to input %s", i, s.Op.Name, v.Buffer.Name)
			}
			written[v.Buffer] = true
		}
	}
	return nil
}

func (p *Plan) verifyValue(s *Step, v *Value, i int) error {
	if v.Buffer == nil || v.Buffer.into != nil {
		return at(s.Node, "step %d (%s) has a value without memory", i, s.Op.Name)
	}
	if i < v.Buffer.First || i > v.Buffer.Last {
		return at(s.Node, "step %d (%s) uses buffer %d, which lives from %d to %d", i, s.Op.Name, v.Buffer.ID, v.Buffer.First, v.Buffer.Last)
	}
	if v.Shape.Size() == 0 {
		return nil
	}
	last := v.Offset
	for k, n := range v.Shape {
		last += (n - 1) * v.Strides[k]
	}
	if v.Offset < 0 || last >= v.Buffer.Size {
		return at(s.Node, "step %d (%s) reaches entry %d of buffer %d, which has %d", i, s.Op.Name, last, v.Buffer.ID, v.Buffer.Size)
	}
	return nil
}
