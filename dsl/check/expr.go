package check

import (
	"fmt"
	"math"

	"forge/dsl"
	"forge/dsl/diag"
)

// expr evaluates an expression of a body: a tensor, or something known when the recipe is evaluated.
func (w *walker) expr(x dsl.Expr) Value {
	v := w.several(x, 1)
	if p, ok := v.(*pieces); ok {
		w.fail(diag.New("E215", x.At(), "", "this gives %s: name them", counted(len(p.parts), "tensor")).
			Helpf("write `a, b = split[ab -> a, b](x)`"))
		return bad
	}
	return v
}

// several is expr for an equation with n names on the left, where `split` and `take` may give as many tensors.
func (w *walker) several(x dsl.Expr, n int) Value {
	if x == nil || w.stopped || !w.c.step(x.At()) {
		return bad
	}
	switch x := x.(type) {
	case *dsl.Paren:
		return w.several(x.X, n)
	case *dsl.Name:
		return w.name(x.Ident)
	case *dsl.Unary:
		return w.unary(x)
	case *dsl.Binary:
		return w.binary(x)
	case *dsl.Cond:
		return w.cond(x, n)
	case *dsl.Call:
		return w.call(x, n)
	case *dsl.Member:
		return w.member(x)
	case *dsl.Index:
		if id, ok := dsl.Unparen(x.X).(*dsl.Name); ok {
			if v := w.nameValue(id.Name); v != nil {
				if _, isTensor := v.(*tensor); isTensor {
					return w.fail(diag.New("E300", x.Span, "", "a tensor has no items").Helpf("`take[axis](%s)` unstacks an axis", id.Name))
				}
			} else if p := primitives[id.Name]; p != nil {
				return w.fail(diag.New("E215", x.Span, "", "`%s` is applied to nothing", id.Name).Helpf("write `%s`", p.usage))
			}
		}
		return w.plain(x)
	case *dsl.Number, *dsl.Text, *dsl.Bool:
		return w.evaluate(x)
	}
	return w.plain(x)
}

// name evaluates a name.
func (w *walker) name(id dsl.Ident) Value {
	switch id.Name {
	case "none":
		return Nothing{}
	case "inf":
		return Float(math.Inf(1))
	}
	if e := w.use(id.Name); e != nil {
		v := w.valueOf(e)
		if e.absent && !isNone(v) && !isBad(v) {
			return w.absent(e, id)
		}
		if e.absent && e.kind != "part" {
			return w.absent(e, id)
		}
		return v
	}
	if a := runtimeAxis(id.Name); a != nil {
		return w.fail(diag.New("E221", id.Span, "its length is known only when running", "`%s` is no number here", id.Name))
	}
	if a, ok := w.axes[id.Name]; ok {
		v := w.axisNumber(a)
		if v == unknown {
			return w.fail(diag.New("E221", id.Span, "its length is known only when running", "`%s` is `%s` here, which is no number", id.Name, a.Name))
		}
		return v
	}
	if v, _, ok := w.def.Module.lookup(id.Name); ok {
		return v
	}
	w.silent = true
	d := unknownName(id.Name, id.Span, w.names())
	if len(d.Help) == 0 && len(d.Fixes) == 0 {
		d.Helpf("`weight %s[…]` declares a trained tensor, `%s = …` gives the name a value", id.Name, id.Name)
	}
	return w.fail(d)
}

// absent reports the use of a weight, state or part that does not exist in this reading. The definition finds them all; a built
// block repeats none.
func (w *walker) absent(e *entry, id dsl.Ident) Value {
	if !e.absent || w.built != nil || w.gone(id.Span) {
		return bad
	}
	return w.fail(diag.New("E212", id.Span, "", "there is no %s `%s`", e.kind, id.Name).
		Note(e.id.Span, "declared here").
		Helpf("use it only where its guard holds: `… if … else …`"))
}

// gone reports whether the line of a place was already found to use what is not there in this reading; it is now.
func (w *walker) gone(at diag.Span) bool {
	was := w.goneLines[at.Start.Line]
	w.goneLines[at.Start.Line] = true
	return was
}

// condition evaluates what must be true or false: a Bool, unknown (where the block is defined) or bad.
func (w *walker) condition(x dsl.Expr) Value {
	v := w.expr(x)
	switch v := v.(type) {
	case Bool, badValue, unknownValue:
		return v
	case *tensor:
		return w.fail(diag.New("E221", x.At(), "this is a tensor", "a condition is known while the recipe is evaluated").
			Helpf("masks on tensors come from `top` and `causal`, and are used by `where`"))
	}
	return w.fail(diag.New("E300", x.At(), "this is "+w.kindOf(v), "a condition is true or false"))
}

func (w *walker) cond(x *dsl.Cond, n int) Value {
	switch c := w.condition(x.If).(type) {
	case Bool:
		if c {
			return w.several(x.Then, n)
		}
		return w.several(x.Else, n)
	case badValue:
		w.several(x.Then, n)
		w.several(x.Else, n)
		return bad
	}
	return w.either(x, w.several(x.Then, n), w.several(x.Else, n))
}

// either joins the arms of a condition that is not decided where the block is defined: both are checked.
func (w *walker) either(x *dsl.Cond, a, b Value) Value {
	switch {
	case isBad(a) || isBad(b):
		return bad
	case x == w.optional && isNone(a):
		return b
	case x == w.optional && isNone(b):
		return a
	}
	ta, isA := a.(*tensor)
	tb, isB := b.(*tensor)
	pa, severalA := a.(*pieces)
	pb, severalB := b.(*pieces)
	switch {
	case severalA && severalB && len(pa.parts) == len(pb.parts):
		joined := &pieces{}
		for i := range pa.parts {
			t := w.eitherTensor(x, pa.parts[i], pb.parts[i])
			if t == nil {
				return bad
			}
			joined.parts = append(joined.parts, t)
		}
		return joined
	case severalA || severalB:
		return w.fail(diag.New("E204", x.Span, "", "the two arms of `if` don't give the same number of tensors"))
	case isA || isB:
		if !isA {
			ta = w.asTensor(a, x.Then.At())
		}
		if !isB {
			tb = w.asTensor(b, x.Else.At())
		}
		if ta == nil || tb == nil {
			return bad
		}
		if t := w.eitherTensor(x, ta, tb); t != nil {
			return t
		}
		return bad
	}
	sa, okA := symbolOf(a)
	sb, okB := symbolOf(b)
	if okA && okB {
		if sa.r.equal(sb.r) == yes {
			return a
		}
		return &symNumber{opaqueRatio(fmt.Sprintf("%s if … else %s", sa.r, sb.r)), sa.positive && sb.positive}
	}
	if ba, ok := a.(*symBlock); ok {
		if _, ok := b.(*symBlock); ok {
			return ba
		}
	}
	if _, ok := a.(*symSchedule); ok {
		return a
	}
	if _, ok := b.(*symSchedule); ok {
		return b
	}
	return unknown
}

func (w *walker) eitherTensor(x *dsl.Cond, a, b *tensor) *tensor {
	if !sameAxes(a.axes, b.axes) {
		w.fail(diag.New("E204", x.If.At(), "", "the two arms of `if` don't fit: %s and %s", w.text(a.axes), w.text(b.axes)).
			Note(x.Then.At(), "this is %s", w.text(a.axes)).Note(x.Else.At(), "this is %s", w.text(b.axes)))
		return nil
	}
	return w.made(&Node{Op: "either", Args: []*Node{a.node, b.node}, Axes: a.axes, Span: x.Span}, a, b)
}

func (w *walker) unary(x *dsl.Unary) Value {
	v := w.expr(x.X)
	if isBad(v) {
		return bad
	}
	if x.Op == "not" {
		switch b := v.(type) {
		case Bool:
			return !b
		case unknownValue:
			return unknown
		case *tensor:
			return w.fail(diag.New("E221", x.X.At(), "this is a tensor", "`not` is for values that are known while the recipe is evaluated"))
		}
		return w.fail(diag.New("E300", x.X.At(), "this is "+w.kindOf(v), "`not` takes true or false"))
	}
	switch n := v.(type) {
	case *tensor, *Schedule, *symSchedule:
		t := w.asTensor(v, x.X.At())
		return w.made(&Node{Op: "neg", Args: []*Node{t.node}, Axes: t.axes, Span: x.Span}, t)
	case *symNumber:
		return &symNumber{intRatio(0).sub(n.r), false}
	case Int:
		if n != math.MinInt64 {
			return -n
		}
	case Float:
		return -n
	case Quantity:
		return Quantity{-n.N, n.Unit}
	case unknownValue:
		return unknown
	}
	return w.fail(diag.New("E300", x.X.At(), "this is "+w.kindOf(v), "`-` takes a number or a tensor"))
}

var elementwiseOps = map[string]string{"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow"}

func (w *walker) binary(x *dsl.Binary) Value {
	switch x.Op {
	case "and", "or":
		return w.logic(x)
	case "then", "..":
		return w.plain(x)
	}
	a := w.expr(x.X)
	b := w.expr(x.Y)
	if isBad(a) || isBad(b) {
		return bad
	}
	_, isTensorA := a.(*tensor)
	_, isTensorB := b.(*tensor)
	if op := elementwiseOps[x.Op]; op != "" && (isTensorA || isTensorB || isSchedule(a) || isSchedule(b)) {
		ta, tb := w.asTensor(a, x.X.At()), w.asTensor(b, x.Y.At())
		if ta == nil || tb == nil {
			return bad
		}
		return w.elementwise(op, x, ta, tb)
	}
	if isTensorA || isTensorB {
		at := x.X.At()
		if !isTensorA {
			at = x.Y.At()
		}
		d := diag.New("E221", at, "this is a tensor", "`%s` is for values that are known while the recipe is evaluated", x.Op).
			Helpf("masks on tensors come from `top` and `causal`, and are used by `where`")
		if x.Op == "<" || x.Op == ">" || x.Op == "<=" || x.Op == ">=" {
			d.Helpf("`sign(relu(x))` is 1 where x is above 0, and 0 elsewhere")
		}
		return w.fail(d)
	}
	return w.plainBinary(x, a, b)
}

func isSchedule(v Value) bool {
	switch v.(type) {
	case *Schedule, *symSchedule:
		return true
	}
	return false
}

// tensor evaluates an expression as a tensor; nil if it is none, which is reported.
func (w *walker) tensor(x dsl.Expr) *tensor {
	v := w.expr(x)
	if isBad(v) {
		return nil
	}
	return w.asTensor(v, x.At())
}

// asTensor makes numbers and schedules tensors without axes.
func (w *walker) asTensor(v Value, at diag.Span) *tensor {
	scalar := func(n *Node) *tensor { return &tensor{node: w.emit(n), at: at} }
	switch v := v.(type) {
	case *tensor:
		return v
	case Int, Float:
		f, _ := number(v)
		return scalar(&Node{Op: "number", Num: f, Span: at})
	case *symNumber:
		n := &Node{Op: "number", Num: math.NaN(), Span: at}
		if c, ok := v.r.constant(); ok {
			n.Num, _ = c.Float64()
		} else if v.positive {
			n.Num = 1
		}
		return scalar(n)
	case unknownValue:
		return scalar(&Node{Op: "number", Num: math.NaN(), Span: at})
	case *Schedule:
		return scalar(&Node{Op: "schedule", Schedule: v, Span: at})
	case *symSchedule:
		return scalar(&Node{Op: "schedule", Name: v.name, Span: at})
	case badValue:
		return nil
	}
	w.fail(diag.New("E300", at, "this is "+w.kindOf(v), "a tensor or a number must stand here"))
	return nil
}

// made emits a node and gives its tensor; the places of its axes are those of the operands, the first first.
func (w *walker) made(n *Node, operands ...*tensor) *tensor {
	w.emit(n)
	if len(n.Axes) > maxAxes {
		w.tooLarge(n.Span, "a tensor with more than 64 axes")
	}
	if w.built != nil {
		return &tensor{node: n, axes: n.Axes, at: n.Span}
	}
	from := make(map[*Axis]diag.Span, len(n.Axes))
	for _, a := range n.Axes {
		for _, t := range operands {
			if at, ok := t.from[a]; ok {
				from[a] = at
				break
			}
		}
	}
	return &tensor{node: n, axes: n.Axes, from: from, at: n.Span}
}

// elementwise applies a two-sided operation: one side's axes contain the other's.
func (w *walker) elementwise(op string, x *dsl.Binary, a, b *tensor) Value {
	if !contains(a.axes, b.axes) && !contains(b.axes, a.axes) {
		left, right := without(a.axes, b.axes...), without(b.axes, a.axes...)
		d := diag.New("E204", x.OpSpan, fmt.Sprintf("the left has %s and the right has %s", w.quoted(left), w.quoted(right)),
			"the two sides of `%s` don't fit: %s and %s", x.Op, w.text(a.axes), w.text(b.axes)).
			Helpf("a side is repeated along axes that only the other has, never both ways at once")
		w.noteOrigins(d, b, right)
		w.noteOrigins(d, a, left)
		w.gaps = append(w.gaps, gap{left, right})
		return w.fail(d)
	}
	return w.made(&Node{Op: op, Args: []*Node{a.node, b.node}, Axes: union(a.axes, b.axes), Span: x.Span}, a, b)
}

// kindOf says what a value is, for errors.
func (w *walker) kindOf(v Value) string {
	switch v := v.(type) {
	case *tensor:
		return "a tensor " + w.text(v.axes)
	case *pieces:
		return "several tensors"
	case *partValue, *symBlock:
		return "a block"
	case *symNumber:
		return "a number"
	case *symPos:
		return "a position encoding"
	case *symSchedule:
		return "a schedule"
	case unknownValue:
		return "another kind of value"
	}
	return typeName(v)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
