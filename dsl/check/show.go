package check

import (
	"errors"

	"forge/dsl"
	"forge/dsl/diag"
)

// Show gives the value at a path of the recipe (`model.attn`, `stages[0].lr`; `train.` is short for the first stage) as recipe text,
// and where it was written ("" for a value inside a built one). The error says, as a headline, what is wrong with the path.
func (r *Recipe) Show(path string) (text, origin string, err error) {
	cell, diags := dsl.ParseCell(setFile, oneLine(path)+" = none")
	if diags.HasErrors() || cell == nil || cell.Text != nil || cell.Let {
		return "", "", errors.New("`" + path + "` is not a path")
	}
	a := r.assembly
	c := a.c
	before, known := c.diags, c.reported
	c.diags, c.reported = nil, map[string]bool{}
	defer func() { c.diags, c.reported = before, known }()

	e := &expander{a: a, c: c, recipe: r}
	var v Value = a.table
	for _, s := range pathOf(firstStage(cell).Key) {
		origin = ""
		if s.index != nil {
			l, ok := v.(List)
			if !ok {
				return "", "", errors.New("only a list has items, and this is " + typeName(v))
			}
			v = c.listItem(l, c.eval(a.table.module, s.index), s.span)
		} else {
			if t, ok := v.(*Table); ok {
				if res := t.result(c, s.name); res != nil {
					origin = e.origin(t, res)
				}
			}
			v = c.member(v, dsl.Ident{Name: s.name, Span: s.span})
		}
		if t, ok := v.(*Table); ok {
			v = a.standing(t)
		}
		if isOpen(v) {
			return "", "", firstError(c.diags)
		}
	}
	p := &printer{literals: c.literals, limit: maxFile}
	if t, ok := v.(*Table); ok {
		text := t.Kind.Name + " " + t.Name + " {\n"
		for _, q := range t.Kind.Params {
			if res := t.result(c, q.Name); res != nil {
				text += "  " + q.Name + " = " + p.text(canonical(res.value)) + "  # " + e.origin(t, res) + "\n"
			}
		}
		return text + "}", origin, nil
	}
	return p.text(canonical(v)), origin, nil
}

// maxFile is how much text a value may make.
const maxFile = 4 << 20

// standing is a train section as it stands in the recipe: with the recipe's model.
func (a *assembly) standing(t *Table) *Table {
	if list, ok := a.value("stages").(List); ok {
		for i, v := range list {
			if v == Value(t) && i < len(a.stageOf) {
				return a.stageOf[i]
			}
		}
	}
	return t
}

func firstError(l diag.List) error {
	if len(l) == 0 {
		return errors.New("there is no such value")
	}
	text := l[0].Message
	for _, x := range l[0].Labels {
		if x.Main && x.Text != "" {
			text += ": " + x.Text
		}
	}
	return errors.New(text)
}
