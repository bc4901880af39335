package rewrite

import (
	"math"

	"forge/compiler/equation"
)

// Constants computes what depends on numbers only, and drops what a 0 or a 1 makes idle: a router whose `aux` is 0 costs nothing.
var Constants = Rule{
	Name: "constants",
	Why:  "x + 0 = x · 1 = x and x · 0 = 0 for finite x",
	Apply: func(_ *Context, n *equation.Node) *equation.Node {
		if n.Kind == equation.Reduce && n.Args[0].Kind == equation.Number && n.Fn == "mean" {
			return n.Args[0]
		}
		if n.Kind != equation.Elementwise || len(n.Args) == 0 {
			return n
		}
		if v, ok := fold(n); ok {
			return equation.NewNumber(v)
		}
		if len(n.Args) != 2 {
			return n
		}
		x, y := n.Args[0], n.Args[1]
		whole := func(v *equation.Node) bool { return len(v.Axes) == len(n.Axes) }
		switch {
		case n.Fn == "mul" && (x.IsNumber(0) || y.IsNumber(0)):
			return equation.NewNumber(0)
		case (n.Fn == "mul" || n.Fn == "div") && y.IsNumber(1), (n.Fn == "add" || n.Fn == "sub") && y.IsNumber(0):
			if whole(x) {
				return x
			}
		case n.Fn == "mul" && x.IsNumber(1), n.Fn == "add" && x.IsNumber(0):
			if whole(y) {
				return y
			}
		}
		return n
	},
}

func fold(n *equation.Node) (float64, bool) {
	v := make([]float64, len(n.Args))
	for i, a := range n.Args {
		if a.Kind != equation.Number {
			return 0, false
		}
		v[i] = a.Num
	}
	switch n.Fn {
	case "add":
		return v[0] + v[1], true
	case "sub":
		return v[0] - v[1], true
	case "mul":
		return v[0] * v[1], true
	case "div":
		return v[0] / v[1], true
	case "pow":
		return math.Pow(v[0], v[1]), true
	case "neg":
		return -v[0], true
	case "sqrt":
		return math.Sqrt(v[0]), true
	}
	return 0, false
}
