package check

import (
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// fail collects a fault of the body and yields the bad value. Where the block is defined, it waits until all readings are known
// (checkReadings). With sizes, it is told from where the sizes come from: the recipe's author wrote those, not the block.
func (w *walker) fail(d *diag.Diagnostic) Value {
	if w.built == nil {
		w.diags = append(w.diags, d)
		return bad
	}
	if !w.body.bad { // what is found after the first fault mostly follows from it
		w.body.bad = true
		w.c.report(w.fromOutside(d))
	}
	return bad
}

// evaluate hands an expression to the evaluator of plain values. Its faults are told with the place where the block was built.
func (w *walker) evaluate(x dsl.Expr) Value {
	before := len(w.c.diags)
	v := w.c.eval(w, x)
	for _, d := range w.c.diags[before:] {
		if w.built != nil && d.Severity == diag.Error {
			w.body.bad = true
			if m := d.Main(); m.File == w.def.File && inside(m, w.def.Decl.Span) {
				d.Note(w.built.Span, "for the block built here")
			}
		}
	}
	return v
}

// origin marks the labels that noteOrigins adds.
const originText = " comes from here"

// fromOutside makes the place where a size was written the main one, or else the place where the block was built.
func (w *walker) fromOutside(d *diag.Diagnostic) *diag.Diagnostic {
	var origins, rest []diag.Label
	for _, l := range d.Labels {
		l.Main = false
		if strings.HasSuffix(l.Text, originText) {
			origins = append(origins, l)
		} else {
			rest = append(rest, l)
		}
	}
	if len(origins) > 0 {
		origins[0].Main = true
		d.Labels = append(origins, rest...)
		return d
	}
	const label = "for the block built here"
	seen := map[diag.Span]bool{w.built.Span: true}
	d.Labels = append([]diag.Label{{Span: w.built.Span, Text: label, Main: true}}, rest...)
	building := w.c.building
	for i := len(building) - 1; i >= 0; i-- {
		if at := building[i].Span; !seen[at] && !at.IsZero() {
			seen[at] = true
			d.Note(at, label)
		}
	}
	return d
}

// noteOrigins adds where the axes of a tensor come from: with sizes, where they were written; else the shape that brought them in.
func (w *walker) noteOrigins(d *diag.Diagnostic, t *tensor, axes []*Axis) {
	for _, a := range axes {
		if a.Runtime() {
			continue // known everywhere
		}
		at, ok := t.from[a], true
		if w.built != nil {
			at, ok = w.c.axisAt[a]
		}
		if ok && !at.IsZero() {
			d.Note(at, "`%s`"+originText, w.nameOf(a))
		}
	}
}

// nameOf is what an axis is called in this block.
func (w *walker) nameOf(a *Axis) string {
	if n, ok := w.local[a]; ok {
		return n
	}
	return a.Name
}

// text prints axes by their names in this block: [batch, seq, d=128].
func (w *walker) text(axes []*Axis) string {
	named := make([]*Axis, len(axes))
	for i, a := range axes {
		named[i] = &Axis{Name: w.nameOf(a), Size: a.Size}
	}
	return axesText(named)
}

// quoted lists axes: `a`, `b`.
func (w *walker) quoted(axes []*Axis) string {
	names := make([]string, len(axes))
	for i, a := range axes {
		names[i] = "`" + w.nameOf(a) + "`"
	}
	return strings.Join(names, ", ")
}
