package rewrite

import "forge/compiler/equation"

// CrossEntropy joins the head's product with the loss of its logits, so that the logits of all tokens are never in memory at once:
// with a vocabulary of 129,280 they would be the largest tensor of the model by far.
var CrossEntropy = Rule{
	Name: "cross_entropy",
	Why:  "the loss of a row needs that row's logits only",
	Apply: func(c *Context, n *equation.Node) *equation.Node {
		if n.Kind != equation.Loss {
			return n
		}
		logits, targets := n.Args[0], n.Args[1]
		if logits.Kind != equation.Dot || !c.Single(logits) || len(logits.On) != 1 {
			return n
		}
		h, head := logits.Args[0], logits.Args[1]
		if !head.Has(n.On[0]) || h.Has(n.On[0]) || len(head.Axes) != 2 || len(h.Axes) != len(targets.Axes)+1 {
			return n
		}
		return &equation.Node{Kind: equation.CrossEntropy, Args: []*equation.Node{h, head, targets}, On: logits.On, Axes: n.Axes}
	},
}
