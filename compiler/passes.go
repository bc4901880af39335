package compiler

import (
	"slices"

	"forge/compiler/equation"
	"forge/compiler/rewrite"
)

// passes are the rewrites in the order they run. Why here:
//
//	constants      first, so that what is multiplied by 0 is never looked at again
//	contraction    before attention, which takes the products as they then are
//	rms_norm       before elementwise chains swallow its parts
//	attention, route, cross_entropy
//	               look for products, which elementwise leaves alone
//	elementwise    last: it takes what no other rule wanted
var passes = []rewrite.Rule{
	rewrite.Constants,
	rewrite.Contraction,
	rewrite.RMSNorm,
	rewrite.Attention,
	rewrite.Route,
	rewrite.CrossEntropy,
	rewrite.Fuse,
}

// rewriteAll runs the passes, and drops what became idle: updates that change nothing and outputs that are just a number. With
// NoRewrite only the constants are folded, since a graph has no constants.
func rewriteAll(p *equation.Program, o Options) []rewrite.Taken {
	rules := passes
	if o.NoRewrite {
		rules = passes[:1]
	}
	taken := rewrite.Run(p, rules)
	p.Updates = slices.DeleteFunc(p.Updates, func(u equation.Update) bool { return u.Value == u.Storage })
	p.Outputs = slices.DeleteFunc(p.Outputs, func(o equation.Output) bool { return o.Node.Kind == equation.Number })
	return taken
}
