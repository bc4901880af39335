package check

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"forge/dsl"
)

// blockName is what a block is called in the file: its own name for the standard blocks, through its import for a plugin's, and a
// free one for those that are carried along.
func (e *expander) blockName(def *BlockDef) string {
	m := def.Module
	switch {
	case m == e.c.prelude:
		return def.Name
	case strings.HasPrefix(m.key, "plugin:"):
		name, ok := e.plugins[m]
		if !ok {
			name = e.unique(m.alias)
			e.plugins[m] = name
			u := "use " + strconv.Quote(m.spec)
			if name != m.alias {
				u += " as " + name
			}
			e.uses = append(e.uses, u)
		}
		return name + "." + def.Name
	}
	name, ok := e.blocks[def]
	if !ok {
		name = e.unique(def.Name)
		e.blocks[def] = name
		e.order = append(e.order, def)
		e.blockText(def) // finds what the definition itself rests on
	}
	return name
}

// replacement replaces a stretch of a source text.
type replacement struct {
	start, end int
	text       string
}

func replaced(src string, base int, edits []replacement) string {
	slices.SortFunc(edits, func(a, b replacement) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	at := 0
	for _, x := range edits {
		if x.start-base < at || x.end-base > len(src) {
			continue
		}
		b.WriteString(src[at : x.start-base])
		b.WriteString(x.text)
		at = x.end - base
	}
	b.WriteString(src[at:])
	return b.String()
}

// blockText is a block's source, with what it takes from its file replaced: names of blocks by what they are called here, cells of
// sections by their values.
func (e *expander) blockText(def *BlockDef) string {
	d := def.Decl
	local := map[string]bool{}
	for _, p := range def.Params {
		local[p.Name] = true
	}
	for _, in := range d.Inputs {
		local[in.Name.Name] = true
		for _, a := range in.Shape.Axes {
			local[a.Name] = true
		}
	}
	for _, s := range d.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			local[s.Name.Name] = true
		case *dsl.State:
			local[s.Name.Name] = true
		case *dsl.Part:
			local[s.Name.Name] = true
		case *dsl.Equation:
			for _, n := range s.Names {
				local[n.Name] = true
			}
		}
	}
	var edits []replacement
	if name := e.blocks[def]; name != def.Name {
		edits = append(edits, replacement{d.Name.Span.Start.Offset, d.Name.Span.End.Offset, name})
	}
	// The right side of `part norm = norm` and of an attribute's default mean the outer name.
	see := func(x dsl.Expr, own string) {
		eachOuter(x, func(x dsl.Expr, root string) {
			if local[root] && root != own || local[root] && paramNamed(def.Params, root) != nil {
				return
			}
			if text, ok := e.outerText(def.Module, x, root); ok {
				edits = append(edits, replacement{x.At().Start.Offset, x.At().End.Offset, text})
			}
		})
	}
	for _, p := range d.Params {
		if p.Default != nil {
			see(p.Default, p.Name.Name)
		}
	}
	for _, s := range d.Body {
		own := ""
		if p, ok := s.(*dsl.Part); ok {
			own = p.Name.Name
		}
		for _, x := range stmtExprs(s) {
			see(x, own)
		}
	}
	doc := ""
	for _, line := range strings.Split(strings.TrimSpace(d.Doc), "\n") {
		if line != "" {
			doc += "## " + line + "\n"
		}
	}
	return doc + replaced(sourceText(e.c, d.Span), d.Span.Start.Offset, edits)
}

// outerText is what an expression of names (`name`, `import.name`, `section.cell`) that leads out of a block becomes.
func (e *expander) outerText(m *Module, x dsl.Expr, root string) (string, bool) {
	if m.decls[root] == nil && m.uses[root] == nil {
		return "", false // the prelude's
	}
	e.c.quiet++
	v := e.c.eval(m, x)
	e.c.quiet--
	switch v := v.(type) {
	case *BlockDef:
		return e.blockName(v), true
	case badValue, *builder, moduleValue, *Table, functionValue, nil:
		return "", false
	default:
		e.needValue(v)
		return e.printer().text(canonical(v)), true
	}
}

// eachOuter visits the longest chains of names in an expression: `a`, `a.b.c`.
func eachOuter(x dsl.Expr, f func(x dsl.Expr, root string)) {
	if root := chainRoot(x); root != "" {
		f(x, root)
		return
	}
	for _, y := range dsl.Operands(x) {
		eachOuter(y, f)
	}
}

func chainRoot(x dsl.Expr) string {
	switch x := x.(type) {
	case *dsl.Name:
		return x.Name
	case *dsl.Member:
		return chainRoot(x.X)
	}
	return ""
}
