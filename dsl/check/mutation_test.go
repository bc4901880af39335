package check

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"forge/dsl"
	"forge/plugins/std"
	"forge/recipes"
)

// The mutation test (language.md section 21): every single edit of a kind to the standard blocks, then a check. What survives is a
// different but sensible model, or lies in a `loss` or `metric` line; testdata/survivors.txt lists it.

// mutation is one change to a parsed block, undone afterwards.
type mutation struct {
	kind, text string
	aside      bool // in a loss or metric line, which may be made of anything
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

// rejected reports whether the block, or a recipe that uses it, is refused.
func rejected(files []*dsl.File, block string) bool {
	c := checkerWith(files)
	c.checkBlock(c.prelude.decls[block].block)
	if c.diags.HasErrors() {
		return true
	}
	for _, recipe := range []string{"tiny", "tiny_gqa"} {
		c := checkerWith(files)
		c.loadRecipe(recipe, nil)
		if c.diags.HasErrors() {
			return true
		}
	}
	return false
}

// axisNames and tensorNames are what may be swapped in a block.
func swappable(files []*dsl.File, b *dsl.Block) (axes, tensors []string) {
	c := checkerWith(files)
	def := c.prelude.decls[b.Name.Name].block
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
func mutationsOf(files []*dsl.File, b *dsl.Block) []mutation {
	axes, tensors := swappable(files, b)
	var list []mutation
	rename := func(kind string, id *dsl.Ident, names []string) {
		old := id.Name
		for _, n := range names {
			if n != old {
				list = append(list, mutation{kind, fmt.Sprintf("%s: %s for %s", id.Span, n, old), false, func() { id.Name = n }, func() { id.Name = old }})
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
			list = append(list, mutation{"axis left out", fmt.Sprintf("%s: %s", id.Span, id.Name), false, func() { s.Axes = rest }, func() { s.Axes = all }})
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
			list = append(list, mutation{"axis left out", fmt.Sprintf("%s: %s", n.Span, n.Name), false, func() { *list_ = rest }, func() { *list_ = all }})
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
				list = append(list, mutation{"causal removed", e.Span.String(), false, func() { *x = e.Args[0].Value }, func() { *x = old }})
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
			from := len(list)
			visit(&s.Value)
			for i := range list[from:] {
				if s.Kind != "update" {
					list[from+i].aside = true
				}
			}
		case *dsl.Return:
			visit(&s.Value)
		}
	}
	return list
}

// The shares that must be refused. Tensors are counted outside `loss` and `metric` lines: any tensor may be logged.
var mutationBars = map[string]float64{"axis swapped": 0.985, "axis left out": 0.9375, "tensor swapped": 0.92, "causal removed": 1}

func TestMutations(t *testing.T) {
	files := parsedPrelude(t)
	total, refused := map[string]int{}, map[string]int{}
	var survivors []string
	for _, f := range files {
		for _, d := range f.Decls {
			b, ok := d.(*dsl.Block)
			if !ok {
				continue
			}
			if rejected(files, b.Name.Name) {
				t.Fatalf("%s is refused as it is", b.Name.Name)
			}
			for _, m := range mutationsOf(files, b) {
				m.do()
				gone := rejected(files, b.Name.Name)
				m.undo()
				if counted := !m.aside || m.kind != "tensor swapped"; counted {
					total[m.kind]++
					if gone {
						refused[m.kind]++
					}
				}
				if gone {
					continue
				}
				survivors = append(survivors, fmt.Sprintf("%s: %s, %s", b.Name.Name, m.kind, m.text))
				if name := b.Name.Name; m.kind == "tensor swapped" && (name == "gqa" || name == "mla") {
					t.Errorf("accepted in %s: %s", name, m.text)
				}
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
