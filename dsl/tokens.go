package dsl

import (
	"io"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// The types of tokens. Unit is a name that the filter has told from others; Bad stands for a stretch that scan has dropped and
// reported, which no production takes; Missing is a closing brace that is not in the text and has no width.
const (
	typeNL lexer.TokenType = lexer.EOF - 1 - iota
	typeBlank
	typeWord
	typeIdent
	typeSymbol
	typeOpen
	typeClose
	typeStray
	typeNumber
	typeString
	typeBadString
	typeComment
	typeUnknown
	typeUnit
	typeBad
	typeMissing
)

// symbols are the names of the types in the grammar.
var symbols = map[string]lexer.TokenType{
	"EOF": lexer.EOF, "NL": typeNL, "Word": typeWord, "Ident": typeIdent, "Symbol": typeSymbol, "Open": typeOpen, "Close": typeClose,
	"Stray": typeStray, "Number": typeNumber, "String": typeString, "BadString": typeBadString, "Comment": typeComment,
	"Unknown": typeUnknown, "Unit": typeUnit, "Bad": typeBad, "Missing": typeMissing,
}

// definition is the scanner as participle knows it: the tokenizer plus the filter.
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
