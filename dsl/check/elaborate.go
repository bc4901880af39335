package check

import (
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

	optional  *dsl.Cond // the effect at hand, where an arm may be none: then there is no effect
	computing []*entry  // equations being evaluated, outermost first
	diags     diag.List
	silent    bool // unknown names were reported: unused ones may follow from it
	stopped   bool // the body is too large to be read on
	axisTypo  bool // unknown axes were reported, likewise
	gaps      []gap
	notAxes   map[string]bool // reported: names that are no axes, here or in this reading
	goneLines map[int]bool    // reported: lines that use what is not there in this reading

	counts map[*Node]Value // how many a `top` marks, and the windows of `causal`, where the block is defined
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

	used   bool
	state  checkState
	absent bool // its guard is false
	value  Value
}

// tensor is a value with axes. The order of axes is that of language.md section 7, rule 9. Where the block is defined, from has the
// places they come from; in a built block it is nil: there the places of sizes are told.
type tensor struct {
	node *Node
	axes []*Axis
	from map[*Axis]diag.Span
	at   diag.Span
}

// cameFrom notes the place of an axis that a tensor did not have before.
func (t *tensor) cameFrom(a *Axis, at diag.Span) {
	if t.from != nil {
		t.from[a] = at
	}
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
		notAxes: map[string]bool{}, goneLines: map[int]bool{}, counts: map[*Node]Value{},
	}
	for _, p := range def.Params {
		e := &entry{id: p.Decl.Name, kind: "attribute", param: p}
		w.attrs[p.Name] = e
		w.order = append(w.order, e)
	}
	add := func(id dsl.Ident, kind string, s dsl.Stmt) {
		if w.lines[id.Name] == nil { // else it is given twice, which checkNames reports
			e := &entry{id: id, kind: kind, stmt: s}
			w.lines[id.Name] = e
			w.order = append(w.order, e)
		}
	}
	for _, in := range def.Decl.Inputs {
		add(in.Name, "input", nil)
	}
	for _, s := range def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			add(s.Name, "weight", s)
		case *dsl.State:
			add(s.Name, "state", s)
		case *dsl.Part:
			add(s.Name, "part", s)
		case *dsl.Equation:
			for _, id := range s.Names {
				add(id, "equation", s)
			}
		}
	}
	return w
}

// concrete elaborates the body of a built block for arguments with the given axes.
func (w *walker) concrete(b *border, in [][]*Axis) {
	w.rest = b.rest
	for i, decl := range w.def.Decl.Inputs {
		w.addInput(decl, i, in[i], nil)
	}
	for _, name := range b.order {
		a := b.bound[name]
		if e := w.attrs[name]; e != nil && e.param.Type.has("axis") {
			if n, _ := whole(w.built.Attrs[name]); int(n) != a.Size {
				w.fail(diag.New("E206", e.id.Span, "declared here", "`%s` is built with %s = %d but applied to an axis of %d entries",
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
	e.state = checked
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
	if len(w.computing) >= maxDepth {
		return w.tooLarge(e.id.Span, "equations depend on each other too deeply")
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

// emit adds a node to the body.
func (w *walker) emit(n *Node) *Node {
	w.body.Nodes = append(w.body.Nodes, n)
	return n
}

// maxAxes bounds the axes of a tensor.
const maxAxes = 64

// tooLarge reports a body beyond all use and ends its reading.
func (w *walker) tooLarge(at diag.Span, what string) Value {
	if w.stopped {
		return bad
	}
	w.stopped, w.silent = true, true
	return w.fail(diag.New("E009", at, "", "%s", what))
}
