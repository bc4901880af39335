package check

import (
	"strconv"
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

	id       int // of the declarations, in the order they are read
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
	building []*Built             // being applied, outermost first: where a fault with sizes comes from
	groups   map[*BlockDef]*group // which blocks contain each other
	defs     int                  // number of declarations
}

// newBlock makes the definition of a declared block; checkBlock checks it.
func (c *checker) newBlock(decl *dsl.Block, file *dsl.File, params []*Param, m *Module) *BlockDef {
	c.defs++
	return &BlockDef{Name: decl.Name.Name, File: file.Name, Decl: decl, Params: params, Module: m, id: c.defs}
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

// build interns a block with all its attributes (no views among them) and checks the rules of its `require` lines, unless it is a
// draft. spans has the places of the attributes that were given. It gives nil if a rule does not hold, or if the definition itself has
// faults.
func (c *checker) build(def *BlockDef, attrs map[string]Value, spans map[string]diag.Span, at diag.Span) *Built {
	c.checkBlock(def)
	if def.bad {
		return nil
	}
	k := strconv.Itoa(def.id) + " " + attrsKey(attrs)
	b := c.built[k]
	if b == nil {
		b = &Built{Def: def, Attrs: attrs, Span: at, ID: c.nextID, c: c, spans: spans}
		c.nextID++
		c.built[k] = b
	}
	if !c.drafting && !c.rulesHold(b) {
		return nil
	}
	return b
}

// rulesHold checks the rules of a built block's `require` lines, once: a rule that does not hold is reported at one place only.
func (c *checker) rulesHold(b *Built) bool {
	if b.rules == unchecked {
		b.broken = !newWalker(c, b.Def, b).requires(false)
		if !b.broken || c.quiet == 0 {
			b.rules = checked
		}
	}
	return !b.broken
}

// maxParts bounds how deeply parts stand within parts.
const maxParts = 200

// Body applies a checked block to arguments with the given axes, one list for each input. It can't fail for an application that
// the checked recipe makes itself; otherwise the body has neither nodes nor result. It is not for concurrent use.
func (b *Built) Body(in ...[]*Axis) *Body {
	b = b.canonical()
	return b.Apply(b.c, in, b.Span)
}

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
	bound, fault := bindHeader(b.Def.Name, b.Def.Decl, in)
	if fault != nil {
		w.body.bad = true
		return w.body, fault
	}
	if len(c.building) >= maxParts {
		c.report(diag.New("E009", b.Span, "", "parts stand within parts more than %d deep", maxParts))
		w.body.bad = true
		return w.body, nil
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
	quiet, drafting := c.quiet, c.drafting
	c.quiet, c.drafting = 0, false // whoever asks first, a definition's faults are reported
	before := len(c.diags)
	if c.checkHeader(def) {
		c.checkReadings(def)
	}
	for _, d := range c.diags[before:] {
		if d.Severity == diag.Error && d.Main().File == def.File && inside(d.Main(), def.Decl.Span) {
			def.bad = true
		}
	}
	c.quiet, c.drafting = quiet, drafting
	def.state = checked
}

func inside(s, outer diag.Span) bool {
	return s.Start.Offset >= outer.Start.Offset && s.End.Offset <= outer.End.Offset
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
