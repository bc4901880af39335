package dsl

import (
	"strconv"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// lowerer turns grammar structs into the tree: operators resolved, literals read, documentation attached. Faults that the
// grammar can't see are reported here; the tree is whole all the same.
type lowerer struct {
	list diag.List
	docs map[int]Comment // the doc comments that have a line to themselves, by line
}

func (l *lowerer) report(d *diag.Diagnostic) { l.list = append(l.list, d) }

// doc is the text of the doc comments right before a line.
func (l *lowerer) doc(line int) string {
	first := line
	for {
		if _, ok := l.docs[first-1]; !ok {
			break
		}
		first--
	}
	var text []string
	for ; first < line; first++ {
		text = append(text, l.docs[first].Text)
	}
	return strings.Join(text, "\n")
}

func (l *lowerer) decl(d *decl) Decl {
	switch {
	case d.Version != nil:
		return l.version(d.Version)
	case d.Use != nil:
		n := &Use{Span: spanOf(d.Use.Tokens), Path: l.str(d.Use.Path)}
		if d.Use.As != nil {
			n.As = ident(d.Use.As)
		}
		return n
	case d.Block != nil:
		return l.block(d.Block)
	case d.Builtin != nil:
		return l.builtin(d.Builtin)
	}
	return l.section(d.Section)
}

func (l *lowerer) version(v *version) *Version {
	place := tokenSpan(v.Tokens[1])
	n := &Version{Span: spanOf(v.Tokens)}
	number, fault := readNumber(v.N, "")
	switch {
	case fault != nil:
		l.report(diag.New("E002", place, fault.label, "%s", fault.message))
	case number.Whole && number.Int == 1:
		n.N = 1
	default:
		l.report(diag.New("E007", place, "this forge reads version 1", "this file is written for forge %s", v.N).
			Helpf("a newer forge reads older files, not the other way round"))
	}
	return n
}

func (l *lowerer) section(s *section) *Section {
	n := &Section{Span: spanOf(s.Tokens), Kind: ident(s.Kind), Name: ident(s.Name), Close: tokenSpan(s.Tokens[len(s.Tokens)-1])}
	n.Doc = l.doc(n.Span.Start.Line)
	if s.From != nil {
		n.From = l.postfix(s.From)
	}
	for _, c := range s.Cells {
		n.Cells = append(n.Cells, l.cell(c))
	}
	return n
}

func (l *lowerer) cell(c *cell) *Cell {
	n := &Cell{Span: spanOf(c.Tokens), Let: c.Let, Value: l.expr(c.Value)}
	n.Doc = l.doc(n.Span.Start.Line)
	if c.Key.Text != nil {
		text := l.str(c.Key.Text)
		n.Text = &text
	}
	for _, s := range c.Key.Segs {
		segment := Seg{Span: spanOf(s.Tokens), Name: Ident{s.Name, tokenSpan(s.Tokens[0])}}
		if s.Index != nil {
			segment.Index = l.expr(s.Index)
		}
		n.Key = append(n.Key, segment)
	}
	if n.Let && (n.Text != nil || len(n.Key) > 1 || n.Key[0].Index != nil) {
		l.report(diag.New("E010", n.KeySpan(), "without `let` this changes what exists", "a helper cell has a plain name"))
	}
	return n
}

func (l *lowerer) block(b *block) *Block {
	n := &Block{Span: spanOf(b.Tokens), Name: ident(b.Name), Params: l.params(b.Params), Result: *l.shape(b.Result), HasBody: b.Open}
	n.Doc = l.doc(n.Span.Start.Line)
	l.ownName(n.Name)
	for _, one := range n.Params {
		l.ownName(one.Name)
	}
	for _, i := range b.Inputs {
		l.ownName(ident(i.Name))
		n.Inputs = append(n.Inputs, &Input{Span: spanOf(i.Tokens), Name: ident(i.Name), Shape: *l.shape(i.Shape)})
	}
	for _, s := range b.Body {
		n.Body = append(n.Body, l.stmt(s))
	}
	return n
}

func (l *lowerer) builtin(b *builtin) *Builtin {
	n := &Builtin{Span: spanOf(b.Tokens), IsKind: b.Keyword == "kind", Name: ident(b.Name), Params: l.params(b.Params)}
	n.Doc = l.doc(n.Span.Start.Line)
	if b.Type != nil {
		n.Type = l.types(b.Type)
	}
	return n
}

func (l *lowerer) params(params []*param) []*Param {
	var out []*Param
	for _, p := range params {
		n := &Param{Span: spanOf(p.Tokens), Name: ident(p.Name)}
		if p.Type != nil {
			n.Type = l.types(p.Type)
		}
		if p.Default != nil {
			n.Default = l.expr(p.Default)
		}
		out = append(out, n)
	}
	return out
}

func (l *lowerer) types(t *types) *Type {
	n := &Type{Span: spanOf(t.Tokens)}
	for _, a := range t.Atoms {
		atom := TypeAtom{Span: spanOf(a.Tokens), Name: a.Name}
		if a.Text != "" {
			text := l.text(a.Tokens[0])
			atom.Text = &text
		}
		if a.In != nil {
			atom.In, atom.Out = l.shape(a.In), l.shape(a.Out)
		}
		n.Atoms = append(n.Atoms, atom)
	}
	return n
}

// shape may be nil, and is nil then.
func (l *lowerer) shape(s *shape) *Shape {
	if s == nil {
		return nil
	}
	n := &Shape{Span: spanOf(s.Tokens)}
	for _, a := range s.Axes {
		n.Axes = append(n.Axes, Ident{a.Axis, spanOf(a.Tokens)})
	}
	return n
}

// lineWords begin a line of their own in a block and can't name an equation there.
var lineWords = wordSet("weight state part require update loss metric return")

func (l *lowerer) stmt(s *stmt) Stmt {
	span := spanOf(s.Tokens)
	switch {
	case s.Weight != nil:
		w := s.Weight
		l.ownName(ident(w.Name))
		return &Weight{Span: span, Name: ident(w.Name), Shape: *l.shape(w.Shape), Init: l.chain(w.Init), Guard: l.chain(w.Guard)}
	case s.State != nil:
		w := s.State
		l.ownName(ident(w.Name))
		return &State{Span: span, Name: ident(w.Name), Shape: *l.shape(w.Shape), Value: l.chain(w.Value), Guard: l.chain(w.Guard)}
	case s.Part != nil:
		l.ownName(ident(s.Part.Name))
		return &Part{Span: span, Name: ident(s.Part.Name), Bank: l.shape(s.Part.Bank), Value: l.expr(s.Part.Value)}
	case s.Require != nil:
		n := &Require{Span: span, Cond: l.expr(s.Require.Cond)}
		if s.Require.Why != nil {
			why := l.str(s.Require.Why)
			n.Why = &why
		}
		return n
	case s.Effect != nil:
		l.ownName(ident(s.Effect.Name))
		return &Effect{Span: span, Kind: s.Effect.Kind, Name: ident(s.Effect.Name), Value: l.expr(s.Effect.Value)}
	case s.Return != nil:
		return &Return{Span: span, Value: l.expr(s.Return)}
	}
	n := &Equation{Span: span, Shape: l.shape(s.Eq.Shape), Value: l.expr(s.Eq.Value)}
	for _, one := range s.Eq.Names {
		n.Names = append(n.Names, ident(one))
		l.ownName(ident(one))
	}
	if first := n.Names[0]; lineWords[first.Name] {
		l.report(diag.New("E011", first.Span, "", "`%s` begins a line of its own kind and can't name an equation", first.Name))
	}
	return n
}

// known are the names that are known everywhere. Headers of kinds may have settings called like this (`seq`, `batch`).
var known = wordSet("none inf batch seq key")

// ownName reports a name of a block, or of what stands in one, that is known everywhere already.
func (l *lowerer) ownName(n Ident) {
	if known[n.Name] {
		l.report(diag.New("E011", n.Span, "", "`%s` is known everywhere and can't be given again", n.Name))
	}
}

func (l *lowerer) expr(e *expr) Expr {
	then := l.chain(e.Then)
	if e.If == nil {
		return then
	}
	return &Cond{Span: spanOf(e.Tokens), Then: then, If: l.chain(e.If), Else: l.expr(e.Else)}
}

// chain may be nil, and is nil then.
func (l *lowerer) chain(c *chain) Expr {
	if c == nil {
		return nil
	}
	terms := make([]operand, len(c.Rest))
	for i, term := range c.Rest {
		terms[i] = operand{term.Op, tokenSpan(term.Tokens[0]), l.unary(term.X)}
	}
	value, _ := l.climb(l.unary(c.First), terms, 0)
	return value
}

func (l *lowerer) unary(u *unary) Expr {
	x := l.postfix(u.X)
	if u.Op == "" {
		return x
	}
	return &Unary{Span: spanOf(u.Tokens), Op: u.Op, X: x}
}

func (l *lowerer) postfix(p *postfix) Expr {
	x := l.primary(p.Primary)
	for _, op := range p.Ops {
		span := x.At().To(spanOf(op.Tokens))
		switch {
		case op.Member != nil:
			x = &Member{Span: span, X: x, Name: ident(op.Member)}
		case op.Axes != nil:
			x = &Index{Span: span, X: x, Axes: l.axes(op.Axes.From), To: l.axes(op.Axes.To), Arrow: op.Axes.Arrow}
		default:
			call := &Call{Span: span, Fn: x}
			for _, a := range op.Args.Args {
				argument := Arg{Span: spanOf(a.Tokens), Value: l.expr(a.Value)}
				if a.Name != nil {
					argument.Name = ident(a.Name)
				}
				call.Args = append(call.Args, argument)
			}
			x = call
		}
	}
	return x
}

func (l *lowerer) axes(items []*axisItem) []Expr {
	var out []Expr
	for _, item := range items {
		if item.Rest {
			out = append(out, &Name{Ident{"..", spanOf(item.Tokens)}})
		} else {
			out = append(out, l.expr(item.X))
		}
	}
	return out
}

func (l *lowerer) primary(p *primary) Expr {
	span := spanOf(p.Tokens)
	switch {
	case p.Number != "":
		n, fault := readNumber(p.Number, p.Unit)
		if fault != nil {
			l.report(diag.New("E002", tokenSpan(p.Tokens[0]), fault.label, "%s", fault.message))
			n.Bad = true
		}
		n.Span = span
		if p.Unit != "" {
			n.UnitSpan = tokenSpan(p.Tokens[1])
		}
		return &n
	case p.Str != nil:
		return &Text{l.str(p.Str)}
	case p.Bool != "":
		return &Bool{Span: span, Value: p.Bool == "true"}
	case p.Name != "":
		return &Name{Ident{p.Name, span}}
	case p.Paren != nil:
		return &Paren{Span: span, X: l.expr(p.Paren)}
	}
	n := &List{Span: span}
	if p.List.First != nil {
		item := ListItem{Value: l.expr(p.List.First), Over: l.chain(p.List.Over)}
		if p.List.Var != nil {
			item.Var = ident(p.List.Var)
			l.ownName(item.Var)
		}
		n.Items = append(n.Items, item)
	}
	for _, e := range p.List.More {
		n.Items = append(n.Items, ListItem{Value: l.expr(e)})
	}
	return n
}

func ident(n *name) Ident { return Ident{n.Name, spanOf(n.Tokens)} }

func (l *lowerer) str(s *str) Str { return l.text(s.Tokens[0]) }

// text reads a text literal. An escape that Go does not know is reported and left as it stands.
func (l *lowerer) text(token lexer.Token) Str {
	n := Str{Raw: token.Value, Span: tokenSpan(token)}
	value, err := strconv.Unquote(token.Value)
	if err != nil {
		l.badEscape(token)
		value = token.Value[1 : len(token.Value)-1]
	}
	n.Value = value
	return n
}

// badEscape finds the escape that makes a text unreadable.
func (l *lowerer) badEscape(token lexer.Token) {
	place := tokenSpan(token)
	rest := token.Value[1 : len(token.Value)-1]
	for rest != "" {
		_, _, tail, err := strconv.UnquoteChar(rest, '"')
		if err == nil {
			rest = tail
			continue
		}
		before := token.Value[:len(token.Value)-1-len(rest)]
		place.Start.Offset += len(before)
		place.Start.Col += runeCount(before)
		shown := []rune(rest)[:min(2, runeCount(rest))]
		if len(shown) == 2 && strings.ContainsRune("xuU", shown[1]) {
			for _, c := range []rune(rest)[2:] {
				if !strings.ContainsRune("0123456789abcdefABCDEF", c) || len(shown) == 10 {
					break
				}
				shown = append(shown, c)
			}
		}
		place.End = place.Start
		place.End.Offset += len(string(shown))
		place.End.Col += len(shown)
		l.report(diag.New("E004", place, "", "`%s` is not an escape", string(shown)).
			Helpf("escapes are Go's: `\\n`, `\\t`, `\\\"`, `\\\\`, `\\x41`, `\\u00e4`; write a backslash as `\\\\`"))
		return
	}
}
