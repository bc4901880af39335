package rewrite

import (
	"forge/compiler/equation"
	"forge/compiler/op"
)

// Fuse makes one pass over memory of a tree of elementwise equations that are used once and have the same axes. What has fewer
// axes is computed by itself first, so nothing is computed more often than before.
var Fuse = Rule{
	Name: "elementwise",
	Why:  "each entry is computed by the same functions in the same order",
	Apply: func(c *Context, n *equation.Node) *equation.Node {
		if n.Kind != equation.Elementwise || n.Fn == "stop_grad" {
			return n
		}
		m := &equation.Node{Kind: equation.Apply, Axes: n.Axes}
		input := map[*equation.Node]*op.Expr{}
		leaf := func(a *equation.Node) *op.Expr {
			if a.Kind == equation.Number {
				return op.Const(a.Num)
			}
			e := input[a]
			if e == nil {
				e = op.In(len(m.Args))
				input[a] = e
				m.Args = append(m.Args, a)
			}
			return e
		}
		args := make([]*op.Expr, len(n.Args))
		for i, a := range n.Args {
			if a.Kind != equation.Apply || !c.Single(a) || len(a.Axes) != len(n.Axes) || len(m.Args)+len(a.Args) > maxInputs {
				args[i] = leaf(a)
				continue
			}
			inner := make([]*op.Expr, len(a.Args))
			for j, x := range a.Args {
				inner[j] = leaf(x)
			}
			args[i] = a.Expr.Renumber(inner)
		}
		m.Expr = op.Call(equation.Function(n.Fn), args...)
		return m
	},
}

// maxInputs bounds the tensors that one fused equation reads.
const maxInputs = 12
