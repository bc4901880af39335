package check

import (
	"math"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// scope says what names mean where an expression stands. The span is where the value was written; it may be zero.
type scope interface {
	lookup(name string) (Value, diag.Span, bool)
}

// namer is a scope that can list its names, for "did you mean".
type namer interface{ names() []string }

// varScope is the body of `value for name in list`.
type varScope struct {
	parent scope
	name   string
	v      Value
	span   diag.Span
}

func (s *varScope) lookup(name string) (Value, diag.Span, bool) {
	if name == s.name {
		return s.v, s.span, true
	}
	return s.parent.lookup(name)
}

func (s *varScope) names() []string { return append(scopeNames(s.parent), s.name) }

func scopeNames(sc scope) []string {
	if n, ok := sc.(namer); ok {
		return n.names()
	}
	return nil
}

const (
	maxDepth = 4000    // nested evaluations, cells in cells included
	maxRange = 100_000 // entries of a range
)

// eval evaluates a build-time expression. Faults are reported; the value is then bad.
func (c *checker) eval(sc scope, x dsl.Expr) Value {
	if x == nil || !c.step(x.At()) {
		return bad
	}
	if c.depth >= maxDepth {
		return c.fail(diag.New("E009", x.At(), "", "values depend on each other too deeply"))
	}
	c.depth++
	defer func() { c.depth-- }()

	switch x := x.(type) {
	case *dsl.Paren:
		return c.eval(sc, x.X)
	case *dsl.Number:
		return c.numeral(x)
	case *dsl.Text:
		return Text(x.Value)
	case *dsl.Bool:
		return Bool(x.Value)
	case *dsl.Name:
		return c.name(sc, x.Ident)
	case *dsl.List:
		return c.list(sc, x)
	case *dsl.Call:
		return c.call(sc, x)
	case *dsl.Member:
		return c.member(c.eval(sc, x.X), x.Name)
	case *dsl.Index:
		return c.item(sc, x)
	case *dsl.Unary:
		return c.unary(sc, x)
	case *dsl.Binary:
		return c.binary(sc, x)
	case *fixedExpr:
		return x.v
	case *dsl.Cond:
		switch cond := c.eval(sc, x.If).(type) {
		case Bool:
			if cond {
				return c.eval(sc, x.Then)
			}
			return c.eval(sc, x.Else)
		case badValue, unknownValue:
			return cond
		default:
			return c.fail(diag.New("E300", x.If.At(), "this is "+typeName(cond), "a condition is true or false"))
		}
	}
	return bad
}

// numeral is the value of a literal.
func (c *checker) numeral(x *dsl.Number) Value {
	if x.Bad {
		return bad
	}
	isWhole := x.Whole && !writtenAsFloat(x.Raw)
	if x.Unit == "" {
		if isWhole {
			return Int(x.Int)
		}
		if _, known := c.literals[x.Value]; !known {
			c.literals[x.Value] = x.Raw
		}
		return Float(x.Value)
	}
	if !isUnit(x.Unit) {
		d := diag.New("E306", x.Span, "", "`%s` is not a unit", x.Unit).Helpf("units: tokens, steps, seqs, epochs, seconds, minutes, hours")
		units := make([]string, len(allUnits))
		for i, u := range allUnits {
			units[i] = string(u)
		}
		if near := suggest(x.Unit, units); near != "" {
			d.Labels[0].Text = "did you mean `" + near + "`?"
			d.FixWith(x.UnitSpan, near)
		}
		return c.fail(d)
	}
	if !x.Whole {
		return c.fail(diag.New("E304", x.Span, "", "`%s` counts something: this must come out whole", x.Unit))
	}
	return Quantity{x.Int, Unit(x.Unit)}
}

// writtenAsFloat: 1.0 and 1e3 are numbers, 1.5k and 14.8T are whole.
func writtenAsFloat(raw string) bool {
	last := raw[len(raw)-1]
	return strings.ContainsAny(raw, ".eE") && last >= '0' && last <= '9'
}

// name evaluates a name.
func (c *checker) name(sc scope, id dsl.Ident) Value {
	switch id.Name {
	case "none":
		return Nothing{}
	case "inf":
		return Float(math.Inf(1))
	}
	if v, _, ok := sc.lookup(id.Name); ok {
		return v
	}
	return c.noName(sc, id)
}

func (c *checker) noName(sc scope, id dsl.Ident) Value {
	return c.fail(unknownName(id.Name, id.Span, scopeNames(sc)))
}

func (c *checker) list(sc scope, x *dsl.List) Value {
	l := make(List, 0, len(x.Items))
	failed, open := false, false
	add := func(v Value) bool {
		if isBad(v) {
			failed = true
		} else if v == unknown {
			open = true
		}
		l = append(l, v)
		return !failed
	}
	for _, it := range x.Items {
		if it.Over == nil {
			add(c.eval(sc, it.Value))
			continue
		}
		switch over := c.eval(sc, it.Over).(type) {
		case badValue:
			failed = true
		case unknownValue:
			open = true
		case List:
			for _, v := range over {
				// What is wrong in one round is most likely wrong in all.
				if !add(c.eval(&varScope{sc, it.Var.Name, v, it.Var.Span}, it.Value)) {
					break
				}
			}
		default:
			failed = true
			c.report(diag.New("E300", it.Over.At(), "this is "+typeName(over), "`for` goes through a list or a range"))
		}
	}
	switch {
	case failed:
		return bad
	case open:
		return unknown
	}
	if !c.spend(listSize(l), x.Span) {
		return bad
	}
	return l
}

// listSize counts the entries of a list and of the lists in it, as far as the budget could pay for them.
func listSize(l List) int {
	n := len(l)
	for _, v := range l {
		if inner, ok := v.(List); ok && n <= maxSteps {
			n += listSize(inner)
		}
	}
	return n
}

// member evaluates v.name: an attribute of a built value, a cell of a table, a name of an imported file, `pos.scale`.
func (c *checker) member(v Value, name dsl.Ident) Value {
	var candidates []string
	var what string
	switch v := v.(type) {
	case badValue, unknownValue:
		return v
	case moduleValue:
		if w, ok := v.m.exported(c, name.Name); ok {
			return w
		}
		label, near := didYouMean(name.Name, v.m.exports())
		d := diag.New("E105", name.Span, label, "%s has nothing called `%s`", v.m.Name, name.Name)
		if near != "" {
			d.FixWith(name.Span, near)
		}
		return c.fail(d)
	case *Table:
		if w, ok := v.get(c, name.Name); ok {
			return w
		}
		return c.noSetting(v, name)
	case *Built:
		if w, ok := v.Attrs[name.Name]; ok {
			return w
		}
		what, candidates = v.Def.Name, paramNames(v.Def.Params)
	case *Record:
		if w, ok := v.Attrs[name.Name]; ok {
			return w
		}
		if v.Type == "pos" && name.Name == "scale" {
			return Float(v.Pos().Scale())
		}
		what, candidates = v.Builder, v.Order
	default:
		return c.fail(diag.New("E101", name.Span, "", "%s has no `%s`", typeName(v), name.Name))
	}
	label, near := didYouMean(name.Name, candidates)
	d := diag.New("E101", name.Span, label, "`%s` has no attribute `%s`", what, name.Name)
	if len(candidates) > 0 {
		d.Helpf("`%s` takes: %s", what, strings.Join(candidates, ", "))
	}
	if near != "" {
		d.FixWith(name.Span, near)
	}
	return c.fail(d)
}

// item evaluates list[n].
func (c *checker) item(sc scope, x *dsl.Index) Value {
	v := c.eval(sc, x.X)
	if isOpen(v) {
		return v
	}
	l, ok := v.(List)
	if !ok || len(x.Axes) != 1 || x.Arrow {
		return c.fail(diag.New("E300", x.X.At(), "this is "+typeName(v), "only a list has items"))
	}
	n := c.eval(sc, x.Axes[0])
	if isOpen(n) {
		return n
	}
	return c.listItem(l, n, x.Axes[0].At())
}

func (c *checker) listItem(l List, n Value, at diag.Span) Value {
	i, ok := whole(n)
	if !ok {
		return c.fail(diag.New("E300", at, "this is "+typeName(n), "an index is a whole number"))
	}
	if i < 0 || i >= int64(len(l)) {
		label := "the list is empty"
		if len(l) > 0 {
			label = "the last one is " + c.text(Int(len(l)-1))
		}
		return c.fail(diag.New("E310", at, label, "the list has no item %d", i))
	}
	return l[i]
}

func (c *checker) unary(sc scope, x *dsl.Unary) Value {
	v := c.eval(sc, x.X)
	if isOpen(v) {
		return v
	}
	if x.Op == "not" {
		b, ok := v.(Bool)
		if !ok {
			return c.fail(diag.New("E300", x.X.At(), "this is "+typeName(v), "`not` takes true or false"))
		}
		return !b
	}
	switch v := v.(type) {
	case Int:
		if v == math.MinInt64 {
			break
		}
		return -v
	case Float:
		return -v
	case Quantity:
		return Quantity{-v.N, v.Unit}
	}
	return c.fail(diag.New("E300", x.X.At(), "this is "+typeName(v), "`-` takes a number"))
}

func (c *checker) binary(sc scope, x *dsl.Binary) Value {
	a := c.eval(sc, x.X)
	if x.Op == "and" || x.Op == "or" {
		return c.logic(sc, x, a)
	}
	b := c.eval(sc, x.Y)
	if isBad(a) || isBad(b) {
		return bad
	}
	if isOpen(a) || isOpen(b) {
		return unknown
	}
	switch x.Op {
	case "then":
		return c.then(a, b, x)
	case "..":
		return c.rangeOf(a, b, x)
	}
	return c.arith(x.Op, x.OpSpan, a, b, x.X.At(), x.Y.At())
}

func (c *checker) logic(sc scope, x *dsl.Binary, a Value) Value {
	if p, ok := a.(Bool); ok && bool(p) == (x.Op == "or") {
		return p
	}
	b := c.eval(sc, x.Y)
	for i, v := range []Value{a, b} {
		if isBad(v) {
			return bad
		}
		if _, ok := v.(Bool); !ok && !isOpen(v) {
			at := x.X.At()
			if i == 1 {
				at = x.Y.At()
			}
			return c.fail(diag.New("E300", at, "this is "+typeName(v), "`%s` takes true or false", x.Op))
		}
	}
	if isOpen(a) {
		return a
	}
	return b
}

func (c *checker) rangeOf(a, b Value, x *dsl.Binary) Value {
	from, ok := whole(a)
	to, ok2 := whole(b)
	if !ok || !ok2 {
		wrong, at := a, x.X.At()
		if ok {
			wrong, at = b, x.Y.At()
		}
		return c.fail(diag.New("E300", at, "this is "+typeName(wrong), "a range goes between whole numbers"))
	}
	n := to - from
	if n < 0 && to < from {
		n = 0
	}
	if n > maxRange || n < 0 {
		return c.fail(diag.New("E303", x.Span, "", "a range has at most 100000 entries"))
	}
	l := make(List, n)
	for i := range l {
		l[i] = Int(from + int64(i))
	}
	if !c.spend(int(n), x.Span) {
		return bad
	}
	return l
}
