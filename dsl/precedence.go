package dsl

import "forge/dsl/diag"

// strength orders the operators by how tightly they bind. All are left-associative but `^`; comparisons can't be chained.
var strength = map[string]int{
	"then": 1,
	"or":   2,
	"and":  3,
	"==":   comparison, "!=": comparison, "<": comparison, "<=": comparison, ">": comparison, ">=": comparison,
	"..": 5,
	"+":  6, "-": 6,
	"*": 7, "/": 7, "%": 7,
	"^": power,
}

const (
	comparison = 4
	power      = 8
)

// operand is one term of a flat chain: the operator before it ("" for the first) and its value.
type operand struct {
	op     string
	opSpan diag.Span
	x      Expr
}

// climb resolves a flat chain by the strengths of its operators. It takes from the front of terms what binds at least as
// tightly as least, and returns the value and the rest.
func (l *lowerer) climb(left Expr, terms []operand, least int) (Expr, []operand) {
	for len(terms) > 0 && strength[terms[0].op] >= least {
		term := terms[0]
		level := strength[term.op]
		next := level + 1
		if level == power {
			next = level
		}
		right, rest := l.climb(term.x, terms[1:], next)
		l.readsTwoWays(left, term, right, level)
		left = &Binary{Span: left.At().To(right.At()), Op: term.op, OpSpan: term.opSpan, X: left, Y: right}
		terms = rest
	}
	return left, terms
}

// readsTwoWays reports what different languages read differently: `a < b < c`, `not a == b`, `-x ^ 2`.
func (l *lowerer) readsTwoWays(left Expr, term operand, right Expr, level int) {
	if binary, ok := left.(*Binary); ok && level == comparison && strength[binary.Op] == comparison {
		l.report(diag.New("E013", term.opSpan, "write `and` between two comparisons, or brackets", "comparisons can't be chained").
			Note(binary.OpSpan, "the first is here"))
	}
	if unary, ok := left.(*Unary); ok {
		if unary.Op == "not" && level >= comparison {
			l.report(diag.New("E013", unary.Span.To(right.At()), "write `not (…)` or `(not …)`", "`not` and `%s` read two ways here", term.op))
		}
		if unary.Op == "-" && level == power {
			l.report(diag.New("E013", unary.Span.To(right.At()), "write `-(…)` or `(-…)`", "`-` and `^` read two ways here"))
		}
	}
	if unary, ok := right.(*Unary); ok && unary.Op == "not" && level >= comparison {
		l.report(diag.New("E013", left.At().To(unary.Span), "write brackets around `not …`", "`%s` and `not` read two ways here", term.op))
	}
}
