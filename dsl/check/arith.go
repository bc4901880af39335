package check

import (
	"math"
	"math/bits"

	"forge/dsl/diag"
)

// arith evaluates `x op y` for the operators + - * / % ^ and the comparisons. Whole numbers and quantities are exact: what does not
// fit 63 bits is an error; other numbers are 64-bit floats, and a result that is not finite is an error.
func (c *checker) arith(op string, opSpan diag.Span, x, y Value, xs, ys diag.Span) Value {
	if isBad(x) || isBad(y) {
		return bad
	}
	if isOpen(x) || isOpen(y) {
		return unknown
	}
	switch op {
	case "==", "!=":
		qx, okx := x.(Quantity)
		qy, oky := y.(Quantity)
		if okx && oky && qx.Unit != qy.Unit {
			return c.unitsDontMix(op, opSpan, x, y, xs, ys)
		}
		if l, ok := x.(List); ok {
			c.spend(listSize(l), opSpan)
		}
		return Bool(equalValues(x, y) == (op == "=="))
	}
	if lx, ok := x.(List); ok && op == "+" {
		if ly, ok := y.(List); ok {
			if !c.spend(len(lx)+len(ly), opSpan) {
				return bad
			}
			return append(append(List{}, lx...), ly...)
		}
	}
	qx, okx := x.(Quantity)
	qy, oky := y.(Quantity)
	if okx || oky {
		return c.arithUnits(op, opSpan, x, y, qx, qy, okx, oky, xs, ys)
	}
	fx, okx := number(x)
	fy, oky := number(y)
	if !okx || !oky {
		wrong, ws := x, xs
		if okx {
			wrong, ws = y, ys
		}
		d := diag.New("E300", ws, "this is "+typeName(wrong), "`%s` takes numbers", op)
		if _, s := wrong.(*Schedule); s {
			d.Helpf("a schedule is changed inside its pieces: write the factor into `to`, `from` or `value`")
		}
		if op == "*" {
			switch wrong.(type) {
			case *Built, List:
				d.Helpf("repetition is a list: `[… for i in 0..n]`")
			}
		}
		return c.fail(d)
	}
	switch op {
	case "<":
		return Bool(fx < fy)
	case "<=":
		return Bool(fx <= fy)
	case ">":
		return Bool(fx > fy)
	case ">=":
		return Bool(fx >= fy)
	}
	ix, wx := x.(Int)
	iy, wy := y.(Int)
	if (op == "/" || op == "%") && fy == 0 {
		return c.fail(diag.New("E309", ys, "this is 0", "division by zero"))
	}
	if wx && wy {
		if v, ok := arithWhole(op, int64(ix), int64(iy)); v != nil || !ok {
			if !ok {
				return c.fail(diag.New("E303", opSpan, "", "the result of `%s` does not fit 63 bits", op).
					Note(xs, "this is %d", ix).Note(ys, "this is %d", iy))
			}
			return v
		}
	}
	var f float64
	switch op {
	case "+":
		f = fx + fy
	case "-":
		f = fx - fy
	case "*":
		f = fx * fy
	case "/":
		f = fx / fy
	case "%":
		f = fx - fy*math.Floor(fx/fy)
	case "^":
		f = math.Pow(fx, fy)
	default:
		return c.fail(diag.New("E300", opSpan, "", "`%s` does not join %s and %s", op, typeName(x), typeName(y)))
	}
	return c.finite(f, opSpan)
}

// finite refuses what is not a number. Infinity may be written (`inf`), not computed.
func (c *checker) finite(f float64, at diag.Span) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return c.fail(diag.New("E309", at, "", "the result is not a finite number"))
	}
	return Float(f)
}

// arithWhole is exact arithmetic. A nil value means that the result is not whole; ok is false beyond 63 bits.
func arithWhole(op string, x, y int64) (v Value, ok bool) {
	switch op {
	case "+":
		s := x + y
		return Int(s), (s > x) == (y > 0)
	case "-":
		d := x - y
		return Int(d), (d < x) == (y > 0)
	case "*":
		p, ok := mulWhole(x, y)
		return Int(p), ok
	case "/":
		if x%y != 0 || (x == math.MinInt64 && y == -1) {
			return nil, true
		}
		return Int(x / y), true
	case "%":
		m := x % y
		if m != 0 && (m < 0) != (y < 0) {
			m += y
		}
		return Int(m), true
	case "^":
		if y < 0 {
			return nil, true
		}
		r, b := int64(1), x
		for e := y; e > 0; e >>= 1 {
			if e&1 == 1 {
				if r, ok = mulWhole(r, b); !ok {
					return nil, false
				}
			}
			if e > 1 {
				if b, ok = mulWhole(b, b); !ok {
					return nil, false
				}
			}
		}
		return Int(r), true
	}
	return nil, true
}

func mulWhole(x, y int64) (int64, bool) {
	neg := (x < 0) != (y < 0)
	hi, lo := bits.Mul64(absWhole(x), absWhole(y))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if neg {
		return -int64(lo), true
	}
	return int64(lo), true
}

func absWhole(x int64) uint64 {
	if x < 0 {
		return uint64(-x)
	}
	return uint64(x)
}

// arithUnits: one side at least is a quantity. Equal units add and compare; a number scales; a ratio of equal units is a number.
func (c *checker) arithUnits(op string, opSpan diag.Span, x, y Value, qx, qy Quantity, okx, oky bool, xs, ys diag.Span) Value {
	tooLarge := func() Value {
		return c.fail(diag.New("E303", opSpan, "", "the result of `%s` does not fit 63 bits", op))
	}
	if okx && oky {
		if qx.Unit != qy.Unit || op == "*" || op == "%" || op == "^" {
			return c.unitsDontMix(op, opSpan, x, y, xs, ys)
		}
		switch op {
		case "+", "-":
			v, ok := arithWhole(op, qx.N, qy.N)
			if !ok {
				return tooLarge()
			}
			return Quantity{int64(v.(Int)), qx.Unit}
		case "/":
			return c.arith(op, opSpan, Int(qx.N), Int(qy.N), xs, ys)
		case "<", "<=", ">", ">=":
			return c.arith(op, opSpan, Int(qx.N), Int(qy.N), xs, ys)
		}
		return c.unitsDontMix(op, opSpan, x, y, xs, ys)
	}
	q, other, os := qx, y, ys
	if oky {
		q, other, os = qy, x, xs
	}
	f, isNumber := number(other)
	if !isNumber {
		return c.fail(diag.New("E300", os, "this is "+typeName(other), "`%s` takes numbers", op))
	}
	if op != "*" && (op != "/" || oky) {
		return c.fail(diag.New("E305", opSpan, "", "a number and %s don't mix: say what the number counts", q.Unit).
			Note(xs, "this is %s", c.described(x)).Note(ys, "this is %s", c.described(y)))
	}
	if i, ok := other.(Int); ok {
		if op == "/" && i == 0 {
			return c.fail(diag.New("E309", os, "this is 0", "division by zero"))
		}
		v, ok := arithWhole(op, q.N, int64(i))
		if !ok {
			return tooLarge()
		}
		if v != nil {
			return Quantity{int64(v.(Int)), q.Unit}
		}
	}
	if op == "/" {
		if f == 0 {
			return c.fail(diag.New("E309", os, "this is 0", "division by zero"))
		}
		f = 1 / f
	}
	// A share of a quantity is rounded to the nearest whole one.
	r := math.Round(float64(q.N) * f)
	if math.IsNaN(r) || math.Abs(r) >= 1<<63 {
		return tooLarge()
	}
	return Quantity{int64(r), q.Unit}
}

func (c *checker) described(v Value) string {
	if q, ok := v.(Quantity); ok {
		return q.String()
	}
	return c.text(v)
}

func (c *checker) unitsDontMix(op string, opSpan diag.Span, x, y Value, xs, ys diag.Span) Value {
	ux, uy := x.(Quantity).Unit, y.(Quantity).Unit
	what := "can't be compared"
	switch op {
	case "+", "-":
		what = "don't add up"
	case "*", "%", "^":
		what = "can't be joined by `" + op + "`"
	case "/":
		what = "have no ratio"
	}
	return c.fail(diag.New("E305", opSpan, "", "%s and %s %s", ux, uy, what).
		Note(xs, "this is %s", c.described(x)).Note(ys, "this is %s", c.described(y)))
}

// function evaluates a function on numbers: sqrt exp log abs take one, min and max one or more.
func (c *checker) function(name string, args []Value, spans []diag.Span, at diag.Span) Value {
	least, most := 1, 1
	if name == "min" || name == "max" {
		most = 1 << 20
	}
	if len(args) < least || len(args) > most {
		return c.fail(diag.New("E109", at, "", "`%s` takes one number", name))
	}
	for i, a := range args {
		if isOpen(a) {
			return a
		}
		if _, ok := number(a); !ok {
			if q, isQ := a.(Quantity); isQ && len(args) > 1 {
				if q0, ok := args[0].(Quantity); ok && q0.Unit == q.Unit {
					continue
				}
			}
			return c.fail(diag.New("E300", spans[i], "this is "+typeName(a), "`%s` takes numbers", name))
		}
	}
	if name == "min" || name == "max" {
		best := args[0]
		for i, a := range args[1:] {
			op := "<"
			if name == "max" {
				op = ">"
			}
			less := c.arith(op, at, a, best, spans[i+1], spans[0])
			if isOpen(less) {
				return less
			}
			if b, ok := less.(Bool); ok && bool(b) {
				best = a
			}
		}
		return best
	}
	f, _ := number(args[0])
	switch name {
	case "sqrt":
		f = math.Sqrt(f)
	case "exp":
		f = math.Exp(f)
	case "log":
		f = math.Log(f)
	case "abs":
		if i, ok := args[0].(Int); ok {
			if i == math.MinInt64 {
				return c.fail(diag.New("E303", at, "", "the result of `abs` does not fit 63 bits"))
			}
			return max(i, -i)
		}
		f = math.Abs(f)
	}
	return c.finite(f, at)
}
