package dsl

import (
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

// fault reports the syntax error at tokens[at] of a line; at is len(tokens) where the line ends too early.
func (p *parser) fault(tokens []lexer.Token, at int, where context) {
	if at >= len(tokens) {
		place := diag.Span{}
		if len(tokens) > 0 {
			place = tokenSpan(tokens[len(tokens)-1])
			place.Start = place.End
		}
		p.report(diag.New("E010", place, "something is missing here", "this line is not complete"))
		return
	}
	p.report(diag.New("E010", tokenSpan(tokens[at]), "", "`%s` is not expected here", tokens[at].Value))
}

// cutEmpty reports a cell without a value, whose next line the scanner took for it, and returns that line.
func (p *parser) cutEmpty(tokens []lexer.Token) []lexer.Token { return tokens }

func (p *parser) order(d Decl, header bool) {}

func (p *parser) needVersion(file *File) {}

func closesNothing(token lexer.Token) *diag.Diagnostic {
	return diag.New("E005", tokenSpan(token), "", "this `%s` closes nothing", token.Value)
}

func fmtMissing(closer string) string { return "a `" + closer + "` is missing" }

func unknownCharacter(source string, token lexer.Token) *diag.Diagnostic {
	return diag.New("E001", tokenSpan(token), "", "forge does not know the character `%s`", token.Value)
}
