package check

import "math"

// Primitives are what tensors are computed with (language.md section 8). Each is one entry of the table below: how it is written,
// what it takes, the axes of its result (form.go), which operands a gradient reaches (grad.go), and what becomes of taint and masks
// (peek.go). Nothing else lists them.

// primitive is one operation of the language.
type primitive struct {
	name     string
	usage    string // as people write it
	on, to   count  // how many axes stand in brackets, before and after the arrow
	operands []operand
	cuts     bool // batch, seq and key can't be acted on
	acting   int  // how many of the operands must have the axes in brackets; the form checks the others
	grad     func(operand int) bool
	form     func(w *walker, k *primCall) Value // nil: as the first operand
	peek     func(n *Node, in []flow) flow
}

// acts reports whether operand i must have the axes in brackets.
func (p *primitive) acts(i int) bool { return i < p.acting }

// count is a number of things, from least to most.
type count struct{ least, most int }

func (c count) holds(n int) bool { return n >= c.least && n <= c.most }

type operandKind int

const (
	tensorOperand operandKind = iota
	numberOperand             // known while the recipe is evaluated
	partOperand
)

type operand struct {
	name     string
	kind     operandKind
	optional bool
	many     bool // and more of the kind
}

// primitives is the table, by name. It is filled in init since the forms look primitives up themselves.
var primitives map[string]*primitive

func init() {
	one, some, several := count{1, 1}, count{1, math.MaxInt}, count{2, math.MaxInt}
	x, y, n := operand{name: "x"}, operand{name: "y"}, operand{name: "n", kind: numberOperand}
	xy := []operand{x, y}
	all := func(int) bool { return true }
	nothing := func(int) bool { return false }
	table := []*primitive{
		{name: "dot", usage: "dot[a](x, y)", on: some, operands: xy, acting: 2, grad: all, form: formDot, peek: peekDot},
		{name: "sum", usage: "sum[a](x)", on: some, operands: xy[:1], acting: 1, grad: all, form: formReduce, peek: peekSum},
		{name: "mean", usage: "mean[a](x)", on: some, operands: xy[:1], acting: 1, grad: all, form: formReduce, peek: peekMean},
		{name: "max", usage: "max[a](x)", on: some, operands: xy[:1], acting: 1, grad: all, form: formReduce, peek: peekMax},
		{name: "min", usage: "min[a](x)", on: some, operands: xy[:1], acting: 1, grad: all, form: formReduce, peek: peekMean},
		{name: "softmax", usage: "softmax[a](x)", on: one, operands: xy[:1], acting: 1, grad: all, peek: peekSoftmax},
		{name: "top", usage: "top[a](x, n)", on: one, operands: []operand{x, n}, acting: 1, grad: nothing, form: formTop, peek: peekTop},
		{name: "cumsum", usage: "cumsum[a](x)", on: one, operands: xy[:1], acting: 1, grad: all, peek: peekCumsum},
		{name: "split", usage: "split[ab -> a, b](x)", on: one, to: several, operands: xy[:1], cuts: true, acting: 1, grad: all, form: formSplit, peek: keep},
		{name: "concat", usage: "concat[a, b -> ab](x, y)", on: several, to: one, operands: []operand{x, {name: "y", many: true}}, cuts: true, grad: all, form: formConcat, peek: carry},
		{name: "view", usage: "view[a -> b, c](x)", on: some, to: some, operands: xy[:1], cuts: true, acting: 1, grad: all, form: formView, peek: keep},
		{name: "rename", usage: "rename[a -> b](x)", on: one, to: one, operands: xy[:1], cuts: true, acting: 1, grad: all, form: formRename, peek: keep},
		{name: "take", usage: "take[a](x)", on: one, operands: xy[:1], cuts: true, acting: 1, grad: all, form: formTake, peek: keep},
		{name: "where", usage: "where(m, x, y)", operands: []operand{{name: "m"}, x, y}, grad: func(i int) bool { return i > 0 }, form: formWhere, peek: peekWhere},
		{name: "prev", usage: "prev[seq](x, n)", on: one, operands: []operand{x, n}, acting: 1, grad: all, form: formPrev, peek: carry},
		{name: "conv", usage: "conv[seq, tap, c](x, w)", on: several, operands: []operand{x, {name: "w"}}, grad: all, form: formConv, peek: carry},
		{name: "scan", usage: "scan[seq](step, start)(x)", on: one, operands: xy[:1], grad: all, form: formScan, peek: carry},
		{name: "route", usage: "route[e](gate, bank, x)", on: one, operands: []operand{{name: "gate"}, {name: "bank", kind: partOperand}, x}, acting: 1, grad: all, form: formRoute, peek: carry},
		{name: "cache", usage: "cache(x)", operands: xy[:1], grad: all, form: formCache, peek: carry},
		{name: "causal", usage: "causal(s, window = n)", operands: []operand{{name: "s"}, {name: "window", kind: numberOperand, optional: true}}, grad: all, form: formCausal, peek: peekCausal},
		{name: "sign", usage: "sign(x)", operands: xy[:1], grad: nothing, peek: zeroToZero},
		{name: "stop_grad", usage: "stop_grad(x)", operands: xy[:1], grad: nothing, peek: keep},
	}
	for _, f := range []struct {
		name string
		peek func(n *Node, in []flow) flow
	}{
		{"silu", zeroToZero}, {"gelu", zeroToZero}, {"relu", relu}, {"sigmoid", infToZero}, {"tanh", zeroToZero},
		{"exp", infToZero}, {"log", carry}, {"sqrt", zeroToZero}, {"abs", zeroToZero}, {"square", zeroToZero},
	} {
		table = append(table, &primitive{name: f.name, usage: f.name + "(x)", operands: xy[:1], grad: all, peek: f.peek})
	}
	primitives = make(map[string]*primitive, len(table))
	for _, p := range table {
		primitives[p.name] = p
	}
}

// flows is what becomes of taint and masks in the nodes that are no primitives; those that are missing carry the taint of their
// operands, and later keys are open in them.
var flows = map[string]func(n *Node, in []flow) flow{
	"add": peekAdd, "sub": peekSub, "mul": peekMul, "div": peekDiv, "either": peekEither,
}
