package dsl

import (
	"io"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// rules is the lexer: the same tokens outside and inside round or square brackets, but that a newline inside them is no NL.
// Outside, a closing bracket has a rule of its own: popping the root state would make participle panic. The last rule takes
// any character, so the lexer itself never fails; faults show as tokens (BadString, Unknown) that scan reports.
var rules = lexer.MustStateful(lexer.Rules{
	"Root": {
		{Name: "NL", Pattern: `\r?\n`},
		lexer.Include("Common"),
		{Name: "Stray", Pattern: `[)\]]`},
		{Name: "Unknown", Pattern: `[^\n]`},
	},
	"Bracket": {
		{Name: "wrap", Pattern: `\r?\n`},
		lexer.Include("Common"),
		{Name: "Close", Pattern: `[)\]]`, Action: lexer.Pop()},
		{Name: "Unknown", Pattern: `[^\n]`},
	},
	"Common": {
		{Name: "blank", Pattern: `[ \t]+`},
		{Name: "Word", Pattern: `(?:` + reserved + `)\b`},
		{Name: "Ident", Pattern: `[A-Za-z_][A-Za-z0-9_]*`},
		{Name: "Symbol", Pattern: `->|==|!=|<=|>=|\.\.|[{},.:=~+\-*/%^<>|]`},
		{Name: "Open", Pattern: `[(\[]`, Action: lexer.Push("Bracket")},
		{Name: "Number", Pattern: `[0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][+\-]?[0-9]+)?[A-Za-z0-9_]*`},
		{Name: "String", Pattern: `"(?:\\[^\r\n]|[^"\\\r\n])*"`},
		{Name: "BadString", Pattern: `"[^\r\n]*`},
		{Name: "Comment", Pattern: `#[^\n]*`},
	},
})

// symbols are the rules' token types, Unit, which only the filter can tell from a name, and two that stand for faults.
var symbols = func() map[string]lexer.TokenType {
	all := map[string]lexer.TokenType{}
	lowest := lexer.EOF
	for name, typ := range rules.Symbols() {
		all[name] = typ
		lowest = min(lowest, typ)
	}
	all["Unit"] = lowest - 1
	all["Bad"] = lowest - 2
	all["Missing"] = lowest - 3
	return all
}()

var (
	typeNL        = symbols["NL"]
	typeStray     = symbols["Stray"]
	typeUnknown   = symbols["Unknown"]
	typeWord      = symbols["Word"]
	typeIdent     = symbols["Ident"]
	typeNumber    = symbols["Number"]
	typeString    = symbols["String"]
	typeBadString = symbols["BadString"]
	typeComment   = symbols["Comment"]
	typeUnit      = symbols["Unit"]
	// typeBad stands for a stretch that scan has dropped and reported; no production takes it.
	typeBad = symbols["Bad"]
	// typeMissing is a closing brace that is not in the text; it has no width.
	typeMissing = symbols["Missing"]
)

// definition is the scanner as participle knows it: rules plus the filter.
type definition struct{ symbols map[string]lexer.TokenType }

func (d definition) Symbols() map[string]lexer.TokenType { return d.symbols }

// Lex gives the filtered tokens of a text; faults are tokens that no production takes.
func (definition) Lex(filename string, r io.Reader) (lexer.Lexer, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	s := scanner{file: filename, source: string(text)}
	s.scan()
	return &replay{tokens: s.tokens, end: s.end}, nil
}

// replay is a lexer that gives out tokens already read.
type replay struct {
	tokens []lexer.Token
	end    lexer.Position
}

func (r *replay) Next() (lexer.Token, error) {
	if len(r.tokens) == 0 {
		return lexer.EOFToken(r.end), nil
	}
	token := r.tokens[0]
	r.tokens = r.tokens[1:]
	return token, nil
}

// tokenSpan is a token's place. No token spans lines.
func tokenSpan(token lexer.Token) diag.Span {
	return spanOf([]lexer.Token{token})
}

// spanOf is the place of neighbouring tokens, of which there is at least one.
func spanOf(tokens []lexer.Token) diag.Span {
	first, last := tokens[0], tokens[len(tokens)-1]
	return diag.Span{File: first.Pos.Filename, Start: position(first.Pos), End: endOf(last)}
}

func position(p lexer.Position) diag.Pos {
	return diag.Pos{Offset: p.Offset, Line: p.Line, Col: p.Column}
}

func endOf(token lexer.Token) diag.Pos {
	end := position(token.Pos)
	if token.Type == typeMissing {
		return end
	}
	end.Offset += len(token.Value)
	end.Col += runeCount(token.Value)
	return end
}

func runeCount(text string) int {
	n := 0
	for range text {
		n++
	}
	return n
}

// joinsNext holds what a line may end with and go on in the next; joinsPrevious what the next may begin with to do so.
var (
	joinsNext     = wordSet("= -> then or and not == != <= >= < > .. + - * / % ^")
	joinsPrevious = wordSet("-> then or and == != <= >= < > .. + - * / % ^ if else ( [")
)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}
