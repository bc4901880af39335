package dsl

import "github.com/alecthomas/participle/v2/lexer"

// The generated parser takes most of the time of reading a file: it builds and drops a branch for every alternative. So a declaration
// is first read directly, by one method for each production of grammar.go, and only what this does not take goes to the generated
// parser, which finds the place of the fault. The grammar stays the one truth: direct_test.go and the fuzzing of Parse compare both
// on every declaration, tree for tree.

// direct reads tokens by recursive descent. After a fault it takes nothing more; whoever called it drops the tree.
type direct struct {
	tokens []lexer.Token
	at     int
	failed bool
}

// readDirect reads one declaration, all of whose tokens it must take; nil if it does not.
func readDirect(tokens []lexer.Token) *decl {
	d := direct{tokens: tokens}
	tree := d.decl()
	d.maybe(typeNL)
	if d.failed || d.at < len(tokens) {
		return nil
	}
	return tree
}

// word is the text of the token n places on, "" behind the end.
func (d *direct) word(n int) string {
	if d.at+n < len(d.tokens) {
		return d.tokens[d.at+n].Value
	}
	return ""
}

func (d *direct) is(typ lexer.TokenType, n int) bool {
	return d.at+n < len(d.tokens) && d.tokens[d.at+n].Type == typ
}

func (d *direct) fail() { d.failed = true }

// maybe takes a token of a type, if it is next.
func (d *direct) maybe(typ lexer.TokenType) bool {
	if d.failed || !d.is(typ, 0) {
		return false
	}
	d.at++
	return true
}

// take takes a token of a type and gives its text.
func (d *direct) take(typ lexer.TokenType) string {
	if !d.maybe(typ) {
		d.fail()
		return ""
	}
	return d.tokens[d.at-1].Value
}

// next takes a symbol or word, if it is next.
func (d *direct) next(word string) bool {
	if d.failed || d.word(0) != word {
		return false
	}
	d.at++
	return true
}

func (d *direct) must(word string) {
	if !d.next(word) {
		d.fail()
	}
}

func (d *direct) since(start int) []lexer.Token { return d.tokens[start:d.at] }

// separated reads items until the closer, with commas between them and, if trailing, one after the last. It takes the closer.
func (d *direct) separated(closer string, trailing bool, item func()) {
	for n := 0; !d.failed; n++ {
		if (n == 0 || trailing) && d.next(closer) {
			return
		}
		item()
		if d.failed || d.next(closer) {
			return
		}
		d.must(",")
	}
}

// lines reads a body in braces, the opening one being taken.
func (d *direct) lines(line func()) {
	d.maybe(typeNL)
	for !d.failed && !d.next("}") {
		line()
		if !d.maybe(typeNL) {
			d.must("}")
			return
		}
	}
}

func (d *direct) decl() *decl {
	switch word := d.word(0); {
	case word == "forge" && d.is(typeNumber, 1):
		d.at++
		n := d.take(typeNumber)
		return &decl{Version: &version{Tokens: d.since(d.at - 2), N: n}}
	case word == "use" && d.is(typeString, 1):
		return &decl{Use: d.use()}
	case word == "block" && d.word(2) == "(":
		return &decl{Block: d.block()}
	case (word == "kind" || word == "builtin") && d.word(2) == "(":
		return &decl{Builtin: d.builtin()}
	}
	return &decl{Section: d.section()}
}

func (d *direct) use() *use {
	start := d.at
	d.must("use")
	u := &use{Path: d.str()}
	if d.next("as") {
		u.As = d.name()
	}
	u.Tokens = d.since(start)
	return u
}

func (d *direct) section() *section {
	start := d.at
	s := &section{Kind: d.name(), Name: d.name()}
	if d.next("from") {
		s.From = d.postfix()
	}
	d.must("{")
	d.lines(func() { s.Cells = append(s.Cells, d.cell()) })
	s.Tokens = d.since(start)
	return s
}

func (d *direct) cell() *cell {
	start := d.at
	c := &cell{Let: d.next("let"), Key: &key{}}
	if d.is(typeString, 0) {
		c.Key.Text = d.str()
	} else {
		for more := true; more; more = d.next(".") {
			from := d.at
			s := &seg{Name: d.take(typeIdent)}
			if d.next("[") {
				s.Index = d.expr()
				d.must("]")
			}
			s.Tokens = d.since(from)
			c.Key.Segs = append(c.Key.Segs, s)
		}
	}
	d.must("=")
	c.Value = d.expr()
	c.Tokens = d.since(start)
	return c
}

func (d *direct) block() *block {
	start := d.at
	d.must("block")
	b := &block{Name: d.name(), Params: d.params()}
	d.must("(")
	d.separated(")", true, func() {
		from := d.at
		in := &input{Name: d.name(), Shape: d.shape()}
		in.Tokens = d.since(from)
		b.Inputs = append(b.Inputs, in)
	})
	d.must("->")
	b.Result = d.shape()
	if d.next("{") {
		b.Open = true
		d.lines(func() { b.Body = append(b.Body, d.stmt()) })
	}
	b.Tokens = d.since(start)
	return b
}

func (d *direct) builtin() *builtin {
	start := d.at
	b := &builtin{Keyword: d.word(0)}
	d.at++
	b.Name, b.Params = d.name(), d.params()
	if d.next("->") {
		b.Type = d.types()
	}
	b.Tokens = d.since(start)
	return b
}

func (d *direct) params() []*param {
	var list []*param
	d.must("(")
	d.separated(")", true, func() {
		start := d.at
		p := &param{Name: d.name()}
		if d.next(":") {
			p.Type = d.types()
		}
		if d.next("=") {
			p.Default = d.expr()
		}
		p.Tokens = d.since(start)
		list = append(list, p)
	})
	return list
}

func (d *direct) shape() *shape {
	start := d.at
	s := &shape{}
	d.must("[")
	d.separated("]", false, func() {
		from := d.at
		a := &shapeAxis{Axis: ".."}
		if !d.next("..") {
			a.Axis = d.take(typeIdent)
		}
		a.Tokens = d.since(from)
		s.Axes = append(s.Axes, a)
	})
	s.Tokens = d.since(start)
	return s
}

func (d *direct) types() *types {
	start := d.at
	t := &types{}
	for more := true; more; more = d.next("|") {
		from := d.at
		a := &typeAtom{}
		if d.is(typeString, 0) {
			a.Text = d.take(typeString)
		} else {
			a.Name = d.take(typeIdent)
			if d.next("(") {
				a.In = d.shape()
				d.must("->")
				a.Out = d.shape()
				d.must(")")
			}
		}
		a.Tokens = d.since(from)
		t.Atoms = append(t.Atoms, a)
	}
	t.Tokens = d.since(start)
	return t
}

// stmt reads a line of a block. A word begins it only where a name follows, but for `require` and `return`, which take any
// expression: with `=`, `:` or `,` behind them they are names.
func (d *direct) stmt() *stmt {
	start := d.at
	s := &stmt{}
	named := d.is(typeIdent, 1)
	equation := d.word(1) == "=" || d.word(1) == ":" || d.word(1) == ","
	switch word := d.word(0); {
	case word == "weight" && named:
		d.at++
		s.Weight = &weight{Name: d.name(), Shape: d.shape()}
		if d.next("~") {
			s.Weight.Init = d.chain()
		}
		s.Weight.Guard = d.guard()
	case word == "state" && named:
		d.at++
		s.State = &state{Name: d.name(), Shape: d.shape()}
		d.must("=")
		s.State.Value = d.chain()
		s.State.Guard = d.guard()
	case word == "part" && named:
		d.at++
		s.Part = &part{Name: d.name()}
		if d.word(0) == "[" {
			s.Part.Bank = d.shape()
		}
		d.must("=")
		s.Part.Value = d.expr()
	case (word == "update" || word == "loss" || word == "metric") && named:
		d.at++
		s.Effect = &effect{Kind: word, Name: d.name()}
		d.must("=")
		s.Effect.Value = d.expr()
	case word == "require" && !equation:
		d.at++
		s.Require = &require{Cond: d.expr()}
		if d.next(",") {
			s.Require.Why = d.str()
		}
	case word == "return" && !equation:
		d.at++
		s.Return = d.expr()
	default:
		s.Eq = &eq{}
		for more := true; more; more = d.next(",") {
			s.Eq.Names = append(s.Eq.Names, d.name())
		}
		if d.next(":") {
			s.Eq.Shape = d.shape()
		}
		d.must("=")
		s.Eq.Value = d.expr()
	}
	s.Tokens = d.since(start)
	return s
}

func (d *direct) guard() *chain {
	if d.next("if") {
		return d.chain()
	}
	return nil
}

func (d *direct) expr() *expr {
	start := d.at
	e := &expr{Then: d.chain()}
	if d.next("if") {
		e.If = d.chain()
		d.must("else")
		if !d.failed {
			e.Else = d.expr()
		}
	}
	e.Tokens = d.since(start)
	return e
}

func (d *direct) chain() *chain {
	c := &chain{First: d.unary()}
	for !d.failed && strength[d.word(0)] > 0 {
		start := d.at
		d.at++
		t := &opTerm{Op: d.tokens[start].Value, X: d.unary()}
		t.Tokens = d.since(start)
		c.Rest = append(c.Rest, t)
	}
	return c
}

func (d *direct) unary() *unary {
	start := d.at
	u := &unary{}
	if word := d.word(0); word == "-" || word == "not" {
		u.Op = word
		d.at++
	}
	u.X = d.postfix()
	u.Tokens = d.since(start)
	return u
}

func (d *direct) postfix() *postfix {
	p := &postfix{Primary: d.primary()}
	for !d.failed {
		start := d.at
		o := &postOp{}
		switch {
		case d.next("."):
			o.Member = d.name()
		case d.next("["):
			o.Axes = d.axes()
			d.must("]")
		case d.word(0) == "(":
			o.Args = d.args()
		default:
			return p
		}
		o.Tokens = d.since(start)
		p.Ops = append(p.Ops, o)
	}
	return p
}

func (d *direct) axes() *axes {
	items := func() (list []*axisItem) {
		for more := true; more && !d.failed; more = d.next(",") {
			start := d.at
			i := &axisItem{Rest: d.next("..")}
			if !i.Rest {
				i.X = d.expr()
			}
			i.Tokens = d.since(start)
			list = append(list, i)
		}
		return list
	}
	a := &axes{From: items()}
	if d.next("->") {
		a.Arrow = true
		a.To = items()
	}
	return a
}

func (d *direct) args() *args {
	list := &args{}
	d.must("(")
	d.separated(")", true, func() {
		start := d.at
		a := &arg{}
		if d.is(typeIdent, 0) && d.word(1) == "=" {
			a.Name = d.name()
			d.at++
		}
		a.Value = d.expr()
		a.Tokens = d.since(start)
		list.Args = append(list.Args, a)
	})
	return list
}

func (d *direct) primary() *primary {
	start := d.at
	p := &primary{}
	switch word := d.word(0); {
	case d.failed:
	case d.is(typeNumber, 0):
		p.Number = d.take(typeNumber)
		if d.is(typeUnit, 0) {
			p.Unit = d.take(typeUnit)
		}
	case d.is(typeString, 0):
		p.Str = d.str()
	case word == "true" || word == "false":
		p.Bool = word
		d.at++
	case d.is(typeIdent, 0):
		p.Name = d.take(typeIdent)
	case d.next("("):
		p.Paren = d.expr()
		d.must(")")
	case d.next("["):
		p.List = d.list()
	default:
		d.fail()
	}
	p.Tokens = d.since(start)
	return p
}

// list reads a list, the opening bracket being taken.
func (d *direct) list() *listX {
	l := &listX{}
	d.separated("]", true, func() {
		x := d.expr()
		if l.First != nil {
			l.More = append(l.More, x)
			return
		}
		l.First = x
		if d.next("for") {
			l.Var = d.name()
			d.must("in")
			l.Over = d.chain()
		}
	})
	return l
}

func (d *direct) name() *name {
	start := d.at
	n := &name{Name: d.take(typeIdent)}
	n.Tokens = d.since(start)
	return n
}

func (d *direct) str() *str {
	start := d.at
	s := &str{Raw: d.take(typeString)}
	s.Tokens = d.since(start)
	return s
}
