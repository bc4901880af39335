package check

import (
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// What is checked of a block before its body is read: names, types, switches, `return`, and that it does not contain itself.

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

// containsItself reports a block that is built, by way of any number of others, inside itself. Blocks that contain each other are one
// fault, reported for the first of them.
func (c *checker) containsItself(def *BlockDef) bool {
	if c.groups == nil {
		c.groups = map[*BlockDef]*group{}
	}
	if c.groups[def] == nil {
		(&grouping{c: c, low: map[*BlockDef]int{}}).visit(def)
	}
	g := c.groups[def]
	if !g.circular {
		return false
	}
	if g.reported {
		return true
	}
	g.reported = true
	path := c.wayBack(def)
	d := diag.New("E107", path[0].Span, "a part of it would contain it again", "the block `%s` contains itself", def.Name)
	for _, n := range path[1:min(len(path), 4)] {
		d.Note(n.Span, "… by way of this")
	}
	c.report(d)
	return true
}

// group is a set of blocks that all contain each other; most stand alone.
type group struct {
	circular bool
	reported bool
}

// grouping finds the groups among all that a block contains (Tarjan's algorithm for strongly connected components).
type grouping struct {
	c     *checker
	low   map[*BlockDef]int // the earliest block on the stack that is reached, by its order of discovery
	stack []*BlockDef
	next  int
}

func (s *grouping) visit(d *BlockDef) {
	found := s.next
	s.next++
	s.low[d] = found
	s.stack = append(s.stack, d)
	itself := false
	for _, n := range s.c.blocksNamed(d) {
		inner := blockNamed(d, n)
		itself = itself || inner == d
		if s.c.groups[inner] != nil {
			continue
		}
		if _, onStack := s.low[inner]; !onStack {
			s.visit(inner)
		}
		s.low[d] = min(s.low[d], s.low[inner])
	}
	if s.low[d] != found {
		return
	}
	g := &group{circular: itself || s.stack[len(s.stack)-1] != d}
	for {
		top := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		s.c.groups[top] = g
		if top == d {
			return
		}
	}
}

// wayBack is a shortest chain of names that leads from a block back to itself.
func (c *checker) wayBack(def *BlockDef) []*dsl.Name {
	type step struct {
		from *BlockDef
		name *dsl.Name
	}
	came := map[*BlockDef]step{}
	for queue := []*BlockDef{def}; len(queue) > 0; queue = queue[1:] {
		d := queue[0]
		for _, n := range c.blocksNamed(d) {
			inner := blockNamed(d, n)
			if _, seen := came[inner]; seen {
				continue
			}
			came[inner] = step{d, n}
			if inner == def {
				path := []*dsl.Name{n}
				for at := d; at != def; at = came[at].from {
					path = append([]*dsl.Name{came[at].name}, path...)
				}
				return path
			}
			queue = append(queue, inner)
		}
	}
	return nil
}

// blockNamed is the block that blocksNamed found behind a name.
func blockNamed(d *BlockDef, n *dsl.Name) *BlockDef {
	v, _, _ := d.Module.lookup(n.Name)
	return v.(*BlockDef)
}

// blocksNamed lists the names in a block's defaults and lines that mean blocks of its file, its imports or the prelude. The block's
// own names come first, but in its own line a part's name means what it means outside.
func (c *checker) blocksNamed(def *BlockDef) []*dsl.Name {
	local := map[string]bool{}
	for _, p := range def.Params {
		local[p.Name] = true
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
	parts := map[string]bool{}
	for _, in := range def.Decl.Inputs {
		local[in.Name.Name] = true
	}
	for _, s := range def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			local[s.Name.Name] = true
		case *dsl.State:
			local[s.Name.Name] = true
		case *dsl.Equation:
			for _, id := range s.Names {
				local[id.Name] = true
			}
		case *dsl.Part:
			parts[s.Name.Name] = true
		}
	}
	for _, s := range def.Decl.Body {
		own := ""
		if p, ok := s.(*dsl.Part); ok {
			own = p.Name.Name
		}
		for _, x := range stmtExprs(s) {
			visitNames(x, func(n *dsl.Name) {
				if n.Name == own || !parts[n.Name] {
					add(n)
				}
			})
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
	default:
		for _, y := range dsl.Operands(x) {
			visitNames(y, f)
		}
	}
}
