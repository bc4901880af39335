package check

import (
	"cmp"
	"slices"

	"forge/dsl/diag"
)

// What editors ask of a checked file, beside its diagnostics.

// Named is what a name of a block stands for where the block is defined, for all sizes.
type Named struct {
	Name string
	Kind string // attribute, input, weight, state, part, equation
	Span diag.Span
	// Axes are those of a tensor, `[batch, seq, heads]`; "" for a name that is none. A block that may be read in several ways is
	// read in the first one in which the name exists.
	Axes string
}

// Primitive is an operation on tensors, and how it is written.
type Primitive struct{ Name, Usage string }

// Primitives lists the operations on tensors by name.
func Primitives() []Primitive {
	list := make([]Primitive, 0, len(primitives))
	for _, p := range primitives {
		list = append(list, Primitive{p.name, p.usage})
	}
	slices.SortFunc(list, func(a, b Primitive) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Cell evaluates a cell or setting of a section of the file: its value as recipe text and its origin. It is false for what the
// section does not have and for what has a fault. It is not for concurrent use.
func (m *Module) Cell(section, name string) (text, origin string, ok bool) {
	d := m.decls[section]
	if d == nil || d.section == nil {
		return "", "", false
	}
	c := m.c
	c.quiet++
	defer func() { c.quiet-- }()
	t := d.tableOf()
	if t == nil {
		return "", "", false
	}
	r := t.result(c, name)
	if r == nil || isOpen(r.value) {
		return "", "", false
	}
	p := &printer{literals: c.literals, limit: maxFile}
	return p.text(canonical(r.value)), (&expander{c: c}).origin(t, r), true
}

// Names lists what the names of a block of the file stand for, in their order; nil if there is no such block or its names have
// faults. It is not for concurrent use.
func (m *Module) Names(block string) []Named {
	d := m.decls[block]
	if d == nil || d.block == nil {
		return nil
	}
	c, def := m.c, d.block
	c.quiet++
	defer func() { c.quiet-- }()
	c.checkBlock(def)
	if c.containsItself(def) || !c.checkNames(def) || len(def.switches) > maxSwitches {
		return nil
	}
	var names []Named
	at := map[string]int{}
	for _, r := range def.readings() {
		w := newWalker(c, def, nil)
		w.reading = r
		w.definition()
		for _, e := range w.order {
			n := Named{Name: e.id.Name, Kind: e.kind, Span: e.id.Span}
			if t, isTensor := e.value.(*tensor); isTensor {
				n.Axes = w.text(t.axes)
			}
			k := e.kind + " " + e.id.Name
			if i, known := at[k]; !known {
				at[k] = len(names)
				names = append(names, n)
			} else if names[i].Axes == "" {
				names[i].Axes = n.Axes
			}
		}
	}
	return names
}
