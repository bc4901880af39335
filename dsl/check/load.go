package check

import (
	"path"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
	"forge/plugins/std"
	"forge/recipes"
)

// Load checks one recipe and everything it is made of. name is "path.forge", "path.forge:name" or the name of a shipped recipe
// ("tiny", "ablations:dsv3_gqa"); without a name a file's only recipe is meant, or the one called like the file. sets are
// `PATH=EXPR` cells put at the end of the recipe. The recipe is nil if the list has errors; warnings may come with a recipe.
func Load(files Files, name string, sets []string) (*Recipe, diag.List) {
	c := newChecker(files)
	c.loadPrelude()
	r := c.loadRecipe(name, sets)
	l := c.result()
	if l.HasErrors() {
		return nil, l
	}
	return r, l
}

// File checks all declarations of a file and the files it uses: what `forge check` reports. If the list has no errors, the module has
// the file's recipes as Load gives them.
func File(files Files, name string) (*Module, diag.List) {
	c := newChecker(files)
	c.loadPrelude()
	m := c.openNamed(name)
	if m != nil {
		c.checkModules()
		c.checkSections(m)
	}
	return m, c.result()
}

// openNamed opens the file of a command line.
func (c *checker) openNamed(name string) *Module {
	if strings.HasSuffix(name, ".forge") {
		return c.open(name, false, diag.Span{})
	}
	return c.open(name+".forge", true, diag.Span{})
}

// checkModules checks every block of every file read.
func (c *checker) checkModules() {
	for _, m := range c.opened {
		for _, d := range m.order {
			if d.block != nil {
				c.checkBlock(d.block)
			}
		}
	}
}

// checkSections checks every section of a file by itself, and every recipe with all that it puts together.
func (c *checker) checkSections(m *Module) {
	for _, f := range m.Files {
		for _, d := range f.Decls {
			if s, ok := d.(*dsl.Section); ok && c.kind(s.Kind.Name) == nil {
				c.noKind(s.Kind)
			}
		}
	}
	for _, d := range m.order {
		if d.section == nil || c.kind(d.section.Kind.Name) == nil {
			continue
		}
		t := d.tableOf()
		if t == nil {
			continue
		}
		for _, n := range append(append([]string{}, t.order...), paramNames(t.Kind.Params)...) {
			if t.Kind.Name != "sweep" {
				t.result(c, n)
			}
		}
		c.unusedCells(m, t)
		switch t.Kind.Name {
		case "recipe":
			if r := c.recipe(t); r != nil {
				m.Recipes = append(m.Recipes, r)
			}
		case "sweep":
			if r := c.sweep(t); r != nil {
				m.Sweeps = append(m.Sweeps, r)
			}
		case "plan":
			if t.ready() {
				c.plan(t)
			}
		case "weights":
			c.checkTable(t)
		case "model":
			if t.ready() {
				c.model(t)
			}
		case "data":
			if t.ready() {
				c.data(t)
			}
		case "train":
			if t.ready() {
				c.trainAlone(t)
			}
		}
	}
}

// splitName separates "path.forge:name".
func splitName(name string) (file, section string) {
	if i := strings.LastIndexByte(name, ':'); i > 1 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func (c *checker) loadRecipe(name string, sets []string) *Recipe {
	file, section := splitName(name)
	m := c.openNamed(file)
	if m == nil {
		return nil
	}
	c.checkModules()
	d := c.chooseRecipe(m, file, section)
	if d == nil {
		return nil
	}
	t := d.tableOf()
	if t == nil {
		return nil
	}
	var choices []sweepLine
	if t.Kind.Name == "sweep" {
		if t, choices = c.sweepRecipe(t); t == nil {
			return nil
		}
	}
	cells, ok := c.parseSets(sets)
	if !ok {
		return nil
	}
	plain, patches, more := c.set(t, cells, m)
	if plain == nil {
		return nil
	}
	if choices = replaceChoices(choices, patches, more); len(choices) > 0 {
		return c.sweepFirst(plain, choices, m)
	}
	r := c.recipe(plain)
	if r != nil {
		c.lostSchedules(t, plain, patches)
	}
	return r
}

// chooseRecipe finds the recipe that is meant.
func (c *checker) chooseRecipe(m *Module, file, section string) *decl {
	var recipes []*decl
	var names []string
	for _, d := range m.order {
		if d.section == nil || (d.section.Kind.Name != "recipe" && d.section.Kind.Name != "sweep") {
			continue
		}
		if d.name == section {
			return d
		}
		names = append(names, d.name)
		if d.section.Kind.Name == "recipe" {
			recipes = append(recipes, d)
		}
	}
	at := diag.Span{File: m.Name}
	if len(m.Files) > 0 && len(m.Files[0].Decls) > 0 {
		at = m.Files[0].Decls[0].At()
	}
	if section != "" {
		label, _ := didYouMean(section, names)
		d := diag.New("E100", at, label, "%s has no recipe called `%s`", m.Name, section)
		if len(names) > 0 {
			d.Helpf("it has: %s", strings.Join(names, ", "))
		}
		c.report(d)
		return nil
	}
	base := strings.TrimSuffix(path.Base(file), ".forge")
	for _, d := range recipes {
		if len(recipes) == 1 || d.name == base {
			return d
		}
	}
	if len(recipes) == 0 {
		c.report(diag.New("E104", at, "", "%s has no recipe section", m.Name).
			Helpf("a recipe puts a model, data and stages together: `recipe NAME { model = … stages = […] }`"))
		return nil
	}
	c.report(diag.New("E104", at, "", "%s has several recipes: say which", m.Name).
		Helpf("write `%s:NAME` with one of: %s", file, strings.Join(names, ", ")))
	return nil
}

// parseSets reads the `--set` values. The i-th one is line i of the file `--set`.
func (c *checker) parseSets(sets []string) ([]*dsl.Cell, bool) {
	c.sources[setFile] = SetSource(sets)
	var cells []*dsl.Cell
	ok := true
	for i, s := range sets {
		cell, diags := dsl.ParseCell(setFile, strings.Repeat("\n", i)+oneLine(s))
		for _, d := range diags {
			c.report(d)
		}
		if diags.HasErrors() || cell == nil {
			ok = false
			continue
		}
		if cell.Text != nil || cell.Let || cell.Value == nil {
			c.report(diag.New("E010", cell.Span, "", "a `--set` is PATH=EXPR"))
			ok = false
			continue
		}
		cells = append(cells, cell)
	}
	return cells, ok
}

const setFile = "--set"

// SetSource is the text that places in the file `--set` point into.
func SetSource(sets []string) string {
	lines := make([]string, len(sets))
	for i, s := range sets {
		lines[i] = oneLine(s)
	}
	return strings.Join(lines, "\n")
}

func oneLine(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

// set puts cells at the end of a recipe: as one more section made from it. `train.` is short for the first stage. It gives the
// recipe, what was replaced, and the choices among the values; a nil recipe after a fault.
func (c *checker) set(t *Table, cells []*dsl.Cell, m *Module) (*Table, []*patch, []sweepLine) {
	if len(cells) == 0 {
		return t, nil, nil
	}
	n := t.copyOf(c)
	var choices []sweepLine
	var patches []*patch
	var kept []*dsl.Cell
	for _, k := range cells {
		k = firstStage(k)
		if a, isAny := c.choice(m, k.Value); isAny {
			choices = append(choices, sweepLine{pathOf(k.Key), a, env{module: m}, k.KeySpan()})
			continue
		}
		patches = append(patches, &patch{path: pathOf(k.Key), value: k.Value, key: k.KeySpan()})
		kept = append(kept, k)
	}
	before := len(c.diags)
	n.write(c, kept, env{module: m}, true)
	for _, d := range c.diags[before:] {
		if d.Severity == diag.Error {
			return nil, nil, nil
		}
	}
	return n, patches, choices
}

// firstStage writes `train.` out as `stages[0].`.
func firstStage(k *dsl.Cell) *dsl.Cell {
	short := k.Key[0]
	if short.Name.Name != "train" || short.Index != nil {
		return k
	}
	first := dsl.Seg{Span: short.Span, Name: dsl.Ident{Name: "stages", Span: short.Span},
		Index: &dsl.Number{Span: short.Span, Raw: "0", Whole: true}}
	return &dsl.Cell{Span: k.Span, Key: append([]dsl.Seg{first}, k.Key[1:]...), Value: k.Value}
}

// lostSchedules warns where a `--set` put a number in the place of a schedule.
func (c *checker) lostSchedules(before, after *Table, patches []*patch) {
	for _, p := range patches {
		old, scaled := c.valueAt(before, p.path)
		now, _ := c.valueAt(after, p.path)
		was, ok := old.(*Schedule)
		is, ok2 := now.(*Schedule)
		if !ok || !ok2 || len(was.Pieces) < 2 || len(is.Pieces) != 1 || is.Pieces[0].Kind != "number" {
			continue
		}
		key := sourceText(c, p.key)
		d := diag.New("W001", p.key, "warm-up and decay are gone", "`%s` was a schedule; it is now one number to the end", key)
		d.Severity = diag.Warning
		if i := strings.LastIndexByte(key, '.'); i >= 0 && scaled != nil {
			d.Helpf("to scale it instead: --set %s.%s=%s", key[:i], scaled.Name, sourceText(c, p.value.At()))
		}
		c.report(d)
	}
}

// valueAt is the value at a path in a recipe, with the helper cell that the last cell's text scales by, if it names one.
func (c *checker) valueAt(t *Table, path []pathStep) (Value, *dsl.Name) {
	c.quiet++
	defer func() { c.quiet-- }()
	var v Value = t
	var scaled *dsl.Name
	for _, s := range path {
		scaled = nil
		switch x := v.(type) {
		case *Table:
			if k := x.cells[s.name]; k != nil && k.value != nil {
				visitNames(k.value, func(n *dsl.Name) {
					if h := x.cells[n.Name]; h != nil && h.let && scaled == nil {
						f, _ := x.get(c, n.Name)
						if _, isNumber := number(f); isNumber {
							scaled = n
						}
					}
				})
			}
			v, _ = x.get(c, s.name)
		case *Built:
			v = x.Attrs[s.name]
		case *Record:
			v = x.Attrs[s.name]
		case List:
			n, _ := whole(c.eval(t.module, s.index))
			if n < 0 || n >= int64(len(x)) {
				return nil, nil
			}
			v = x[n]
		default:
			return nil, nil
		}
	}
	return v, scaled
}

// Sources gives the text of every file that a diagnostic may point into: the prelude, the standard blocks, `--set`, the recipe
// files and the shipped recipes, by the names that are shown.
func Sources(files Files, sets []string) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		switch {
		case name == setFile:
			return SetSource(sets), true
		case name == dsl.PreludeName:
			return dsl.PreludeSource, true
		case strings.HasPrefix(name, "std/"):
			if b, err := std.FS.ReadFile(strings.TrimPrefix(name, "std/")); err == nil {
				return string(b), true
			}
		}
		if b, err := files.ReadFile(name); err == nil {
			return string(b), true
		}
		if b, err := recipes.FS.ReadFile(strings.TrimPrefix(name, "recipes/")); err == nil {
			return string(b), true
		}
		return "", false
	}
}
