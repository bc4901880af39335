package check

import (
	"slices"
	"sort"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// Table is a section, or one with cells replaced (`from`, a call, a path, `--set`). It works like a spreadsheet: a cell is
// evaluated when it is asked for, in the table it now stands in, and remembered.
type Table struct {
	Kind *builder
	Name string
	Span diag.Span // of the section's name

	module  *Module
	section *dsl.Section
	cells   map[string]*cell
	order   []string // of written cells
	patches []*patch // of longer paths, in the order in which they are applied
	lines   []*nameLine
	results map[string]*result
}

// env is where an expression was written: names that the table lacks are looked up there.
type env struct {
	module  *Module
	section *dsl.Section // its own name means the outer one
	outer   scope        // of a call on a table: the caller's scope; nil otherwise
}

func (e env) lookup(name string) (Value, diag.Span, bool) {
	if e.outer != nil {
		return e.outer.lookup(name)
	}
	return e.module.lookupExcept(name, e.section)
}

// cell is `name = value` as it stands in a table.
type cell struct {
	name  string
	let   bool
	value dsl.Expr
	fixed Value // instead of value, if not nil
	env   env
	key   diag.Span

	replaced bool // took the place of another cell
}

// patch replaces what lies at a path inside a cell.
type patch struct {
	path  []pathStep
	value dsl.Expr
	env   env
	key   diag.Span
}

// pathStep is a name or, in a list, an index.
type pathStep struct {
	name  string
	index dsl.Expr
	span  diag.Span
}

func pathOf(key []dsl.Seg) []pathStep {
	var path []pathStep
	for _, s := range key {
		path = append(path, pathStep{name: s.Name.Name, span: s.Name.Span})
		if s.Index != nil {
			path = append(path, pathStep{index: s.Index, span: s.Index.At()})
		}
	}
	return path
}

// result is an evaluated cell.
type result struct {
	value   Value
	at      diag.Span   // of the value
	key     diag.Span   // of the cell: its origin; zero for a default
	end     int         // line that the value ends on
	changes []diag.Span // replaced cells and paths that the value was computed with, the cell itself left out
	busy    bool
}

func (r *result) changedBy(spans ...diag.Span) {
	for _, s := range spans {
		if s != r.key && !slices.Contains(r.changes, s) {
			r.changes = append(r.changes, s)
		}
	}
}

// cellScope is where a cell's value is read: the table's cells but the cell itself, then where the line was written.
type cellScope struct {
	c    *checker
	t    *Table
	cell string
	env  env
}

func (s *cellScope) lookup(name string) (Value, diag.Span, bool) {
	if name != s.cell {
		if r := s.t.result(s.c, name); r != nil {
			return r.value, r.at, true
		}
	}
	return s.env.lookup(name)
}

func (s *cellScope) names() []string {
	var names []string
	for _, n := range s.t.order {
		if n != s.cell {
			names = append(names, n)
		}
	}
	for _, p := range s.t.Kind.Params {
		if p.Default != nil && s.t.cells[p.Name] == nil && p.Name != s.cell {
			names = append(names, p.Name)
		}
	}
	if s.env.outer != nil {
		return append(names, scopeNames(s.env.outer)...)
	}
	return append(names, s.env.module.names()...)
}

// tableOf evaluates the section of a declaration as a table; nil after a fault.
func (d *decl) tableOf() *Table {
	if d.table != nil {
		return d.table
	}
	c := d.module.c
	s := d.section
	if d.building {
		c.report(diag.New("E106", d.span, "", "`%s` is made from itself", d.name))
		return nil
	}
	d.building = true
	defer func() { d.building = false }()
	kind := c.kind(s.Kind.Name)
	if kind == nil {
		c.noKind(s.Kind)
		return nil
	}
	base := &Table{Kind: kind, results: map[string]*result{}}
	e := env{module: d.module, section: s}
	if s.From != nil {
		v := c.eval(&sectionScope{e}, s.From)
		if isOpen(v) {
			return nil
		}
		t, ok := v.(*Table)
		if !ok || t.Kind != kind {
			c.report(diag.New("E300", s.From.At(), "this is "+typeName(v), "`%s` must be made from a %s section", d.name, kind.Name))
			return nil
		}
		base = t
	}
	t := base.copyOf(c)
	t.Name, t.Span, t.module, t.section = d.name, d.span, d.module, s
	t.write(c, s.Cells, e, s.From != nil)
	d.table = t
	return t
}

// sectionScope is where `from` is evaluated: the file, without the section itself.
type sectionScope struct{ env env }

func (s *sectionScope) lookup(name string) (Value, diag.Span, bool) { return s.env.lookup(name) }
func (s *sectionScope) names() []string                             { return s.env.module.names() }

func (c *checker) noKind(id dsl.Ident) {
	kinds := []string{"block", "data", "model", "plan", "recipe", "run", "sweep", "train", "weights"}
	label, near := didYouMean(id.Name, kinds)
	d := diag.New("E103", id.Span, label, "there is no kind of section called `%s`", id.Name).Helpf("kinds: %s", strings.Join(kinds, ", "))
	if near != "" {
		d.FixWith(id.Span, near)
	}
	c.report(d)
}

// copyOf is a table with the same cells, nothing evaluated.
func (t *Table) copyOf(c *checker) *Table {
	c.steps += len(t.cells)
	n := *t
	n.cells = make(map[string]*cell, len(t.cells))
	for k, v := range t.cells {
		n.cells[k] = v
	}
	n.order = append([]string{}, t.order...)
	n.patches = append([]*patch{}, t.patches...)
	n.lines = append([]*nameLine{}, t.lines...)
	n.results = map[string]*result{}
	return &n
}

// write puts the cells of a section (or one `--set`) into a table. derived: the table is made from another one, so a single name
// may also replace a helper cell.
func (t *Table) write(c *checker, cells []*dsl.Cell, e env, derived bool) {
	first := map[string]diag.Span{}
	var added []*patch
	for _, k := range cells {
		name := keyText(k)
		if at, twice := first[name]; twice {
			c.report(diag.New("E102", k.KeySpan(), "set again here", "`%s` is set twice in `%s`", name, t.Name).Note(at, "first set here").
				Helpf("a section is a table, not a script: each setting has one value"))
			continue
		}
		first[name] = k.KeySpan()
		if t.Kind.Name == "weights" && t.writeLine(c, k) {
			continue
		}
		if k.Text != nil {
			c.report(diag.New("E101", k.Text.Span, "", "a %s has settings, not texts", t.Kind.Name).Helpf("a %s has: %s", t.Kind.Name, t.settings()))
			continue
		}
		path := pathOf(k.Key)
		if len(path) > 1 {
			if t.allowed(c, path[0], k.Let) {
				added = append(added, &patch{path: path, value: k.Value, env: e, key: k.KeySpan()})
			}
			continue
		}
		setting := paramNamed(t.Kind.Params, name) != nil
		switch {
		case k.Let && setting:
			c.report(diag.New("E102", k.KeySpan(), "write it without `let`", "`%s` is a setting of every %s", name, t.Kind.Name))
			continue
		case k.Let && reservedNames[name]:
			c.report(diag.New("E102", k.KeySpan(), "", "`%s` is known everywhere and can't be given again", name))
			continue
		case !k.Let && !setting && !(derived && t.cells[name] != nil):
			c.noSetting(t, k.Key[0].Name)
			continue
		}
		t.replace(&cell{name: name, let: !setting, value: k.Value, env: e, key: k.KeySpan()})
	}
	// Of two paths the longer is applied later, whatever the order of lines. The lines of a sweep keep their order.
	if t.Kind.Name != "sweep" {
		sort.SliceStable(added, func(i, j int) bool { return len(added[i].path) < len(added[j].path) })
	}
	t.patches = append(t.patches, added...)
}

// replace puts a cell in place of the one of its name; what was changed inside the old one is gone with it.
func (t *Table) replace(n *cell) {
	if t.cells[n.name] == nil {
		t.order = append(t.order, n.name)
	} else {
		n.replaced = true
	}
	t.cells[n.name] = n
	kept := t.patches[:0:0]
	for _, p := range t.patches {
		if p.path[0].name != n.name {
			kept = append(kept, p)
		}
	}
	t.patches = kept
}

// allowed checks that a path begins with a setting or cell of the table.
func (t *Table) allowed(c *checker, first pathStep, let bool) bool {
	if let {
		c.report(diag.New("E010", first.span, "", "a helper cell has a plain name").Helpf("a path changes what is there: write it without `let`"))
		return false
	}
	if t.cells[first.name] == nil && paramNamed(t.Kind.Params, first.name) == nil {
		c.noSetting(t, dsl.Ident{Name: first.name, Span: first.span})
		return false
	}
	return true
}

func keyText(k *dsl.Cell) string {
	if k.Text != nil {
		return k.Text.Raw
	}
	var b strings.Builder
	for i, s := range k.Key {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.Name.Name)
		if s.Index != nil {
			b.WriteByte('[')
			b.WriteString(exprText(s.Index))
			b.WriteByte(']')
		}
	}
	return b.String()
}

// settings lists the settings of the table's kind.
func (t *Table) settings() string { return strings.Join(paramNames(t.Kind.Params), ", ") }

// noSetting reports a name that is neither a setting nor a helper cell.
func (c *checker) noSetting(t *Table, id dsl.Ident) Value {
	label, near := didYouMean(id.Name, append(paramNames(t.Kind.Params), t.order...))
	d := diag.New("E101", id.Span, label, "a %s has no setting `%s`", t.Kind.Name, id.Name)
	if t.Kind.Name == "weights" {
		d.Helpf("a line names a tensor: \"name in the file\" = path.of.weight[axes]")
	}
	d.Helpf("a %s has: %s", t.Kind.Name, t.settings())
	if t.Kind.Name == "recipe" && id.Name == "train" {
		d.Helpf("`train.` is short for the first stage with `--set` only: in a file it is `stages[0].`")
	} else if t.Kind.Name != "weights" {
		d.Helpf("for a helper cell of your own, write `let %s = …`", id.Name)
	}
	if near != "" {
		d.FixWith(id.Span, near)
	}
	return c.fail(d)
}

// get evaluates a cell or a setting's default; false if the table has neither.
func (t *Table) get(c *checker, name string) (Value, bool) {
	r := t.result(c, name)
	if r == nil {
		return nil, false
	}
	return r.value, true
}

// result evaluates a cell once. nil: no such cell, and no setting with a default.
func (t *Table) result(c *checker, name string) *result {
	if r := t.results[name]; r != nil {
		if r.busy {
			c.cellCircle(t, name)
			return &result{value: bad}
		}
		c.changed(t, name)
		return r
	}
	p := paramNamed(t.Kind.Params, name)
	k := t.cells[name]
	if k == nil && (p == nil || p.Default == nil) {
		return nil
	}
	r := &result{busy: true}
	t.results[name] = r
	c.busy = append(c.busy, busyCell{t, name})
	defer func() {
		c.busy = c.busy[:len(c.busy)-1]
		r.busy = false
		c.changed(t, name)
	}()

	changes := t.changesOf(c, name)
	drafting := c.drafting
	c.drafting = len(changes) > 0
	var raw string
	switch {
	case k == nil:
		r.at, r.key = p.Default.At(), diag.Span{}
		r.value = c.eval(&cellScope{c, t, name, env{module: t.Kind.module}}, p.Default)
		raw = rawNumber(p.Default)
	case k.fixed != nil:
		c.used[k.key] = true
		r.at, r.key, r.value = k.key, k.key, k.fixed
	default:
		c.used[k.key] = true
		r.at, r.key, r.end = k.value.At(), k.key, k.value.At().End.Line
		r.value = c.eval(&cellScope{c, t, name, k.env}, k.value)
		raw = rawNumber(k.value)
	}
	// A train section's `model` is the recipe's: what is changed in it waits for that.
	if !(t.Kind.Name == "train" && name == "model" && isNone(r.value)) {
		r.value = c.changedValue(r.value, changes)
		for _, q := range changes {
			r.changedBy(q.key)
		}
	}
	c.drafting = drafting
	if p != nil {
		r.value = c.fit(r.value, p.Type, name, r.at, raw)
	} else if a, ok := r.value.(*Any); ok {
		r.value = c.fit(a, typ{atoms: []typeAtom{{name: "any"}}}, name, r.at, "")
	}
	return r
}

// busyCell is a cell that is being evaluated.
type busyCell struct {
	t    *Table
	name string
}

// changed tells the cell that is being evaluated what the cell that it asked for was changed by.
func (c *checker) changed(t *Table, name string) {
	if len(c.busy) == 0 {
		return
	}
	b := c.busy[len(c.busy)-1]
	asking, r := b.t.results[b.name], t.results[name]
	asking.changedBy(r.changes...)
	if k := t.cells[name]; k != nil && k.replaced {
		asking.changedBy(k.key)
	}
}

// keySpan is where a cell is written, or its setting's header for a default.
func (b busyCell) keySpan() diag.Span {
	if k := b.t.cells[b.name]; k != nil {
		return k.key
	}
	if p := paramNamed(b.t.Kind.Params, b.name); p != nil {
		return p.Decl.Name.Span
	}
	return b.t.Span
}

// cellCircle reports a cell that is needed to know itself, with the whole loop.
func (c *checker) cellCircle(t *Table, name string) {
	i := len(c.busy) - 1
	for i > 0 && c.busy[i] != (busyCell{t, name}) {
		i--
	}
	loop := append([]busyCell{}, c.busy[i:]...)
	// Begin with the cell that stands first, whichever was asked for.
	lowest := 0
	for j, b := range loop {
		if b.keySpan().File == loop[lowest].keySpan().File && b.keySpan().Start.Offset < loop[lowest].keySpan().Start.Offset {
			lowest = j
		}
	}
	loop = append(append([]busyCell{}, loop[lowest:]...), loop[:lowest]...)
	d := diag.New("E106", loop[0].keySpan(), "to know this …", "`%s` is computed from itself", loop[0].name)
	if len(loop) == 1 {
		d.Labels[0].Text = "to know this, it must be known already"
	}
	for j, b := range loop[1:] {
		text := "… `%s` must be known …"
		if j == len(loop)-2 {
			text = "… `%s` must be known, and the other way round"
		}
		d.Note(b.keySpan(), text, b.name)
	}
	c.report(d)
}
