package check

import (
	"fmt"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// At the border of a block, axes bind by position from the right: `x[.., d]` binds d to the argument's last axis whatever its name.
// `batch`, `seq` and `key` in an input's shape bind by name (language.md section 7, rule 8).

// border is what the names of a header's inputs stand for in one application.
type border struct {
	bound map[string]*Axis
	order []string // the names in bound, as the header has them
	rest  []*Axis  // `..`
}

// borderFault says why arguments don't fit a header.
type borderFault struct {
	code, headline string
	input          int       // which argument; -1: all
	declared       diag.Span // the input's shape
	label          string
}

// at makes the fault a diagnostic at an argument.
func (f *borderFault) at(span diag.Span) *diag.Diagnostic {
	d := diag.New(f.code, span, f.label, "%s", f.headline)
	if !f.declared.IsZero() {
		d.Note(f.declared, "declared here")
	}
	return d
}

// bindHeader binds the inputs of a block's header to arguments with the given axes.
func bindHeader(name string, decl *dsl.Block, in [][]*Axis) (*border, *borderFault) {
	if len(in) != len(decl.Inputs) {
		return nil, &borderFault{code: "E215", input: -1, headline: fmt.Sprintf("`%s` takes %s, not %d", name, counted(len(decl.Inputs), "input"), len(in)),
			declared: decl.Name.Span}
	}
	b := &border{bound: map[string]*Axis{}}
	dots := false
	for i, input := range decl.Inputs {
		rest, fault := b.bind(name, &input.Shape, in[i])
		if fault != nil {
			fault.input = i
			return nil, fault
		}
		if rest == nil {
			continue
		}
		if dots && !sameAxes(b.rest, rest) {
			return nil, &borderFault{code: "E206", input: i, declared: input.Shape.Span,
				headline: fmt.Sprintf("the arguments of `%s` have different axes for `..`: %s and %s", name, axesText(b.rest), axesText(rest))}
		}
		if !dots {
			b.rest, dots = rest, true
		}
	}
	return b, nil
}

// bind binds one input's shape; the result is what its `..` stands for, nil if it has none.
func (b *border) bind(name string, shape *dsl.Shape, axes []*Axis) ([]*Axis, *borderFault) {
	fault := func(code, label, format string, args ...any) *borderFault {
		return &borderFault{code: code, headline: fmt.Sprintf(format, args...), label: label, declared: shape.Span}
	}
	left := axes
	var before, after []string
	dots := false
	for _, id := range shape.Axes {
		if id.Name == ".." {
			dots = true
			continue
		}
		if a := runtimeAxis(id.Name); a != nil {
			if !hasAxis(left, a) {
				return nil, fault("E206", "there is no `"+a.Name+"`", "`%s` takes %s but is given %s", name, shapeText(shape), axesText(axes))
			}
			left = without(left, a)
			continue
		}
		if dots {
			after = append(after, id.Name)
		} else {
			before = append(before, id.Name)
		}
	}
	n := len(before) + len(after)
	if len(left) < n || (!dots && len(left) > n) {
		return nil, fault("E206", "", "`%s` takes %s but is given %s", name, shapeText(shape), axesText(axes))
	}
	positional := append(append([]*Axis{}, left[:len(before)]...), left[len(left)-len(after):]...)
	for i, local := range append(append([]string{}, before...), after...) {
		a := positional[i]
		if a.Runtime() {
			return nil, fault("E210", "", "`%s` would take `%s` for its `%s`", name, a.Name, local)
		}
		if old, ok := b.bound[local]; ok && old != a {
			return nil, fault("E206", "", "`%s` takes the same `%s` for all its inputs, but is given %s and %s", name, local, old, a)
		}
		if b.bound[local] == nil {
			b.order = append(b.order, local)
		}
		b.bound[local] = a
	}
	if bound := twice(positional); bound != nil {
		return nil, fault("E207", "", "`%s` would get the axis `%s` twice", name, bound.Name)
	}
	if !dots {
		return nil, nil
	}
	return append([]*Axis{}, left[len(before):len(left)-len(after)]...), nil
}

func shapeText(s *dsl.Shape) string {
	names := make([]string, len(s.Axes))
	for i, id := range s.Axes {
		names[i] = id.Name
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// arrange moves the axes in brackets (`norm[rope](x)`) to the right, where they bind.
func arrange(t *tensor, named []*Axis) *tensor {
	if len(named) == 0 {
		return t
	}
	return &tensor{node: t.node, axes: append(without(t.axes, named...), named...), from: t.from, at: t.at}
}

// applyPart applies a part to arguments. named are the axes in its brackets.
func (w *walker) applyPart(x *dsl.Call, p *partValue, named []*Axis) Value {
	args := w.arguments(x)
	if args == nil {
		return bad
	}
	if p.part.Bank != nil {
		return w.fail(diag.New("E211", x.Fn.At(), "this is a bank", "`%s` has a block for each `%s`", p.part.Name, p.part.Bank.Name).
			Helpf("write `route[%s](gate, %s, x)`", p.part.Bank.Name, p.part.Name))
	}
	for i, t := range args {
		if !w.acts(x, p.part.Name, named, t, i, len(args)) {
			return bad
		}
		args[i] = arrange(t, named)
	}
	n := &Node{Op: "apply", Part: p.part, Span: x.Span}
	if !w.enter(n, x, p, args) {
		return bad
	}
	return w.leave(n, args)
}

// enter applies the block of n's part to arguments: n gets the body (when built) and the axes of the result, named as the callee
// names them.
func (w *walker) enter(n *Node, x *dsl.Call, p *partValue, args []*tensor) bool {
	in := make([][]*Axis, len(args))
	for i, t := range args {
		n.Args = append(n.Args, t.node)
		in[i] = t.axes
	}
	place := func(f *borderFault) *diag.Diagnostic {
		at := x.Span
		if f.input >= 0 && f.input < len(args) {
			at = args[f.input].at
		}
		return f.at(at)
	}
	if w.built != nil {
		body, fault := p.part.Built.apply(w.c, in)
		if fault != nil {
			w.fail(place(fault))
			return false
		}
		if body.bad {
			w.body.bad = true
			return false
		}
		n.Body, n.Axes = body, body.OutAxes
		return p.promised == nil || w.kept(n, p, in)
	}
	if n.Op == "scan" && p.block.def == nil {
		n.Axes = in[0] // a step that is given later: its type can't say more
		return true
	}
	axes, fault := w.signature(p.block, in)
	if fault != nil {
		w.fail(place(fault))
		return false
	}
	n.Axes = axes
	return true
}

// kept checks what a block returns against the signature that its attribute's type states.
func (w *walker) kept(n *Node, p *partValue, in [][]*Axis) bool {
	want, fault := w.signature(p.promised, in)
	if fault != nil {
		w.fail(fault.at(n.Span))
		return false
	}
	given := union(nil, in[0])
	ok := len(want) == len(n.Axes)
	for i, a := range want {
		if !ok {
			break
		}
		got := n.Axes[i]
		ok = got == a || !hasAxis(given, a) && !hasAxis(given, got) && got.Name == a.Name
	}
	if ok {
		return true
	}
	w.fail(diag.New("E202", n.Span, "", "what `%s` returns should be %s but is %s", p.part.Name, w.text(want), w.text(n.Axes)).
		Note(p.promised.out.Span, "declared here").Note(p.part.Built.Def.Decl.Result.Span, "this is what it returns"))
	return false
}

// signature applies a block of which only the header or the type is known.
func (w *walker) signature(s *symBlock, in [][]*Axis) ([]*Axis, *borderFault) {
	var b *border
	var out *dsl.Shape
	switch {
	case s.def != nil:
		bound, fault := bindHeader(s.name, s.def.Decl, in)
		if fault != nil {
			return nil, fault
		}
		b, out = bound, &s.def.Decl.Result
	case len(in) != 1:
		return nil, &borderFault{code: "E215", input: -1, headline: fmt.Sprintf("`%s` takes one input, not %d", s.name, len(in))}
	case s.out == nil:
		return in[0], nil
	default:
		b = &border{bound: map[string]*Axis{}}
		rest, fault := b.bind(s.name, s.in, in[0])
		if fault != nil {
			return nil, fault
		}
		b.rest, out = rest, s.out
	}
	var axes []*Axis
	for _, id := range out.Axes {
		switch {
		case id.Name == "..":
			axes = append(axes, b.rest...)
		case runtimeAxis(id.Name) != nil:
			axes = append(axes, runtimeAxis(id.Name))
		case b.bound[id.Name] != nil:
			axes = append(axes, b.bound[id.Name])
		default:
			axes = append(axes, &Axis{Name: id.Name})
		}
	}
	return axes, nil
}

// leave emits an application and names back the axes that its result has and its arguments lack: an axis of that name in scope here
// is the same axis.
func (w *walker) leave(n *Node, args []*tensor) Value {
	var known []*Axis
	for _, t := range args {
		known = union(known, t.axes)
	}
	result := w.made(n, args...)
	for _, a := range n.Axes {
		if a.Runtime() || hasAxis(known, a) {
			continue
		}
		to := w.inScope(a.Name)
		if to == nil {
			to = w.foreign[a.Name]
		}
		if to == nil {
			w.foreign[a.Name], w.local[a] = a, a.Name
			if w.built == nil {
				w.sizes[a] = opaqueRatio(n.Part.Name + "." + a.Name)
			}
			result.cameFrom(a, n.Span)
			continue
		}
		if to == a {
			continue
		}
		if w.built != nil && to.Size != a.Size {
			d := diag.New("E202", n.Span, fmt.Sprintf("`%s` has %d entries in this", a.Name, a.Size),
				"what `%s` returns has another `%s` than this block: %d and %d entries", n.Part.Name, a.Name, a.Size, to.Size)
			w.noteOrigins(d, result, []*Axis{a})
			w.noteOrigins(d, result, []*Axis{to})
			return w.fail(d)
		}
		axes := replaceAxes(result.axes, []*Axis{a}, []*Axis{to})
		if w.built == nil {
			// A signature's axis is no axis of a body: the result simply has the one in scope.
			n.Axes = axes
			result = &tensor{node: n, axes: axes, from: result.from, at: n.Span}
		} else {
			result = w.made(&Node{Op: "rename", Args: []*Node{result.node}, Axes: axes, On: []*Axis{a}, To: []*Axis{to}, Span: n.Span}, result)
		}
		result.cameFrom(to, n.Span)
	}
	if a := twice(result.axes); a != nil {
		return w.fail(diag.New("E207", n.Span, "", "what `%s` returns has the axis `%s` twice", n.Part.Name, a.Name))
	}
	return result
}

// inScope gives the axis of that name in this block, without reporting anything.
func (w *walker) inScope(name string) *Axis {
	if a, ok := w.axes[name]; ok {
		w.use(name)
		return a
	}
	e := w.lines[name]
	if e == nil || e.kind != "equation" {
		e = w.attrs[name]
	}
	if e == nil || e.kind == "attribute" && !e.param.Type.has("axis") {
		return nil
	}
	switch w.valueOf(e).(type) {
	case Int, Float, *symNumber, unknownValue:
		return w.axis(dsl.Ident{Name: name, Span: e.id.Span})
	}
	return nil
}

// checkShared reports a part whose applications need weights of different sizes: it has one set.
func (w *walker) checkShared() {
	first := map[*Part]*Node{}
	for _, n := range w.body.Nodes {
		if n.Body == nil {
			continue
		}
		f := first[n.Part]
		if f == nil {
			first[n.Part] = n
			continue
		}
		if a, b := weightSizes(f.Body), weightSizes(n.Body); f.Body != n.Body && a != b {
			w.fail(diag.New("E206", n.Span, "applied here to "+w.text(n.Args[0].Axes), "`%s` is applied to axes of different sizes, but has one set of weights", n.Part.Name).
				Note(f.Span, "applied here to %s", w.text(f.Args[0].Axes)).
				Helpf("give each its own part"))
		}
	}
}

// weightSizes is a text of the sizes of all weights and states of a body.
func weightSizes(b *Body) string {
	var s strings.Builder
	for _, x := range b.Weights {
		s.WriteString(x.Name)
		s.WriteString(axesSizes(x.Axes))
	}
	for _, x := range b.States {
		s.WriteString(x.Name)
		s.WriteString(axesSizes(x.Axes))
	}
	for _, p := range b.Parts {
		if inner := b.bodyOf(p); inner != nil {
			s.WriteString(p.Name + "{" + weightSizes(inner) + "}")
		}
	}
	return s.String()
}

func axesSizes(axes []*Axis) string {
	sizes := make([]int, len(axes))
	for i, a := range axes {
		sizes[i] = a.Size
	}
	return fmt.Sprint(sizes)
}

// application gives the first node that applies a part, nil if there is none.
func (body *Body) application(p *Part) *Node {
	for _, n := range body.Nodes {
		if n.Part == p && n.Body != nil {
			return n
		}
	}
	return nil
}

// bodyOf gives the body of a part's first application, nil if it is never applied.
func (body *Body) bodyOf(p *Part) *Body {
	if n := body.application(p); n != nil {
		return n.Body
	}
	return nil
}
