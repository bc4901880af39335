package check

import (
	"fmt"
	"slices"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// leaf is a weight or state of the model with its place.
type leaf struct {
	parts []leafPart
	shape *dsl.Shape // as declared; nil for embed and head
	at    diag.Span
	body  *Body
	axes  []*Axis
}

// leafPart is one name of a leaf's path, with an index (−1: none) or the size of the bank it is (0: none).
type leafPart struct {
	name  string
	index int
	bank  int
}

func stripped(parts []leafPart) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('.')
		b.WriteString(p.name)
	}
	return b.String()
}

// path is the leaf's path as in WeightInfo.Path.
func (l *leaf) path() string {
	var b strings.Builder
	for i, p := range l.parts {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.name)
		if p.index >= 0 {
			fmt.Fprintf(&b, "[%d]", p.index)
		}
	}
	return b.String()
}

// axisNames are the names of the leaf's axes as declared.
func (l *leaf) axisNames() []string {
	if l.shape == nil {
		return []string{"vocab", "dim"}
	}
	names := make([]string, len(l.shape.Axes))
	for i, a := range l.shape.Axes {
		names[i] = a.Name
	}
	return names
}

// contracted says which axes of the weight are summed by the dot (or conv) that uses it.
func (l *leaf) contracted() []bool {
	sums := make([]bool, len(l.axes))
	if l.body == nil {
		sums[len(sums)-1] = true // embed and head: dim is
		return sums
	}
	name := l.parts[len(l.parts)-1].name
	for _, node := range l.body.Nodes {
		if node.Op != "dot" && node.Op != "conv" {
			continue
		}
		for _, a := range node.Args {
			if a.Op == "weight" && a.Name == name {
				for i, x := range l.axes {
					sums[i] = sums[i] || hasAxis(node.On, x)
				}
			}
		}
	}
	return sums
}

// leaves lists every weight and state of a model with its place, in the order of Weights.
func (m *Model) leaves() []*leaf {
	var list []*leaf
	table := func(name string) {
		list = append(list, &leaf{parts: []leafPart{{name, -1, 0}}, at: m.Span, axes: []*Axis{m.VocabAxis(), m.DimAxis()}})
	}
	var walk func(prefix []leafPart, b *Body)
	add := func(prefix []leafPart, b *Body, name string, axes []*Axis) {
		l := &leaf{parts: append(slices.Clone(prefix), leafPart{name, -1, 0}), body: b, axes: axes}
		l.shape, l.at = declaredShape(b.Built.Def, name)
		list = append(list, l)
	}
	walk = func(prefix []leafPart, b *Body) {
		for _, w := range b.Weights {
			add(prefix, b, w.Name, w.Axes)
		}
		for _, s := range b.States {
			add(prefix, b, s.Name, s.Axes)
		}
		for _, p := range b.Parts {
			if inner := b.bodyOf(p); inner != nil {
				part := leafPart{p.Name, -1, 0}
				if p.Bank != nil {
					part.bank = p.Bank.Size
				}
				walk(append(slices.Clone(prefix), part), inner)
			}
		}
	}
	table("embed")
	state := m.stateAxes()
	for i, b := range m.Layers {
		walk([]leafPart{{"layers", i, 0}}, b.Body(state))
	}
	walk([]leafPart{{"norm", -1, 0}}, m.Norm.Body(state))
	if !m.Tied {
		table("head")
	}
	if m.MTP != nil {
		for k := range m.MTPDepth {
			walk([]leafPart{{"mtp", k, 0}}, m.MTP.Body(state, state))
		}
	}
	return list
}

// declaredShape finds the line that declares a weight or state: its shape, and the place of name and shape.
func declaredShape(def *BlockDef, name string) (*dsl.Shape, diag.Span) {
	for _, s := range def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			if s.Name.Name == name {
				return &s.Shape, s.Name.Span.To(s.Shape.Span)
			}
		case *dsl.State:
			if s.Name.Name == name {
				return &s.Shape, s.Name.Span.To(s.Shape.Span)
			}
		}
	}
	return nil, diag.Span{}
}
