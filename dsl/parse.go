package dsl

import (
	"errors"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// Parse reads a recipe file. name is what users are shown. The file is never nil: with errors it holds the declarations and
// lines that could be read. All syntax errors are found in one run, one for each fault, sorted by place.
func Parse(name, source string) (*File, diag.List) {
	return parse(name, source, name == PreludeName)
}

// ParseHeader is Parse for the headers that plugins answer with, where `kind` and `builtin` are allowed.
func ParseHeader(name, source string) (*File, diag.List) {
	return parse(name, source, true)
}

// ParseCell reads one cell, the text of `--set PATH=EXPR`. The cell is nil if there are errors.
func ParseCell(name, source string) (*Cell, diag.List) {
	p := scanned(name, source)
	return done(p, p.cell(p.line()))
}

// ParseExpr reads one expression. It is nil if there are errors.
func ParseExpr(name, source string) (Expr, diag.List) {
	p := scanned(name, source)
	var e Expr
	if tree := parseLine(p, exprParser, p.line(), inExpression); tree != nil {
		e = p.expr(tree)
	}
	return done(p, e)
}

func done[N any](p *parser, node N) (N, diag.List) {
	if len(p.list) > 0 {
		p.list.Sort()
		var none N
		return none, p.list
	}
	return node, nil
}

// parser reads the scanner's tokens declaration by declaration. Where one has a fault, it is cut down to header and lines,
// and what can be read of these is kept.
type parser struct {
	lowerer
	name   string
	tokens []lexer.Token
	// What the rules about order need: the declarations read so far, the first token of the file, how many declarations there
	// were, faulty ones too, and whether one began with `forge`.
	seen        []Decl
	first       *lexer.Token
	count       int
	saysVersion bool
	// stray says that the last declaration had a fault and no braces: indented lines after it belong to it, and so do
	// braces.
	stray bool
	// astray says that the last fault was a line that does not belong at the top.
	astray bool
}

func scanned(name, source string) *parser {
	p, _ := newParser(name, source)
	return p
}

// newParser scans a text; the faults of scanning are the first in the parser's list.
func newParser(name, source string) (*parser, []Comment) {
	s := scanner{file: name, source: source}
	s.scan()
	p := &parser{name: name, tokens: s.tokens}
	p.list = s.list
	p.docs = docLines(source, s.comments)
	return p, s.comments
}

// docLines keeps the doc comments that have a line to themselves.
func docLines(source string, comments []Comment) map[int]Comment {
	docs := map[int]Comment{}
	for _, comment := range comments {
		start := comment.Span.Start
		lineStart := strings.LastIndexByte(source[:start.Offset], '\n') + 1
		if comment.Doc && strings.Trim(source[lineStart:start.Offset], " \t"+byteOrderMark) == "" {
			docs[start.Line] = comment
		}
	}
	return docs
}

func parse(name, source string, header bool) (*File, diag.List) {
	p, comments := newParser(name, source)
	file := &File{Name: name, Source: source, Comments: comments}
	unreadable := len(p.list) > 0 && len(p.tokens) == 0
	for {
		tokens := p.declaration()
		if len(tokens) == 0 {
			break
		}
		p.count++
		if p.first == nil {
			p.first = &tokens[0]
		}
		p.saysVersion = p.saysVersion || tokens[0].Value == "forge" || p.count == 1 && tokens[0].Type == typeBad
		if p.stray && (tokens[0].Pos.Column > 1 || tokens[0].Value == "{") {
			continue
		}
		d := p.decl(tokens)
		p.stray = d == nil
		if d != nil {
			p.astray = false
			p.order(d, header)
			p.seen = append(p.seen, d)
		}
	}
	file.Decls = p.seen
	for _, d := range file.Decls {
		if v, ok := d.(*Version); ok && file.Version == 0 {
			file.Version = v.N
		}
	}
	if !unreadable {
		p.needVersion(file)
	}
	p.list.Sort()
	return file, p.list
}

// declaration takes the tokens of the next top-level declaration, without the newlines around it.
func (p *parser) declaration() []lexer.Token {
	for len(p.tokens) > 0 && p.tokens[0].Type == typeNL {
		p.tokens = p.tokens[1:]
	}
	n := lineEnd(p.tokens)
	tokens := p.tokens[:n]
	p.tokens = p.tokens[n:]
	return tokens
}

// lineEnd is the index of the first NL that is not within braces, or the number of tokens.
func lineEnd(tokens []lexer.Token) int {
	depth := 0
	for i, token := range tokens {
		switch {
		case token.Value == "{":
			depth++
		case token.Value == "}":
			depth--
		case token.Type == typeNL && depth <= 0:
			return i
		}
	}
	return len(tokens)
}

// lines cuts the body of a faulty declaration into lines, without the newlines. Where a line seems to hold two settings or
// equations, one of them begins a line of the file: there the scanner took a newline for one that joins (`total =`), and it is
// cut there too.
func lines(tokens []lexer.Token) [][]lexer.Token {
	var out [][]lexer.Token
	for len(tokens) > 0 {
		n := lineEnd(tokens)
		line := tokens[:n]
		for cut := secondStart(line); cut > 0; cut = secondStart(line) {
			out = append(out, line[:cut])
			line = line[cut:]
		}
		if len(line) > 0 {
			out = append(out, line)
		}
		tokens = tokens[min(n+1, len(tokens)):]
	}
	return out
}

// secondStart is the index of the token that begins the line of the file with the second `=` outside of brackets; 0: none.
func secondStart(tokens []lexer.Token) int {
	depth, equals := 0, -1
	for i, token := range tokens {
		switch token.Value {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "=":
			if depth != 0 {
				continue
			}
			if equals < 0 {
				equals = i
				continue
			}
			start := i
			for start > equals+1 && tokens[start-1].Pos.Line == tokens[i].Pos.Line {
				start--
			}
			if tokens[start].Pos.Line != tokens[start-1].Pos.Line {
				return start
			}
			return 0
		}
	}
	return 0
}

// line is all tokens, for the parsers of one line, of which it reports it if there are more or none.
func (p *parser) line() []lexer.Token {
	tokens := p.declaration()
	if len(p.list) > 0 {
		return []lexer.Token{{Type: typeBad}}
	}
	rest := p.tokens
	switch {
	case len(tokens) == 0:
		at := diag.Span{File: p.name, Start: diag.Pos{Line: 1, Col: 1}, End: diag.Pos{Line: 1, Col: 1}}
		p.report(diag.New("E010", at, "", "nothing is written here"))
	case len(p.declaration()) > 0:
		at := tokenSpan(rest[0])
		at.End = at.Start
		p.report(diag.New("E010", at, "", "this is more than one line"))
	default:
		return tokens
	}
	return []lexer.Token{{Type: typeBad}}
}

// decl reads one declaration: as a whole, and if that fails, in parts.
func (p *parser) decl(tokens []lexer.Token) Decl {
	if dropped(tokens) || tooDeep(tokens) != nil {
		return p.parts(tokens)
	}
	if tree := readDirect(tokens); tree != nil {
		return p.lowerer.decl(tree)
	}
	return p.parts(tokens)
}

// parts reads a declaration that has a fault: its header, then each line of its body. The fault is reported where it is.
func (p *parser) parts(tokens []lexer.Token) Decl {
	brace := 0
	for brace < len(tokens) && tokens[brace].Value != "{" {
		brace++
	}
	if brace == len(tokens) || !namesDeclaration(tokens) {
		p.header(tokens)
		return nil
	}
	end := matching(tokens, brace)
	closer := tokens[end]
	header := append(append([]lexer.Token(nil), tokens[:brace+1]...), closer)
	if end+1 < len(tokens) {
		// Something follows the brace on its line.
		p.fault(tokens[end+1:], 0, afterDeclaration)
	}
	result := p.header(header)
	isBlock := tokens[0].Value == "block"
	for _, line := range lines(tokens[brace+1 : end]) {
		if isBlock {
			if s := p.stmt(line); s != nil {
				if b, ok := result.(*Block); ok {
					b.Body = append(b.Body, s)
				}
			}
			continue
		}
		if c := p.cell(line); c != nil {
			if s, ok := result.(*Section); ok {
				s.Cells = append(s.Cells, c)
			}
		}
	}
	switch d := result.(type) {
	case *Section:
		d.Span.End = endOf(closer)
	case *Block:
		d.Span.End = endOf(closer)
	}
	return result
}

// header reads a declaration without its body.
func (p *parser) header(tokens []lexer.Token) Decl {
	if tree := parseLine(p, declParser, tokens, atTop); tree != nil {
		return p.lowerer.decl(tree)
	}
	return nil
}

func (p *parser) cell(tokens []lexer.Token) *Cell {
	if tree := parseLine(p, cellParser, tokens, inSection); tree != nil {
		return p.lowerer.cell(tree)
	}
	return nil
}

func (p *parser) stmt(tokens []lexer.Token) Stmt {
	if tree := parseLine(p, stmtParser, tokens, inBlock); tree != nil {
		return p.lowerer.stmt(tree)
	}
	return nil
}

// parseLine reads one line with the parser of its production. It reports a fault and returns nil.
func parseLine[G any](p *parser, production *participle.Parser[G], tokens []lexer.Token, where context) *G {
	if dropped(tokens) {
		return nil
	}
	if token := tooDeep(tokens); token != nil {
		p.report(diag.New("E009", tokenSpan(*token), "", "this is too deep").
			Helpf("at most %d operators or conditions in a row; give parts of it names of their own", maxNesting))
		return nil
	}
	tree, err := run(production, tokens)
	if err != nil {
		p.fault(tokens, errorIndex(tokens, err), where)
		return nil
	}
	return tree
}

// run applies a production to tokens, all of which it must take.
func run[G any](production *participle.Parser[G], tokens []lexer.Token) (*G, error) {
	end := lexer.Position{}
	if len(tokens) > 0 {
		last := tokens[len(tokens)-1]
		end = last.Pos
		end.Offset += len(last.Value)
	}
	lex, err := lexer.Upgrade(&replay{tokens: tokens, end: end})
	if err != nil {
		return nil, err
	}
	return production.ParseFromLexer(lex)
}

// errorIndex is the index of the token at which participle gave up; len(tokens) for their end.
func errorIndex(tokens []lexer.Token, err error) int {
	var placed participle.Error
	if !errors.As(err, &placed) {
		return 0
	}
	for i, token := range tokens {
		if token.Pos.Offset >= placed.Position().Offset {
			return i
		}
	}
	return len(tokens)
}

// dropped says that the scanner has already reported a fault in these tokens.
func dropped(tokens []lexer.Token) bool {
	for _, token := range tokens {
		if token.Type == typeBad {
			return true
		}
	}
	return false
}

// tooDeep finds a chain of more than maxNesting links (operators, conditions, calls of calls) between two commas of one
// bracket: each link nests the tree one deeper. The scanner has already bounded the brackets themselves.
func tooDeep(tokens []lexer.Token) *lexer.Token {
	links := []int{0}
	for i := range tokens {
		token := &tokens[i]
		last := len(links) - 1
		switch token.Value {
		case ",", "=":
			links[last] = 0
			continue
		case "(", "[", "{":
			links[last]++
			links = append(links, 0)
		case ")", "]", "}":
			if last > 0 {
				links = links[:last]
			}
			continue
		case "else", ".":
			links[last]++
		default:
			if token.Type == typeNL {
				links[last] = 0
			}
			if strength[token.Value] > 0 && token.Type != typeString {
				links[last]++
			}
		}
		if links[last] > maxNesting {
			return token
		}
	}
	return nil
}

// matching is the index of the `}` that closes the `{` at index open.
func matching(tokens []lexer.Token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		switch tokens[i].Value {
		case "{":
			depth++
		case "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(tokens) - 1
}

// namesDeclaration says that tokens begin like something with a body of cells or statements, if not quite rightly.
func namesDeclaration(tokens []lexer.Token) bool {
	return len(tokens) > 2 && (tokens[0].Type == typeIdent || tokens[0].Type == typeBad) && tokens[0].Value != "use" && tokens[0].Value != "forge"
}
