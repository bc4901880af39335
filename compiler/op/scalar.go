package op

import (
	"math"
	"strconv"
	"strings"
)

// Expr is a scalar expression over the inputs of one Map: a constant, an input, or a function of expressions. Expressions are
// never changed after they are made; parts may be shared between them, and backends may compute a shared part once.
type Expr struct {
	Fn    *Func
	Args  []*Expr // of Fn
	Input int     // without Fn: the number of the input, negative for a constant
	Const float64 // without Fn and with a negative Input
}

// Func is a scalar function.
type Func struct {
	Name  string
	Arity int
	Eval  func(x []float64) float64
}

func (f *Func) String() string { return f.Name }

// In is input number i.
func In(i int) *Expr { return &Expr{Input: i} }

// Const is a constant.
func Const(v float64) *Expr { return &Expr{Input: -1, Const: v} }

// Call applies a function; a wrong number of arguments is a programmer's fault.
func Call(f *Func, args ...*Expr) *Expr {
	if len(args) != f.Arity {
		panic("op: " + f.Name + " takes " + strconv.Itoa(f.Arity) + " arguments")
	}
	return &Expr{Fn: f, Args: args, Input: -1}
}

// IsConst reports whether the expression is the constant v.
func (e *Expr) IsConst(v float64) bool { return e.Fn == nil && e.Input < 0 && e.Const == v }

// isConst reports whether the expression is any constant.
func (e *Expr) isConst() bool { return e.Fn == nil && e.Input < 0 }

// String is the expression as function calls over x0, x1, …; different expressions have different texts.
func (e *Expr) String() string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

func (e *Expr) write(b *strings.Builder) {
	switch {
	case e == nil:
		b.WriteString("none")
	case e.Fn != nil:
		b.WriteString(e.Fn.Name)
		b.WriteByte('(')
		for i, x := range e.Args {
			if i > 0 {
				b.WriteString(", ")
			}
			x.write(b)
		}
		b.WriteByte(')')
	case e.Input >= 0:
		b.WriteByte('x')
		b.WriteString(strconv.Itoa(e.Input))
	default:
		b.WriteString(strconv.FormatFloat(e.Const, 'g', -1, 64))
	}
}

// Eval computes the expression for one value of each input. Of where's branches only the chosen one is computed.
func (e *Expr) Eval(in []float64) float64 {
	if e.Fn == nil {
		if e.Input >= 0 {
			return in[e.Input]
		}
		return e.Const
	}
	if e.Fn == FnWhere {
		if e.Args[0].Eval(in) != 0 {
			return e.Args[1].Eval(in)
		}
		return e.Args[2].Eval(in)
	}
	var few [3]float64
	args := few[:len(e.Args)]
	for i, x := range e.Args {
		args[i] = x.Eval(in)
	}
	return e.Fn.Eval(args)
}

// Inputs is one more than the highest input number in the expression.
func (e *Expr) Inputs() int {
	if e.Fn == nil {
		return e.Input + 1
	}
	n := 0
	for _, x := range e.Args {
		n = max(n, x.Inputs())
	}
	return n
}

// Uses reports whether the expression has input i.
func (e *Expr) Uses(i int) bool {
	if e.Fn == nil {
		return e.Input == i && i >= 0
	}
	for _, x := range e.Args {
		if x.Uses(i) {
			return true
		}
	}
	return false
}

// Renumber gives the expression with input i replaced by replacement[i].
func (e *Expr) Renumber(replacement []*Expr) *Expr {
	if e.Fn == nil {
		if e.Input >= 0 {
			return replacement[e.Input]
		}
		return e
	}
	args := make([]*Expr, len(e.Args))
	for i, x := range e.Args {
		args[i] = x.Renumber(replacement)
	}
	return &Expr{Fn: e.Fn, Args: args, Input: -1}
}

// Calls counts the function calls, the cost of one entry.
func (e *Expr) Calls() int {
	if e.Fn == nil {
		return 0
	}
	n := 1
	for _, x := range e.Args {
		n += x.Calls()
	}
	return n
}

// Derivative is the derivative with respect to one input, simplified.
func (e *Expr) Derivative(input int) *Expr { return e.derivative(input, Const(1)).Simplify() }

// derivative is the derivative times seed, which takes the place of the input's own derivative: where it is an input that holds
// the gradient, where's branches carry the gradient or 0 and nothing multiplies an infinite constant by 0.
func (e *Expr) derivative(input int, seed *Expr) *Expr {
	if e.Fn == nil {
		if e.Input == input && input >= 0 {
			return seed
		}
		return Const(0)
	}
	dx := make([]*Expr, len(e.Args))
	zero := true
	for i, x := range e.Args {
		dx[i] = x.derivative(input, seed)
		zero = zero && dx[i].IsConst(0)
	}
	if zero {
		return Const(0)
	}
	return derivatives[e.Fn](e.Args, dx)
}

// Simplify folds constants and drops x+0, x−0, x·1, x·0, x/1, −(−x) and where with a constant condition or equal branches.
// x·0 becomes 0 even where x might be infinite: it arises from derivatives, where the factor that is 0 says that nothing flows.
func (e *Expr) Simplify() *Expr {
	if e.Fn == nil {
		return e
	}
	args := make([]*Expr, len(e.Args))
	constant := true
	for i, x := range e.Args {
		args[i] = x.Simplify()
		constant = constant && args[i].isConst()
	}
	s := &Expr{Fn: e.Fn, Args: args, Input: -1}
	if constant {
		if v := s.Eval(nil); !math.IsNaN(v) {
			return Const(v)
		}
		return s
	}
	switch e.Fn {
	case FnAdd:
		if args[0].IsConst(0) {
			return args[1]
		}
		if args[1].IsConst(0) {
			return args[0]
		}
	case FnSub:
		if args[1].IsConst(0) {
			return args[0]
		}
		if args[0].IsConst(0) {
			return Call(FnNeg, args[1]).Simplify()
		}
	case FnMul:
		if args[0].IsConst(0) || args[1].IsConst(0) {
			return Const(0)
		}
		if args[0].IsConst(1) {
			return args[1]
		}
		if args[1].IsConst(1) {
			return args[0]
		}
	case FnDiv:
		if args[1].IsConst(1) {
			return args[0]
		}
		if args[0].IsConst(0) {
			return Const(0)
		}
	case FnPow:
		if args[1].IsConst(1) {
			return args[0]
		}
	case FnNeg:
		if args[0].Fn == FnNeg {
			return args[0].Args[0]
		}
	case FnWhere:
		if args[0].isConst() {
			if args[0].Const != 0 {
				return args[1]
			}
			return args[2]
		}
		if args[1] == args[2] || args[1].isConst() && args[2].IsConst(args[1].Const) {
			return args[1]
		}
	}
	return s
}
