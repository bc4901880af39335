package rewrite

import (
	"math/bits"
	"slices"

	"forge/compiler/equation"
)

// Contraction re-associates chains of dots by counted cost for the sizes at hand, by dynamic programming over the subsets of a
// chain's operands. It looks through a split of a product onto the weight's own axis. MLA's absorbed decoding form (DeepSeek-V2
// report, section 2.1.2) is written nowhere: it is what this rule finds when one query meets a long cache, and while training it
// leaves the naive form in place.
var Contraction = Rule{
	Name: "contraction",
	Why:  "a product of several tensors summed over shared axes does not depend on the order of the sums",
	Apply: func(c *Context, n *equation.Node) *equation.Node {
		if n.Kind != equation.Dot {
			return n
		}
		ch := &chain{context: c, known: map[uint]*equation.Node{}}
		ch.flatten(n, true)
		if len(ch.operands) < 3 || len(ch.operands) > maxChain {
			return n
		}
		ch.out = n.Axes
		best := ch.order()
		if best.cost >= worthwhile*ch.cost {
			return n
		}
		return ch.build(ch.all())
	},
}

const (
	maxChain = 8
	// worthwhile: another order must save a quarter. The count knows nothing of what the written order shares with its
	// neighbours, of causal halves, or of how well a shape runs.
	worthwhile = 0.75
)

// chain is a product of several operands.
type chain struct {
	context  *Context
	operands []*equation.Node
	out      []*equation.Axis
	cost     float64                 // multiply-adds in the order as written
	known    map[uint]*equation.Node // the products as written, by their set of operands
	best     map[uint]plan
}

type plan struct {
	cost  float64
	left  uint // 0: a single operand
	right uint
}

// flatten adds n's operands and gives their set.
func (ch *chain) flatten(n *equation.Node, root bool) uint {
	dot := n
	if !root {
		dot = ch.expand(n)
	}
	if dot == nil {
		ch.operands = append(ch.operands, n)
		return 1 << (len(ch.operands) - 1)
	}
	set := ch.flatten(dot.Args[0], false) | ch.flatten(dot.Args[1], false)
	ch.cost += float64(equation.Size(equation.Union(dot.Axes, dot.On)))
	ch.known[set] = n
	return set
}

// expand gives the dot that n is, or is a piece of, if taking it apart repeats no work; else nil.
func (ch *chain) expand(n *equation.Node) *equation.Node {
	if !ch.context.Single(n) {
		return nil
	}
	switch {
	case n.Kind == equation.Dot:
		return n
	case n.Kind == equation.Slice && n.To[0] != nil && n.Args[0].Kind == equation.Dot:
		dot := n.Args[0]
		x, w := dot.Args[0], dot.Args[1]
		if w.Kind != equation.Storage {
			x, w = w, x
		}
		if w.Kind != equation.Storage || !w.Has(n.On[0]) || x.Has(n.On[0]) || !ch.onlyProducts(dot) {
			return nil
		}
		type key struct {
			weight *equation.Node
			start  int
			to     *equation.Axis
		}
		piece := ch.context.Once(key{w, n.N, n.To[0]}, func() *equation.Node {
			return equation.NewSlice(w, n.On[0], n.N, n.To[0]).At(n.Name+"_weight", n.Place)
		})
		return equation.NewDot(x, piece, dot.On...)
	}
	return nil
}

// onlyProducts reports whether a dot is used by pieces that only go into further dots. Otherwise it is computed whatever becomes of
// one piece, and taking that piece apart would compute it twice.
func (ch *chain) onlyProducts(dot *equation.Node) bool {
	for _, piece := range ch.context.Users(dot) {
		if piece == nil || piece.Kind != equation.Slice {
			return false
		}
		for _, user := range ch.context.Users(piece) {
			if user == nil || user.Kind != equation.Dot {
				return false
			}
		}
	}
	return true
}

func (ch *chain) all() uint { return 1<<len(ch.operands) - 1 }

// axes are what a product of a set of operands keeps: what another operand or the result still needs.
func (ch *chain) axes(set uint) []*equation.Axis {
	var inside, outside []*equation.Axis
	for i, o := range ch.operands {
		if set&(1<<i) != 0 {
			inside = equation.Union(inside, o.Axes)
		} else {
			outside = append(outside, o.Axes...)
		}
	}
	outside = append(outside, ch.out...)
	return slices.DeleteFunc(inside, func(a *equation.Axis) bool { return !slices.Contains(outside, a) })
}

// order finds the cheapest order for every set, small sets first.
func (ch *chain) order() plan {
	ch.best = map[uint]plan{}
	sets := make([]uint, 0, ch.all())
	for s := uint(1); s <= ch.all(); s++ {
		sets = append(sets, s)
	}
	slices.SortStableFunc(sets, func(a, b uint) int { return bits.OnesCount(a) - bits.OnesCount(b) })
	for _, s := range sets {
		if bits.OnesCount(s) == 1 {
			ch.best[s] = plan{}
			continue
		}
		found := plan{cost: -1}
		for left := (s - 1) & s; left > 0; left = (left - 1) & s {
			right := s &^ left
			if left < right {
				continue
			}
			step := float64(equation.Size(equation.Union(ch.axes(left), ch.axes(right))))
			cost := ch.best[left].cost + ch.best[right].cost + step
			if found.cost < 0 || cost < found.cost {
				found = plan{cost, left, right}
			}
		}
		ch.best[s] = found
	}
	return ch.best[ch.all()]
}

// build writes the chosen order, keeping products that were written that way.
func (ch *chain) build(set uint) *equation.Node {
	p := ch.best[set]
	if p.left == 0 {
		return ch.operands[bits.TrailingZeros(set)]
	}
	if n := ch.known[set]; n != nil && set != ch.all() {
		return n
	}
	x, y := ch.build(p.right), ch.build(p.left) // right holds the earlier operands
	keep := ch.axes(set)
	on := slices.DeleteFunc(equation.Union(x.Axes, nil), func(a *equation.Axis) bool { return !y.Has(a) || slices.Contains(keep, a) })
	return equation.NewDot(x, y, on...).At("", ch.operands[bits.TrailingZeros(set)].Place)
}
