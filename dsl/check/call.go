package check

import (
	"fmt"

	"forge/dsl"
	"forge/dsl/diag"
)

// call evaluates a call in a body: a primitive, a part, a position encoding, or a builder of plain values. n is the number of names
// on the left.
func (w *walker) call(x *dsl.Call, n int) Value {
	fn := dsl.Unparen(x.Fn)
	switch fn := fn.(type) {
	case *dsl.Name:
		if v := w.nameValue(fn.Name); v != nil {
			return w.applyName(x, fn, nil)
		}
		if p := w.primitive(fn.Name); p != nil {
			return w.applyPrimitive(x, p, nil, n)
		}
		v := w.c.callee(w, fn)
		if isBad(v) { // what was meant is not known: its arguments may be tensors
			for _, a := range x.Args {
				w.expr(a.Value)
			}
			return bad
		}
		if b, ok := v.(*BlockDef); ok && w.built == nil {
			return w.symbolicBuild(x, b)
		}
		return w.plain(x)
	case *dsl.Index:
		if id, ok := dsl.Unparen(fn.X).(*dsl.Name); ok {
			if w.nameValue(id.Name) != nil {
				return w.applyName(x, id, fn)
			}
			if p := w.primitive(id.Name); p != nil {
				return w.applyPrimitive(x, p, fn, n)
			}
		}
		return w.applyValue(x, w.expr(fn.X), fn, fn.X.At())
	case *dsl.Call:
		// scan[seq](step, start)(x)
		if ix, ok := dsl.Unparen(fn.Fn).(*dsl.Index); ok {
			if id, ok := dsl.Unparen(ix.X).(*dsl.Name); ok && id.Name == "scan" && w.nameValue("scan") == nil && w.primitive("scan") != nil {
				return w.scan(x, fn, ix)
			}
		}
		return w.applyValue(x, w.expr(fn), nil, fn.Span)
	case *dsl.Member:
		v := w.member(fn)
		if b, ok := v.(*BlockDef); ok {
			if w.built == nil {
				return w.symbolicBuild(x, b)
			}
			return w.plain(x)
		}
		if _, ok := v.(*builder); ok {
			return w.plain(x)
		}
		return w.applyValue(x, v, nil, fn.Span)
	}
	return w.applyValue(x, w.expr(fn), nil, fn.At())
}

// applyName applies what a name of the block stands for.
func (w *walker) applyName(x *dsl.Call, id *dsl.Name, ix *dsl.Index) Value {
	if e := w.use(id.Name); e != nil && e.kind == "part" && e.absent {
		w.arguments(x)
		return w.absent(e, id.Ident)
	}
	return w.applyValue(x, w.name(id.Ident), ix, id.Span)
}

// primitive finds a primitive, unless the file gives the name a meaning of its own.
func (w *walker) primitive(name string) *primitive {
	p := primitives[name]
	if p == nil || w.def.Module.declares(name) {
		return nil
	}
	return p
}

// declares reports whether the file itself declares or imports the name.
func (m *Module) declares(name string) bool { return m.decls[name] != nil || m.uses[name] != nil }

// symbolicBuild is a block that is built from unknown attributes: its header is checked by the evaluator of plain values.
func (w *walker) symbolicBuild(x *dsl.Call, def *BlockDef) Value {
	if isBad(w.plain(x)) {
		return bad
	}
	return &symBlock{name: def.Name, def: def}
}

// applyValue applies a value that is no primitive: a part or a position encoding.
func (w *walker) applyValue(x *dsl.Call, v Value, ix *dsl.Index, at diag.Span) Value {
	var named []*Axis
	if ix != nil {
		if ix.Arrow {
			w.arguments(x)
			return w.fail(diag.New("E201", ix.Span, "", "only `split`, `concat`, `view` and `rename` take `->`"))
		}
		var ok bool
		if named, ok = w.brackets(ix.Axes); !ok {
			w.arguments(x)
			return bad
		}
	}
	switch v := v.(type) {
	case badValue:
		w.arguments(x)
		return bad
	case *partValue:
		return w.applyPart(x, v, named)
	case *Record:
		if v.Type == "pos" {
			return w.rotate(x, &Node{Op: "pos", Pos: v.Pos()}, named, at)
		}
	case *symPos:
		return w.rotate(x, &Node{Op: "pos"}, named, at)
	case unknownValue:
		if w.built == nil {
			// A position encoding built from attributes.
			return w.rotate(x, &Node{Op: "pos"}, named, at)
		}
	case *Built, *symBlock, *BlockDef:
		w.arguments(x)
		return w.fail(diag.New("E211", at, "this is a block, not a part", "a block can't be applied without being a part").
			Helpf("give it a name and weights of its own: `part p = …`, then apply `p`"))
	case Nothing:
		w.arguments(x)
		return w.fail(diag.New("E212", at, "", "`none` can't be applied").Helpf("use it only where it is not `none`: `… if … != none else …`"))
	}
	w.arguments(x)
	return w.fail(diag.New("E300", at, "this is "+w.kindOf(v), "only primitives, parts and positions can be applied"))
}

// arguments evaluates the arguments of a call as tensors; nil if one is none. All are evaluated, so that each fault is found.
func (w *walker) arguments(x *dsl.Call) []*tensor {
	args := make([]*tensor, 0, len(x.Args))
	ok := true
	for _, a := range x.Args {
		if a.Name.Name != "" {
			w.fail(diag.New("E101", a.Name.Span, "", "tensors are given by position"))
			ok = false
			continue
		}
		t := w.tensor(a.Value)
		if t == nil {
			ok = false
			continue
		}
		args = append(args, &tensor{node: t.node, axes: t.axes, from: t.from, at: a.Value.At()})
	}
	if !ok {
		return nil
	}
	return args
}

// brackets resolves the axes in brackets; `..` stands for those of the header.
func (w *walker) brackets(items []dsl.Expr) ([]*Axis, bool) {
	axes := []*Axis{}
	ok := true
	for _, x := range items {
		id, isName := dsl.Unparen(x).(*dsl.Name)
		if !isName {
			w.fail(diag.New("E200", x.At(), "write the name of an axis", "only axes stand in these brackets"))
			ok = false
			continue
		}
		if id.Name == ".." {
			axes = append(axes, w.rest...)
			continue
		}
		a := w.axis(id.Ident)
		if a == nil {
			ok = false
			continue
		}
		if axes = append(axes, a); len(axes) > maxAxes {
			w.tooLarge(id.Span, "a tensor with more than 64 axes")
			return nil, false
		}
	}
	return axes, ok
}

// acts checks that an operand has the axes that an operation acts on.
func (w *walker) acts(x *dsl.Call, name string, on []*Axis, t *tensor, operand, operands int) bool {
	for _, a := range on {
		if hasAxis(t.axes, a) {
			continue
		}
		which := "its operand"
		if operands > 1 {
			which = [...]string{"its first operand", "its second operand", "its third operand"}[min(operand, 2)]
		}
		d := diag.New("E201", bracketSpan(x, w.nameOf(a)), "", "`%s` acts on `%s`, but %s is %s", name, w.nameOf(a), which, w.text(t.axes)).
			Note(t.at, "no `%s` here", w.nameOf(a))
		if p := t.node.Part; p != nil && t.node.Op == "apply" && w.built == nil {
			if q := w.def.param(p.Name); q != nil && q.Type.has("block") {
				if _, out := q.Type.signature(); out == nil {
					d.Helpf("a `block` gives its input's axes; another result is stated: `%s: block([.., d] -> [.., %s])`", p.Name, w.nameOf(a))
				}
			}
		}
		w.fail(d)
		return false
	}
	return true
}

// bracketSpan is the place of an axis's name in the brackets of a call, the call's if it is not there.
func bracketSpan(x *dsl.Call, name string) diag.Span {
	ix, ok := dsl.Unparen(x.Fn).(*dsl.Index)
	if !ok {
		return x.Fn.At()
	}
	for _, list := range [][]dsl.Expr{ix.Axes, ix.To} {
		for _, it := range list {
			if id, isName := dsl.Unparen(it).(*dsl.Name); isName && id.Name == name {
				return id.Span
			}
		}
	}
	for _, it := range ix.Axes {
		if id, isName := dsl.Unparen(it).(*dsl.Name); isName && id.Name == ".." {
			return id.Span
		}
	}
	return ix.Span
}

// primCall is a call of a primitive, its operands and axes evaluated.
type primCall struct {
	x     *dsl.Call
	p     *primitive
	on    []*Axis
	to    []*Axis
	args  []*tensor // the tensors among the operands, in order
	num   Value     // the number among them (top, prev, causal's window), nil if it is not given
	numAt diag.Span
	bank  *partValue
	names int // on the left of the equation

	values []Value // the arguments, where they are evaluated already
}

// node starts the node of a call.
func (k *primCall) node(axes []*Axis) *Node {
	n := &Node{Op: k.p.name, Axes: axes, On: k.on, To: k.to, Span: k.x.Span}
	for _, t := range k.args {
		n.Args = append(n.Args, t.node)
	}
	return n
}

// applyPrimitive evaluates the operands and axes of a primitive, checks their number and kinds, and applies its rule.
func (w *walker) applyPrimitive(x *dsl.Call, p *primitive, ix *dsl.Index, names int) Value {
	k := &primCall{x: x, p: p, names: names}
	if plainFunctions[p.name] && ix == nil {
		if v, plain := w.plainFunction(k); plain {
			return v
		}
	}
	ok := w.primAxes(k, ix)
	ok = w.operands(k) && ok
	if !ok {
		return bad
	}
	for i, t := range k.args {
		if p.acts(i) && !w.acts(x, p.name, k.on, t, i, len(k.args)) {
			return bad
		}
	}
	if p.form == nil {
		return w.made(k.node(k.args[0].axes), k.args...)
	}
	return p.form(w, k)
}

// primAxes resolves the brackets of a primitive.
func (w *walker) primAxes(k *primCall, ix *dsl.Index) bool {
	p := k.p
	wrong := func(at diag.Span, label string) bool {
		w.fail(diag.New("E215", at, label, "`%s` is written `%s`", p.name, p.usage))
		return false
	}
	if ix == nil {
		if p.on.least > 0 {
			return wrong(k.x.Fn.At(), "what it acts on stands in brackets")
		}
		return true
	}
	if ix.Arrow != (p.to.most > 0) {
		return wrong(ix.Span, "")
	}
	var ok1, ok2 bool
	k.on, ok1 = w.brackets(ix.Axes)
	k.to, ok2 = w.brackets(ix.To)
	if !ok1 || !ok2 {
		return false
	}
	written := len(k.on)
	if len(k.on) == 0 && len(ix.Axes) > 0 {
		written = 1 // `..` stands for nothing here
	}
	if !p.on.holds(written) || !p.to.holds(len(k.to)) {
		return wrong(ix.Span, "")
	}
	if a := twice(k.on); a != nil && p.name != "concat" {
		w.fail(diag.New("E207", ix.Span, "", "`%s` stands twice in these brackets", w.nameOf(a)))
		return false
	}
	if a := twice(k.to); a != nil {
		w.fail(diag.New("E207", ix.Span, "", "`%s` stands twice in these brackets", w.nameOf(a)))
		return false
	}
	if p.cuts {
		for _, a := range append(append([]*Axis{}, k.on...), k.to...) {
			if a.Runtime() {
				w.fail(diag.New("E210", bracketSpan(k.x, a.Name), "", "`%s` can't be cut, joined, renamed or unstacked", a.Name))
				return false
			}
		}
	}
	return true
}

// operands evaluates the operands of a primitive by its list.
func (w *walker) operands(k *primCall) bool {
	ok := true
	given := make([]bool, len(k.p.operands))
	for i, a := range k.x.Args {
		var o operand
		switch {
		case a.Name.Name != "":
			at := -1
			for j, o := range k.p.operands {
				if o.name == a.Name.Name {
					at = j
				}
			}
			if at < 0 {
				w.fail(diag.New("E101", a.Name.Span, "", "`%s` has no operand `%s`", k.p.name, a.Name.Name).Helpf("it is written `%s`", k.p.usage))
				ok = false
				continue
			}
			o, given[at] = k.p.operands[at], true
		case i < len(k.p.operands):
			o, given[i] = k.p.operands[i], true
		case len(k.p.operands) > 0 && k.p.operands[len(k.p.operands)-1].many:
			o = k.p.operands[len(k.p.operands)-1]
		default:
			w.fail(diag.New("E215", a.Span, "one too many", "`%s` takes %s", k.p.name, counted(len(k.p.operands), "operand")).
				Helpf("it is written `%s`", k.p.usage))
			for _, a := range k.x.Args[i:] {
				w.expr(a.Value)
			}
			return false
		}
		var v Value
		if k.values != nil {
			v = k.values[i]
		} else {
			v = w.expr(a.Value)
		}
		ok = w.operand(k, o, v, a.Value.At()) && ok
	}
	for i, o := range k.p.operands {
		if !given[i] && !o.optional {
			w.fail(diag.New("E215", k.x.Span, "", "`%s` needs %s", k.p.name, counted(len(k.p.operands), "operand")).
				Helpf("it is written `%s`", k.p.usage))
			return false
		}
	}
	return ok
}

// operand takes a value as an operand, if it is of the kind that stands there.
func (w *walker) operand(k *primCall, o operand, v Value, at diag.Span) bool {
	if isBad(v) {
		return false
	}
	switch o.kind {
	case tensorOperand:
		t := w.asTensor(v, at)
		if t == nil {
			return false
		}
		k.args = append(k.args, &tensor{node: t.node, axes: t.axes, from: t.from, at: at})
		return true
	case numberOperand:
		switch v.(type) {
		case Int, *symNumber, unknownValue:
			k.num, k.numAt = v, at
			return true
		case *tensor:
			w.fail(diag.New("E221", at, "this is a tensor", "`%s` of `%s` is known while the recipe is evaluated", o.name, k.p.name))
			return false
		}
		if n, ok := whole(v); ok {
			k.num, k.numAt = Int(n), at
			return true
		}
		w.fail(diag.New("E300", at, "this is "+w.kindOf(v), "`%s` of `%s` is a whole number", o.name, k.p.name))
		return false
	}
	p, ok := v.(*partValue)
	if !ok {
		w.fail(diag.New("E300", at, "this is "+w.kindOf(v), "`%s` of `%s` is a part", o.name, k.p.name))
		return false
	}
	k.bank = p
	return true
}

// number gives the number among the operands where it is known.
func (k *primCall) number() (int, bool) {
	n, ok := whole(k.num)
	return int(n), ok
}

// plainFunction evaluates a function whose arguments are all plain values. It is false if one is a tensor; k then has the values.
func (w *walker) plainFunction(k *primCall) (Value, bool) {
	args := make([]Value, len(k.x.Args))
	spans := make([]diag.Span, len(k.x.Args))
	symbolic, tensors, failed := false, false, false
	for i, a := range k.x.Args {
		args[i], spans[i] = w.unwrap(w.expr(a.Value)), a.Value.At()
		switch args[i].(type) {
		case *tensor, *Schedule, *symSchedule:
			tensors = true
		case badValue:
			failed = true
		case *symNumber, unknownValue:
			symbolic = true
		}
	}
	switch {
	case failed:
		return bad, true
	case tensors:
		k.values = args
		return nil, false
	case !symbolic:
		return w.c.function(k.p.name, args, spans, k.x.Span), true
	}
	text := k.p.name + "("
	all := true
	for i, v := range args {
		s, ok := symbolOf(v)
		if !ok {
			return unknown, true
		}
		if i > 0 {
			text += ", "
		}
		text += s.r.String()
		all = all && s.positive
	}
	positive := k.p.name == "exp" || all && k.p.name != "log"
	return &symNumber{opaqueRatio(text + ")"), positive}, true
}

// plainFunctions are the primitives that are functions on numbers too.
var plainFunctions = map[string]bool{"sqrt": true, "exp": true, "log": true, "abs": true, "min": true, "max": true}

// rotate applies a position encoding.
func (w *walker) rotate(x *dsl.Call, n *Node, named []*Axis, at diag.Span) Value {
	args := w.arguments(x)
	if args == nil {
		return bad
	}
	if len(args) != 1 || len(named) != 1 {
		return w.fail(diag.New("E215", x.Span, "", "a position encoding turns one axis of one tensor: `pos[axis](x)`"))
	}
	t, a := args[0], named[0]
	if !w.acts(x, "pos", named, t, 0, 1) {
		return bad
	}
	if a.Runtime() {
		return w.fail(diag.New("E210", bracketSpan(x, a.Name), "", "`%s` can't be turned", a.Name))
	}
	if hasAxis(t.axes, SeqAxis) == hasAxis(t.axes, Key) {
		return w.fail(diag.New("E218", t.at, "this is "+w.text(t.axes), "a position encoding needs either `seq` or `key`, whose positions it takes"))
	}
	if a.Size%2 != 0 {
		return w.fail(diag.New("E303", bracketSpan(x, w.nameOf(a)), fmt.Sprintf("`%s` has %d entries", w.nameOf(a), a.Size), "a position encoding turns pairs: the axis must be even"))
	}
	n.Args, n.Axes, n.On, n.Span = []*Node{t.node}, t.axes, named, x.Span
	return w.made(n, t)
}
