package check

import (
	"fmt"
	"math/big"

	"forge/dsl"
	"forge/dsl/diag"
)

// The rules of the primitives: what they ask of the axes of their operands, and the axes of their results.

func formDot(w *walker, k *primCall) Value {
	a, b := k.args[0], k.args[1]
	return w.made(k.node(without(union(a.axes, b.axes), k.on...)), a, b)
}

func formReduce(w *walker, k *primCall) Value {
	t := k.args[0]
	return w.made(k.node(without(t.axes, k.on...)), t)
}

func formTop(w *walker, k *primCall) Value {
	t := k.args[0]
	node := k.node(t.axes)
	if n, ok := k.number(); ok {
		size := k.on[0].Size
		if n < 1 || size > 0 && n > size {
			d := diag.New("E303", k.numAt, fmt.Sprintf("this is %d", n), "`top` marks at least 1 entry and at most all of its axis")
			if size > 0 {
				d.Helpf("`%s` has %d entries", w.nameOf(k.on[0]), size)
			}
			return w.fail(d)
		}
		node.N = n
	}
	w.counts[node] = k.num
	return w.made(node, t)
}

// addUp compares a size with a sum or product of sizes. It is true unless they certainly differ, which is reported.
func (w *walker) addUp(k *primCall, whole *Axis, parts []*Axis, op string) bool {
	sum := w.entries(parts[0])
	for _, a := range parts[1:] {
		if op == "+" {
			sum = sum.add(w.entries(a))
		} else {
			sum = sum.mul(w.entries(a))
		}
	}
	if w.entries(whole).equal(sum) != no {
		return true
	}
	verb := "add up"
	if op == "*" {
		verb = "multiply"
	}
	if len(parts) == 1 {
		verb = "agree"
	}
	names, values := "", ""
	for i, a := range parts {
		if i > 0 {
			names += " " + op + " "
			values += " " + op + " "
		}
		names += w.nameOf(a)
		values += w.entries(a).String()
	}
	text := w.entries(whole).String()
	e := w.lines[w.nameOf(whole)]
	if e != nil && e.kind == "equation" && w.built == nil {
		text = sourceText(w.c, e.stmt.(*dsl.Equation).Value.At()) // as the author wrote it: a + a
	}
	label := ""
	if text != w.nameOf(whole) {
		label = fmt.Sprintf("`%s` is %s", w.nameOf(whole), text)
	}
	d := diag.New("E205", bracketSpan(k.x, w.nameOf(whole)), label,
		"the sizes of `%s` don't %s: %s is not %s", k.p.name, verb, text, values)
	first := bracketSpan(k.x, w.nameOf(parts[0]))
	last := bracketSpan(k.x, w.nameOf(parts[len(parts)-1]))
	if len(parts) > 1 && first.Start.Offset < last.Start.Offset {
		first = first.To(last)
	}
	if total := sum.String(); names != values && len(parts) > 1 {
		d.Note(first, "`%s` is %s", names, total)
	}
	if e != nil && e.kind == "equation" {
		d.Note(e.stmt.(*dsl.Equation).Value.At(), "it is computed here")
	}
	w.fail(d)
	return false
}

// fresh checks that an operation does not give a tensor an axis it has already.
func (w *walker) fresh(k *primCall, others, to []*Axis) bool {
	for _, a := range to {
		if hasAxis(others, a) {
			w.fail(diag.New("E207", bracketSpan(k.x, w.nameOf(a)), "", "the result of `%s` would have the axis `%s` twice", k.p.name, w.nameOf(a)))
			return false
		}
	}
	return true
}

func formSplit(w *walker, k *primCall) Value {
	t := k.args[0]
	if !w.addUp(k, k.on[0], k.to, "+") || !w.fresh(k, without(t.axes, k.on...), k.to) {
		return bad
	}
	several := &pieces{}
	for i, a := range k.to {
		n := k.node(replaceAxes(t.axes, k.on, []*Axis{a}))
		n.N = i
		piece := w.made(n, t)
		piece.cameFrom(a, bracketSpan(k.x, w.nameOf(a)))
		several.parts = append(several.parts, piece)
	}
	return several
}

func formConcat(w *walker, k *primCall) Value {
	if len(k.on) != len(k.args) {
		return w.fail(diag.New("E215", k.x.Span, "", "`concat` joins %s but is given %s", counted(len(k.on), "axis"), counted(len(k.args), "tensor")))
	}
	for i, t := range k.args {
		if !w.acts(k.x, "concat", k.on[i:i+1], t, i, len(k.args)) {
			return bad
		}
	}
	first := k.args[0]
	others := without(first.axes, k.on[0])
	for i, t := range k.args[1:] {
		if mine := without(t.axes, k.on[i+1]); !sameAxes(mine, others) {
			return w.fail(diag.New("E204", t.at, "beside `"+w.nameOf(k.on[i+1])+"`, this has "+w.text(mine),
				"the tensors of `concat` don't fit: %s and %s", w.text(first.axes), w.text(t.axes)).
				Note(first.at, "beside `%s`, this has %s", w.nameOf(k.on[0]), w.text(others)))
		}
	}
	if !w.addUp(k, k.to[0], k.on, "+") || !w.fresh(k, others, k.to) {
		return bad
	}
	r := w.made(k.node(replaceAxes(first.axes, k.on[:1], k.to)), k.args...)
	r.cameFrom(k.to[0], bracketSpan(k.x, w.nameOf(k.to[0])))
	return r
}

func formView(w *walker, k *primCall) Value {
	t := k.args[0]
	if (len(k.on) == 1) == (len(k.to) == 1) {
		d := diag.New("E215", bracketsOf(k.x), "", "`view` factors one axis or flattens several")
		if len(k.on) == 1 {
			d.Helpf("`rename[a -> b](x)` gives an axis another name")
		}
		return w.fail(d)
	}
	whole, parts := k.on[0], k.to
	if len(k.to) == 1 {
		whole, parts = k.to[0], k.on
	}
	if !w.addUp(k, whole, parts, "*") || !w.fresh(k, without(t.axes, k.on...), k.to) {
		return bad
	}
	r := w.made(k.node(replaceAxes(t.axes, k.on, k.to)), t)
	for _, a := range k.to {
		r.cameFrom(a, bracketSpan(k.x, w.nameOf(a)))
	}
	return r
}

func bracketsOf(x *dsl.Call) diag.Span { return x.Fn.At() }

func formRename(w *walker, k *primCall) Value {
	t := k.args[0]
	if !w.addUp(k, k.on[0], k.to, "+") || !w.fresh(k, without(t.axes, k.on...), k.to) {
		return bad
	}
	r := w.made(k.node(replaceAxes(t.axes, k.on, k.to)), t)
	r.cameFrom(k.to[0], bracketSpan(k.x, w.nameOf(k.to[0])))
	return r
}

func formTake(w *walker, k *primCall) Value {
	t, a := k.args[0], k.on[0]
	if n, ok := w.entries(a).constant(); ok && n.Cmp(big.NewRat(int64(k.names), 1)) != 0 {
		return w.fail(diag.New("E215", k.x.Span, fmt.Sprintf("`%s` has %s entries", w.nameOf(a), n.RatString()),
			"`take` gives one tensor for each entry: %s on the left", counted(k.names, "name")))
	}
	several := &pieces{}
	for i := range k.names {
		n := k.node(without(t.axes, a))
		n.N = i
		several.parts = append(several.parts, w.made(n, t))
	}
	if k.names == 1 {
		return several.parts[0]
	}
	return several
}

func formWhere(w *walker, k *primCall) Value {
	m, x, y := k.args[0], k.args[1], k.args[2]
	axes := union(union(m.axes, x.axes), y.axes)
	if len(m.axes) != len(axes) && len(x.axes) != len(axes) && len(y.axes) != len(axes) {
		return w.fail(diag.New("E204", k.x.Span, "", "the operands of `where` don't fit: %s, %s and %s", w.text(m.axes), w.text(x.axes), w.text(y.axes)).
			Helpf("one of them must have all axes; the others are repeated"))
	}
	return w.made(k.node(axes), m, x, y)
}

// alongSeq checks that brackets begin with seq.
func (w *walker) alongSeq(k *primCall) bool {
	if k.on[0] != SeqAxis {
		w.fail(diag.New("E200", bracketSpan(k.x, w.nameOf(k.on[0])), "`seq` must stand here", "`%s` goes along `seq` only", k.p.name).
			Helpf("it is written `%s`", k.p.usage))
		return false
	}
	return true
}

func formPrev(w *walker, k *primCall) Value {
	if !w.alongSeq(k) {
		return bad
	}
	node := k.node(k.args[0].axes)
	if n, ok := k.number(); ok {
		if n < 1 {
			return w.fail(diag.New("E303", k.numAt, fmt.Sprintf("this is %d", n), "`prev` goes back at least one token"))
		}
		node.N = n
	}
	return w.made(node, k.args[0])
}

func formConv(w *walker, k *primCall) Value {
	if !w.alongSeq(k) {
		return bad
	}
	for _, a := range k.on[1:] {
		if a.Runtime() {
			return w.fail(diag.New("E210", bracketSpan(k.x, a.Name), "", "`conv` slides over `seq` and can't sum over `%s`", a.Name))
		}
	}
	x, f, tap := k.args[0], k.args[1], k.on[1]
	contracted := k.on[2:]
	if !w.acts(k.x, "conv", append([]*Axis{SeqAxis}, contracted...), x, 0, 2) || !w.acts(k.x, "conv", k.on[1:], f, 1, 2) {
		return bad
	}
	if hasAxis(x.axes, tap) {
		return w.fail(diag.New("E207", x.at, "this is "+w.text(x.axes), "`conv` slides over `seq`: its first operand has no taps `%s`", w.nameOf(tap)))
	}
	if hasAxis(f.axes, SeqAxis) {
		return w.fail(diag.New("E207", f.at, "this is "+w.text(f.axes), "the second operand of `conv` is the same for every token: it has no `seq`"))
	}
	drop := append([]*Axis{tap}, contracted...)
	return w.made(k.node(without(union(x.axes, f.axes), drop...)), x, f)
}

// formScan is reached where scan is called like the others; it has two pairs of brackets.
func formScan(w *walker, k *primCall) Value {
	return w.fail(diag.New("E215", k.x.Span, "", "`scan` is written `%s`", k.p.usage))
}

// scan applies `scan[seq](step, start)(x, …)`: h_t = step(h_{t-1}, x_t, …).
func (w *walker) scan(x, inner *dsl.Call, ix *dsl.Index) Value {
	args := w.arguments(x)
	on, ok := w.brackets(ix.Axes)
	if args == nil || !ok {
		return bad
	}
	k := &primCall{x: inner, p: primitives["scan"], on: on}
	if len(on) != 1 || ix.Arrow || len(inner.Args) != 2 || len(args) == 0 {
		for _, a := range inner.Args {
			w.expr(a.Value)
		}
		return formScan(w, &primCall{x: x, p: k.p})
	}
	if !w.alongSeq(k) {
		return bad
	}
	v := w.expr(inner.Args[0].Value)
	step, isPart := v.(*partValue)
	if !isPart || step.part.Bank != nil {
		if isBad(v) {
			return bad
		}
		return w.fail(diag.New("E300", inner.Args[0].Span, "this is "+w.kindOf(v), "the step of `scan` is a part"))
	}
	start := w.tensor(inner.Args[1].Value)
	if start == nil {
		return bad
	}
	if hasAxis(start.axes, SeqAxis) {
		return w.fail(diag.New("E207", inner.Args[1].Span, "this is "+w.text(start.axes), "the start of `scan` is the same for every token: it has no `seq`"))
	}
	in := []*tensor{start}
	var shared []*Axis
	for i, t := range args {
		if !w.acts(inner, "scan", on, t, i, len(args)) {
			return bad
		}
		one := &tensor{node: t.node, axes: without(t.axes, SeqAxis), from: t.from, at: t.at}
		shared = union(shared, one.axes)
		in = append(in, one)
	}
	// A start of 0 has the shape that the step gives back.
	if len(start.axes) == 0 {
		axes, ok := w.stateShape(step, in[1:], shared)
		if !ok {
			return w.fail(diag.New("E206", inner.Args[1].Span, "", "the shape of the state of `%s` does not follow from its inputs: give `scan` a start with axes", step.part.Name))
		}
		in[0] = &tensor{node: start.node, axes: axes, at: start.at}
	}
	n := &Node{Op: "scan", Part: step.part, Span: x.Span}
	if !w.enter(n, inner, step, in) {
		return bad
	}
	if !sameAxes(n.Axes, in[0].axes) {
		return w.fail(diag.New("E206", inner.Args[0].Span, "", "the step of `scan` takes the state %s but gives %s", w.text(in[0].axes), w.text(n.Axes)))
	}
	n.On = on
	n.Axes = append([]*Axis{}, n.Axes...)
	// The result has the state's axes along seq: where the first input has it.
	at := 0
	for i, a := range args[0].axes {
		if a == SeqAxis {
			at = min(i, len(n.Axes))
		}
	}
	n.Axes = append(n.Axes[:at:at], append([]*Axis{SeqAxis}, n.Axes[at:]...)...)
	return w.leave(n, append(args, start))
}

// stateShape finds the axes of a state whose start is 0: those of the step's first input, bound through its other inputs.
func (w *walker) stateShape(step *partValue, in []*tensor, shared []*Axis) ([]*Axis, bool) {
	def := step.block.def
	if def == nil {
		return shared, true
	}
	if len(def.Decl.Inputs) != len(in)+1 {
		return shared, true // enter reports it
	}
	b := &border{bound: map[string]*Axis{}}
	for i, t := range in {
		rest, fault := b.bind(def.Name, &def.Decl.Inputs[i+1].Shape, t.axes)
		if fault != nil {
			return shared, true // enter reports it
		}
		if rest != nil {
			b.rest = rest
		}
	}
	var axes []*Axis
	for _, id := range def.Decl.Inputs[0].Shape.Axes {
		switch a := b.bound[id.Name]; {
		case id.Name == "..":
			axes = append(axes, b.rest...)
		case runtimeAxis(id.Name) != nil:
			axes = append(axes, runtimeAxis(id.Name))
		case a != nil:
			axes = append(axes, a)
		default:
			return nil, false
		}
	}
	return axes, true
}

func formRoute(w *walker, k *primCall) Value {
	gate, x, e := k.args[0], k.args[1], k.on[0]
	if k.bank.part.Bank != e {
		d := diag.New("E201", bracketSpan(k.x, w.nameOf(e)), "", "`route` goes through a bank along `%s`", w.nameOf(e)).
			Note(k.bank.entry.id.Span, "declared here")
		if b := k.bank.part.Bank; b != nil {
			d.Helpf("the bank `%s` has one block for each `%s`", k.bank.part.Name, w.nameOf(b))
		} else {
			d.Helpf("`%s` is a single part; a bank is declared `part %s[%s] = …`", k.bank.part.Name, k.bank.part.Name, w.nameOf(e))
		}
		return w.fail(d)
	}
	if hasAxis(x.axes, e) {
		return w.fail(diag.New("E207", x.at, "this is "+w.text(x.axes), "what goes through a bank can't have its axis `%s`", w.nameOf(e)))
	}
	if others := without(gate.axes, e); !contains(x.axes, others) {
		return w.fail(diag.New("E204", gate.at, "this is "+w.text(gate.axes), "the gate of `route` has axes that its input lacks: %s and %s", w.text(gate.axes), w.text(x.axes)).
			Note(x.at, "this is %s", w.text(x.axes)))
	}
	n := k.node(nil)
	n.Part = k.bank.part
	n.Args = nil
	if !w.enter(n, k.x, k.bank, []*tensor{x}) {
		return bad
	}
	n.Args = []*Node{gate.node, x.node}
	if n.Body != nil {
		if acting := n.Body.actsOnTokens(); acting != nil {
			return w.fail(diag.New("E220", k.x.Span, fmt.Sprintf("`%s` is a bank", k.bank.part.Name),
				"a block of a bank sees single tokens, but `%s` acts on `seq` or `batch`", k.bank.part.Built.Def.Name).
				Note(acting.Span, "here"))
		}
	}
	if hasAxis(n.Axes, e) {
		return w.fail(diag.New("E207", k.x.Span, "", "what `%s` returns has the bank's axis `%s`", k.bank.part.Name, w.nameOf(e)))
	}
	return w.leave(n, []*tensor{x, gate})
}

// actsOnTokens finds a node of a body, or of its parts, that mixes tokens or depends on their positions.
func (body *Body) actsOnTokens() *Node {
	for _, n := range body.Nodes {
		switch n.Op {
		case "prev", "conv", "scan", "cache", "causal", "pos":
			return n
		}
		if hasAxis(n.On, SeqAxis) || hasAxis(n.On, Batch) {
			return n
		}
		if n.Body != nil && n.Body.actsOnTokens() != nil {
			return n
		}
	}
	return nil
}

func formCache(w *walker, k *primCall) Value {
	t := k.args[0]
	if !hasAxis(t.axes, SeqAxis) || hasAxis(t.axes, Key) {
		return w.fail(diag.New("E218", t.at, "this is "+w.text(t.axes), "`cache` turns `seq` into `key`: its operand has `seq` and not `key`"))
	}
	r := w.made(k.node(replaceAxes(t.axes, []*Axis{SeqAxis}, []*Axis{Key})), t)
	r.cameFrom(Key, k.x.Span)
	return r
}

func formCausal(w *walker, k *primCall) Value {
	t := k.args[0]
	if !hasAxis(t.axes, SeqAxis) || !hasAxis(t.axes, Key) {
		d := diag.New("E218", t.at, "this is "+w.text(t.axes), "`causal` masks keys later than the token: its operand has `seq` and `key`")
		if !hasAxis(t.axes, Key) {
			d.Helpf("`cache(k)` gives all positions so far: with it the axis `seq` of the keys becomes `key`")
		}
		return w.fail(d)
	}
	node := k.node(t.axes)
	if k.num != nil {
		w.counts[node] = k.num
	}
	if n, ok := k.number(); ok {
		if n < 1 {
			return w.fail(diag.New("E303", k.numAt, fmt.Sprintf("this is %d", n), "a window holds at least one token"))
		}
		node.N = n
	}
	return w.made(node, t)
}
