package plan

import "slices"

// recompute makes values of the forward pass anew where the backward pass reads them, instead of keeping them until then: those that
// the recipe's plan names, and those that an operation only moves from a value that is kept anyhow (op.Moves). The steps are the same
// again, so the values are, bit for bit.
func (l *lowering) recompute() {
	users := l.users()
	for i := len(l.steps) - 1; i >= 0; i-- {
		s := l.steps[i]
		if s.backward() || s.Node == nil || len(s.Op.InPlace) > 0 || !s.Op.Moves && !s.Node.Place.Recompute {
			continue
		}
		var later []*Step
		kept := false
		for _, v := range s.Out {
			kept = kept || v.kept
			for _, u := range users[v] {
				if u.backward() {
					later = append(later, u)
				}
			}
		}
		if kept || len(later) == 0 {
			continue
		}
		first := later[0]
		for _, u := range later {
			if u.index < first.index {
				first = u
			}
		}
		if !s.Node.Place.Recompute && s.prolongs(first, users) >= s.made() {
			continue
		}
		l.again(s, first, later, users)
	}
}

// backward reports whether a step is of the backward pass, or repeats one for it.
func (s *Step) backward() bool { return s.repeats || s.Node != nil && s.Node.Gradient }

// made is the size of what a step makes.
func (s *Step) made() int {
	n := 0
	for _, v := range s.Out {
		n += v.Shape.Size()
	}
	return n
}

// prolongs is the size of the step's operands that would not live until a later step without it.
func (s *Step) prolongs(until *Step, users map[*Value][]*Step) int {
	n := 0
	for _, v := range s.In {
		src := v.source()
		if src.step == nil || src.kept {
			continue
		}
		if !slices.ContainsFunc(users[src], func(u *Step) bool { return u.index >= until.index }) {
			n += src.Shape.Size()
		}
	}
	return n
}

// again repeats a step before another one, for some of its users.
func (l *lowering) again(s, before *Step, later []*Step, users map[*Value][]*Step) {
	r := &Step{Op: s.Op, Attrs: s.Attrs, In: slices.Clone(s.In), Node: s.Node, kernel: s.kernel, repeats: true}
	for _, v := range s.Out {
		r.Out = append(r.Out, &Value{Shape: v.Shape, Dtype: v.Dtype, step: r})
	}
	shown := map[*Value]*Value{}
	for k, v := range s.Out {
		shown[v] = r.Out[k]
	}
	// instead is what shows of the repeated values what v shows of the first ones.
	var instead func(v *Value) *Value
	instead = func(v *Value) *Value {
		if w := shown[v]; w != nil || v.view == nil {
			return w
		}
		of := instead(v.view.of)
		if of == nil {
			return nil
		}
		w := &Value{Shape: v.Shape, Dtype: v.Dtype, view: &view{of, v.view.op, v.view.attrs, v.view.index}}
		l.views = append(l.views, w)
		shown[v] = w
		return w
	}
	for _, u := range later {
		for k, v := range u.In {
			if w := instead(v); w != nil {
				u.In[k] = w
				users[w.source()] = append(users[w.source()], u)
			}
		}
	}
	for _, v := range s.Out {
		users[v] = slices.DeleteFunc(users[v], func(u *Step) bool { return slices.Contains(later, u) })
	}
	for _, v := range r.In {
		users[v.source()] = append(users[v.source()], r)
	}
	l.steps = slices.Insert(l.steps, before.index, r)
	for i := before.index; i < len(l.steps); i++ {
		l.steps[i].index = i
	}
}
