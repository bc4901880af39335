package plan

import (
	"forge/compiler/op"
)

// reuse lets values share memory: updates are written into their storages where no later step needs the old value, and outputs take
// over inputs that nothing reads afterwards.
func (a *layout) reuse(p *Plan) {
	p.survey()
	for _, b := range p.Buffers {
		switch b.Kind {
		case Storage:
			p.StoreSize += int64(b.Size)
		default:
			p.UnplannedSize += int64(b.Size)
		}
	}
	if !a.target.KeepAll {
		a.updateInPlace(p)
		p.survey()
		p.takeOver()
	}
	p.settle()
	p.survey()
	if a.target.KeepAll {
		for _, b := range p.Buffers {
			b.Last = len(p.Steps)
		}
	}
}

// survey lists the buffers in the order of their first use and finds when each lives: what a step of a region touches lives from the
// region's first to its last step.
func (p *Plan) survey() {
	p.regions()
	ends := p.regionEnds()
	seen := map[*Buffer]bool{}
	p.Buffers = p.Buffers[:0]
	touch := func(v *Value, first, last int) *Buffer {
		b := v.Buffer.root()
		if !seen[b] {
			seen[b] = true
			b.ID, b.First, b.Last = len(p.Buffers), first, last
			p.Buffers = append(p.Buffers, b)
		}
		b.Last = max(b.Last, last)
		return b
	}
	for _, v := range append(append([]*Value{}, p.Inputs...), p.Storages...) {
		touch(v, 0, 0).Last = len(p.Steps)
	}
	for i, s := range p.Steps {
		s.index = i
		for _, v := range s.In {
			touch(v, s.Region, ends[i])
		}
		for _, v := range s.Out {
			touch(v, s.Region, ends[i])
		}
	}
	for _, o := range p.Outputs {
		touch(o.Value, len(p.Steps), len(p.Steps))
	}
}

// updateInPlace drops the copies into storages whose new value can be written there in the first place.
func (a *layout) updateInPlace(p *Plan) {
	readers := map[*Buffer][]*Step{}
	for _, s := range p.Steps {
		for _, v := range s.In {
			if v.Buffer.Kind == Storage {
				readers[v.Buffer] = append(readers[v.Buffer], s)
			}
		}
	}
	dropped := map[*Step]bool{}
	for _, f := range a.finals {
		b := f.value.Buffer
		if b.Kind != Arena || b.into != nil || !whole(f.value) {
			continue
		}
		ok := true
		for _, s := range readers[f.storage.Buffer] {
			ok = ok && (s.index < b.First || s.index == b.First && s.worksInPlace(f.value, f.storage.Buffer))
		}
		if ok {
			b.into = f.storage.Buffer
			dropped[f.step] = true
		}
	}
	p.Steps = without(p.Steps, dropped)
}

// takeOver gives an output the memory of an input that the step reads last.
func (p *Plan) takeOver() {
	for i, s := range p.Steps {
		for _, v := range s.Out {
			b := v.Buffer.root()
			if b.Kind != Arena || b.First != i || !whole(v) || b.Size == 0 {
				continue
			}
			for _, in := range s.In {
				x := in.Buffer.root()
				if x.Kind == Arena && x != b && x.Last == i && x.Size == b.Size && s.worksInPlace(v, x) {
					b.into = x
					x.Last = b.Last
					break
				}
			}
		}
	}
}

// whole reports whether a value fills its buffer.
func whole(v *Value) bool {
	return v.Offset == 0 && v.Contiguous() && v.Shape.Size() == v.Buffer.root().Size
}

// worksInPlace reports whether a step may write an output of its own to the buffer x, which some of its inputs lie in.
func (s *Step) worksInPlace(out *Value, x *Buffer) bool {
	o := -1
	for k, v := range s.Out {
		switch {
		case v == out:
			o = k
		case v.Buffer.root() == x:
			return false
		}
	}
	if o < 0 {
		return false
	}
	readers := 0
	for k, v := range s.In {
		if v.Buffer.root() != x {
			continue
		}
		readers++
		if !whole(v) || !s.inPlace(o, k) {
			return false
		}
	}
	return readers == 1 || s.Op == op.Map || s.Op == op.Add
}

// inPlace reports whether output o may be the same memory as input k.
func (s *Step) inPlace(o, k int) bool {
	switch s.Op {
	case op.Map:
		a := s.Attrs.(op.MapAttrs)
		return a.In[k] == a.Out
	case op.Add:
		return !s.Accumulate
	}
	if at, ok := s.Op.InPlace[o]; ok && at == k {
		return true
	}
	at, ok := s.kernel.InPlace[o]
	return ok && at == k
}

// settle points all values at the buffers that their memory ended up in.
func (p *Plan) settle() {
	settle := func(vs []*Value) {
		for _, v := range vs {
			if v.Buffer != nil {
				v.Buffer = v.Buffer.root()
			}
		}
	}
	for _, s := range p.Steps {
		settle(s.In)
		settle(s.Out)
	}
	for _, o := range p.Outputs {
		settle([]*Value{o.Value})
	}
	for _, vs := range p.values {
		settle(vs)
	}
}
