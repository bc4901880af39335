package check

import (
	"math"
	"math/big"

	"forge/dsl"
	"forge/dsl/diag"
)

// Axes by name: attributes, numbers, axes of the inputs, and what every block knows.

// shape resolves a shape with `..`; nil if a name in it is wrong or an axis comes twice.
func (w *walker) shape(s *dsl.Shape) []*Axis {
	axes := []*Axis{}
	ok := true
	for _, id := range s.Axes {
		if id.Name == ".." {
			axes = append(axes, w.rest...)
			continue
		}
		a := w.axis(id)
		if a == nil {
			ok = false
			continue
		}
		if hasAxis(axes, a) {
			w.fail(diag.New("E207", id.Span, "", "`%s` comes twice in one shape", id.Name).
				Helpf("give one of them a name of its own: `other = %s` makes an axis of the same size", id.Name))
			ok = false
		}
		if axes = append(axes, a); len(axes) > maxAxes {
			w.tooLarge(s.Span, "a tensor with more than 64 axes")
			return nil
		}
	}
	if !ok {
		return nil
	}
	return axes
}

// declared resolves the shape of a weight or state: sizes that are known when the model is built.
func (w *walker) declared(s *dsl.Shape) ([]*Axis, bool) {
	ok := true
	for _, id := range s.Axes {
		if id.Name == ".." || runtimeAxis(id.Name) != nil {
			w.fail(diag.New("E200", id.Span, "its length is known only when running", "`%s` can't be an axis of a weight or state", id.Name))
			ok = false
		}
	}
	if !ok {
		return nil, false
	}
	axes := w.shape(s)
	return axes, axes != nil
}

// axis resolves an axis's name, or reports and gives nil.
func (w *walker) axis(id dsl.Ident) *Axis {
	if a := runtimeAxis(id.Name); a != nil {
		return a
	}
	if a, ok := w.axes[id.Name]; ok {
		w.use(id.Name)
		return a
	}
	e, ok := w.lines[id.Name]
	if !ok || e.kind == "part" {
		if p, isAttr := w.attrs[id.Name]; isAttr {
			e, ok = p, true
		}
	}
	if !ok {
		w.axisTypo = true
		label, near := didYouMean(id.Name, w.axisNames())
		d := diag.New("E200", id.Span, label, "`%s` is not an axis here", id.Name).
			Helpf("axes are attributes of type `axis`, equations that give a number, axes of the inputs, and `batch`, `seq`, `key`")
		if near != "" {
			d.FixWith(id.Span, near)
		}
		w.fail(d)
		return nil
	}
	e.used = true
	if e.kind == "attribute" && !e.param.Type.has("axis") {
		if w.notAxes[id.Name] {
			return nil
		}
		w.notAxes[id.Name] = true
		d := diag.New("E200", id.Span, "", "`%s` is not an axis here", id.Name).Note(e.id.Span, "it is an attribute of another type")
		if e.param.Type.has("int") {
			d.Helpf("an attribute that is an axis says so: `%s: axis`", id.Name)
		}
		w.fail(d)
		return nil
	}
	v := w.valueOf(e)
	if isNone(v) && e.kind == "attribute" {
		if w.notAxes[id.Name] || w.gone(id.Span) {
			return nil
		}
		w.notAxes[id.Name] = true
		w.fail(diag.New("E213", id.Span, "", "there is no axis `%s`", id.Name).Note(e.id.Span, "it may be `none`").
			Helpf("guard what needs it: `… if %s != none`", id.Name))
		return nil
	}
	size, ok := w.size(e, id, v)
	if !ok {
		return nil
	}
	a := &Axis{Name: id.Name, Size: size}
	w.axes[id.Name], w.local[a] = a, id.Name
	if w.built == nil {
		w.sizes[a] = w.symbolicSize(id.Name, v)
	} else if at, ok := w.built.spans[id.Name]; ok && e.kind == "attribute" {
		w.c.axisAt[a] = at
	}
	return a
}

// size gives the number of entries of an attribute or number equation used as an axis; 0 where the block is defined.
func (w *walker) size(e *entry, id dsl.Ident, v Value) (int, bool) {
	switch v := v.(type) {
	case badValue:
		return 0, false
	case unknownValue, *symNumber:
		return 0, true
	case Int, Float:
		n, isWhole := whole(v)
		f, _ := number(v)
		switch {
		case !isWhole:
			d := diag.New("E304", id.Span, "a size is a whole number", "the axis `%s` would have %s entries", id.Name, floatText(f))
			w.noteComputed(d, e)
			w.fail(d)
			e.value = bad
			return 0, false
		case n < 1 || n > math.MaxInt32:
			d := diag.New("E303", id.Span, "a size is at least 1 and below 2^31", "the axis `%s` would have %d entries", id.Name, n)
			w.noteComputed(d, e)
			w.fail(d)
			e.value = bad
			return 0, false
		}
		return int(n), true
	}
	d := diag.New("E200", id.Span, "", "`%s` is not an axis here", id.Name).Note(e.id.Span, "it is %s", w.kindOf(v)).
		Helpf("an equation is an axis if its value is a number")
	w.fail(d)
	return 0, false
}

func (w *walker) noteComputed(d *diag.Diagnostic, e *entry) {
	if s, ok := e.stmt.(*dsl.Equation); ok {
		d.Note(s.Value.At(), "it is computed here")
		return
	}
	d.Note(e.id.Span, "declared here")
}

// axisNames lists what may stand in brackets here.
func (w *walker) axisNames() []string {
	names := []string{"batch", "seq", "key"}
	for _, e := range w.order {
		switch e.kind {
		case "attribute":
			if e.param.Type.has("axis") {
				names = append(names, e.id.Name)
			}
		case "equation":
			names = append(names, e.id.Name)
		}
	}
	for _, in := range w.def.Decl.Inputs {
		for _, a := range in.Shape.Axes {
			if a.Name != ".." {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

// entries is the size of an axis as a number or polynomial.
func (w *walker) entries(a *Axis) ratio {
	if a.Size > 0 {
		return intRatio(int64(a.Size))
	}
	if r, ok := w.sizes[a]; ok {
		return r
	}
	return variable(a.Name)
}

// symbolicSize is the polynomial of an attribute or number equation.
func (w *walker) symbolicSize(name string, v Value) ratio {
	switch v := v.(type) {
	case *symNumber:
		return v.r
	case Int, Float:
		f, _ := number(v)
		return constRatio(new(big.Rat).SetFloat64(f))
	}
	return opaqueRatio(name)
}
