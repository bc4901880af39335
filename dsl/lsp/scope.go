package lsp

import (
	"slices"
	"sync"

	"forge/dsl"
	"forge/dsl/check"
	"forge/dsl/diag"
	"forge/plugins/std"
)

// What names mean, told from the trees alone: quick enough for every key, and possible while a file has faults. Values are not
// evaluated; of a value that hangs on a condition, the first arm speaks for all.

// kind says what a name stands for.
type kind string

const (
	kindBlock     kind = "block"
	kindBuilder   kind = "value"
	kindKind      kind = "kind"
	kindSection   kind = "section"
	kindImport    kind = "import"
	kindCell      kind = "cell"
	kindSetting   kind = "setting"
	kindAttribute kind = "attribute"
	kindInput     kind = "input"
	kindAxis      kind = "axis"
	kindWeight    kind = "weight"
	kindState     kind = "state"
	kindPart      kind = "part"
	kindEquation  kind = "equation"
	kindVariable  kind = "variable"
	kindOperation kind = "operation"
	kindFunction  kind = "function"
)

// target is what a name stands for and where it was declared.
type target struct {
	name string
	kind kind
	span diag.Span // of the name where it is declared; zero for operations and functions
	node any       // the declaration, cell, parameter or line
	// owner is the declaration it stands in, nil for those of a file.
	owner dsl.Decl
}

// same reports whether two targets are one.
func (t *target) same(u *target) bool {
	if t.span.IsZero() {
		return u.span.IsZero() && t.name == u.name
	}
	return t.span == u.span
}

// preludeFiles are the files whose names are known everywhere.
var preludeFiles = sync.OnceValue(func() []string {
	names := []string{dsl.PreludeName}
	entries, err := std.FS.ReadDir(".")
	if err != nil {
		panic("lsp: the standard blocks cannot be listed: " + err.Error())
	}
	for _, e := range entries {
		names = append(names, "std/"+e.Name())
	}
	return names
})

// isPrelude reports whether a file is one of them.
func isPrelude(name string) bool { return slices.Contains(preludeFiles(), name) }

// declared is what a declaration gives to its file; nil for `forge N`.
func declared(d dsl.Decl) *target {
	switch d := d.(type) {
	case *dsl.Block:
		return &target{d.Name.Name, kindBlock, d.Name.Span, d, nil}
	case *dsl.Builtin:
		k := kindBuilder
		if d.IsKind {
			k = kindKind
		}
		return &target{d.Name.Name, k, d.Name.Span, d, nil}
	case *dsl.Section:
		return &target{d.Name.Name, kindSection, d.Name.Span, d, nil}
	case *dsl.Use:
		id := d.As
		if id.Name == "" {
			id = dsl.Ident{Name: importName(d), Span: d.Path.Span}
		}
		return &target{id.Name, kindImport, id.Span, d, nil}
	}
	return nil
}

// exports is what a file declares under a name; a kind only if it is asked for.
func (s *server) exports(file, name string, wantKind bool) *target {
	t := s.tree(file)
	if t == nil {
		return nil
	}
	var found *target
	for _, d := range t.file.Decls {
		if x := declared(d); x != nil && x.name == name && (x.kind == kindKind) == wantKind && x.kind != kindImport {
			found = x
			break
		}
	}
	return found
}

// top is what a name means at the top of a file: declarations, then imports, then the prelude. Inside a section's own definition
// its name means the outer one.
func (s *server) top(file, name string, own *dsl.Section) *target {
	if isPrelude(file) {
		return s.preludeName(name, false)
	}
	if t := s.tree(file); t != nil {
		for _, d := range t.file.Decls {
			if x := declared(d); x != nil && x.name == name && x.kind != kindKind && (own == nil || d != dsl.Decl(own)) {
				return x
			}
		}
	}
	return s.preludeName(name, false)
}

// preludeName is what a name means everywhere.
func (s *server) preludeName(name string, wantKind bool) *target {
	for _, f := range preludeFiles() {
		if x := s.exports(f, name, wantKind); x != nil {
			return x
		}
	}
	if wantKind {
		return nil
	}
	for _, p := range check.Primitives() {
		if p.Name == name {
			return &target{name: name, kind: kindOperation, node: p}
		}
	}
	if slices.Contains(functions, name) {
		return &target{name: name, kind: kindFunction}
	}
	return nil
}

// functions are the functions on numbers (language.md section 4).
var functions = []string{"abs", "exp", "log", "max", "min", "sqrt"}

// kinds are the names of the kinds of sections.
func (s *server) kinds() []string {
	var list []string
	for _, d := range s.tree(dsl.PreludeName).file.Decls {
		if b, ok := d.(*dsl.Builtin); ok && b.IsKind {
			list = append(list, b.Name.Name)
		}
	}
	return list
}

// settings are the parameters of a kind, by its name.
func (s *server) settings(kindName string) []*dsl.Param {
	if k := s.preludeName(kindName, true); k != nil {
		return k.node.(*dsl.Builtin).Params
	}
	return nil
}

// cellOf finds a cell of a section or of those that it is made from; the section too that it stands in. Keys that are paths are no
// cells.
func (s *server) cellOf(file string, section *dsl.Section, name string) (*dsl.Cell, *dsl.Section, string) {
	for range maxSteps {
		for _, c := range section.Cells {
			if c.Text == nil && len(c.Key) == 1 && c.Key[0].Index == nil && c.Key[0].Name.Name == name {
				return c, section, file
			}
		}
		var ok bool
		if file, section, ok = s.base(file, section); !ok {
			break
		}
	}
	return nil, nil, ""
}

// original is a target itself but for a cell that replaces another one: then it is the cell that was written first, in the section
// that the others are made from.
func (s *server) original(t *target) *target {
	section, ok := t.owner.(*dsl.Section)
	if t.kind != kindCell || !ok {
		return t
	}
	file := t.span.File
	for range maxSteps {
		if file, section, ok = s.base(file, section); !ok {
			break
		}
		var c *dsl.Cell
		if c, section, file = s.cellOf(file, section, t.name); c == nil {
			break
		}
		t = &target{t.name, kindCell, c.Key[0].Name.Span, c, section}
	}
	return t
}

// base is the section that one is made from.
func (s *server) base(file string, section *dsl.Section) (string, *dsl.Section, bool) {
	if section.From == nil {
		return "", nil, false
	}
	v := s.value(section.From, env{file: file, own: section}, 0)
	if v.section == nil || v.section == section {
		return "", nil, false
	}
	return v.file, v.section, true
}

// env is where an expression stands.
type env struct {
	file    string
	section *dsl.Section
	cell    string // the cell whose value it is
	block   *dsl.Block
	writer  string       // the file that wrote it, if the section stands in another one
	own     *dsl.Section // whose `from` it is: its name means the outer one
}

// top is the file whose declarations the expression may name.
func (e env) top() string {
	if e.writer != "" {
		return e.writer
	}
	return e.file
}

// thing is what an expression gives, as far as that can be told without evaluating: a section, what a header builds, an imported
// file, or a list of such.
type thing struct {
	file    string
	section *dsl.Section
	params  []*dsl.Param // of what is built
	decl    dsl.Decl     // its header
	built   bool         // by a call; otherwise it is the header itself
	module  string
	items   []dsl.Expr
	env     env // of the items
}

func (v thing) known() bool {
	return v.section != nil || v.decl != nil || v.module != "" || v.items != nil
}

// What one value may take: names that are defined by each other, in a circle or twice each, come to an end.
const (
	maxSteps  = 60
	maxValues = 5000
)

// value tells what an expression gives.
func (s *server) value(x dsl.Expr, e env, depth int) thing {
	if s.inner == 0 {
		s.steps = 0
	}
	s.inner++
	defer func() { s.inner-- }()
	if s.steps++; s.steps > maxValues || s.inner > maxSteps || depth > maxSteps {
		return thing{}
	}
	depth++
	switch x := dsl.Unparen(x).(type) {
	case *dsl.Name:
		return s.nameValue(x.Name, e, depth)
	case *dsl.Cond:
		if v := s.value(x.Then, e, depth); v.known() {
			return v
		}
		return s.value(x.Else, e, depth)
	case *dsl.Binary:
		if x.Op == "+" {
			if v := s.value(x.X, e, depth); v.known() {
				return v
			}
			return s.value(x.Y, e, depth)
		}
	case *dsl.Call:
		v := s.value(x.Fn, e, depth)
		if v.decl != nil {
			v.built = true
		}
		return v
	case *dsl.List:
		v := thing{file: e.file, env: e, items: []dsl.Expr{}}
		for _, it := range x.Items {
			v.items = append(v.items, it.Value)
		}
		return v
	case *dsl.Member:
		return s.memberValue(s.value(x.X, e, depth), x.Name.Name, depth)
	case *dsl.Index:
		if len(x.Axes) == 1 && !x.Arrow {
			return s.item(s.value(x.X, e, depth), x.Axes[0], depth)
		}
	}
	return thing{}
}

// nameValue tells what a name stands for.
func (s *server) nameValue(name string, e env, depth int) thing {
	if e.block != nil {
		for _, st := range e.block.Body {
			if p, ok := st.(*dsl.Part); ok && p.Name.Name == name && e.cell != name {
				e.cell = name
				return s.value(p.Value, e, depth)
			}
		}
		for _, p := range e.block.Params {
			if p.Name.Name == name {
				return s.value(p.Default, env{file: e.file}, depth)
			}
		}
	}
	if e.section != nil && name != e.cell {
		if c, section, file := s.cellOf(e.file, e.section, name); c != nil {
			return s.value(c.Value, env{file: file, section: section, cell: name}, depth)
		}
	}
	own := e.section
	if own == nil {
		own = e.own
	}
	return s.targetValue(s.top(e.top(), name, own), e.top())
}

func (s *server) targetValue(t *target, file string) thing {
	if t == nil {
		return thing{}
	}
	switch n := t.node.(type) {
	case *dsl.Section:
		return thing{file: t.span.File, section: n}
	case *dsl.Block:
		return thing{file: t.span.File, decl: n, params: n.Params}
	case *dsl.Builtin:
		return thing{file: t.span.File, decl: n, params: n.Params}
	case *dsl.Use:
		return thing{module: imported(file, n)}
	}
	return thing{}
}

// memberValue is x.name.
func (s *server) memberValue(v thing, name string, depth int) thing {
	switch {
	case v.module != "":
		return s.targetValue(s.exports(v.module, name, false), v.module)
	case v.section != nil:
		if c, section, file := s.cellOf(v.file, v.section, name); c != nil {
			return s.value(c.Value, env{file: file, section: section, cell: name}, depth)
		}
		for _, p := range s.settings(v.section.Kind.Name) {
			if p.Name.Name == name {
				return s.value(p.Default, env{file: dsl.PreludeName}, depth)
			}
		}
	case v.built:
		for _, p := range v.params {
			if p.Name.Name == name {
				return s.value(p.Default, env{file: v.file}, depth)
			}
		}
	}
	return thing{}
}

// item is an entry of a list: the one of a literal index, or the first.
func (s *server) item(v thing, index dsl.Expr, depth int) thing {
	if len(v.items) == 0 {
		return thing{}
	}
	i := 0
	if n, ok := dsl.Unparen(index).(*dsl.Number); ok && n.Whole && n.Int >= 0 && n.Int < int64(len(v.items)) {
		i = int(n.Int)
	}
	return s.value(v.items[i], v.env, depth)
}

// memberTarget is what `.name` after a value means.
func (s *server) memberTarget(v thing, name string) *target {
	switch {
	case v.module != "":
		return s.exports(v.module, name, false)
	case v.section != nil:
		if c, section, _ := s.cellOf(v.file, v.section, name); c != nil {
			return &target{name, kindCell, c.Key[0].Name.Span, c, section}
		}
		return paramTarget(s.settings(v.section.Kind.Name), name, kindSetting, nil)
	case v.built:
		return paramTarget(v.params, name, kindAttribute, v.decl)
	}
	return nil
}

func paramTarget(params []*dsl.Param, name string, k kind, owner dsl.Decl) *target {
	for _, p := range params {
		if p.Name.Name == name {
			return &target{name, k, p.Name.Span, p, owner}
		}
	}
	return nil
}
