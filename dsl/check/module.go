package check

import (
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"forge/dsl"
	"forge/dsl/diag"
	"forge/plugins/std"
	"forge/recipes"
)

// Module is a file whose declarations have names: a recipe file, a plugin's header, or the prelude with the standard blocks, which
// is one module.
type Module struct {
	Name    string // of the file, as shown
	Files   []*dsl.File
	Recipes []*Recipe // its recipe sections that have no fault, in the order of the file; File fills them in
	Sweeps  []*Recipe // the first run of each of its sweep sections that have no fault; File fills them in

	c       *checker
	key     string // tells files apart: shipped ones begin with "recipes:"
	shipped bool
	alias   string // of a plugin: the last part of its name
	spec    string // of a plugin: what `use` asks for
	decls   map[string]*decl
	order   []*decl
	uses    map[string]*use
	broken  bool // has syntax errors: what is missing may be what could not be read
}

// decl is a named declaration: exactly one of block, builder and section is set.
type decl struct {
	name    string
	span    diag.Span // of the name
	block   *BlockDef
	builder *builder
	section *dsl.Section
	module  *Module

	table    *Table // of the section, once built
	building bool
}

type use struct {
	name string
	span diag.Span
	m    *Module // nil: could not be read
}

// PluginFile is one file of an installed plugin's header.
type PluginFile struct{ Name, Source string }

// Plugins is a Files that knows installed plugins. Plugin gives the header's files for `use "name@version"`: none if the plugin is
// not installed, an error if the version can't be had.
type Plugins interface {
	Plugin(name, version string) ([]PluginFile, error)
}

// functions are the functions on numbers.
var functions = map[string]bool{"sqrt": true, "exp": true, "log": true, "abs": true, "min": true, "max": true}

// preludeTrees are the parsed prelude and standard blocks. Trees are never changed, so every run shares them.
var preludeTrees = sync.OnceValue(func() []*dsl.File {
	read := func(f *dsl.File, diags diag.List) *dsl.File {
		if diags.HasErrors() {
			panic("check: the standard blocks have errors: " + diags.Error())
		}
		return f
	}
	files := []*dsl.File{read(dsl.ParseHeader(dsl.PreludeName, dsl.PreludeSource))}
	entries, err := fs.ReadDir(std.FS, ".")
	if err != nil {
		panic("check: the standard blocks cannot be listed: " + err.Error())
	}
	for _, e := range entries {
		source, err := std.FS.ReadFile(e.Name())
		if err != nil {
			panic("check: the standard blocks cannot be read: " + err.Error())
		}
		files = append(files, read(dsl.Parse("std/"+e.Name(), string(source))))
	}
	return files
})

// loadPrelude declares the prelude and the standard blocks: one module whose names are known everywhere.
func (c *checker) loadPrelude() {
	m := &Module{Name: dsl.PreludeName, c: c, key: "prelude", decls: map[string]*decl{}, uses: map[string]*use{}}
	c.prelude = m
	for _, f := range preludeTrees() {
		c.sources[f.Name] = f.Source
		c.addTree(m, f)
	}
}

// addFile parses one file into a module and declares its names.
func (c *checker) addFile(m *Module, name, source string, header bool) *dsl.File {
	c.sources[name] = source
	parse := dsl.Parse
	if header {
		parse = dsl.ParseHeader
	}
	f, diags := parse(name, source)
	for _, d := range diags {
		c.report(d)
	}
	if diags.HasErrors() {
		m.broken = true
		c.broken[name] = true
	}
	c.addTree(m, f)
	return f
}

func (c *checker) addTree(m *Module, f *dsl.File) {
	m.Files = append(m.Files, f)
	for _, d := range f.Decls {
		c.declare(m, f, d)
	}
}

func (c *checker) declare(m *Module, file *dsl.File, d dsl.Decl) {
	var n *decl
	switch d := d.(type) {
	case *dsl.Block:
		params := paramsOf(d.Params)
		n = &decl{name: d.Name.Name, span: d.Name.Span, block: c.newBlock(d, file, params, m)}
	case *dsl.Builtin:
		n = &decl{name: d.Name.Name, span: d.Name.Span, builder: newBuilder(m, d)}
		if d.IsKind {
			// Kinds have names of their own: `data`, `model` and `run` stay free for sections.
			n.name = "kind " + n.name
		}
	case *dsl.Section:
		n = &decl{name: d.Name.Name, span: d.Name.Span, section: d}
	default:
		return
	}
	n.module = m
	if first := m.decls[n.name]; first != nil {
		c.report(diag.New("E102", n.span, "declared again here", "`%s` is declared twice", n.name).Note(first.span, "first declared here"))
		return
	}
	if reservedNames[n.name] {
		c.report(diag.New("E102", n.span, "", "`%s` is known everywhere and can't be given again", n.name))
		return
	}
	m.decls[n.name] = n
	m.order = append(m.order, n)
}

var reservedNames = map[string]bool{"none": true, "inf": true, "batch": true, "seq": true, "key": true}

// kind finds the header of a kind of section.
func (c *checker) kind(name string) *builder {
	if d := c.prelude.decls["kind "+name]; d != nil {
		return d.builder
	}
	return nil
}

// open reads the file of a recipe or import, once. at is the `use` that names it, zero for the command line.
func (c *checker) open(file string, shipped bool, at diag.Span) *Module {
	k, shown := path.Clean(file), path.Clean(file)
	if shipped {
		k = "recipes:" + k
		shown = "recipes/" + shown
	}
	if m := c.modules[k]; m != nil {
		for i, l := range c.loading {
			if l == m {
				c.circle(c.loading[i:], at)
				return nil
			}
		}
		return m
	}
	var source []byte
	var err error
	if shipped {
		source, err = recipes.FS.ReadFile(path.Clean(file))
	} else {
		source, err = c.files.ReadFile(path.Clean(file))
	}
	if err != nil {
		c.noFile(shown, shipped, at)
		return nil
	}
	m := &Module{Name: shown, c: c, key: k, shipped: shipped, decls: map[string]*decl{}, uses: map[string]*use{}}
	c.modules[k] = m
	c.opened = append(c.opened, m)
	c.loading = append(c.loading, m)
	defer func() { c.loading = c.loading[:len(c.loading)-1] }()
	f := c.addFile(m, shown, string(source), false)
	for _, d := range f.Decls {
		if u, ok := d.(*dsl.Use); ok {
			c.use(m, u)
		}
	}
	return m
}

func (c *checker) noFile(shown string, shipped bool, at diag.Span) {
	d := diag.New("E400", at, "", "there is no file %s", shown)
	if name := strings.TrimSuffix(path.Base(shown), ".forge"); shipped {
		d.Message = "there is no shipped recipe `" + name + "`"
		if near := suggest(name, recipes.Names()); near != "" {
			d.Labels[0].Text = "did you mean `" + near + "`?"
		}
		d.Helpf("shipped recipes: %s", strings.Join(recipes.Names(), ", "))
	} else if slices.Contains(recipes.Names(), name) {
		d.Helpf("the shipped recipe is `use \"%s\"`", name)
	}
	c.report(d)
}

// circle reports files that import each other. loop is the way from the file imported again to the one that does it.
func (c *checker) circle(loop []*Module, at diag.Span) {
	d := diag.New("E402", at, path.Base(loop[0].Name)+" is already being read", "these files import each other in a circle")
	for i := 0; i+1 < len(loop); i++ {
		for _, x := range loop[i].Files[0].Decls {
			if u, ok := x.(*dsl.Use); ok && c.target(loop[i], u) == loop[i+1].key {
				d.Note(u.Path.Span, "… imports %s", path.Base(loop[i+1].Name))
				break
			}
		}
	}
	c.report(d.Helpf("move what both need into a third file and import that from both"))
}

// target is the key of the file that a `use` names.
func (c *checker) target(m *Module, u *dsl.Use) string {
	file, shipped := useFile(m, u)
	if shipped {
		return "recipes:" + file
	}
	return file
}

// useFile is the file a `use` names: relative to the file that says so, or shipped.
func useFile(m *Module, u *dsl.Use) (file string, shipped bool) {
	p := u.Path.Value
	if !strings.HasSuffix(p, ".forge") {
		return p + ".forge", true
	}
	if m.shipped {
		return path.Join(path.Dir(strings.TrimPrefix(m.key, "recipes:")), p), true
	}
	return path.Join(path.Dir(m.key), p), false
}

// use reads one import.
func (c *checker) use(m *Module, u *dsl.Use) {
	p := u.Path.Value
	name := strings.TrimSuffix(path.Base(p), ".forge")
	isPlugin := strings.Contains(p, "@") && !strings.HasSuffix(p, ".forge")
	if isPlugin {
		name, _, _ = strings.Cut(path.Base(p), "@")
	}
	span := u.Path.Span
	if u.As.Name != "" {
		name, span = u.As.Name, u.As.Span
	}
	if first := m.uses[name]; first != nil {
		c.report(diag.New("E403", span, "", "two imports are called `%s`", name).Note(first.span, "the first one").
			Helpf("give one another name: `use %s as other`", u.Path.Raw))
		return
	}
	if d := m.decls[name]; d != nil {
		c.report(diag.New("E403", span, "", "an import and a declaration are both called `%s`", name).Note(d.span, "declared here").
			Helpf("give the import another name: `use %s as other`", u.Path.Raw))
		return
	}
	n := &use{name: name, span: span}
	m.uses[name] = n
	if isPlugin {
		n.m = c.plugin(p, u.Path.Span)
		return
	}
	file, shipped := useFile(m, u)
	n.m = c.open(file, shipped, u.Path.Span)
}

// plugin reads the header of an installed plugin.
func (c *checker) plugin(p string, at diag.Span) *Module {
	name, version, _ := strings.Cut(p, "@")
	k := "plugin:" + name
	if m := c.modules[k]; m != nil {
		return m
	}
	var files []PluginFile
	var err error
	if host, ok := c.files.(Plugins); ok {
		files, err = host.Plugin(name, version)
	}
	switch {
	case err != nil:
		c.report(diag.New("E404", at, "", "the plugin %s can't be had: %v", name, err))
		return nil
	case len(files) == 0:
		c.report(diag.New("E401", at, "this file asks for version "+version+" or a later compatible one", "the plugin %s is not installed", name).
			Helpf("install it: forge plugin install %s", p).
			Helpf("forge.lock then records its exact version, checksum and block headers"))
		return nil
	}
	alias := name[strings.LastIndexByte(name, '/')+1:]
	m := &Module{Name: name, c: c, key: k, alias: alias, spec: p, decls: map[string]*decl{}, uses: map[string]*use{}}
	c.modules[k] = m
	c.opened = append(c.opened, m)
	for _, f := range files {
		c.addFile(m, f.Name, f.Source, true)
	}
	return m
}

// lookup says what a name means at the top of the file: its declarations and imports, then the prelude.
func (m *Module) lookup(name string) (Value, diag.Span, bool) { return m.lookupExcept(name, nil) }

// lookupExcept passes over one section: inside its own definition a name means the outer one.
func (m *Module) lookupExcept(name string, own *dsl.Section) (Value, diag.Span, bool) {
	if d := m.decls[name]; d != nil && (own == nil || d.section != own) {
		return d.value(), d.span, true
	}
	if u := m.uses[name]; u != nil {
		if u.m == nil {
			return bad, u.span, true
		}
		return moduleValue{u.m}, u.span, true
	}
	if p := m.c.prelude; m != p {
		return p.lookup(name)
	}
	if functions[name] {
		return functionValue{name}, diag.Span{}, true
	}
	return nil, diag.Span{}, false
}

func (d *decl) value() Value {
	switch {
	case d.block != nil:
		return d.block
	case d.builder != nil:
		return d.builder
	}
	if t := d.tableOf(); t != nil {
		return t
	}
	return bad
}

// names are all names known at the top of the file, nearest first.
func (m *Module) names() []string {
	var names []string
	for _, d := range m.order {
		if d.builder == nil || !d.builder.IsKind {
			names = append(names, d.name)
		}
	}
	var uses []string
	for n := range m.uses {
		uses = append(uses, n)
	}
	sort.Strings(uses)
	names = append(names, uses...)
	if p := m.c.prelude; m != p {
		return append(names, p.names()...)
	}
	return append(names, "abs", "exp", "log", "max", "min", "sqrt")
}

// exported finds a member of an imported file: what it declares, not what it imports.
func (m *Module) exported(c *checker, name string) (Value, bool) {
	if d := m.decls[name]; d != nil {
		return d.value(), true
	}
	// A file that could not be read in full may have declared it.
	if m.broken {
		return bad, true
	}
	return nil, false
}

func (m *Module) exports() []string {
	var names []string
	for _, d := range m.order {
		names = append(names, d.name)
	}
	return names
}

// sourceText is the text of a place, "" if the file is not known.
func sourceText(c *checker, at diag.Span) string {
	s := c.sources[at.File]
	if at.Start.Offset < 0 || at.End.Offset > len(s) || at.Start.Offset > at.End.Offset {
		return ""
	}
	return s[at.Start.Offset:at.End.Offset]
}
