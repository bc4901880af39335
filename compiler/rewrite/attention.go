package rewrite

import (
	"slices"

	"forge/compiler/equation"
)

// Attention finds dot[key](softmax[key](causal(scores)), v), where the scores are a number times a sum of dots of something with
// `seq` and something with `key`, and makes it one operation that never stores the scores (online softmax, arXiv 2205.14135). It
// doesn't matter what the parts are or which heads they share: plain, grouped and latent attention, naive or absorbed, all match.
var Attention = Rule{
	Name: "attention",
	Why:  "it is the definition of the operation",
	Apply: func(c *Context, n *equation.Node) *equation.Node {
		if n.Kind != equation.Dot || len(n.On) != 1 {
			return n
		}
		key := n.On[0]
		p, v := n.Args[0], n.Args[1]
		if p.Kind != equation.Softmax {
			p, v = v, p
		}
		if p.Kind != equation.Softmax || p.On[0] != key || !c.Single(p) {
			return n
		}
		causal := p.Args[0]
		if causal.Kind != equation.Causal || causal.On[1] != key || !c.Single(causal) {
			return n
		}
		seq := causal.On[0]
		if v.Has(seq) {
			return n
		}
		s := &equation.Scores{Seq: seq, Key: key, Window: causal.N}
		sum, scale := factor(causal.Args[0])
		s.Scale = scale
		var args []*equation.Node
		for _, term := range terms(sum) {
			part, by := factor(term)
			if part.Kind != equation.Dot || len(part.On) != 1 || by != 1 {
				return n
			}
			q, k := part.Args[0], part.Args[1]
			if q.Has(key) {
				q, k = k, q
			}
			if !q.Has(seq) || q.Has(key) || !k.Has(key) || k.Has(seq) {
				return n
			}
			s.Features = append(s.Features, part.On[0])
			args = append(args, q, k)
		}
		args = append(args, v)
		if !shapesFit(s, args, p.Axes) {
			return n
		}
		heads := equation.Without(p.Axes, []*equation.Axis{key})
		values := equation.Without(v.Axes, p.Axes)
		return &equation.Node{Kind: equation.Attention, Args: args, Scores: s, Offset: causal.Offset, Axes: append(slices.Clone(heads), values...)}
	},
}

// terms lists the summands of a sum.
func terms(n *equation.Node) []*equation.Node {
	if is(n, "add") {
		return append(terms(n.Args[0]), terms(n.Args[1])...)
	}
	return []*equation.Node{n}
}

// shapesFit checks what the operation asks for: queries have every axis of the scores but key, keys and values bring no axis that
// the scores lack but their feature, and the values have one axis of their own.
func shapesFit(s *equation.Scores, args []*equation.Node, scores []*equation.Axis) bool {
	inside := func(axes []*equation.Axis) bool {
		for _, a := range axes {
			if !slices.Contains(scores, a) {
				return false
			}
		}
		return true
	}
	for i, f := range s.Features {
		q, k := args[2*i], args[2*i+1]
		own := []*equation.Axis{f}
		if len(q.Axes) != len(scores) || !inside(equation.Without(q.Axes, own)) || !inside(equation.Without(k.Axes, own)) {
			return false
		}
	}
	v := args[len(args)-1]
	return len(equation.Without(v.Axes, scores)) == 1
}
