package lsp

import (
	"path"
	"sort"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// occurrence is a place where a name stands.
type occurrence struct {
	span     diag.Span
	target   *target
	declares bool
	cell     *dsl.Cell // the cell whose key this is
}

// index is every name of a file that is known, in order.
type index struct {
	generation  int
	tree        *tree
	occurrences []occurrence
}

// index finds the names of a file, once for each state of the documents.
func (s *server) index(file string) *index {
	t := s.tree(file)
	if t == nil {
		return &index{}
	}
	if known := s.indexes[file]; known != nil && known.tree == t && known.generation == s.generation {
		return known
	}
	w := &indexer{s: s, file: file}
	for _, d := range t.file.Decls {
		w.decl(d)
	}
	sort.SliceStable(w.found, func(i, j int) bool { return w.found[i].span.Start.Offset < w.found[j].span.Start.Offset })
	x := &index{s.generation, t, w.found}
	s.indexes[file] = x
	return x
}

// at is the name that covers a byte, or ends there.
func (x *index) at(offset int) *occurrence {
	var found *occurrence
	for i := range x.occurrences {
		o := &x.occurrences[i]
		if o.span.Start.Offset <= offset && offset <= o.span.End.Offset && (found == nil || o.span.End.Offset > offset) {
			found = o
		}
	}
	return found
}

// indexer walks one file.
type indexer struct {
	s     *server
	file  string
	found []occurrence
}

func (w *indexer) add(at diag.Span, t *target, declares bool) {
	if t != nil && !at.IsZero() {
		w.found = append(w.found, occurrence{span: at, target: t, declares: declares})
	}
}

func (w *indexer) decl(d dsl.Decl) {
	t := declared(d)
	if t == nil {
		return
	}
	w.add(t.span, t, true)
	switch d := d.(type) {
	case *dsl.Block:
		w.block(d)
	case *dsl.Builtin:
		for _, p := range d.Params {
			k := kindAttribute
			if d.IsKind {
				k = kindSetting
			}
			w.add(p.Name.Span, &target{p.Name.Name, k, p.Name.Span, p, d}, true)
			w.types(p.Type)
			w.expr(p.Default, &names{w: w, env: env{file: w.file}, params: d.Params, owner: d})
		}
	case *dsl.Section:
		w.section(d)
	}
}

func (w *indexer) types(t *dsl.Type) {
	if t == nil {
		return
	}
	for _, a := range t.Atoms {
		if a.Text == nil && a.In == nil {
			w.add(a.Span, w.s.preludeName(a.Name, true), false)
		}
	}
}

func (w *indexer) section(d *dsl.Section) {
	w.add(d.Kind.Span, w.s.preludeName(d.Kind.Name, true), false)
	if d.From != nil {
		w.expr(d.From, &names{w: w, env: env{file: w.file, section: d, cell: "\x00from"}, noCells: true})
	}
	settings := w.s.settings(d.Kind.Name)
	for _, c := range d.Cells {
		if len(c.Key) > 0 {
			w.key(d, c, settings)
		}
		if d.Kind.Name == "weights" && (c.Text != nil || len(c.Key) != 1 || paramTarget(settings, c.Key[0].Name.Name, kindSetting, nil) == nil) {
			continue // paths of weights
		}
		w.expr(c.Value, &names{w: w, env: w.s.cellEnv(w.file, d, c)})
	}
}

// cellEnv is where a cell's value is read: its section or, for a path, the table whose cell it replaces.
func (s *server) cellEnv(file string, d *dsl.Section, c *dsl.Cell) env {
	e := env{file: file, section: d, writer: file}
	if len(c.Key) == 0 {
		return e
	}
	e.cell = c.Key[0].Name.Name
	v := s.nameValue(e.cell, env{file: file, section: d}, 0)
	for i, seg := range c.Key {
		if i > 0 {
			if v.section != nil {
				e.file, e.section = v.file, v.section
			}
			e.cell = seg.Name.Name
			v = s.memberValue(v, seg.Name.Name, 0)
		}
		if seg.Index != nil {
			v = s.item(v, seg.Index, 0)
		}
	}
	return e
}

// key finds the names of a cell's key: each is a cell, setting or attribute of what lies before it.
func (w *indexer) key(d *dsl.Section, c *dsl.Cell, settings []*dsl.Param) {
	if d.Kind.Name == "weights" && (len(c.Key) > 1 || c.Key[0].Index != nil) {
		return
	}
	first := c.Key[0].Name
	e := env{file: w.file, section: d}
	var t *target
	declares := false
	switch {
	case c.Let:
		t, declares = &target{first.Name, kindCell, first.Span, c, d}, true
	case paramTarget(settings, first.Name, kindSetting, nil) != nil:
		t = paramTarget(settings, first.Name, kindSetting, nil)
	default:
		if file, base, ok := w.s.base(w.file, d); ok {
			t = w.s.memberTarget(thing{file: file, section: base}, first.Name)
		}
	}
	w.add(first.Span, t, declares)
	if n := len(w.found); n > 0 && t != nil && len(c.Key) == 1 {
		w.found[n-1].cell = c
	}
	v := w.s.nameValue(first.Name, e, 0)
	for i, seg := range c.Key {
		if i > 0 {
			w.add(seg.Name.Span, w.s.memberTarget(v, seg.Name.Name), false)
			v = w.s.memberValue(v, seg.Name.Name, 0)
		}
		if seg.Index != nil {
			v = w.s.item(v, seg.Index, 0)
		}
	}
}

func (w *indexer) block(d *dsl.Block) {
	n := &names{w: w, env: env{file: w.file, block: d}, params: d.Params, owner: d, locals: locals(d)}
	for _, p := range d.Params {
		w.add(p.Name.Span, &target{p.Name.Name, kindAttribute, p.Name.Span, p, d}, true)
		w.types(p.Type)
		if p.Type != nil {
			for _, a := range p.Type.Atoms {
				for _, sh := range []*dsl.Shape{a.In, a.Out} {
					if sh != nil {
						w.shape(sh, n)
					}
				}
			}
		}
		w.expr(p.Default, n)
	}
	for _, in := range d.Inputs {
		w.add(in.Name.Span, n.locals[in.Name.Name], true)
		w.shape(&in.Shape, n)
	}
	w.shape(&d.Result, n)
	for _, st := range d.Body {
		switch st := st.(type) {
		case *dsl.Weight:
			w.add(st.Name.Span, n.locals[st.Name.Name], true)
			w.shape(&st.Shape, n)
			w.expr(st.Init, n)
			w.expr(st.Guard, n)
		case *dsl.State:
			w.add(st.Name.Span, n.locals[st.Name.Name], true)
			w.shape(&st.Shape, n)
			w.expr(st.Value, n)
			w.expr(st.Guard, n)
		case *dsl.Part:
			w.add(st.Name.Span, n.locals[st.Name.Name], true)
			if st.Bank != nil {
				w.shape(st.Bank, n)
			}
			inner := *n
			inner.ownPart = st.Name.Name
			w.expr(st.Value, &inner)
		case *dsl.Require:
			w.expr(st.Cond, n)
		case *dsl.Effect:
			if st.Kind == "update" {
				w.add(st.Name.Span, n.locals[st.Name.Name], false)
			}
			w.expr(st.Value, n)
		case *dsl.Return:
			w.expr(st.Value, n)
		case *dsl.Equation:
			for _, id := range st.Names {
				w.add(id.Span, n.locals[id.Name], true)
			}
			if st.Shape != nil {
				w.shape(st.Shape, n)
			}
			w.expr(st.Value, n)
		}
	}
}

func (w *indexer) shape(sh *dsl.Shape, n *names) {
	for _, a := range sh.Axes {
		t := n.lookup(a.Name)
		if t != nil && (t.kind == kindAttribute || t.kind == kindEquation || t.kind == kindAxis) {
			w.add(a.Span, t, t.kind == kindAxis && t.span == a.Span)
		}
	}
}

// locals are the names that a block's inputs and lines give, with the axes that only its inputs name.
func locals(d *dsl.Block) map[string]*target {
	l := map[string]*target{}
	give := func(id dsl.Ident, k kind, node any) {
		if l[id.Name] == nil {
			l[id.Name] = &target{id.Name, k, id.Span, node, d}
		}
	}
	for _, in := range d.Inputs {
		give(in.Name, kindInput, in)
	}
	for _, st := range d.Body {
		switch st := st.(type) {
		case *dsl.Weight:
			give(st.Name, kindWeight, st)
		case *dsl.State:
			give(st.Name, kindState, st)
		case *dsl.Part:
			give(st.Name, kindPart, st)
		case *dsl.Equation:
			for _, id := range st.Names {
				give(id, kindEquation, st)
			}
		}
	}
	for _, in := range d.Inputs {
		for _, a := range in.Shape.Axes {
			if !runtimeAxis(a.Name) && paramTarget(d.Params, a.Name, kindAttribute, d) == nil {
				give(a, kindAxis, in)
			}
		}
	}
	return l
}

func runtimeAxis(name string) bool {
	return name == ".." || name == "batch" || name == "seq" || name == "key"
}

// names is where the names of an expression are looked up.
type names struct {
	w       *indexer
	env     env
	params  []*dsl.Param
	owner   dsl.Decl
	locals  map[string]*target
	ownPart string // in its own line a part's name means the attribute, or what it means outside
	vars    []*target
	noCells bool
}

func (n *names) lookup(name string) *target {
	for i := len(n.vars) - 1; i >= 0; i-- {
		if n.vars[i].name == name {
			return n.vars[i]
		}
	}
	if t := n.locals[name]; t != nil && name != n.ownPart {
		return t
	}
	if t := paramTarget(n.params, name, kindAttribute, n.owner); t != nil {
		return t
	}
	if n.env.section != nil && name != n.env.cell && !n.noCells {
		if c, section, _ := n.w.s.cellOf(n.env.file, n.env.section, name); c != nil {
			return &target{name, kindCell, c.Key[0].Name.Span, c, section}
		}
		if t := paramTarget(n.w.s.settings(n.env.section.Kind.Name), name, kindSetting, nil); t != nil {
			return t
		}
	}
	return n.w.s.top(n.env.top(), name, n.env.section)
}

// expr finds the names of an expression.
func (w *indexer) expr(x dsl.Expr, n *names) {
	switch x := x.(type) {
	case *dsl.Name:
		w.add(x.Span, n.lookup(x.Name), false)
	case *dsl.Paren:
		w.expr(x.X, n)
	case *dsl.Unary:
		w.expr(x.X, n)
	case *dsl.Binary:
		w.expr(x.X, n)
		w.expr(x.Y, n)
	case *dsl.Cond:
		w.expr(x.Then, n)
		w.expr(x.If, n)
		w.expr(x.Else, n)
	case *dsl.Member:
		w.expr(x.X, n)
		e := n.env
		if n.noCells {
			e.section = nil
		}
		w.add(x.Name.Span, w.s.memberTarget(w.s.value(x.X, e, 0), x.Name.Name), false)
	case *dsl.Call:
		w.expr(x.Fn, n)
		v := w.s.value(x.Fn, n.env, 0)
		v.built = v.decl != nil
		for _, a := range x.Args {
			if a.Name.Name != "" {
				w.add(a.Name.Span, w.s.memberTarget(v, a.Name.Name), false)
			}
			w.expr(a.Value, n)
		}
	case *dsl.Index:
		w.expr(x.X, n)
		for _, a := range x.Axes {
			w.expr(a, n)
		}
		for _, a := range x.To {
			w.expr(a, n)
		}
	case *dsl.List:
		for _, it := range x.Items {
			if it.Over == nil {
				w.expr(it.Value, n)
				continue
			}
			v := &target{it.Var.Name, kindVariable, it.Var.Span, x, n.owner}
			inner := *n
			inner.vars = append(append([]*target{}, n.vars...), v)
			w.expr(it.Value, &inner)
			w.add(it.Var.Span, v, true)
			w.expr(it.Over, n)
		}
	}
}

// importName is what an import is called without `as`.
func importName(u *dsl.Use) string {
	name := strings.TrimSuffix(path.Base(u.Path.Value), ".forge")
	if !strings.HasSuffix(u.Path.Value, ".forge") {
		name, _, _ = strings.Cut(name, "@")
	}
	return name
}
