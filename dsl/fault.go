package dsl

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// context is what a line with a fault should have been.
type context int

const (
	atTop context = iota
	inSection
	inBlock
	inExpression
	afterDeclaration
)

// fault is a line that no production takes: tokens[at] is where it goes wrong, len(tokens) where it ends too early.
type fault struct {
	tokens []lexer.Token
	at     int
	where  context
}

// fault reports the syntax error at tokens[at] of a line, with the first cure that fits.
func (p *parser) fault(tokens []lexer.Token, at int, where context) {
	f := fault{tokens, at, where}
	d := f.explain()
	// Lines outside of any section come in rows: a brace closed too early is one fault.
	astray := where == atTop && d.Code == "E012"
	if !astray || !p.astray {
		p.report(d)
	}
	p.astray = astray
}

func (f fault) explain() *diag.Diagnostic {
	for _, c := range cures {
		if d := c.explain(f); d != nil {
			return d
		}
	}
	return f.plain()
}

// token is the one n places from the fault; the zero token where there is none.
func (f fault) token(n int) lexer.Token {
	if i := f.at + n; i >= 0 && i < len(f.tokens) {
		return f.tokens[i]
	}
	return lexer.Token{}
}

// here is the place of the fault: its token, or the point after the last one.
func (f fault) here() diag.Span {
	if f.at < len(f.tokens) {
		return tokenSpan(f.tokens[f.at])
	}
	if len(f.tokens) == 0 {
		return diag.Span{}
	}
	span := spanOf(f.tokens)
	span.Start = span.End
	return span
}

// ended says that the line ends where it should go on.
func (f fault) ended() bool { return f.at >= len(f.tokens) || f.token(0).Type == typeNL }

// depth counts the round and square brackets that are open before the fault.
func (f fault) depth() int {
	depth := 0
	for _, token := range f.tokens[:min(f.at, len(f.tokens))] {
		switch token.Value {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
	}
	return depth
}

// key is the text of the line before the fault if that is a cell's key, without `let`; else "".
func (f fault) key() string {
	tokens := f.tokens[:min(f.at, len(f.tokens))]
	if len(tokens) > 0 && tokens[0].Value == "let" {
		tokens = tokens[1:]
	}
	if len(tokens) == 1 && tokens[0].Type == typeString {
		return tokens[0].Value
	}
	var text strings.Builder
	for i, token := range tokens {
		if i == 0 && token.Type != typeIdent || token.Value == "=" {
			return ""
		}
		if i > 0 && token.Type == typeIdent && tokens[i-1].Type == typeIdent {
			return ""
		}
		text.WriteString(token.Value)
	}
	return text.String()
}

// startsLine says that the token n places from the fault is the first on its line of the file.
func (f fault) startsLine(n int) bool {
	i := f.at + n
	return i > 0 && i < len(f.tokens) && f.tokens[i-1].Pos.Line != f.tokens[i].Pos.Line
}

// adjacent says that the token at the fault and the one n places on stand together without a blank.
func (f fault) adjacent(n int) bool {
	a, b := f.token(min(n, 0)), f.token(max(n, 0))
	return a.Value != "" && b.Value != "" && a.Pos.Offset+len(a.Value) == b.Pos.Offset
}

// both is the place of the fault's token and its neighbour.
func (f fault) both(n int) diag.Span {
	return tokenSpan(f.token(min(n, 0))).To(tokenSpan(f.token(max(n, 0))))
}

// endsValue and beginsValue say that a token may be the last, or the first, of a value.
func endsValue(token lexer.Token) bool {
	switch token.Type {
	case typeIdent, typeNumber, typeUnit, typeString:
		return true
	}
	return token.Value == ")" || token.Value == "]" || token.Value == "true" || token.Value == "false"
}

func beginsValue(token lexer.Token) bool {
	switch token.Type {
	case typeIdent, typeNumber, typeString:
		return true
	}
	return token.Value == "true" || token.Value == "false" || token.Value == "not"
}

// plain is the error of last resort.
func (f fault) plain() *diag.Diagnostic {
	if f.ended() {
		return diag.New("E010", f.here(), "something is missing here", "this line ends too early")
	}
	label := ""
	if before := f.token(-1).Value; before == "=" || before == "(" || before == "," || before == "[" || strength[before] > 0 {
		label = "after `" + before + "` a value should stand"
	}
	return diag.New("E010", f.here(), label, "`%s` can't stand here", f.token(0).Value)
}
