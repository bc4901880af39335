package check

import (
	"math"
	"slices"
)

// Axes and single use leave room for equations that fit and can't be meant: the root of a product with a weight, the sign of a
// softmax, a mask of −∞ in a mean. Where a block is defined, a few facts are known of every value, whatever the attributes and the
// weights; meaning.go refuses what contradicts them. Like peek.go this reads the nodes of a definition, arguments first, once. A fact
// is claimed only where it certainly holds; what comes out of a part has none.

// fact is what is known of one value.
type fact struct {
	data     bool    // it depends on an input
	parts    bool    // it is computed from what a part returns, of which nothing is known
	weights  weights // the weights it is computed from
	linear   weights // those in which it is affine, with a slope that is not 0: it takes values below and above any number
	positive bool    // certainly above 0
	atLeast0 bool    // certainly not below 0
	marks    bool    // only 0 and 1
	chosen   *Node   // the `top` outside of whose marks it is 0
	infinite []*Axis // some entries along these may be −∞
	turned   []*Axis // these were turned by positions and not contracted since
	zero     bool    // all 0 when training starts
	off      bool    // 0 unless an attribute whose default is 0 is given
}

// weights is a set of the first 64 weights of a block, by their place in the body. Of more than that nothing is claimed.
type weights uint64

// factsOf computes the facts of all nodes.
func (w *walker) factsOf() map[*Node]fact {
	known := make(map[*Node]fact, len(w.body.Nodes))
	bit := weights(1)
	for _, n := range w.body.Nodes {
		in := make([]fact, len(n.Args))
		for i, a := range n.Args {
			in[i] = known[a]
		}
		f := fact{}
		for _, a := range in {
			f.data, f.parts = f.data || a.data, f.parts || a.parts
			f.weights |= a.weights
		}
		switch n.Op {
		case "input":
			f.data = true
		case "weight":
			f.weights, f.linear = bit, bit
			bit <<= 1
			f.zero = w.startsAtZero(n)
		case "state":
			f.zero = w.startsAtZero(n)
		case "schedule":
			f.off = w.offByDefault(n)
		case "apply", "route", "scan":
			f.parts = true
		default:
			infer(n, in, &f)
		}
		known[n] = f
	}
	return known
}

// startsAtZero reports whether a weight or state is 0 when training starts.
func (w *walker) startsAtZero(leaf *Node) bool {
	for _, s := range w.body.States {
		if s.Name == leaf.Name {
			return s.Value == 0 && w.stateIsNumber(s.Name)
		}
	}
	for _, x := range w.body.Weights {
		if x.Name == leaf.Name {
			return x.Init != nil && x.Init.Kind == "zeros"
		}
	}
	return false
}

// infer fills in what an operation makes of what is known of its operands.
func infer(n *Node, in []fact, f *fact) {
	switch n.Op {
	case "number":
		f.positive, f.atLeast0, f.zero = n.Num > 0, n.Num >= 0, n.Num == 0
	case "add", "sub":
		inferSum(n, in, f)
	case "mul", "div", "dot":
		inferProduct(n, in, f)
	case "neg", "sum", "mean", "max", "min", "split", "take", "view", "rename", "cache", "stop_grad", "causal", "prev":
		inferMoved(n, in[0], f)
	case "either":
		a, b := in[0], in[1]
		f.linear, f.positive, f.atLeast0 = a.linear&b.linear, a.positive && b.positive, a.atLeast0 && b.atLeast0
		f.marks, f.zero, f.off = a.marks && b.marks, a.zero && b.zero, a.off && b.off
		f.infinite, f.turned = union(a.infinite, b.infinite), union(a.turned, b.turned)
	case "where":
		f.positive, f.atLeast0 = in[1].positive && in[2].positive, in[1].atLeast0 && in[2].atLeast0
		f.infinite = union(in[1].infinite, in[2].infinite)
		for _, a := range n.Args[1:] {
			if a.Op == "number" && math.IsInf(a.Num, -1) {
				f.infinite = union(f.infinite, n.Args[0].Axes)
			}
		}
		f.turned = union(in[1].turned, in[2].turned)
	case "softmax":
		f.atLeast0, f.positive = true, len(in[0].infinite) == 0 && !in[0].parts
	case "top":
		f.atLeast0, f.marks, f.chosen = true, true, n
	case "pos":
		f.linear, f.zero = in[0].linear, in[0].zero
		f.turned = union(in[0].turned, n.On)
	case "exp", "sigmoid":
		f.atLeast0, f.positive, f.turned = true, len(in[0].infinite) == 0 && !in[0].parts, in[0].turned
	case "silu", "gelu", "tanh", "sign", "square", "abs", "relu", "sqrt":
		f.zero, f.off, f.turned, f.chosen = in[0].zero, in[0].off, in[0].turned, in[0].chosen
		f.atLeast0 = n.Op == "square" || n.Op == "abs" || n.Op == "relu" || n.Op == "sqrt" || in[0].atLeast0
		f.positive = in[0].positive
		f.marks = in[0].marks && (n.Op == "square" || n.Op == "abs" || n.Op == "relu" || n.Op == "sign" || n.Op == "sqrt")
	case "log":
		f.turned = in[0].turned
	}
}

func inferSum(n *Node, in []fact, f *fact) {
	a, b := in[0], in[1]
	// A side is affine in a weight, or does not depend on it.
	f.linear = a.linear&^(b.weights&^b.linear) | b.linear&^(a.weights&^a.linear)
	if shared := a.linear & b.linear; n.Op == "sub" || n.Args[0] == n.Args[1] {
		f.linear &^= shared // the slopes may cancel
	}
	if n.Op == "add" {
		f.atLeast0 = a.atLeast0 && b.atLeast0
		f.positive = f.atLeast0 && (a.positive || b.positive)
		f.infinite = union(a.infinite, b.infinite)
	} else {
		f.infinite = a.infinite
	}
	f.zero, f.off = a.zero && b.zero, a.off && b.off
	f.turned = union(a.turned, b.turned)
}

func inferProduct(n *Node, in []fact, f *fact) {
	a, b := in[0], in[1]
	f.linear = a.linear &^ b.weights
	if n.Op != "div" {
		f.linear |= b.linear &^ a.weights
		f.zero, f.off = a.zero || b.zero, a.off || b.off
	} else {
		f.zero, f.off = a.zero, a.off
	}
	if f.zero {
		f.linear = 0 // the slope may be 0
	}
	same := n.Args[0] == n.Args[1]
	f.positive = a.positive && b.positive
	f.atLeast0 = a.atLeast0 && b.atLeast0 || same
	f.turned = without(union(a.turned, b.turned), n.On...)
	if n.Op == "dot" {
		return
	}
	f.infinite = a.infinite
	if n.Op == "mul" {
		f.infinite = union(a.infinite, b.infinite)
		f.marks = a.marks && b.marks
	}
	switch {
	case a.chosen != nil:
		f.chosen = a.chosen
	case n.Op == "mul":
		f.chosen = b.chosen
	}
}

// inferMoved is for what moves entries, or adds them up, along axes.
func inferMoved(n *Node, a fact, f *fact) {
	f.zero, f.off = a.zero, a.off
	if n.Op != "max" && n.Op != "min" && n.Op != "causal" && n.Op != "prev" {
		f.linear = a.linear
	}
	if n.Op != "neg" && n.Op != "causal" {
		f.atLeast0, f.positive = a.atLeast0, a.positive && n.Op != "prev"
	}
	f.marks = a.marks && n.Op != "neg" && n.Op != "sum" && n.Op != "mean" && n.Op != "causal"
	moved := func(axes []*Axis) []*Axis {
		if rest := without(axes, n.On...); len(rest) < len(axes) {
			return union(rest, n.To)
		}
		return axes
	}
	f.turned, f.infinite = moved(a.turned), moved(a.infinite)
	switch n.Op {
	case "causal":
		f.infinite = union(f.infinite, []*Axis{Key})
	case "cache":
		f.infinite = replaceAxes(f.infinite, []*Axis{SeqAxis}, []*Axis{Key})
	case "neg":
		f.infinite = nil
	case "stop_grad":
		f.chosen = a.chosen
	}
}

func common(x, y []*Axis) []*Axis {
	var both []*Axis
	for _, a := range x {
		if slices.Contains(y, a) {
			both = append(both, a)
		}
	}
	return both
}
