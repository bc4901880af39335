package check

import (
	"math"
	"math/big"

	"forge/dsl"
	"forge/dsl/diag"
)

// A body is read by one walker, used in two ways. Where a block is defined, its attributes are unknowns, sizes are polynomials, and
// the body is read once for each combination of its switches; the nodes serve the checks of peek.go and grad.go and are thrown away.
// Where a built block is applied, attributes are values, axes are the argument's, and the nodes make the Body that the compiler
// reads. Equations are evaluated when they are first asked for, once: the order of lines is free and results are shared.

// walker reads one block's body in one way.
type walker struct {
	c     *checker
	def   *BlockDef
	built *Built // nil where the block is defined
	body  *Body

	reading reading
	attrs   map[string]*entry // attributes
	lines   map[string]*entry // inputs, weights, states, parts, equations
	order   []*entry

	axes    map[string]*Axis // local axes by name
	local   map[*Axis]string // and back; axes that stay anonymous here are missing
	sizes   map[*Axis]ratio  // where the block is defined
	foreign map[string]*Axis // axes that results of parts brought along, by name
	rest    []*Axis          // what `..` stands for

	computing []*entry // equations being evaluated, outermost first
	diags     diag.List
	silent    bool // unknown names were reported: unused ones may follow from it
	axisTypo  bool // unknown axes were reported, likewise
	gaps      []gap
	notAxes   map[string]bool // reported: names that are no axes, here or in this reading
	goneLines map[int]bool    // reported: lines that use what is not there in this reading
}

// gap is a reported misfit: axes that one side has and axes that it should have. An unused weight between the two is the missing
// piece, not a fault of its own.
type gap struct{ has, wants []*Axis }

// entry is one name of a block.
type entry struct {
	id    dsl.Ident
	kind  string // attribute, input, weight, state, part, equation
	param *Param
	stmt  dsl.Stmt
	piece int // which name of its equation
	node  *Node

	used   bool
	state  checkState
	absent bool // its guard is false
	value  Value
}

// tensor is a value with axes. The order of axes is that of language.md section 7, rule 9; from has the places they come from.
type tensor struct {
	node *Node
	axes []*Axis
	from map[*Axis]diag.Span
	at   diag.Span
}

// pieces are the several results of split and take.
type pieces struct{ parts []*tensor }

// partValue is a part: known when the block is built, a signature where it is defined.
type partValue struct {
	entry *entry
	part  *Part
	block *symBlock
	// promised is the signature that the attribute's type states, when built.
	promised *symBlock
}

func (*tensor) value()    {}
func (*pieces) value()    {}
func (*partValue) value() {}

func newWalker(c *checker, def *BlockDef, b *Built) *walker {
	w := &walker{
		c: c, def: def, built: b, body: &Body{Built: b},
		attrs: map[string]*entry{}, lines: map[string]*entry{},
		axes: map[string]*Axis{}, local: map[*Axis]string{}, sizes: map[*Axis]ratio{}, foreign: map[string]*Axis{},
		notAxes: map[string]bool{}, goneLines: map[int]bool{},
	}
	for _, p := range def.Params {
		e := &entry{id: p.Decl.Name, kind: "attribute", param: p}
		w.attrs[p.Name] = e
		w.order = append(w.order, e)
	}
	add := func(id dsl.Ident, kind string, s dsl.Stmt, piece int) *entry {
		e := &entry{id: id, kind: kind, stmt: s, piece: piece}
		if w.lines[id.Name] == nil {
			w.lines[id.Name] = e
			w.order = append(w.order, e)
		}
		return e
	}
	for _, in := range def.Decl.Inputs {
		add(in.Name, "input", nil, 0)
	}
	for _, s := range def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			add(s.Name, "weight", s, 0)
		case *dsl.State:
			add(s.Name, "state", s, 0)
		case *dsl.Part:
			add(s.Name, "part", s, 0)
		case *dsl.Equation:
			for i, id := range s.Names {
				add(id, "equation", s, i)
			}
		}
	}
	return w
}

// concrete elaborates the body of a built block for arguments with the given axes.
func (w *walker) concrete(b *border, in [][]*Axis) {
	w.rest = b.rest
	for i, decl := range w.def.Decl.Inputs {
		from := map[*Axis]diag.Span{}
		w.addInput(decl, i, in[i], from)
	}
	for name, a := range b.bound {
		p := w.def.param(name)
		if p != nil && p.Type.has("axis") {
			if n, _ := whole(w.built.Attrs[name]); int(n) != a.Size {
				w.fail(diag.New("E206", w.attrs[name].id.Span, "declared here", "`%s` is built with %s = %d but applied to an axis of %d entries",
					w.def.Name, name, n, a.Size))
			}
		}
		w.axes[name] = a
		w.local[a] = name
	}
	if !w.requires(true) {
		w.body.bad = true
		return
	}
	w.statements()
}

func (w *walker) addInput(decl *dsl.Input, i int, axes []*Axis, from map[*Axis]diag.Span) {
	n := w.emit(&Node{Op: "input", Name: decl.Name.Name, Axes: axes, N: i, Span: decl.Span})
	w.body.In = append(w.body.In, n)
	e := w.lines[decl.Name.Name]
	e.state, e.node = checked, n
	e.value = &tensor{node: n, axes: axes, from: from, at: decl.Span}
}

// statements evaluates every line of the body.
func (w *walker) statements() {
	for _, s := range w.def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			w.valueOf(w.lines[s.Name.Name])
		case *dsl.State:
			w.valueOf(w.lines[s.Name.Name])
		case *dsl.Part:
			w.valueOf(w.lines[s.Name.Name])
		case *dsl.Equation:
			if w.built == nil {
				for _, id := range s.Names {
					w.valueOf(w.lines[id.Name])
				}
			}
		case *dsl.Require:
			if w.built == nil {
				w.condition(s.Cond)
			}
		case *dsl.Effect:
			w.effect(s)
		case *dsl.Return:
			w.result(s)
		}
	}
	if w.def.outside() {
		w.body.OutAxes = w.shape(&w.def.Decl.Result)
	}
	if w.built != nil && !w.body.bad {
		w.checkShared()
	}
	if w.body.bad {
		w.body.Out = nil
	}
}

// use marks a name of the block as used and gives its entry, nil if the block has no such name. A part hides the attribute of its
// name, except in its own line.
func (w *walker) use(name string) *entry {
	if e, ok := w.lines[name]; ok && !w.inOwnPart(e) {
		e.used = true
		return e
	}
	if e, ok := w.attrs[name]; ok {
		e.used = true
		return e
	}
	return nil // in its own line a part's name means what it means outside the block
}

// inOwnPart reports whether e is the part whose line is being evaluated.
func (w *walker) inOwnPart(e *entry) bool {
	return e.kind == "part" && len(w.computing) > 0 && w.computing[len(w.computing)-1] == e
}

// valueOf evaluates what a name stands for, once.
func (w *walker) valueOf(e *entry) Value {
	switch e.state {
	case checked:
		return e.value
	case checking:
		w.circle(e)
		return bad
	}
	e.state = checking
	w.computing = append(w.computing, e)
	var v Value
	switch e.kind {
	case "attribute":
		v = w.attribute(e.param)
	case "weight":
		v = w.weight(e, e.stmt.(*dsl.Weight))
	case "state":
		v = w.stateTensor(e, e.stmt.(*dsl.State))
	case "part":
		v = w.part(e, e.stmt.(*dsl.Part))
	case "equation":
		v = w.equation(e.stmt.(*dsl.Equation), e)
	default:
		v = bad
	}
	w.computing = w.computing[:len(w.computing)-1]
	if e.state == checking {
		e.state, e.value = checked, v
	}
	return e.value
}

// circle reports equations that are computed from each other.
func (w *walker) circle(e *entry) {
	start := 0
	for i, x := range w.computing {
		if x == e {
			start = i
		}
	}
	loop := w.computing[start:]
	d := diag.New("E106", e.id.Span, "to know this …", "`%s` is computed from itself", e.id.Name)
	for i, x := range loop[1:] {
		text := "… `" + x.id.Name + "` must be known"
		if i == len(loop)-2 {
			text += ", and the other way round"
		}
		d.Note(x.id.Span, "%s", text)
	}
	if len(loop) == 1 {
		d.Labels[0].Text = "its own value would be needed for it"
	}
	w.fail(d)
	for _, x := range loop {
		x.state, x.value = checked, bad
	}
}

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
	e.node = w.emit(&Node{Op: op, Name: e.id.Name, Axes: axes, Span: e.id.Span})
	from := make(map[*Axis]diag.Span, len(axes))
	for i, a := range axes {
		from[a] = shape.Axes[i].Span
	}
	return &tensor{node: e.node, axes: axes, from: from, at: e.id.Span}
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
	if extra := without(t.axes, want...); len(extra) > 0 {
		d.Note(at, "still has %s: contract or sum it", w.quoted(extra))
		w.noteOrigins(d, t, extra)
		return
	}
	d.Note(at, "lacks %s", w.quoted(without(want, t.axes...)))
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
			d.Labels[0].Text = "still has " + w.quoted(extra) + ": contract or sum it"
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
	v := w.expr(s.Value)
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

// shape resolves a shape with `..`; nil if a name in it is wrong or an axis comes twice.
func (w *walker) shape(s *dsl.Shape) []*Axis {
	axes := []*Axis{}
	ok := true
	for _, id := range s.Axes {
		if id.Name == ".." {
			axes = append(axes, w.rest...)
			continue
		}
		a := w.axis(id)
		if a == nil {
			ok = false
			continue
		}
		if hasAxis(axes, a) {
			w.fail(diag.New("E207", id.Span, "", "`%s` comes twice in one shape", id.Name))
			ok = false
		}
		axes = append(axes, a)
	}
	if !ok {
		return nil
	}
	return axes
}

// declared resolves the shape of a weight or state: sizes that are known when the model is built.
func (w *walker) declared(s *dsl.Shape) ([]*Axis, bool) {
	ok := true
	for _, id := range s.Axes {
		if id.Name == ".." || runtimeAxis(id.Name) != nil {
			w.fail(diag.New("E200", id.Span, "its length is known only when running", "`%s` can't be an axis of a weight or state", id.Name))
			ok = false
		}
	}
	if !ok {
		return nil, false
	}
	axes := w.shape(s)
	return axes, axes != nil
}

// axis resolves an axis's name, or reports and gives nil.
func (w *walker) axis(id dsl.Ident) *Axis {
	if a := runtimeAxis(id.Name); a != nil {
		return a
	}
	if a, ok := w.axes[id.Name]; ok {
		w.use(id.Name)
		return a
	}
	e, ok := w.lines[id.Name]
	if !ok || e.kind == "part" {
		if p, isAttr := w.attrs[id.Name]; isAttr {
			e, ok = p, true
		}
	}
	if !ok {
		w.axisTypo = true
		label, near := didYouMean(id.Name, w.axisNames())
		d := diag.New("E200", id.Span, label, "`%s` is not an axis here", id.Name).
			Helpf("axes are attributes of type `axis`, equations that give a number, axes of the inputs, and `batch`, `seq`, `key`")
		if near != "" {
			d.FixWith(id.Span, near)
		}
		w.fail(d)
		return nil
	}
	e.used = true
	if e.kind == "attribute" && !e.param.Type.has("axis") {
		if w.notAxes[id.Name] {
			return nil
		}
		w.notAxes[id.Name] = true
		d := diag.New("E200", id.Span, "", "`%s` is not an axis here", id.Name).Note(e.id.Span, "it is an attribute of another type")
		if e.param.Type.has("int") {
			d.Helpf("an attribute that is an axis says so: `%s: axis`", id.Name)
		}
		w.fail(d)
		return nil
	}
	v := w.valueOf(e)
	if isNone(v) && e.kind == "attribute" {
		if w.notAxes[id.Name] || w.gone(id.Span) {
			return nil
		}
		w.notAxes[id.Name] = true
		w.fail(diag.New("E213", id.Span, "", "there is no axis `%s`", id.Name).Note(e.id.Span, "it may be `none`").
			Helpf("guard what needs it: `… if %s != none`", id.Name))
		return nil
	}
	size, ok := w.size(e, id, v)
	if !ok {
		return nil
	}
	a := &Axis{Name: id.Name, Size: size}
	w.axes[id.Name], w.local[a] = a, id.Name
	if w.built == nil {
		w.sizes[a] = w.symbolicSize(id.Name, v)
	} else if at, ok := w.built.spans[id.Name]; ok && e.kind == "attribute" {
		w.c.axisAt[a] = at
	}
	return a
}

// size gives the number of entries of an attribute or number equation used as an axis; 0 where the block is defined.
func (w *walker) size(e *entry, id dsl.Ident, v Value) (int, bool) {
	switch v := v.(type) {
	case badValue:
		return 0, false
	case unknownValue, *symNumber:
		return 0, true
	case Int, Float:
		n, isWhole := whole(v)
		f, _ := number(v)
		switch {
		case !isWhole:
			d := diag.New("E304", id.Span, "a size is a whole number", "the axis `%s` would have %s entries", id.Name, floatText(f))
			w.noteComputed(d, e)
			w.fail(d)
			e.value = bad
			return 0, false
		case n < 1 || n > math.MaxInt32:
			d := diag.New("E303", id.Span, "a size is at least 1 and below 2^31", "the axis `%s` would have %d entries", id.Name, n)
			w.noteComputed(d, e)
			w.fail(d)
			e.value = bad
			return 0, false
		}
		return int(n), true
	}
	d := diag.New("E200", id.Span, "", "`%s` is not an axis here", id.Name).Note(e.id.Span, "it is %s", w.kindOf(v)).
		Helpf("an equation is an axis if its value is a number")
	w.fail(d)
	return 0, false
}

func (w *walker) noteComputed(d *diag.Diagnostic, e *entry) {
	if s, ok := e.stmt.(*dsl.Equation); ok {
		d.Note(s.Value.At(), "it is computed here")
		return
	}
	d.Note(e.id.Span, "declared here")
}

// axisNames lists what may stand in brackets here.
func (w *walker) axisNames() []string {
	names := []string{"batch", "seq", "key"}
	for _, e := range w.order {
		switch e.kind {
		case "attribute":
			if e.param.Type.has("axis") {
				names = append(names, e.id.Name)
			}
		case "equation":
			names = append(names, e.id.Name)
		}
	}
	for _, in := range w.def.Decl.Inputs {
		for _, a := range in.Shape.Axes {
			if a.Name != ".." {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

// entries is the size of an axis as a number or polynomial.
func (w *walker) entries(a *Axis) ratio {
	if a.Size > 0 {
		return intRatio(int64(a.Size))
	}
	if r, ok := w.sizes[a]; ok {
		return r
	}
	return variable(a.Name)
}

// symbolicSize is the polynomial of an attribute or number equation.
func (w *walker) symbolicSize(name string, v Value) ratio {
	switch v := v.(type) {
	case *symNumber:
		return v.r
	case Int, Float:
		f, _ := number(v)
		return constRatio(new(big.Rat).SetFloat64(f))
	}
	return opaqueRatio(name)
}

// emit adds a node to the body.
func (w *walker) emit(n *Node) *Node {
	w.body.Nodes = append(w.body.Nodes, n)
	return n
}
