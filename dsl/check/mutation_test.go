package check

import (
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"
	"testing"

	"forge/dsl"
	"forge/plugins/std"
	"forge/recipes"
)

// The mutation test (language.md section 21): every single edit of a kind to the standard blocks and to the ideas, then a check. What
// survives is listed in testdata/survivors.txt: other models that make sense (the feed-forward reads x beside attention, a router's
// load is counted by weight instead of by pick), and lines that log or balance another tensor.

// mutation is one change to a parsed block, undone afterwards.
type mutation struct {
	kind, text string
	do, undo   func()
}

// parsedPrelude parses the prelude and the standard blocks.
func parsedPrelude(t testing.TB) []*dsl.File {
	t.Helper()
	prelude, _ := dsl.ParseHeader(dsl.PreludeName, dsl.PreludeSource)
	files := []*dsl.File{prelude}
	entries, err := std.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		source, err := std.FS.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		f, diags := dsl.Parse("std/"+e.Name(), string(source))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		files = append(files, f)
	}
	return files
}

// checkerWith makes a checker whose prelude are the given trees.
func checkerWith(files []*dsl.File) *checker {
	c := newChecker(FS{recipes.FS})
	m := &Module{Name: dsl.PreludeName, c: c, key: "prelude", decls: map[string]*decl{}, uses: map[string]*use{}}
	c.prelude = m
	for _, f := range files {
		c.sources[f.Name] = f.Source
		m.Files = append(m.Files, f)
		for _, d := range f.Decls {
			c.declare(m, f, d)
		}
	}
	return c
}

// subject is a file whose blocks are changed: one of the standard blocks, or an idea. recipes are what is made of its blocks.
type subject struct {
	standard []*dsl.File
	file     *dsl.File
	idea     bool
	recipes  []string
}

// checker declares all that the subject's recipes are made of; the module is the one with the changed block.
func (s *subject) checker() (*checker, *Module) {
	c := checkerWith(s.standard)
	if !s.idea {
		return c, c.prelude
	}
	c.files = FS{recipeFolder}
	m := &Module{Name: s.file.Name, c: c, key: s.file.Name, decls: map[string]*decl{}, uses: map[string]*use{}}
	c.modules[m.key] = m
	c.opened = append(c.opened, m)
	c.sources[s.file.Name] = s.file.Source
	c.addTree(m, s.file)
	for _, d := range s.file.Decls {
		if u, ok := d.(*dsl.Use); ok {
			c.use(m, u)
		}
	}
	return c, m
}

// rejected reports whether the block is refused where it is defined, or else where a recipe builds it.
func (s *subject) rejected(block string) (defined, built bool) {
	c, m := s.checker()
	c.checkBlock(m.decls[block].block)
	if c.diags.HasErrors() {
		return true, false
	}
	for _, recipe := range s.recipes {
		c, _ := s.checker()
		c.loadRecipe(recipe, nil)
		if c.diags.HasErrors() {
			return false, true
		}
	}
	return false, false
}

// recipeFolder has the shipped recipes and the ideas.
var recipeFolder = os.DirFS("../../recipes")

// subjects are the standard blocks and the ideas.
func subjects(t testing.TB) []*subject {
	standard := parsedPrelude(t)
	var list []*subject
	for _, f := range standard {
		list = append(list, &subject{standard: standard, file: f, recipes: []string{"tiny", "tiny_gqa"}})
	}
	ideas, err := fs.Glob(recipeFolder, "ideas/*.forge")
	if err != nil || len(ideas) < 6 {
		t.Fatal(ideas, err)
	}
	for _, name := range ideas {
		source, err := fs.ReadFile(recipeFolder, name)
		if err != nil {
			t.Fatal(err)
		}
		f, diags := dsl.Parse(name, string(source))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		list = append(list, &subject{standard, f, true, []string{name}})
	}
	return list
}

// swappable lists the names of axes and tensors that may stand in a block.
func (s *subject) swappable(b *dsl.Block) (axes, tensors []string) {
	c, m := s.checker()
	def := m.decls[b.Name.Name].block
	c.checkHeader(def)
	seen := map[string]bool{}
	for _, r := range def.readings() {
		w := newWalker(c, def, nil)
		w.reading = r
		w.definition()
		for n := range w.axes {
			seen["axis "+n] = true
		}
		for n, e := range w.lines {
			if _, ok := e.value.(*tensor); ok || e.absent && e.kind == "weight" {
				seen["tensor "+n] = true
			}
		}
	}
	axes = []string{"batch", "seq", "key"}
	for n := range seen {
		if kind, name, _ := strings.Cut(n, " "); kind == "axis" {
			axes = append(axes, name)
		} else {
			tensors = append(tensors, name)
		}
	}
	sort.Strings(axes)
	sort.Strings(tensors)
	return axes, tensors
}

// mutationsOf lists the edits to one block.
func (s *subject) mutations(b *dsl.Block) []mutation {
	axes, tensors := s.swappable(b)
	var list []mutation
	rename := func(kind string, id *dsl.Ident, names []string) {
		old := id.Name
		for _, n := range names {
			if n != old {
				list = append(list, mutation{kind, fmt.Sprintf("%s: %s for %s", id.Span, n, old), func() { id.Name = n }, func() { id.Name = old }})
			}
		}
	}
	shape := func(s *dsl.Shape) {
		if s == nil {
			return
		}
		all := s.Axes
		for i := range all {
			id := &s.Axes[i]
			if id.Name == ".." {
				continue
			}
			rename("axis swapped", id, axes)
			rest := append(append([]dsl.Ident{}, all[:i]...), all[i+1:]...)
			list = append(list, mutation{"axis left out", fmt.Sprintf("%s: %s", id.Span, id.Name), func() { s.Axes = rest }, func() { s.Axes = all }})
		}
	}
	isTensor := map[string]bool{}
	for _, n := range tensors {
		isTensor[n] = true
	}
	items := func(list_ *[]dsl.Expr) {
		all := *list_
		for i, x := range all {
			n, ok := x.(*dsl.Name)
			if !ok || n.Name == ".." {
				continue
			}
			rename("axis swapped", &n.Ident, axes)
			rest := append(append([]dsl.Expr{}, all[:i]...), all[i+1:]...)
			list = append(list, mutation{"axis left out", fmt.Sprintf("%s: %s", n.Span, n.Name), func() { *list_ = rest }, func() { *list_ = all }})
		}
	}
	var visit func(x *dsl.Expr)
	visit = func(x *dsl.Expr) {
		switch e := (*x).(type) {
		case *dsl.Name:
			if isTensor[e.Name] {
				rename("tensor swapped", &e.Ident, tensors)
			}
		case *dsl.Paren:
			visit(&e.X)
		case *dsl.Unary:
			visit(&e.X)
		case *dsl.Binary:
			visit(&e.X)
			visit(&e.Y)
		case *dsl.Cond:
			visit(&e.Then)
			visit(&e.Else)
		case *dsl.Index:
			items(&e.Axes)
			items(&e.To)
		case *dsl.Call:
			visit(&e.Fn)
			for i := range e.Args {
				visit(&e.Args[i].Value)
			}
			if n, ok := e.Fn.(*dsl.Name); ok && n.Name == "causal" {
				old := *x
				list = append(list, mutation{"causal removed", e.Span.String(), func() { *x = e.Args[0].Value }, func() { *x = old }})
			}
		}
	}
	for _, p := range b.Params {
		if p.Type != nil {
			for _, a := range p.Type.Atoms {
				shape(a.In)
				shape(a.Out)
			}
		}
	}
	for _, in := range b.Inputs {
		shape(&in.Shape)
	}
	shape(&b.Result)
	for _, s := range b.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			shape(&s.Shape)
		case *dsl.State:
			shape(&s.Shape)
		case *dsl.Part:
			shape(s.Bank)
		case *dsl.Equation:
			shape(s.Shape)
			visit(&s.Value)
		case *dsl.Effect:
			visit(&s.Value)
		case *dsl.Return:
			visit(&s.Value)
		}
	}
	return list
}

// The shares that must be refused where the block is defined; every line of a body counts, those of losses and metrics too. Most axes
// that may be left out are those of a weight, which is then shared along them: keys and values without `heads` are multi-query
// attention.
var mutationBars = map[string]float64{"axis swapped": 0.99, "axis left out": 0.9, "tensor swapped": 0.95, "causal removed": 1}

func TestMutations(t *testing.T) {
	total, refused := map[string]int{}, map[string]int{}
	var survivors []string
	for _, s := range subjects(t) {
		for _, d := range s.file.Decls {
			b, ok := d.(*dsl.Block)
			if !ok {
				continue
			}
			if defined, built := s.rejected(b.Name.Name); defined || built {
				t.Fatalf("%s is refused as it is", b.Name.Name)
			}
			for _, m := range s.mutations(b) {
				m.do()
				defined, built := s.rejected(b.Name.Name)
				m.undo()
				total[m.kind]++
				if defined {
					refused[m.kind]++
					continue
				}
				text := fmt.Sprintf("%s: %s, %s", b.Name.Name, m.kind, m.text)
				if built {
					text += " (refused where it is built)"
				}
				survivors = append(survivors, text)
			}
		}
	}
	for kind, bar := range mutationBars {
		t.Logf("%s: %d of %d refused", kind, refused[kind], total[kind])
		if total[kind] == 0 || float64(refused[kind]) < bar*float64(total[kind]) {
			t.Errorf("%s: %d of %d refused, below %g", kind, refused[kind], total[kind], bar)
		}
	}
	golden(t, "testdata/survivors.txt", strings.Join(survivors, "\n")+"\n")
}
