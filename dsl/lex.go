package dsl

import (
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// tokenizer cuts text into tokens. It knows nothing but how deep round and square brackets are nested: in them a newline is no NL.
// Every character belongs to some token, so it never fails; faults show as tokens (BadString, Stray, Unknown) that scan reports.
// The rules as regular expressions are in lex_test.go, where both are compared.
type tokenizer struct {
	source string
	pos    lexer.Position
	depth  int
}

// next gives the next token that is neither blank nor a newline in brackets; at the end one of type EOF.
func (t *tokenizer) next() lexer.Token {
	for t.pos.Offset < len(t.source) {
		typ, length := t.match(t.source[t.pos.Offset:])
		token := lexer.Token{Type: typ, Value: t.source[t.pos.Offset:][:length], Pos: t.pos}
		t.pos.Offset += length
		if newline := token.Value[length-1] == '\n'; newline {
			t.pos.Line++
			t.pos.Column = 1
		} else {
			t.pos.Column += utf8.RuneCountInString(token.Value)
		}
		if typ != typeBlank {
			return token
		}
	}
	return lexer.EOFToken(t.pos)
}

// match finds the type and length of the token that a text begins with.
func (t *tokenizer) match(text string) (lexer.TokenType, int) {
	switch c := text[0]; {
	case c == ' ' || c == '\t':
		return typeBlank, span(text, 0, isBlank)
	case isLetter(c):
		n := span(text, 0, isWord)
		if reservedWords[text[:n]] {
			return typeWord, n
		}
		return typeIdent, n
	case isDigit(c):
		return typeNumber, number(text)
	case c == '\n':
		return t.newline(), 1
	case c == '\r' && strings.HasPrefix(text, "\r\n"):
		return t.newline(), 2
	case c == '#':
		if n := strings.IndexByte(text, '\n'); n >= 0 {
			return typeComment, n
		}
		return typeComment, len(text)
	case c == '"':
		return quoted(text)
	case c == '(' || c == '[':
		t.depth++
		return typeOpen, 1
	case c == ')' || c == ']':
		if t.depth == 0 {
			return typeStray, 1
		}
		t.depth--
		return typeClose, 1
	}
	if len(text) >= 2 {
		switch text[:2] {
		case "->", "==", "!=", "<=", ">=", "..":
			return typeSymbol, 2
		}
	}
	if strings.IndexByte("{},.:=~+-*/%^<>|", text[0]) >= 0 {
		return typeSymbol, 1
	}
	_, size := utf8.DecodeRuneInString(text)
	return typeUnknown, size
}

func (t *tokenizer) newline() lexer.TokenType {
	if t.depth > 0 {
		return typeBlank
	}
	return typeNL
}

// number is the length of a number: digits, a fraction and an exponent if digits follow, and what is glued to them.
func number(text string) int {
	n := span(text, 0, isDigits)
	if n+1 < len(text) && text[n] == '.' && isDigit(text[n+1]) {
		n = span(text, n+1, isDigits)
	}
	if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
		digits := n + 1
		if digits < len(text) && (text[digits] == '+' || text[digits] == '-') {
			digits++
		}
		if end := span(text, digits, isDigit); end > digits {
			n = end
		}
	}
	return span(text, n, isWord)
}

// quoted is a text in quotation marks, which must end on its line.
func quoted(text string) (lexer.TokenType, int) {
	line := len(text)
	if n := strings.IndexAny(text, "\r\n"); n >= 0 {
		line = n
	}
	for n := 1; n < line; n++ {
		switch text[n] {
		case '"':
			return typeString, n + 1
		case '\\':
			n++ // a mark after it does not end the text
		}
	}
	return typeBadString, line
}

// span is where the characters of a kind that begin at from end.
func span(text string, from int, of func(byte) bool) int {
	for from < len(text) && of(text[from]) {
		from++
	}
	return from
}

func isBlank(c byte) bool  { return c == ' ' || c == '\t' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isDigits(c byte) bool { return isDigit(c) || c == '_' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
