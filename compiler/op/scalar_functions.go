package op

import "math"

// The scalar functions. Comparisons give 1 or 0.
var (
	FnAdd = binary("add", func(a, b float64) float64 { return a + b })
	FnSub = binary("sub", func(a, b float64) float64 { return a - b })
	FnMul = binary("mul", func(a, b float64) float64 { return a * b })
	FnDiv = binary("div", func(a, b float64) float64 { return a / b })
	FnPow = binary("pow", math.Pow)
	FnMax = binary("max", math.Max)
	FnMin = binary("min", math.Min)

	FnGreater = binary("greater", func(a, b float64) float64 { return truth(a > b) })
	FnEqual   = binary("equal", func(a, b float64) float64 { return truth(a == b) })

	FnNeg    = unary("neg", func(x float64) float64 { return -x })
	FnExp    = unary("exp", math.Exp)
	FnLog    = unary("log", math.Log)
	FnSqrt   = unary("sqrt", math.Sqrt)
	FnSquare = unary("square", func(x float64) float64 { return x * x })
	FnAbs    = unary("abs", math.Abs)
	FnSign   = unary("sign", signOf)
	FnErf    = unary("erf", math.Erf)

	FnSigmoid = unary("sigmoid", sigmoidOf)
	FnTanh    = unary("tanh", math.Tanh)
	FnRelu    = unary("relu", func(x float64) float64 { return max(x, 0) })
	FnSilu    = unary("silu", siluOf)
	// FnGelu is the exact form x·Φ(x), not the tanh approximation.
	FnGelu = unary("gelu", geluOf)

	// FnWhere is where(c, x, y): x if c is not 0, else y.
	FnWhere = &Func{Name: "where", Arity: 3, Eval: func(x []float64) float64 {
		if x[0] != 0 {
			return x[1]
		}
		return x[2]
	}}
)

// Functions lists all scalar functions, for backends that keep a table of them.
func Functions() []*Func {
	return []*Func{FnAdd, FnSub, FnMul, FnDiv, FnPow, FnMax, FnMin, FnGreater, FnEqual, FnNeg, FnExp, FnLog, FnSqrt, FnSquare,
		FnAbs, FnSign, FnErf, FnSigmoid, FnTanh, FnRelu, FnSilu, FnGelu, FnWhere}
}

// derivatives gives, for each function, the derivative of a call from its arguments and their derivatives, any of which may be
// the constant 0. At kinks: relu, abs and sign have 0 at 0, max and min follow the first of equal arguments; where selects among
// the derivatives of its branches, so that nothing multiplies 0 by an infinite branch, and nothing flows to its condition.
var derivatives = map[*Func]func(x, dx []*Expr) *Expr{
	FnAdd: func(_, dx []*Expr) *Expr { return add(dx[0], dx[1]) },
	FnSub: func(_, dx []*Expr) *Expr { return sub(dx[0], dx[1]) },
	FnMul: func(x, dx []*Expr) *Expr { return add(mul(dx[0], x[1]), mul(x[0], dx[1])) },
	FnDiv: func(x, dx []*Expr) *Expr { return sub(div(dx[0], x[1]), div(mul(dx[1], x[0]), square(x[1]))) },
	FnPow: func(x, dx []*Expr) *Expr { // with respect to y: x^y·log x, and 0 where x is not positive
		power := func(y *Expr) *Expr { return Call(FnPow, x[0], y).Simplify() }
		base := mul(mul(x[1], power(sub(x[1], Const(1)))), dx[0])
		if dx[1].IsConst(0) {
			return base
		}
		return add(base, where(Call(FnGreater, x[0], Const(0)), mul(mul(power(x[1]), Call(FnLog, x[0])), dx[1]), Const(0)))
	},
	FnMax: func(x, dx []*Expr) *Expr { return where(Call(FnGreater, x[1], x[0]), dx[1], dx[0]) },
	FnMin: func(x, dx []*Expr) *Expr { return where(Call(FnGreater, x[0], x[1]), dx[1], dx[0]) },

	FnGreater: func(_, _ []*Expr) *Expr { return Const(0) },
	FnEqual:   func(_, _ []*Expr) *Expr { return Const(0) },
	FnSign:    func(_, _ []*Expr) *Expr { return Const(0) },
	FnWhere:   func(x, dx []*Expr) *Expr { return where(x[0], dx[1], dx[2]) },

	FnNeg:    func(_, dx []*Expr) *Expr { return Call(FnNeg, dx[0]).Simplify() },
	FnExp:    chain(func(x *Expr) *Expr { return Call(FnExp, x) }),
	FnLog:    func(x, dx []*Expr) *Expr { return div(dx[0], x[0]) },
	FnSqrt:   func(x, dx []*Expr) *Expr { return div(mul(Const(0.5), dx[0]), Call(FnSqrt, x[0])) },
	FnSquare: chain(func(x *Expr) *Expr { return mul(Const(2), x) }),
	FnAbs:    chain(func(x *Expr) *Expr { return Call(FnSign, x) }),
	FnErf: chain(func(x *Expr) *Expr {
		return mul(Const(2/math.Sqrt(math.Pi)), Call(FnExp, Call(FnNeg, square(x))))
	}),

	FnSigmoid: chain(func(x *Expr) *Expr {
		s := Call(FnSigmoid, x)
		return mul(s, sub(Const(1), s))
	}),
	FnTanh: chain(func(x *Expr) *Expr { return sub(Const(1), square(Call(FnTanh, x))) }),
	FnRelu: func(x, dx []*Expr) *Expr { return where(Call(FnGreater, x[0], Const(0)), dx[0], Const(0)) },
	FnSilu: chain(func(x *Expr) *Expr { // σ(x)·(1 + x·(1 − σ(x)))
		s := Call(FnSigmoid, x)
		return mul(s, add(Const(1), mul(x, sub(Const(1), s))))
	}),
	FnGelu: chain(func(x *Expr) *Expr { // Φ(x) + x·φ(x)
		cumulative := mul(Const(0.5), add(Const(1), Call(FnErf, mul(x, Const(1/math.Sqrt2)))))
		density := mul(Const(1/math.Sqrt(2*math.Pi)), Call(FnExp, mul(Const(-0.5), square(x))))
		return add(cumulative, mul(x, density))
	}),
}

// chain is the chain rule for a function of one argument.
func chain(derivative func(x *Expr) *Expr) func(x, dx []*Expr) *Expr {
	return func(x, dx []*Expr) *Expr { return mul(derivative(x[0]), dx[0]) }
}

func unary(name string, f func(float64) float64) *Func {
	return &Func{Name: name, Arity: 1, Eval: func(x []float64) float64 { return f(x[0]) }}
}

func binary(name string, f func(a, b float64) float64) *Func {
	return &Func{Name: name, Arity: 2, Eval: func(x []float64) float64 { return f(x[0], x[1]) }}
}

func add(x, y *Expr) *Expr      { return Call(FnAdd, x, y).Simplify() }
func sub(x, y *Expr) *Expr      { return Call(FnSub, x, y).Simplify() }
func mul(x, y *Expr) *Expr      { return Call(FnMul, x, y).Simplify() }
func div(x, y *Expr) *Expr      { return Call(FnDiv, x, y).Simplify() }
func square(x *Expr) *Expr      { return Call(FnSquare, x).Simplify() }
func where(c, x, y *Expr) *Expr { return Call(FnWhere, c, x, y).Simplify() }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func signOf(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // 0 and NaN
}

func sigmoidOf(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x) // no overflow for large negative x
	return e / (1 + e)
}

// siluOf is x·σ(x), with its limit 0 at −∞ rather than −∞·0.
func siluOf(x float64) float64 {
	if math.IsInf(x, -1) {
		return 0
	}
	return x * sigmoidOf(x)
}

// geluOf is x·Φ(x), with its limit 0 at −∞.
func geluOf(x float64) float64 {
	if math.IsInf(x, -1) {
		return 0
	}
	return x * 0.5 * math.Erfc(-x/math.Sqrt2)
}
