package check

import (
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// BlockDef is a block's declaration. It is checked once, for all sizes and every combination of its switches, before it is built.
type BlockDef struct {
	Name   string
	File   string // as shown to the user
	Decl   *dsl.Block
	Params []*Param
	Module *Module

	state    checkState
	bad      bool // its definition has faults: building and applying it is silent
	switches []*Param
}

// value: a block's name stands for its declaration; a call of it builds it.
func (*BlockDef) value() {}

type checkState int

const (
	unchecked checkState = iota
	checking
	checked
)

// blocks is what the checker keeps for blocks.
type blocks struct {
	building []*Built // being applied, outermost first: where a fault with sizes comes from
}

// newBlock makes the definition of a declared block; checkBlock checks it.
func (c *checker) newBlock(decl *dsl.Block, file *dsl.File, params []*Param, m *Module) *BlockDef {
	return &BlockDef{Name: decl.Name.Name, File: file.Name, Decl: decl, Params: params, Module: m}
}

// outside reports whether the block has no `return`: it is implemented in Go or by a plugin.
func (def *BlockDef) outside() bool {
	for _, s := range def.Decl.Body {
		if _, ok := s.(*dsl.Return); ok {
			return false
		}
	}
	return true
}

func (def *BlockDef) param(name string) *Param { return paramNamed(def.Params, name) }

// build interns a block with all its attributes (no views among them) and checks the rules of its `require` lines. spans has the
// places of the attributes that were given. It gives nil if a rule does not hold, or if the definition itself has faults.
func (c *checker) build(def *BlockDef, attrs map[string]Value, spans map[string]diag.Span, at diag.Span) *Built {
	c.checkBlock(def)
	if def.bad {
		return nil
	}
	k := def.File + "\x00" + def.Name + "\x00" + attrsKey(attrs)
	if b, known := c.built[k]; known {
		return b
	}
	b := &Built{Def: def, Attrs: attrs, Span: at, ID: c.nextID, c: c, spans: spans}
	w := newWalker(c, def, b)
	if !w.requires(false) {
		if c.quiet == 0 {
			c.built[k] = nil // reported: not again at the next place
		}
		return nil
	}
	c.nextID++
	c.built[k] = b
	return b
}

// Body applies a checked block to arguments with the given axes, one list for each input. It can't fail for an application that
// the checked recipe makes itself; otherwise the body has neither nodes nor result. It is not for concurrent use.
func (b *Built) Body(in ...[]*Axis) *Body { return b.Apply(b.c, in, b.Span) }

// Apply applies the block to arguments with the given axes. Faults are reported, those of the border at the place `at`; the body
// is then marked bad. Equal applications share one body.
func (b *Built) Apply(c *checker, in [][]*Axis, at diag.Span) *Body {
	body, fault := b.apply(c, in)
	if fault != nil {
		c.report(fault.at(at))
	}
	return body
}

func (b *Built) apply(c *checker, in [][]*Axis) (*Body, *borderFault) {
	b = b.canonical()
	for _, body := range b.bodies {
		if body.appliedTo(in) {
			return body, nil
		}
	}
	w := newWalker(c, b.Def, b)
	if b.Def.bad {
		w.body.bad = true
		return w.body, nil
	}
	bound, fault := bindHeader(b.Def.Name, b.Def.Decl, in, b.Def.File)
	if fault != nil {
		w.body.bad = true
		return w.body, fault
	}
	c.building = append(c.building, b)
	w.concrete(bound, in)
	c.building = c.building[:len(c.building)-1]
	b.bodies = append(b.bodies, w.body)
	return w.body, nil
}

// appliedTo reports whether the body was made for these argument axes.
func (body *Body) appliedTo(in [][]*Axis) bool {
	if len(body.In) != len(in) {
		return false
	}
	for i, n := range body.In {
		if len(n.Axes) != len(in[i]) {
			return false
		}
		for k, a := range n.Axes {
			if in[i][k] != a {
				return false
			}
		}
	}
	return true
}

// checkBlock checks a definition: its header, then its body once for each combination of its switches, with sizes that are
// polynomials over its attributes. Faults are reported; def.bad says that there were some.
func (c *checker) checkBlock(def *BlockDef) {
	if def.state != unchecked {
		return
	}
	def.state = checking
	quiet := c.quiet
	c.quiet = 0 // whoever asks first, a definition's faults are reported
	before := len(c.diags)
	if c.checkHeader(def) {
		c.checkReadings(def)
	}
	for _, d := range c.diags[before:] {
		if d.Severity == diag.Error && d.Main().File == def.File && inside(d.Main(), def.Decl.Span) {
			def.bad = true
		}
	}
	c.quiet = quiet
	def.state = checked
}

func inside(s, outer diag.Span) bool {
	return s.Start.Offset >= outer.Start.Offset && s.End.Offset <= outer.End.Offset
}

// checkHeader checks what does not depend on the switches. It is false where the body can't be read at all.
func (c *checker) checkHeader(def *BlockDef) bool {
	if c.containsItself(def) {
		def.bad = true
		return false
	}
	ok := c.checkNames(def)
	attrs := map[string]Value{}
	for _, p := range def.Params {
		ok = c.checkType(p.Decl.Type) && ok
		if p.Type.canBeNone() || p.Type.has("bool") {
			def.switches = append(def.switches, p)
		}
		if p.Default != nil {
			c.evalFit(&attrScope{attrs, def.Module}, p.Default, p.Type, p.Name)
		}
		attrs[p.Name] = unknown
	}
	if len(def.switches) > maxSwitches {
		d := diag.New("E110", def.switches[maxSwitches].Decl.Name.Span, "one too many", "`%s` has %d switches", def.Name, len(def.switches)).
			Helpf("attributes that may be `none` and `bool` attributes are switches; a block has at most %d", maxSwitches).
			Helpf("move what some of them decide into a block of its own, used as a part")
		c.report(d)
		return false
	}
	return c.checkReturn(def) && ok
}

// maxSwitches bounds the readings of a body: 64.
const maxSwitches = 6

// checkType reports types that do not exist.
func (c *checker) checkType(t *dsl.Type) bool {
	if t == nil {
		return true
	}
	ok := true
	for _, a := range t.Atoms {
		if a.Text != nil || isTypeName(a.Name) {
			continue
		}
		label, near := didYouMean(a.Name, typeNames)
		d := diag.New("E100", a.Span, label, "there is no type called `%s`", a.Name).
			Helpf("types: %s", strings.Join(typeNames, ", "))
		if near != "" {
			d.FixWith(a.Span, near)
		}
		c.report(d)
		ok = false
	}
	return ok
}

var typeNames = []string{
	"axis", "int", "float", "number", "bool", "str", "list", "tokens", "steps", "seqs", "epochs", "seconds", "minutes", "hours",
	"schedule", "block", "init", "optim", "pos", "precision", "tokenizer", "source", "group", "choice", "dtype", "none",
	"model", "data", "train", "plan", "run", "recipe", "weights", "sweep",
}

func isTypeName(name string) bool {
	for _, n := range typeNames {
		if n == name {
			return true
		}
	}
	return false
}

// checkReturn checks that `return` is one line and the last.
func (c *checker) checkReturn(def *BlockDef) bool {
	var first *dsl.Return
	for i, s := range def.Decl.Body {
		r, ok := s.(*dsl.Return)
		switch {
		case !ok:
		case first != nil:
			c.report(diag.New("E216", r.Span, "", "`%s` returns twice", def.Name).Note(first.Span, "first returned here"))
			return false
		default:
			first = r
			if i < len(def.Decl.Body)-1 {
				c.report(diag.New("E216", r.Span, "lines follow it", "`return` is the last line of a block"))
				return false
			}
		}
	}
	return true
}

// checkNames reports names that are given twice or can't be given. Attributes, inputs, their axes and the names of lines share
// one space; a part may have the name of the attribute it is built from.
func (c *checker) checkNames(def *BlockDef) bool {
	type place struct {
		span  diag.Span
		what  string
		param bool
		axis  bool
	}
	seen := map[string]place{}
	ok := true
	give := func(id dsl.Ident, p place, mayHide bool) {
		p.span = id.Span
		old, known := seen[id.Name]
		switch {
		case !known:
			seen[id.Name] = p
		case mayHide && old.param:
		default:
			d := diag.New("E102", id.Span, "given again here", "`%s` already has a value", id.Name).Note(old.span, "first given here")
			if p.what == "equation" {
				d.Helpf("lines of a block are equations, not steps: use a new name")
			} else if old.axis {
				d.Helpf("`%s` is an axis of an input", id.Name)
			}
			c.report(d)
			ok = false
		}
	}
	for _, p := range def.Decl.Params {
		give(p.Name, place{param: true}, false)
	}
	for _, in := range def.Decl.Inputs {
		give(in.Name, place{what: "input"}, false)
	}
	for _, in := range def.Decl.Inputs {
		for _, a := range in.Shape.Axes {
			// Two inputs may share an axis, and an input may have an attribute for an axis.
			old, known := seen[a.Name]
			p := def.param(a.Name)
			if a.Name == ".." || runtimeAxis(a.Name) != nil || known && (old.axis || p != nil && p.Type.has("axis")) {
				continue
			}
			give(a, place{axis: true}, false)
		}
	}
	for _, s := range def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			give(s.Name, place{what: "weight"}, false)
		case *dsl.State:
			give(s.Name, place{what: "state"}, false)
		case *dsl.Part:
			give(s.Name, place{what: "part"}, mentions(s.Value, s.Name.Name))
		case *dsl.Equation:
			for _, id := range s.Names {
				give(id, place{what: "equation"}, false)
			}
		}
	}
	return ok
}

// mentions reports whether a name occurs in an expression.
func mentions(x dsl.Expr, name string) bool {
	found := false
	visitNames(x, func(n *dsl.Name) { found = found || n.Name == name })
	return found
}

// containsItself reports a block that is built, by way of any number of others, inside itself.
func (c *checker) containsItself(def *BlockDef) bool {
	var path []*dsl.Name
	seen := map[*BlockDef]bool{}
	var search func(d *BlockDef) bool
	search = func(d *BlockDef) bool {
		if seen[d] {
			return false
		}
		seen[d] = true
		for _, n := range c.blocksNamed(d) {
			v, _, _ := d.Module.lookup(n.Name)
			inner := v.(*BlockDef)
			path = append(path, n)
			if inner == def || search(inner) {
				return true
			}
			path = path[:len(path)-1]
		}
		return false
	}
	if !search(def) {
		return false
	}
	d := diag.New("E107", path[0].Span, "a part of it would contain it again", "the block `%s` contains itself", def.Name)
	for _, n := range path[1:] {
		d.Note(n.Span, "… by way of this")
	}
	c.report(d)
	return true
}

// blocksNamed lists the names in a block's defaults and lines that mean blocks of its file, its imports or the prelude.
func (c *checker) blocksNamed(def *BlockDef) []*dsl.Name {
	local := map[string]bool{}
	for _, p := range def.Params {
		local[p.Name] = true
	}
	for _, s := range def.Decl.Body {
		if e, ok := s.(*dsl.Equation); ok {
			for _, id := range e.Names {
				local[id.Name] = true
			}
		}
	}
	var names []*dsl.Name
	add := func(n *dsl.Name) {
		if local[n.Name] {
			return
		}
		if v, _, ok := def.Module.lookup(n.Name); ok {
			if _, isBlock := v.(*BlockDef); isBlock {
				names = append(names, n)
			}
		}
	}
	for _, p := range def.Params {
		visitNames(p.Default, add)
	}
	for _, s := range def.Decl.Body {
		for _, x := range stmtExprs(s) {
			visitNames(x, add)
		}
	}
	return names
}

// stmtExprs lists the expressions of a line.
func stmtExprs(s dsl.Stmt) []dsl.Expr {
	switch s := s.(type) {
	case *dsl.Weight:
		return []dsl.Expr{s.Init, s.Guard}
	case *dsl.State:
		return []dsl.Expr{s.Value, s.Guard}
	case *dsl.Part:
		return []dsl.Expr{s.Value}
	case *dsl.Require:
		return []dsl.Expr{s.Cond}
	case *dsl.Effect:
		return []dsl.Expr{s.Value}
	case *dsl.Return:
		return []dsl.Expr{s.Value}
	case *dsl.Equation:
		return []dsl.Expr{s.Value}
	}
	return nil
}

// visitNames calls f for each name that an expression uses; names of arguments and members are not uses.
func visitNames(x dsl.Expr, f func(*dsl.Name)) {
	switch x := x.(type) {
	case *dsl.Name:
		f(x)
	case *dsl.Paren:
		visitNames(x.X, f)
	case *dsl.Unary:
		visitNames(x.X, f)
	case *dsl.Binary:
		visitNames(x.X, f)
		visitNames(x.Y, f)
	case *dsl.Cond:
		visitNames(x.Then, f)
		visitNames(x.If, f)
		visitNames(x.Else, f)
	case *dsl.Member:
		visitNames(x.X, f)
	case *dsl.Call:
		visitNames(x.Fn, f)
		for _, a := range x.Args {
			visitNames(a.Value, f)
		}
	case *dsl.Index:
		visitNames(x.X, f)
		for _, a := range x.Axes {
			visitNames(a, f)
		}
		for _, a := range x.To {
			visitNames(a, f)
		}
	case *dsl.List:
		for _, it := range x.Items {
			if it.Over == nil {
				visitNames(it.Value, f)
				continue
			}
			visitNames(it.Over, f)
			visitNames(it.Value, func(n *dsl.Name) {
				if n.Name != it.Var.Name {
					f(n)
				}
			})
		}
	}
}

// requires checks the rules on attributes (E500). Those that hang on the axes of inputs wait until the block is applied.
func (w *walker) requires(applied bool) bool {
	ok := true
	for _, s := range w.def.Decl.Body {
		r, isRule := s.(*dsl.Require)
		if !isRule || w.onInputs(r.Cond, map[string]bool{}) != applied {
			continue
		}
		v := w.condition(r.Cond)
		holds, decided := v.(Bool)
		if !decided {
			ok = false
			continue
		}
		if !holds {
			w.c.report(w.broken(r)) // the rules after it mostly say the same
			return false
		}
	}
	return ok
}

// onInputs reports whether an expression needs the size of an input's axis, itself or through equations.
func (w *walker) onInputs(x dsl.Expr, seen map[string]bool) bool {
	found := false
	visitNames(x, func(n *dsl.Name) {
		if found || seen[n.Name] {
			return
		}
		seen[n.Name] = true
		if e := w.lines[n.Name]; e != nil {
			if s, ok := e.stmt.(*dsl.Equation); ok {
				found = w.onInputs(s.Value, seen)
			}
			return
		}
		if w.attrs[n.Name] != nil {
			return
		}
		for _, in := range w.def.Decl.Inputs {
			for _, a := range in.Shape.Axes {
				found = found || a.Name == n.Name
			}
		}
	})
	return found
}

// broken words a rule that does not hold, with the values of the attributes in it and where each was written.
func (w *walker) broken(r *dsl.Require) *diag.Diagnostic {
	text := sourceText(w.c, r.Cond.At())
	why := "the rule `" + text + "` does not hold"
	if r.Why != nil {
		why = r.Why.Value
	}
	d := &diag.Diagnostic{Code: "E500", Message: "`" + w.def.Name + "`: " + why}
	var values []string
	for _, p := range w.def.Params {
		if !mentions(r.Cond, p.Name) {
			continue
		}
		value := w.c.text(w.built.Attrs[p.Name])
		values = append(values, p.Name+" = "+value)
		if at, ok := w.built.spans[p.Name]; ok {
			d.Note(at, "`%s` is %s", p.Name, value)
		}
	}
	if len(d.Labels) == 0 {
		d.Note(w.built.Span, "for the block built here")
	}
	d.Labels[0].Main = true
	d.Helpf("the rule is `require %s` (%s)", text, r.Cond.At())
	if len(values) > 0 {
		d.Helpf("here %s", strings.Join(values, ", "))
	}
	return d
}
