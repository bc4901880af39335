package check

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// Expand writes the resolved recipe as a recipe: every setting with its value and, as a comment, where that comes from. The text
// stands alone (blocks of the recipe's own files are carried along; plugins are still used), reads to the same recipe, and
// expands to itself.
func (r *Recipe) Expand() string {
	e := &expander{a: r.assembly, c: r.assembly.c, recipe: r, taken: map[string]bool{}, seen: map[*Built]bool{}, blocks: map[*BlockDef]string{}, plugins: map[*Module]string{}, sections: map[*Table]string{}}
	return e.file()
}

// expandedMark begins the comment that tells an expanded file from one written by hand: its comments are the origins.
const expandedMark = "Resolved by forge from "

type expander struct {
	a        *assembly
	c        *checker
	recipe   *Recipe
	taken    map[string]bool // names of the file
	seen     map[*Built]bool
	blocks   map[*BlockDef]string
	order    []*BlockDef
	plugins  map[*Module]string
	uses     []string
	sections map[*Table]string
	out      *strings.Builder
}

func (e *expander) file() string {
	for _, d := range e.c.prelude.order {
		if d.builder == nil || !d.builder.IsKind {
			e.taken[d.name] = true
		}
	}
	models := []*Model{e.recipe.Model}
	for _, s := range e.recipe.Stages {
		models = append(models, s.Model)
	}
	for _, m := range models {
		for _, b := range m.Layers {
			e.need(b)
		}
		e.need(m.Norm)
		e.need(m.MTP)
	}

	body := e.printed(e.write)
	text := "forge 1\n"
	for _, u := range e.uses {
		text += u + "\n"
	}
	text += "\n# " + expandedMark + e.source() + "\n" + body
	f, diags := dsl.Parse(e.recipe.File, text)
	if diags.HasErrors() { // larger than a file may be
		return text
	}
	return dsl.Format(f)
}

// printed is what f prints.
func (e *expander) printed(f func()) string {
	before := e.out
	e.out = &strings.Builder{}
	f()
	text := e.out.String()
	e.out = before
	return text
}

// source is the recipe's own origin: kept when an expanded file is expanded again.
func (e *expander) source() string {
	m := e.a.table.module
	for _, f := range m.Files {
		if t, ok := expandedFrom(f); ok {
			return t
		}
	}
	return e.recipe.Name + " in " + m.Name
}

func expandedFrom(f *dsl.File) (string, bool) {
	if len(f.Comments) == 0 {
		return "", false
	}
	return strings.CutPrefix(f.Comments[0].Text, expandedMark)
}

// unique claims a name that nothing in the file has.
func (e *expander) unique(name string) string {
	n := name
	for i := 2; e.taken[n]; i++ {
		n = name + "_" + strconv.Itoa(i)
	}
	e.taken[n] = true
	return n
}

// need collects the definitions that a built block rests on.
func (e *expander) need(b *Built) {
	if b == nil || e.seen[b] {
		return
	}
	e.seen[b] = true
	e.blockName(b.Def)
	for _, p := range b.Def.Params {
		e.needValue(b.Attrs[p.Name])
	}
}

func (e *expander) needValue(v Value) {
	switch v := v.(type) {
	case *Built:
		e.need(v)
	case List:
		for _, x := range v {
			e.needValue(x)
		}
	}
}

func (e *expander) printer() *printer {
	return &printer{literals: e.c.literals, block: e.blockName}
}

// write prints blocks and sections in the order in which a reader needs them.
func (e *expander) write() {
	for _, def := range e.order {
		fmt.Fprintf(e.out, "\n# from %s\n%s\n", e.blockOrigin(def), e.blockText(def))
	}
	r, t := e.recipe, e.a.table
	model := e.section(e.a.modelTable)
	e.modelSection(model)
	names := map[string]string{"model": model, "data": "none", "run": "none", "weights": "none"}
	if d, ok := e.a.value("data").(*Table); ok {
		names["data"] = e.section(d)
		e.settings(d, names["data"], nil)
	}
	var stages []string
	printed := map[string]string{}
	for i := range r.Stages {
		stages = append(stages, e.stage(i, printed))
	}
	names["stages"] = "[" + strings.Join(stages, ", ") + "]"
	if d, ok := e.a.value("run").(*Table); ok {
		plan := map[string]string{"plan": "none"}
		if p, ok := d.result(e.c, "plan").value.(*Table); ok {
			plan["plan"] = e.section(p)
			e.settings(p, plan["plan"], nil)
		}
		names["run"] = e.section(d)
		e.settings(d, names["run"], plan)
	}
	if w, ok := e.a.value("weights").(*Table); ok {
		names["weights"] = e.section(w)
		e.weights(w, names["weights"])
	}
	e.settings(t, e.section(t), names)
}

// section is what a section is called in the file.
func (e *expander) section(t *Table) string {
	if n, ok := e.sections[t]; ok {
		return n
	}
	// `data gosource` may be called like the builder that only it uses.
	n := t.Name
	if d := e.c.prelude.decls[n]; d != nil && d.builder != nil && t.Kind.Name == "data" && !e.taken["section "+n] {
		e.taken["section "+n] = true
	} else {
		n = e.unique(n)
	}
	e.sections[t] = n
	return n
}

// settings prints a section: every setting of its kind. texts has the settings that name other sections.
func (e *expander) settings(t *Table, name string, texts map[string]string) {
	fmt.Fprintf(e.out, "\n%s %s {\n", t.Kind.Name, name)
	for _, p := range t.Kind.Params {
		e.setting(t, p.Name, texts)
	}
	e.out.WriteString("}\n")
}

func (e *expander) setting(t *Table, name string, texts map[string]string) {
	r := t.result(e.c, name)
	text, ok := texts[name]
	if !ok {
		text = e.printer().text(canonical(r.value))
	}
	e.line("  ", name, text, e.origin(t, r))
}

func (e *expander) line(indent, key, value, origin string) {
	fmt.Fprintf(e.out, "%s%s = %s  # %s\n", indent, key, value, origin)
}

// origin says where a value comes from: its cell, and the replaced cells that it was computed with.
func (e *expander) origin(t *Table, r *result) string {
	if r.key.IsZero() {
		return "default"
	}
	if text, ok := e.c.writtenOrigin(r.key.File, r.end); ok {
		return text
	}
	text := r.key.String()
	for _, s := range r.changes {
		text += ", " + s.String()
	}
	return text
}

// writtenOrigin is the origin that an expanded file gives for the cell that ends on a line.
func (c *checker) writtenOrigin(file string, line int) (string, bool) {
	for _, m := range c.opened {
		for _, f := range m.Files {
			if f.Name != file {
				continue
			}
			if _, ok := expandedFrom(f); !ok {
				continue
			}
			i, ok := slices.BinarySearchFunc(f.Comments, line, func(k dsl.Comment, line int) int { return cmp.Compare(k.Span.Start.Line, line) })
			if ok {
				return f.Comments[i].Text, true
			}
		}
	}
	return "", false
}

func (e *expander) blockOrigin(def *BlockDef) string {
	line := def.Decl.Span.Start.Line - 1 - strings.Count(strings.TrimSpace(def.Decl.Doc)+"\n", "\n")
	if strings.TrimSpace(def.Decl.Doc) == "" {
		line = def.Decl.Span.Start.Line - 1
	}
	if text, ok := e.c.writtenOrigin(def.File, line); ok {
		return strings.TrimPrefix(text, "from ")
	}
	return def.Decl.Span.String()
}

// modelSection prints the recipe's model.
func (e *expander) modelSection(name string) {
	t := e.a.modelTable
	fmt.Fprintf(e.out, "\nmodel %s {\n", name)
	for _, p := range t.Kind.Params {
		if p.Name == "layers" {
			e.layers("  ", "layers", e.recipe.Model, e.origin(t, t.result(e.c, "layers")))
			continue
		}
		e.setting(t, p.Name, nil)
	}
	e.out.WriteString("}\n")
}

// layers prints the list of layers, equal neighbours as one line.
func (e *expander) layers(indent, key string, m *Model, origin string) {
	p := e.printer()
	type group struct {
		b *Built
		n int
	}
	var groups []group
	for _, b := range m.Layers {
		if n := len(groups); n > 0 && groups[n-1].b == b {
			groups[n-1].n++
			continue
		}
		groups = append(groups, group{b, 1})
	}
	var parts []string
	var single []string
	flush := func() {
		if len(single) > 0 {
			parts = append(parts, "[\n"+indent+"  "+strings.Join(single, ",\n"+indent+"  ")+",\n"+indent+"]")
			single = nil
		}
	}
	for _, g := range groups {
		if g.n == 1 {
			single = append(single, p.text(g.b))
			continue
		}
		flush()
		parts = append(parts, fmt.Sprintf("[\n%s  %s\n%s  for i in 0..%d\n%s]", indent, p.text(g.b), indent, g.n, indent))
	}
	flush()
	if len(parts) == 0 {
		parts = []string{"[]"}
	}
	e.line(indent, key, strings.Join(parts, " + "), origin)
}

// stage prints one stage and gives its name; stages that are the same are printed once. Its model is the recipe's, but for the
// settings that it changes.
func (e *expander) stage(i int, known map[string]string) string {
	t, s := e.a.stageOf[i], e.recipe.Stages[i]
	cells := e.printed(func() {
		for _, p := range t.Kind.Params {
			if p.Name != "model" {
				e.setting(t, p.Name, nil)
				continue
			}
			e.line("  ", "model", "none", e.modelOrigin(t))
			e.stageModel(t, s)
		}
	})
	if name, ok := known[t.Name+cells]; ok {
		return name
	}
	name := e.unique(t.Name)
	known[t.Name+cells] = name
	fmt.Fprintf(e.out, "\ntrain %s {\n%s}\n", name, cells)
	return name
}

// modelOrigin is the origin of a stage's `model = none`: what it changes in the model has lines of its own.
func (e *expander) modelOrigin(t *Table) string {
	k := t.cells["model"]
	if k == nil || k.key.IsZero() {
		return "default"
	}
	if text, ok := e.c.writtenOrigin(k.key.File, k.key.Start.Line); ok {
		return text
	}
	return k.key.String()
}

// stageModel prints what a stage changes in the recipe's model, as paths.
func (e *expander) stageModel(t *Table, s *Stage) {
	m, of := s.Model, e.recipe.Model
	if m == of {
		return
	}
	table, _ := t.result(e.c, "model").value.(*Table)
	origin := func(name string) string {
		var texts []string
		r := table.result(e.c, name)
		if text, ok := e.c.writtenOrigin(r.key.File, r.end); ok {
			return text
		}
		for _, s := range append([]diag.Span{r.key}, r.changes...) {
			if !s.IsZero() {
				texts = append(texts, s.String())
			}
		}
		return strings.Join(texts, ", ")
	}
	set := func(name string, v Value) { e.line("  ", "model."+name, e.printer().text(v), origin(name)) }
	if !slices.Equal(m.Layers, of.Layers) {
		e.layers("  ", "model.layers", m, origin("layers"))
	}
	if m.Norm != of.Norm {
		set("norm", m.Norm)
	}
	if m.Tied != of.Tied {
		set("tied", Bool(m.Tied))
	}
	if m.MTP != of.MTP {
		if m.MTP == nil {
			set("mtp", Nothing{})
		} else {
			set("mtp", m.MTP)
		}
	}
	if m.MTPDepth != of.MTPDepth && m.MTP != nil {
		set("mtp_depth", Int(m.MTPDepth))
	}
	if m.Init != of.Init {
		set("init", canonical(table.result(e.c, "init").value))
	}
}

// weights prints a weights section, with the model's cells in it as values: the expanded model has settings only.
func (e *expander) weights(w *Table, name string) {
	fmt.Fprintf(e.out, "\nweights %s {\n", name)
	for _, p := range w.Kind.Params {
		e.setting(w, p.Name, nil)
	}
	for _, l := range w.lines {
		value := sourceText(e.c, l.value.At())
		if l.text == nil {
			vars := pathVariables(l.value)
			var key []string
			for _, s := range l.cell.Key {
				text := s.Name.Name
				if s.Index != nil {
					text += "[" + e.resolved(sourceText(e.c, s.Index.At()), s.Index, s.Index.At().Start.Offset, vars) + "]"
				}
				key = append(key, text)
			}
			e.line("  ", strings.Join(key, "."), value, e.lineOrigin(l))
			continue
		}
		e.line("  ", strconv.Quote(e.templateText(l)), value, e.lineOrigin(l))
	}
	e.out.WriteString("}\n")
}

func (e *expander) lineOrigin(l *nameLine) string {
	at := l.value.At()
	if text, ok := e.c.writtenOrigin(at.File, at.End.Line); ok {
		return text
	}
	if l.text != nil {
		return l.text.Span.String()
	}
	return l.cell.Key[0].Span.String()
}

// pathVariables are the names alone in the brackets of a path.
func pathVariables(x dsl.Expr) map[string]bool {
	vars := map[string]bool{}
	visitNames(x, func(n *dsl.Name) { vars[n.Name] = true })
	return vars
}

func (e *expander) templateText(l *nameLine) string {
	vars := pathVariables(l.value)
	var b strings.Builder
	rest := l.text.Value
	for {
		before, after, ok := strings.Cut(rest, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		inside, tail, _ := strings.Cut(after, "}")
		if x, diags := dsl.ParseExpr(l.text.Span.File, inside); !diags.HasErrors() && x != nil {
			inside = e.resolved(inside, x, 0, vars)
		}
		b.WriteString("{" + inside + "}")
		rest = tail
	}
}

// resolved writes an expression with the model's cells as values.
func (e *expander) resolved(src string, x dsl.Expr, base int, vars map[string]bool) string {
	var edits []replacement
	visitNames(x, func(n *dsl.Name) {
		if vars[n.Name] {
			return
		}
		if r := e.a.modelTable.result(e.c, n.Name); r != nil {
			edits = append(edits, replacement{n.Span.Start.Offset, n.Span.End.Offset, e.printer().text(canonical(r.value))})
		}
	})
	return replaced(src, base, edits)
}
