package rewrite

import "forge/compiler/equation"

// RMSNorm finds x / sqrt(mean[d](x·x) + eps) · gain[d] (arXiv 1910.07467, equation 4) and makes it one operation, which reads x
// once and keeps nothing but one number a row.
var RMSNorm = Rule{
	Name: "rms_norm",
	Why:  "it is the definition of the operation",
	Apply: func(_ *Context, n *equation.Node) *equation.Node {
		if !is(n, "mul") {
			return n
		}
		for i := range 2 {
			scaled, gain := n.Args[i], n.Args[1-i]
			if !is(scaled, "div") || !is(scaled.Args[1], "sqrt") || len(gain.Axes) != 1 {
				continue
			}
			x, sum := scaled.Args[0], scaled.Args[1].Args[0]
			if !is(sum, "add") || sum.Args[1].Kind != equation.Number {
				continue
			}
			mean, eps := sum.Args[0], sum.Args[1].Num
			if mean.Kind != equation.Reduce || mean.Fn != "mean" || len(mean.On) != 1 || mean.On[0] != gain.Axes[0] {
				continue
			}
			square := mean.Args[0]
			if is(square, "mul") && square.Args[0] == x && square.Args[1] == x || is(square, "square") && square.Args[0] == x {
				return &equation.Node{Kind: equation.RMSNorm, Args: []*equation.Node{x, gain}, On: mean.On, Num: eps, Axes: x.Axes}
			}
		}
		return n
	},
}
