package plan

import (
	"forge/compiler/graph"
	"forge/compiler/op"
)

// layout gives values their buffers and strides, and the steps their final form.
type layout struct {
	target Target
	steps  []*Step
	finals []final
	node   *graph.Node
}

// final is the copy of a value into the storage that it updates, at the end of the steps.
type final struct {
	update
	step *Step
}

// plan lays out all values.
func (a *layout) plan(l *lowering) *Plan {
	p := &Plan{Name: l.name, Inputs: l.inputs, Storages: l.storages, FLOPs: l.flops, values: l.values}
	updated := map[*Value]bool{}
	for _, u := range l.updates {
		updated[u.storage] = true
	}
	// An output that shows a storage from before the run is copied before the storage changes.
	outputs := append([]Output{}, l.outputs...)
	for i, o := range outputs {
		if updated[o.Value.source()] {
			outputs[i].Value = a.copied(a.resolve(o.Value))
		}
	}
	for _, s := range l.steps {
		a.node = s.Node
		a.step(s)
	}
	a.node = nil
	for i, o := range outputs {
		outputs[i].Value = a.operand(o.Value, Contiguous)
	}
	p.Outputs = outputs
	if a.target.KeepAll {
		for _, v := range l.views {
			a.resolve(v)
		}
	}
	a.update(l.updates, updated)
	p.Steps = a.steps
	return p
}

// update appends the copies into the storages. A value that shows another updated storage is saved before that one changes.
func (a *layout) update(updates []update, updated map[*Value]bool) {
	var pending []update
	for _, u := range updates {
		v := a.resolve(u.value)
		if updated[v.source()] {
			if v.source() == u.storage && v.Contiguous() {
				continue // it keeps its value
			}
			v = a.copied(v)
		}
		pending = append(pending, update{u.storage, v})
	}
	for _, u := range pending {
		s := a.copy(u.value, u.storage)
		a.finals = append(a.finals, final{u, s})
	}
}

// step lays out a step's operands and results.
func (a *layout) step(s *Step) {
	if s.Op == join {
		a.join(s)
		return
	}
	for k, v := range s.In {
		want := s.kernel.In
		if v.Dtype == op.Int32 {
			want = Contiguous
		}
		s.In[k] = a.resolve(v)
		if !s.In[k].packed() {
			s.In[k] = a.operand(v, want)
		}
	}
	for _, v := range s.Out {
		a.locate(v)
	}
	for k, v := range s.In {
		if v.packed() && (a.target.Reads == nil || !a.target.Reads(s, k)) {
			s.In[k] = a.once(v)
		}
	}
	a.steps = append(a.steps, s)
}

// join copies what isn't in place yet and clears the gaps.
func (a *layout) join(s *Step) {
	attrs := s.Attrs.(joinAttrs)
	y := s.Out[0]
	a.locate(y)
	at := 0
	gap := func(to int) {
		if to > at {
			z := a.piece(y, attrs.Axis, at, to-at)
			a.steps = append(a.steps, &Step{Op: Zero, Out: []*Value{z}, Node: a.node})
		}
	}
	for k, v := range s.In {
		gap(attrs.Starts[k])
		if h := v.source().home; h == nil || h.in != y || h.axis < 0 {
			a.copy(a.resolve(v), a.piece(y, attrs.Axis, attrs.Starts[k], v.Shape[attrs.Axis]))
		}
		at = attrs.Starts[k] + v.Shape[attrs.Axis]
	}
	gap(y.Shape[attrs.Axis])
}

// piece is the view of n entries of an axis.
func (a *layout) piece(y *Value, axis, start, n int) *Value {
	shape := append(op.Shape{}, y.Shape...)
	shape[axis] = n
	v := &Value{Shape: shape, Dtype: y.Dtype, home: &home{in: y, axis: axis, start: start}}
	v.settle()
	return v
}

// copy appends a copy.
func (a *layout) copy(from, to *Value) *Step {
	s := &Step{Op: Copy, In: []*Value{from}, Out: []*Value{to}, Node: a.node}
	a.steps = append(a.steps, s)
	return s
}

// copied is a new contiguous copy of a value.
func (a *layout) copied(v *Value) *Value {
	c := &Value{Shape: v.Shape, Dtype: v.Dtype}
	a.locate(c)
	c.step = a.copy(v, c)
	return c
}

// contiguous is v or a contiguous copy of it, made once.
func (a *layout) contiguous(v *Value) *Value {
	if v.Contiguous() && !v.packed() {
		return v
	}
	return a.once(v)
}

// once is a contiguous copy, made once.
func (a *layout) once(v *Value) *Value {
	if v.twin == nil {
		v.twin = a.copied(v)
	}
	return v.twin
}

// operand is v in a layout that a kernel can read.
func (a *layout) operand(v *Value, want Layout) *Value {
	v = a.resolve(v)
	if within(v.Shape, v.Strides, want) && !v.packed() {
		return v
	}
	return a.once(v)
}

// packed reports whether a value that has its place lies in a packed storage.
func (v *Value) packed() bool { return v.Buffer.held.Packed }

// resolve finds where a view lies, copying what it is a view of if no strides express it.
func (a *layout) resolve(v *Value) *Value {
	if v.view == nil || v.Buffer != nil {
		return v
	}
	a.resolve(v.view.of)
	if !v.show() {
		v.view.of = a.contiguous(v.view.of)
		v.show()
	}
	return v
}

// locate gives a value that a step makes its place: in the value it is a part of, or in a buffer of its own.
func (a *layout) locate(v *Value) {
	switch {
	case v.Buffer != nil:
	case v.home != nil:
		a.locate(v.home.in)
		v.settle()
	default:
		v.Buffer = &Buffer{Kind: Arena, Size: v.Shape.Size()}
		v.Strides = rowMajor(v.Shape)
	}
}
