package check

import (
	"maps"
	"slices"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// What is known while the recipe is evaluated, as it occurs in a body: numbers, conditions, attributes of parts. The evaluator of
// plain values does the work where nothing is unknown.

// plain hands an expression without tensors to the evaluator of plain values.
func (w *walker) plain(x dsl.Expr) Value {
	tensors := false
	visitNames(x, func(n *dsl.Name) {
		if _, ok := w.nameValue(n.Name).(*tensor); ok {
			w.fail(diag.New("E221", n.Span, "this is a tensor", "a value that is known while the recipe is evaluated must stand here"))
			tensors = true
		}
	})
	if tensors {
		return bad
	}
	return w.evaluate(x)
}

// nameValue is the value of a name of the block, nil if it is none.
func (w *walker) nameValue(name string) Value {
	e := w.use(name)
	if e != nil {
		return w.valueOf(e)
	}
	if a, ok := w.axes[name]; ok {
		return w.axisNumber(a)
	}
	return nil
}

// axisNumber is an input's axis used as a number.
func (w *walker) axisNumber(a *Axis) Value {
	if a.Size > 0 {
		return Int(a.Size)
	}
	if w.built != nil {
		return unknown
	}
	return &symNumber{w.entries(a), true}
}

// lookup makes the walker a scope for plain values: attributes and numbers of the block, then the names of its file.
func (w *walker) lookup(name string) (Value, diag.Span, bool) {
	v := w.nameValue(name)
	if v == nil {
		return w.def.Module.lookup(name)
	}
	var at diag.Span
	if w.built != nil {
		at = w.built.spans[name]
	}
	switch v := v.(type) {
	case *partValue:
		if v.part.Built != nil {
			return v.part.Built, at, true
		}
		return unknown, at, true
	case *symNumber, *symBlock, *symPos, *symSchedule:
		return unknown, at, true
	case *tensor, *pieces:
		return bad, at, true // plain has reported it
	}
	return v, at, true
}

func (w *walker) names() []string {
	var names []string
	for _, e := range w.order {
		names = append(names, e.id.Name)
	}
	names = append(names, slices.Sorted(maps.Keys(primitives))...)
	return append(names, w.def.Module.names()...)
}

// member evaluates x.name: an attribute of a part or built value, `pos.scale`, a name of an imported file.
func (w *walker) member(x *dsl.Member) Value {
	id, isName := dsl.Unparen(x.X).(*dsl.Name)
	if isName && w.use(id.Name) == nil {
		if _, isAxis := w.axes[id.Name]; !isAxis {
			return w.evaluate(x)
		}
	}
	v := w.expr(x.X)
	switch v := v.(type) {
	case badValue:
		return bad
	case *tensor:
		d := diag.New("E221", x.X.At(), "this is a tensor", "a tensor has no attributes")
		if p := primitives[x.Name.Name]; p != nil {
			d.Helpf("an operation stands before what it acts on: `%s`", p.usage)
		}
		return w.fail(d)
	case *partValue:
		if v.part.Built == nil {
			return w.blockMember(v.block, x)
		}
		return w.attributeOf(v.part.Built, x)
	case *Built:
		return w.attributeOf(v, x)
	case *symBlock:
		return w.blockMember(v, x)
	case *symPos:
		if x.Name.Name == "scale" {
			return &symNumber{opaqueRatio(v.name + ".scale"), true}
		}
		return &symNumber{opaqueRatio(v.name + "." + x.Name.Name), false}
	case Nothing:
		if isName {
			return w.fail(diag.New("E213", x.X.At(), "", "`%s` has no attributes", id.Name).Helpf("guard it: `… if %s != none`", id.Name))
		}
	case *symNumber, *symSchedule:
		return w.fail(diag.New("E101", x.Name.Span, "", "%s has no `%s`", w.kindOf(v), x.Name.Name))
	}
	return w.c.member(v, x.Name)
}

// attributeOf is an attribute of a built block.
func (w *walker) attributeOf(b *Built, x *dsl.Member) Value {
	if v, ok := b.Attrs[x.Name.Name]; ok {
		return v
	}
	label, near := didYouMean(x.Name.Name, paramNames(b.Def.Params))
	if near == "" {
		label = "asked for here"
	}
	return w.fail(diag.New("E101", x.Name.Span, label, "`%s` has no attribute `%s`", b.Def.Name, x.Name.Name).
		Helpf("`%s` takes: %s", b.Def.Name, strings.Join(paramNames(b.Def.Params), ", ")))
}

// blockMember is an attribute of a block that is not built yet.
func (w *walker) blockMember(b *symBlock, x *dsl.Member) Value {
	if b.def == nil {
		return &symNumber{variable(b.name + "." + x.Name.Name), false}
	}
	p := b.def.param(x.Name.Name)
	if p == nil {
		w.c.noAttribute(b.def.Name, b.def.Params, x.Name)
		return bad
	}
	switch {
	case p.Type.has("axis"), p.Type.has("int"), p.Type.has("float"), p.Type.has("number"):
		return &symNumber{opaqueRatio(b.name + "." + x.Name.Name), p.Type.has("axis")}
	}
	return unknown
}

// plainBinary computes with values that are known while the recipe is evaluated, or will be.
func (w *walker) plainBinary(x *dsl.Binary, a, b Value) Value {
	a, b = w.unwrap(a), w.unwrap(b)
	if x.Op == "==" || x.Op == "!=" {
		// none is told from everything else even where the block is defined: that is what makes a switch.
		if isNone(a) != isNone(b) && a != unknown && b != unknown {
			return Bool(x.Op == "!=")
		}
	}
	if isSymbol(a) || isSymbol(b) {
		switch x.Op {
		case "+", "-", "*", "/", "%", "^":
			for i, v := range []Value{a, b} {
				if _, ok := symbolOf(v); !ok && v != unknown {
					return w.fail(w.noNumber(v, x.Op, []dsl.Expr{x.X, x.Y}[i].At()))
				}
			}
			return symArith(x.Op, a, b)
		}
		return unknown
	}
	for i, v := range []Value{a, b} {
		if isNone(v) && elementwiseOps[x.Op] != "" {
			return w.fail(w.noNumber(v, x.Op, []dsl.Expr{x.X, x.Y}[i].At()))
		}
	}
	return w.c.arith(x.Op, x.OpSpan, a, b, x.X.At(), x.Y.At())
}

func (w *walker) noNumber(v Value, op string, at diag.Span) *diag.Diagnostic {
	if isNone(v) {
		return diag.New("E213", at, "this may be `none`", "there is no number for `%s`", op).Helpf("guard it: `… if … != none else …`")
	}
	return diag.New("E300", at, "this is "+w.kindOf(v), "`%s` takes numbers", op)
}

func isSymbol(v Value) bool {
	switch v.(type) {
	case *symNumber, *symBlock, *symPos, *symSchedule:
		return true
	}
	return false
}

// unwrap gives a part as the block it is.
func (w *walker) unwrap(v Value) Value {
	if p, ok := v.(*partValue); ok {
		if p.part.Built != nil {
			return p.part.Built
		}
		return p.block
	}
	return v
}

func (w *walker) logic(x *dsl.Binary) Value {
	a := w.condition(x.X)
	if v, ok := a.(Bool); ok && bool(v) == (x.Op == "or") {
		return v
	}
	b := w.condition(x.Y)
	if v, ok := b.(Bool); ok && bool(v) == (x.Op == "or") && !isBad(a) {
		return v
	}
	switch {
	case isBad(a) || isBad(b):
		return bad
	case a == unknown || b == unknown:
		return unknown
	}
	return b
}
