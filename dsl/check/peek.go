package check

import (
	"math"

	"forge/dsl/diag"
)

// No peeking (language.md section 9). For every value the checker tracks whether it may depend on later tokens or on other sequences
// (taint), and for a value with the axis `key` how later keys are masked in it. A tainted value can't be returned. This reads the
// nodes of a definition; a part is trusted here, since its own definition is checked like this.

// mask says what a value holds at keys later than the token.
type mask int

const (
	open     mask = iota // anything
	infinite             // −∞
	zero                 // 0
)

// flow is what is known of one value.
type flow struct {
	taint *Node // where it first mixed in what may not be seen; nil: clean
	mask  mask
}

// checkPeeking reports a result that depends on later tokens or other sequences (E208).
func (w *walker) checkPeeking() {
	known := make(map[*Node]flow, len(w.body.Nodes))
	for _, n := range w.body.Nodes {
		in := make([]flow, len(n.Args))
		for i, a := range n.Args {
			in[i] = known[a]
		}
		rule := flows[n.Op]
		if p := primitives[n.Op]; p != nil {
			rule = p.peek
		}
		if rule == nil {
			rule = carry
		}
		known[n] = rule(n, in)
	}
	if w.body.Out == nil {
		return
	}
	at := known[w.body.Out].taint
	if at == nil {
		return
	}
	what, label := "lets a token see later ones", ""
	switch {
	case hasAxis(at.On, Batch):
		what, label = "lets a token see another sequence", "this mixes the sequences of the batch"
	case hasAxis(at.On, SeqAxis):
		label = "this mixes all tokens of the sequence"
	case at.Op == "softmax" || at.Op == "max":
		label = "later keys are not masked here: wrap the scores in `causal(…)`"
	case at.Op == "dot" || at.Op == "sum":
		label = "later keys are not 0 here: weigh them with `softmax[key](causal(…))`"
	default:
		label = "this mixes in later keys"
	}
	d := diag.New("E208", at.Span, label, "`%s` %s", w.def.Name, what)
	if r := w.returned(); r != at.Span {
		d.Note(r, "and the result is returned")
	}
	d.Helpf("allowed in `loss`, `metric` and `update` lines, never in what a block returns")
	w.fail(d)
}

// carry: tainted if an operand is; later keys are open.
func carry(n *Node, in []flow) flow {
	for _, f := range in {
		if f.taint != nil {
			return flow{taint: f.taint}
		}
	}
	return flow{}
}

// keep is carry, with the mask of the one operand.
func keep(n *Node, in []flow) flow { return flow{carry(n, in).taint, in[0].mask} }

// mixing taints what reduces over tokens or sequences.
func mixing(n *Node, in []flow, axes ...*Axis) flow {
	f := carry(n, in)
	for _, a := range axes {
		if f.taint == nil && hasAxis(n.On, a) {
			f.taint = n
		}
	}
	return f
}

// overKey is the rule of reductions: over key, later keys must hold the neutral value; over other axes masks stay, if stays says so.
func overKey(n *Node, in []flow, neutral mask, stays bool) flow {
	f := mixing(n, in, SeqAxis, Batch)
	if !hasAxis(n.On, Key) {
		if stays {
			f.mask = in[0].mask
		}
		return f
	}
	if f.taint == nil && (neutral == open || in[0].mask != neutral) {
		f.taint = n
	}
	return f
}

func peekSum(n *Node, in []flow) flow  { return overKey(n, in, zero, true) }
func peekMean(n *Node, in []flow) flow { return overKey(n, in, open, true) }
func peekMax(n *Node, in []flow) flow  { return overKey(n, in, infinite, true) }

func peekSoftmax(n *Node, in []flow) flow {
	f := overKey(n, in, infinite, false)
	if hasAxis(n.On, Key) {
		f.mask = zero
	}
	return f
}

func peekDot(n *Node, in []flow) flow {
	f := mixing(n, in, SeqAxis, Batch)
	masked := in[0].mask == zero || in[1].mask == zero
	switch {
	case hasAxis(n.On, Key):
		if f.taint == nil && !masked {
			f.taint = n
		}
	case masked:
		f.mask = zero
	}
	return f
}

func peekTop(n *Node, in []flow) flow    { return mixing(n, in, SeqAxis, Batch, Key) }
func peekCumsum(n *Node, in []flow) flow { return mixing(n, in, Batch) }

func peekCausal(n *Node, in []flow) flow { return flow{carry(n, in).taint, infinite} }

// zeroToZero: a function with f(0) = 0.
func zeroToZero(n *Node, in []flow) flow {
	f := carry(n, in)
	if in[0].mask == zero {
		f.mask = zero
	}
	return f
}

// infToZero: a function with f(−∞) = 0 and f(0) ≠ 0.
func infToZero(n *Node, in []flow) flow {
	f := carry(n, in)
	if in[0].mask == infinite {
		f.mask = zero
	}
	return f
}

// relu gives 0 for both.
func relu(n *Node, in []flow) flow {
	f := carry(n, in)
	if in[0].mask != open {
		f.mask = zero
	}
	return f
}

func peekAdd(n *Node, in []flow) flow {
	f := carry(n, in)
	switch {
	case in[0].mask == infinite || in[1].mask == infinite:
		f.mask = infinite
	case in[0].mask == zero && in[1].mask == zero:
		f.mask = zero
	}
	return f
}

func peekSub(n *Node, in []flow) flow {
	f := carry(n, in)
	switch {
	case in[0].mask == infinite && in[1].mask != infinite:
		f.mask = infinite
	case in[0].mask == zero && in[1].mask == zero:
		f.mask = zero
	}
	return f
}

func peekMul(n *Node, in []flow) flow {
	f := carry(n, in)
	switch {
	case in[0].mask == zero || in[1].mask == zero:
		f.mask = zero
	case in[0].mask == infinite && positiveNumber(n.Args[1]), in[1].mask == infinite && positiveNumber(n.Args[0]):
		f.mask = infinite
	}
	return f
}

func peekDiv(n *Node, in []flow) flow {
	f := carry(n, in)
	switch {
	case in[0].mask == zero && !hasAxis(n.Args[1].Axes, Key):
		f.mask = zero
	case in[0].mask == infinite && positiveNumber(n.Args[1]):
		f.mask = infinite
	}
	return f
}

// positiveNumber: a build-time number that is certainly above zero.
func positiveNumber(n *Node) bool { return n.Op == "number" && n.Num > 0 }

func peekWhere(n *Node, in []flow) flow {
	f := carry(n, in)
	masked := func(i int) bool {
		return in[i].mask == infinite || n.Args[i].Op == "number" && math.IsInf(n.Args[i].Num, -1)
	}
	if masked(1) && masked(2) {
		f.mask = infinite
	}
	return f
}

func peekEither(n *Node, in []flow) flow {
	f := carry(n, in)
	if in[0].mask == in[1].mask {
		f.mask = in[0].mask
	}
	return f
}
