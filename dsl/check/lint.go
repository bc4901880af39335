package check

import (
	"slices"

	"forge/dsl"
	"forge/dsl/diag"
)

// exprText writes an index for messages.
func exprText(x dsl.Expr) string {
	switch x := dsl.Unparen(x).(type) {
	case *dsl.Number:
		return x.Raw
	case *dsl.Name:
		return x.Name
	case *dsl.Binary:
		return exprText(x.X) + " " + x.Op + " " + exprText(x.Y)
	case *dsl.Member:
		return exprText(x.X) + "." + x.Name.Name
	}
	return "…"
}

// unusedCells warns of helper cells that no cell of their section, own or inherited, and no checkpoint name (`{depth + k}`) uses.
func (c *checker) unusedCells(m *Module, t *Table) {
	if m.broken {
		return
	}
	users := map[string]int{} // cells that mention a name
	mention := func(x dsl.Expr) {
		seen := map[string]bool{}
		visitNames(x, func(n *dsl.Name) {
			if !seen[n.Name] {
				seen[n.Name] = true
				users[n.Name]++
			}
		})
	}
	for _, k := range t.cells {
		if k.value != nil {
			mention(k.value)
		}
	}
	for _, p := range t.patches {
		mention(p.value)
	}
	for _, k := range t.section.Cells {
		if !k.Let || len(k.Key) != 1 {
			continue
		}
		name := k.Key[0].Name.Name
		n := users[name]
		visitNames(k.Value, func(x *dsl.Name) { // its own name there means another one
			if x.Name == name {
				n = min(n, users[name]-1)
			}
		})
		if n > 0 || t.Kind.Name == "model" && c.namedInTable(name) {
			continue
		}
		d := diag.New("W002", k.KeySpan(), "", "nothing uses the helper cell `%s`", name)
		d.Severity = diag.Warning
		c.report(d)
	}
}

// namedInTable reports whether a weights section read in this run uses a cell of the model.
func (c *checker) namedInTable(name string) bool {
	used := false
	for _, m := range c.opened {
		for _, d := range m.order {
			if d.section == nil || d.section.Kind.Name != "weights" {
				continue
			}
			for _, k := range d.section.Cells {
				for _, s := range k.Key {
					if s.Index != nil {
						visitNames(s.Index, func(n *dsl.Name) { used = used || n.Name == name })
					}
				}
			}
		}
	}
	return used
}

// ineffective warns of paths of the recipe and of `--set` that change what nothing in the recipe asks for.
func (a *assembly) ineffective() {
	patches := a.table.patches
	for i, p := range patches {
		again := func(q *patch) bool { // it was replaced in its turn, by itself or with all around it
			n := len(q.path)
			return n <= len(p.path) && pathText(q.path) == pathText(p.path[:n])
		}
		if slices.ContainsFunc(patches[i+1:], again) {
			continue
		}
		if a.c.used[p.key] || p.key.File != setFile && (a.table.section == nil || p.env.section != a.table.section) {
			continue
		}
		d := diag.New("W005", p.key, "nothing in the recipe uses it", "`%s` changes nothing in `%s`", pathText(p.path), a.table.Name)
		d.Severity = diag.Warning
		a.c.report(d)
	}
}
