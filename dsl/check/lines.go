package check

import (
	"fmt"

	"forge/dsl"
	"forge/dsl/diag"
)

// The lines of a body: what each gives, and what is asked of it.

func (w *walker) attribute(p *Param) Value {
	if w.built != nil {
		if v, ok := w.built.Attrs[p.Name]; ok {
			return v
		}
		return bad
	}
	return w.symbolic(p)
}

func (w *walker) weight(e *entry, s *dsl.Weight) Value {
	if w.guardedOut(e, s.Guard) {
		return bad
	}
	axes, ok := w.declared(&s.Shape)
	if !ok {
		return bad
	}
	init, ok := w.init(s.Init)
	if !ok {
		return bad
	}
	w.body.Weights = append(w.body.Weights, &Weight{Name: s.Name.Name, Axes: axes, Init: init, Span: s.Name.Span.To(s.Shape.Span)})
	return w.leaf(e, "weight", axes, &s.Shape)
}

func (w *walker) leaf(e *entry, op string, axes []*Axis, shape *dsl.Shape) Value {
	n := w.emit(&Node{Op: op, Name: e.id.Name, Axes: axes, Span: e.id.Span})
	t := &tensor{node: n, axes: axes, at: e.id.Span}
	if w.built == nil {
		t.from = make(map[*Axis]diag.Span, len(axes))
		for i, a := range axes {
			t.from[a] = shape.Axes[i].Span
		}
	}
	return t
}

// guardedOut decides a guard; a false one makes the name absent.
func (w *walker) guardedOut(e *entry, guard dsl.Expr) bool {
	if guard == nil {
		return false
	}
	switch v := w.condition(guard).(type) {
	case Bool:
		e.absent = !bool(v)
	case badValue:
		return true
	default:
		w.fail(diag.New("E300", guard.At(), "this is not known before the block is built", "a guard is made of switches").
			Helpf("switches are the block's `bool` attributes, and those that may be `none`, tested by `== none` and `!= none`"))
		return true
	}
	return e.absent
}

// init evaluates a weight's `~ init`.
func (w *walker) init(x dsl.Expr) (*Init, bool) {
	if x == nil {
		return nil, true
	}
	switch v := w.expr(x).(type) {
	case *Record:
		if v.Type == "init" {
			in := &Init{Kind: v.Builder}
			in.Std, _ = number(v.Attrs["std"])
			in.Mean, _ = number(v.Attrs["mean"])
			return in, true
		}
		w.fail(diag.New("E300", x.At(), "this is "+typeName(v), "a weight starts with `normal(…)`, `ones()` or `zeros()`"))
	case unknownValue:
		return nil, w.built == nil
	case badValue:
	default:
		w.fail(diag.New("E300", x.At(), "this is "+w.kindOf(v), "a weight starts with `normal(…)`, `ones()` or `zeros()`"))
	}
	return nil, false
}

func (w *walker) stateTensor(e *entry, s *dsl.State) Value {
	if w.guardedOut(e, s.Guard) {
		return bad
	}
	axes, ok := w.declared(&s.Shape)
	if !ok {
		return bad
	}
	v := w.expr(s.Value)
	f, isNumber := number(v)
	switch v.(type) {
	case badValue:
		return bad
	case unknownValue, *symNumber:
	default:
		if !isNumber {
			w.fail(diag.New("E300", s.Value.At(), "this is "+w.kindOf(v), "a state starts with a number"))
			return bad
		}
	}
	w.body.States = append(w.body.States, &State{Name: s.Name.Name, Axes: axes, Value: f, Span: s.Name.Span.To(s.Shape.Span)})
	return w.leaf(e, "state", axes, &s.Shape)
}

// part evaluates a part's line: a block, or none.
func (w *walker) part(e *entry, s *dsl.Part) Value {
	v := w.expr(s.Value)
	p := &Part{Name: s.Name.Name, Span: s.Name.Span}
	value := &partValue{entry: e, part: p}
	switch v := v.(type) {
	case badValue:
		return bad
	case Nothing:
		e.absent = true
		return v
	case *Built:
		p.Built = v.canonical()
		value.block = &symBlock{name: v.Def.Name, def: v.Def}
		value.promised = w.promise(s.Value, p.Built)
	case *symBlock:
		value.block = v
	case unknownValue:
		value.block = &symBlock{name: s.Name.Name}
	default:
		w.fail(diag.New("E300", s.Value.At(), "this is "+w.kindOf(v), "a part is a block, or `none`"))
		return bad
	}
	if s.Bank != nil {
		if len(s.Bank.Axes) != 1 {
			w.fail(diag.New("E201", s.Bank.Span, "", "a bank has one axis, whose entries are its blocks"))
			return bad
		}
		if p.Bank = w.axis(s.Bank.Axes[0]); p.Bank == nil {
			return bad
		}
		if p.Bank.Runtime() {
			w.fail(diag.New("E210", s.Bank.Axes[0].Span, "", "a bank can't lie along `%s`", p.Bank.Name))
			return bad
		}
	}
	w.body.Parts = append(w.body.Parts, p)
	return value
}

// promise gives the signature stated for the attribute that a part is built from, nil if none is.
func (w *walker) promise(x dsl.Expr, b *Built) *symBlock {
	var s *symBlock
	visitNames(x, func(n *dsl.Name) {
		p := w.def.param(n.Name)
		if p == nil || w.built.Attrs[n.Name] != Value(b) {
			return
		}
		if in, out := p.Type.signature(); out != nil {
			s = &symBlock{name: n.Name, in: in, out: out}
		}
	})
	return s
}

// equation evaluates a line `a, b: [axes] = value` and gives the value of the name asked for.
func (w *walker) equation(s *dsl.Equation, asked *entry) Value {
	v := w.several(s.Value, len(s.Names))
	switch v.(type) {
	case *BlockDef, *builder:
		at := s.Value.At()
		v = w.fail(diag.New("E300", at, "write `"+sourceText(w.c, at)+"(…)`", "`%s` is %s", s.Names[0].Name, w.kindOf(v)))
	}
	set := func(id dsl.Ident, v Value) Value {
		if t, ok := v.(*tensor); ok && t.node.Name == "" {
			t.node.Name = id.Name
		}
		if e := w.lines[id.Name]; e.state != checked {
			e.state, e.value = checked, v
		}
		return v
	}
	switch p, isPieces := v.(*pieces); {
	case isBad(v):
	case isPieces && len(p.parts) == len(s.Names) && len(s.Names) > 1:
		for i, id := range s.Names {
			if s.Shape != nil {
				p.parts[i] = w.stated(s, id, p.parts[i])
			}
			if p.parts[i] == nil {
				set(id, bad)
				continue
			}
			set(id, p.parts[i])
		}
		return asked.value
	case isPieces:
		w.fail(diag.New("E215", namesSpan(s.Names), counted(len(s.Names), "name"), "%s on the right",
			counted(len(p.parts), "tensor")).Note(s.Value.At(), "this gives %s", counted(len(p.parts), "tensor")))
		v = bad
	case len(s.Names) > 1:
		w.fail(diag.New("E215", namesSpan(s.Names), counted(len(s.Names), "name"), "one value on the right").
			Helpf("only `split` and `take` give several tensors"))
		v = bad
	case s.Shape != nil:
		t, isTensor := v.(*tensor)
		if !isTensor {
			w.fail(diag.New("E203", s.Shape.Span, "", "`%s` has no axes: it is %s", s.Names[0].Name, w.kindOf(v)))
			v = bad
			break
		}
		if t = w.stated(s, s.Names[0], t); t == nil {
			v = bad
		} else {
			v = t
		}
	}
	for _, id := range s.Names {
		set(id, v)
	}
	return v
}

func namesSpan(ids []dsl.Ident) diag.Span { return ids[0].Span.To(ids[len(ids)-1].Span) }

// stated checks a tensor against the axes stated for it and puts them in that order; nil if they are others.
func (w *walker) stated(s *dsl.Equation, id dsl.Ident, t *tensor) *tensor {
	axes := w.shape(s.Shape)
	if axes == nil {
		return nil
	}
	if sameAxes(axes, t.axes) {
		return &tensor{node: t.node, axes: axes, from: t.from, at: t.at}
	}
	d := diag.New("E203", s.Shape.Span, "stated here", "`%s` should be %s but is %s", id.Name, w.text(axes), w.text(t.axes))
	w.difference(d, s.Value.At(), axes, t)
	w.fail(d)
	return nil
}

// difference labels what a value has too much or too little.
func (w *walker) difference(d *diag.Diagnostic, at diag.Span, want []*Axis, t *tensor) {
	extra, missing := without(t.axes, want...), without(want, t.axes...)
	if len(extra) > 0 {
		d.Note(at, "%s", w.tooMuch(extra, missing))
		w.noteOrigins(d, t, extra)
		return
	}
	d.Note(at, "lacks %s", w.quoted(missing))
}

// tooMuch says what to do about axes that a value should not have: one of the size of the only axis that is missing is that axis
// under another name.
func (w *walker) tooMuch(extra, missing []*Axis) string {
	if len(extra) == 1 && len(missing) == 1 && w.entries(extra[0]).equal(w.entries(missing[0])) == yes {
		return fmt.Sprintf("has `%[1]s` for `%[2]s`: `rename[%[1]s -> %[2]s](…)`", w.nameOf(extra[0]), w.nameOf(missing[0]))
	}
	return "still has " + w.quoted(extra) + ": contract or sum it"
}

// result evaluates the `return` line and checks its shape.
func (w *walker) result(s *dsl.Return) {
	want := w.shape(&w.def.Decl.Result)
	t := w.tensor(s.Value)
	if t == nil || want == nil {
		w.body.bad = true
		return
	}
	w.body.OutAxes = want
	if !sameAxes(want, t.axes) {
		d := diag.New("E202", s.Value.At(), "", "what `%s` returns should be %s but is %s", w.def.Name, w.text(want), w.text(t.axes)).
			Note(w.def.Decl.Result.Span, "declared here")
		w.gaps = append(w.gaps, gap{without(t.axes, want...), without(want, t.axes...)})
		if extra := without(t.axes, want...); len(extra) > 0 {
			d.Labels[0].Text = w.tooMuch(extra, without(want, t.axes...))
			w.noteOrigins(d, t, extra)
		} else {
			d.Labels[0].Text = "lacks " + w.quoted(without(want, t.axes...))
		}
		w.fail(d)
		return
	}
	w.body.Out = t.node
}

// effect evaluates an update, loss or metric; one whose value is none does not exist.
func (w *walker) effect(s *dsl.Effect) {
	w.optional, _ = dsl.Unparen(s.Value).(*dsl.Cond)
	v := w.expr(s.Value)
	w.optional = nil
	if isBad(v) || isNone(v) {
		if isBad(v) && s.Kind == "update" {
			w.use(s.Name.Name)
		}
		return
	}
	t := w.asTensor(v, s.Value.At())
	if t == nil {
		return
	}
	if s.Kind == "update" {
		e := w.use(s.Name.Name)
		if e == nil || e.kind != "state" {
			what := "`" + s.Name.Name + "` is no state of this block"
			label, near := didYouMean(s.Name.Name, w.namesOf("state"))
			d := diag.New("E100", s.Name.Span, label, "%s", what).Helpf("only a state is changed by `update`")
			if near != "" {
				d.FixWith(s.Name.Span, near)
			}
			w.fail(d)
			return
		}
		state, ok := w.valueOf(e).(*tensor)
		if !ok {
			w.absent(e, s.Name)
			return
		}
		if !sameAxes(state.axes, t.axes) {
			d := diag.New("E214", s.Value.At(), "", "the new value of `%s` should be %s but is %s", s.Name.Name, w.text(state.axes), w.text(t.axes)).
				Note(e.id.Span, "declared here")
			if extra := without(t.axes, state.axes...); len(extra) > 0 {
				d.Labels[0].Text = "still has " + w.quoted(extra)
				d.Helpf("`mean[..]`, `sum[..]`, `max[..]` and `min[..]` see the whole batch of the step")
			} else {
				d.Labels[0].Text = "lacks " + w.quoted(without(state.axes, t.axes...))
			}
			w.fail(d)
			return
		}
	}
	w.body.Effects = append(w.body.Effects, &Effect{Kind: s.Kind, Name: s.Name.Name, Value: t.node, Span: s.Span})
}

func (w *walker) namesOf(kind string) []string {
	var names []string
	for _, e := range w.order {
		if e.kind == kind {
			names = append(names, e.id.Name)
		}
	}
	return names
}
