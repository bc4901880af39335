package dsl

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// What a file may measure. Beyond it, a file is an error and not a crash.
const (
	maxFile    = 4 << 20  // bytes
	maxLine    = 64 << 10 // bytes
	maxTokens  = 1_000_000
	maxNesting = 200 // brackets within brackets, and links of one chain of operators
	// Each fault of brackets reads a stretch of the file a second time; this bounds how often.
	maxRestarts = 100
)

const byteOrderMark = "\ufeff"

// scanner turns text into tokens without blanks and comments, where NL stands only where a line really ends and every bracket
// has its match. Stretches where that can't be had are reported, and stand as a token of type typeBad: whoever meets it skips
// the line without a word.
type scanner struct {
	file     string
	source   string
	tokens   []lexer.Token
	comments []Comment
	list     diag.List
	end      lexer.Position

	open      []opener // brackets not yet closed
	pendingNL *lexer.Token
	badLine   int // the last line with an unknown character, of which one is reported a line
}

// opener is an opening bracket and its index among the tokens.
type opener struct {
	token lexer.Token
	index int
}

// restart says where reading goes on after a fault; offset < 0: nowhere.
type restart struct{ offset, line int }

func (s *scanner) report(d *diag.Diagnostic) { s.list = append(s.list, d) }

func (s *scanner) scan() {
	s.end = lexer.Position{Filename: s.file, Line: 1, Column: 1}
	if !s.readable() {
		return
	}
	s.tokens = make([]lexer.Token, 0, len(s.source)/5+16)
	at := restart{offset: 0, line: 1}
	if strings.HasPrefix(s.source, byteOrderMark) {
		at.offset = len(byteOrderMark)
	}
	for n := 0; at.offset >= 0; n++ {
		if n > maxRestarts {
			s.giveUp()
			break
		}
		at = s.scanFrom(at)
	}
	s.closeBraces()
}

// readable checks what must hold before there is any token: size, encoding, length of lines.
func (s *scanner) readable() bool {
	place := func(offset, length int) diag.Span {
		before := s.source[:offset]
		line := strings.Count(before, "\n") + 1
		col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
		return diag.Span{
			File:  s.file,
			Start: diag.Pos{Offset: offset, Line: line, Col: col},
			End:   diag.Pos{Offset: offset + length, Line: line, Col: col + length},
		}
	}
	if len(s.source) > maxFile {
		s.report(diag.New("E009", place(0, 0), "", "this file is too large").
			Helpf("a recipe file may have 4 MiB"))
		return false
	}
	if strings.HasPrefix(s.source, "\xff\xfe") || strings.HasPrefix(s.source, "\xfe\xff") {
		s.report(diag.New("E001", place(0, 1), "", "this file is UTF-16").Helpf("save it as UTF-8"))
		return false
	}
	for offset := 0; offset < len(s.source); {
		r, size := utf8.DecodeRuneInString(s.source[offset:])
		switch {
		case r == utf8.RuneError && size == 1:
			s.report(diag.New("E001", place(offset, 1), "", "this file is not UTF-8 text: it has a byte %#02x here", s.source[offset]).
				Helpf("save it as UTF-8"))
			return false
		case r == 0:
			s.report(diag.New("E001", place(offset, 1), "", "this file has a zero byte: is it a text file?"))
			return false
		}
		offset += size
	}
	for start := 0; start < len(s.source); {
		length := strings.IndexByte(s.source[start:], '\n')
		if length < 0 {
			length = len(s.source) - start
		}
		if length > maxLine {
			s.report(diag.New("E009", place(start, 0), "", "this line is too long: %d bytes", length).
				Helpf("a line may have 64 KiB; inside brackets it may be broken"))
			return false
		}
		start += length + 1
	}
	return true
}

// scanFrom reads from the start of a line to the end, or to a fault of brackets; it returns where to go on.
func (s *scanner) scanFrom(at restart) restart {
	lex := tokenizer{source: s.source, pos: lexer.Position{Filename: s.file, Offset: at.offset, Line: at.line, Column: 1}}
	for {
		token := lex.next()
		s.end = token.Pos
		if token.EOF() {
			if first := firstBracket(s.open); first != nil {
				s.never(*first)
				return s.drop(*first)
			}
			return restart{offset: -1}
		}
		if len(s.tokens) >= maxTokens {
			s.report(diag.New("E009", tokenSpan(token), "", "this file has too many words").Helpf("split it, and import with `use`"))
			return s.giveUp()
		}
		switch token.Type {
		case typeComment:
			s.comment(token)
			continue
		case typeNL:
			if s.pendingNL == nil {
				s.pendingNL = &token
			}
			continue
		}
		if next, faulty := s.take(token); faulty {
			return next
		}
	}
}

func (s *scanner) comment(token lexer.Token) {
	token.Value = strings.TrimRight(token.Value, " \t\r")
	doc := strings.HasPrefix(token.Value, "##") && !strings.HasPrefix(token.Value, "###")
	text := strings.TrimPrefix(token.Value, "#")
	if doc {
		text = strings.TrimPrefix(text, "#")
	}
	s.comments = append(s.comments, Comment{Span: tokenSpan(token), Text: strings.TrimSpace(text), Doc: doc})
}

// take adds a token. If it shows that a bracket is wrong, it says where to read on.
func (s *scanner) take(token lexer.Token) (next restart, faulty bool) {
	s.endLine(token)
	if first := firstBracket(s.open); first != nil && s.opensBody(token) {
		s.never(*first)
		return s.dropHeader(*first), true
	}
	switch {
	case token.Type == typeUnknown:
		if s.badLine != token.Pos.Line {
			s.badLine = token.Pos.Line
			s.report(unknownCharacter(token))
		}
		token = bad(token)
	case token.Type == typeBadString:
		s.report(diag.New("E003", tokenSpan(token), "it must end on this line, with `\"`", "this text is not closed"))
		s.emit(bad(token))
		if first := firstBracket(s.open); first != nil {
			return s.drop(*first), true // the text may have swallowed its closing bracket
		}
		return restart{}, false
	case token.Type == typeStray:
		s.report(closesNothing(token))
		token = bad(token)
	case token.Value == "(" || token.Value == "[" || token.Value == "{":
		if len(s.open) >= maxNesting {
			s.report(diag.New("E009", tokenSpan(token), "", "brackets are nested too deep here").
				Helpf("at most %d; give parts of it names of their own", maxNesting))
			return s.giveUp(), true
		}
		s.open = append(s.open, opener{token, len(s.tokens)})
	case token.Value == ")" || token.Value == "]" || token.Value == "}":
		if len(s.open) == 0 {
			s.report(closesNothing(token))
			token = bad(token)
			break
		}
		top := s.open[len(s.open)-1]
		if closerOf(top.token.Value) == token.Value {
			s.open = s.open[:len(s.open)-1]
			break
		}
		if first := firstBracket(s.open); first != nil && token.Value == "}" {
			s.never(*first)
			return s.drop(*first), true
		}
		s.report(diag.New("E005", tokenSpan(token), "this closes it", "`%s` is closed by `%s`", top.token.Value, token.Value).
			Note(tokenSpan(top.token), "opened here"))
		return s.drop(top), true
	case token.Type == typeIdent && s.isUnit(token):
		token.Type = typeUnit
	}
	s.emit(token)
	return s.checkMargin()
}

func (s *scanner) emit(token lexer.Token) { s.tokens = append(s.tokens, token) }

// endLine decides about the newline before token: it ends the line unless that plainly goes on.
func (s *scanner) endLine(token lexer.Token) {
	newline := s.pendingNL
	s.pendingNL = nil
	if newline == nil || len(s.tokens) == 0 {
		return
	}
	last := s.tokens[len(s.tokens)-1]
	if last.Type == typeNL || last.Type != typeBad && joinsNext[last.Value] || joinsPrevious[token.Value] {
		return
	}
	s.emit(*newline)
}

// isUnit says whether a name stands as the unit of the number before it, and does not begin something of its own.
func (s *scanner) isUnit(token lexer.Token) bool {
	if len(s.tokens) == 0 {
		return false
	}
	last := s.tokens[len(s.tokens)-1]
	if last.Type != typeNumber || last.Pos.Line != token.Pos.Line || last.Pos.Offset+len(last.Value) == token.Pos.Offset {
		return false
	}
	rest := strings.TrimLeft(s.source[token.Pos.Offset+len(token.Value):], " \t")
	starts := func(text string) bool { return strings.HasPrefix(rest, text) }
	begins := starts("=") && !starts("==") || starts(":") || starts(".") && !starts("..") || starts("[") || starts("(")
	return !begins
}

// firstBracket is the outermost round or square bracket among open ones, or nil.
func firstBracket(open []opener) *opener {
	for i := range open {
		if open[i].token.Value != "{" {
			return &open[i]
		}
	}
	return nil
}

// opensBody says that the token before this one is a `{` at the end of its line: no bracket can be open there.
func (s *scanner) opensBody(token lexer.Token) bool {
	last := s.tokens[len(s.tokens)-1]
	return last.Value == "{" && last.Pos.Line != token.Pos.Line
}

// checkMargin looks whether the last three tokens begin a declaration at the margin while a bracket or brace is open.
func (s *scanner) checkMargin() (next restart, faulty bool) {
	n := len(s.tokens) - 3
	if n < 0 || s.tokens[n].Pos.Column != 1 || !beginsDeclaration(s.tokens[n:]) {
		return restart{}, false
	}
	own := 0 // the declaration may open a bracket or brace itself, with its third token
	if len(s.open) > 0 && s.open[len(s.open)-1].index == n+2 {
		own = 1
	}
	earlier := s.open[:len(s.open)-own]
	if len(earlier) == 0 {
		return restart{}, false
	}
	if first := firstBracket(earlier); first != nil {
		s.never(*first)
		return s.drop(*first), true
	}
	declaration := append([]lexer.Token(nil), s.tokens[n:]...)
	s.report(diag.New("E008", tokenSpan(declaration[0]), "a new declaration begins here", "a `}` is missing before this line").
		Note(tokenSpan(earlier[0].token), "this is still open"))
	s.tokens = s.tokens[:n]
	s.open = earlier
	s.closeAll(declaration[0].Pos)
	s.tokens = append(s.tokens, declaration...)
	if own > 0 {
		s.open = append(s.open, opener{declaration[2], len(s.tokens) - 1})
	}
	return restart{}, false
}

// beginsDeclaration looks at three tokens: on one line, they can only be the start of a section or a block.
func beginsDeclaration(tokens []lexer.Token) bool {
	a, b, c := tokens[0], tokens[1], tokens[2]
	if a.Pos.Line != b.Pos.Line || b.Pos.Line != c.Pos.Line || a.Type != typeIdent || b.Type != typeIdent {
		return false
	}
	switch a.Value {
	case "block", "kind", "builtin":
		return c.Value == "("
	}
	return c.Value == "{" || c.Value == "from"
}

// closeAll closes the open braces with tokens that are not in the text.
func (s *scanner) closeAll(at lexer.Position) {
	for range s.open {
		s.emit(lexer.Token{Type: typeMissing, Value: "}", Pos: at})
	}
	s.emit(lexer.Token{Type: typeNL, Value: "\n", Pos: at})
	s.open = nil
}

// giveUp ends the reading early and leaves the tokens with every bracket closed.
func (s *scanner) giveUp() restart {
	if first := firstBracket(s.open); first != nil {
		s.cut(*first)
	}
	s.closeAll(s.end)
	return restart{offset: -1}
}

func (s *scanner) closeBraces() {
	if len(s.open) > 0 {
		s.never(s.open[0])
		s.closeAll(s.end)
	}
}

// lineOf is the index of the first token of the logical line with the token at index. A `}` is never dropped with it: it closes
// a brace of an earlier line.
func (s *scanner) lineOf(index int) int {
	for ; index > 0; index-- {
		before := s.tokens[index-1]
		if before.Type == typeNL || before.Value == "}" || before.Value == "{" && before.Pos.Line != s.tokens[index].Pos.Line {
			break
		}
	}
	return index
}

// drop replaces the logical line with a bracket at fault by one token of type typeBad. Reading goes on at the first line below
// the bracket's that is not indented deeper than the dropped one.
func (s *scanner) drop(bracket opener) restart {
	begin := s.tokens[s.cut(bracket)]
	indent := func(offset int) int {
		text := s.source[offset:]
		return len(text) - len(strings.TrimLeft(text, " \t"))
	}
	lineStart := strings.LastIndexByte(s.source[:begin.Pos.Offset], '\n') + 1
	limit := begin.Pos.Offset - lineStart
	if lineStart == 0 {
		limit -= len(s.source) - len(strings.TrimPrefix(s.source, byteOrderMark))
	}
	at := restart{offset: bracket.token.Pos.Offset, line: bracket.token.Pos.Line}
	for {
		newline := strings.IndexByte(s.source[at.offset:], '\n')
		if newline < 0 {
			at.offset = len(s.source)
			break
		}
		at.offset += newline + 1
		at.line++
		rest := strings.TrimLeft(s.source[at.offset:], " \t")
		blank := rest == "" || rest[0] == '\n' || strings.HasPrefix(rest, "\r\n")
		if !blank && indent(at.offset) <= limit {
			break
		}
	}
	s.resume(at)
	return at
}

// dropHeader is drop for a declaration whose header has the fault but whose body begins: the `{` stays.
func (s *scanner) dropHeader(bracket opener) restart {
	brace := s.tokens[len(s.tokens)-1]
	s.cut(bracket)
	s.emit(brace)
	s.open = append(s.open, opener{brace, len(s.tokens) - 1})
	newline := strings.IndexByte(s.source[brace.Pos.Offset:], '\n')
	at := restart{offset: brace.Pos.Offset + newline + 1, line: brace.Pos.Line + 1}
	s.resume(at)
	return at
}

// cut replaces the tokens from the start of a bracket's line on by one bad token, whose index it returns.
func (s *scanner) cut(bracket opener) int {
	begin := s.lineOf(bracket.index)
	s.tokens = s.tokens[:begin+1]
	s.tokens[begin] = bad(s.tokens[begin])
	for len(s.open) > 0 && s.open[len(s.open)-1].index >= begin {
		s.open = s.open[:len(s.open)-1]
	}
	return begin
}

// resume forgets what was seen of the text from at on, and ends the line before.
func (s *scanner) resume(at restart) {
	for len(s.comments) > 0 && s.comments[len(s.comments)-1].Span.Start.Offset >= at.offset {
		s.comments = s.comments[:len(s.comments)-1]
	}
	s.pendingNL = &lexer.Token{Type: typeNL, Value: "\n", Pos: lexer.Position{
		Filename: s.file, Offset: at.offset, Line: at.line, Column: 1,
	}}
}

func closerOf(opener string) string {
	switch opener {
	case "(":
		return ")"
	case "[":
		return "]"
	}
	return "}"
}

// bad makes a token into one that says: a fault is reported here. Of its text only a word is kept, as a hint at what the line
// was; a bracket would be counted.
func bad(token lexer.Token) lexer.Token {
	if token.Type != typeIdent {
		token.Value = ""
	}
	token.Type = typeBad
	return token
}

func closesNothing(token lexer.Token) *diag.Diagnostic {
	return diag.New("E005", tokenSpan(token), "", "this `%s` closes nothing", token.Value)
}

// never reports a bracket without its match.
func (s *scanner) never(bracket opener) {
	opening := bracket.token.Value
	s.report(diag.New("E005", tokenSpan(bracket.token), "its `"+closerOf(opening)+"` is missing", "this `%s` is never closed", opening))
}

// otherwise says what to write instead of characters that come from other languages or from a word processor.
var otherwise = map[string]string{
	"'":      "text stands in `\"`",
	"`":      "text stands in `\"`",
	"“":      "text stands in plain `\"`",
	"”":      "text stands in plain `\"`",
	"„":      "text stands in plain `\"`",
	"‘":      "text stands in plain `\"`",
	"’":      "text stands in plain `\"`",
	";":      "a line ends without it",
	"?":      "a choice is written `a if condition else b`",
	"!":      "write `not`, or `!=`",
	"&":      "write `and`",
	"@":      "a contraction is written `dot[axis](x, w)`",
	"$":      "text has no interpolation",
	"\\":     "a line goes on after an operator, and inside brackets",
	"–":      "write `-`",
	"—":      "write `-`",
	"−":      "write `-`",
	"×":      "write `*`",
	"·":      "write `*`",
	"÷":      "write `/`",
	"≤":      "write `<=`",
	"≥":      "write `>=`",
	"≠":      "write `!=`",
	"→":      "write `->`",
	"…":      "write `..`",
	"\u00a0": "this is a no-break space: write a plain blank",
	"\u200b": "this takes no room: delete it",
	"\ufeff": "this takes no room: delete it",
	"\r":     "a line ends with a line feed",
}

// unknownCharacter reports a character that no token has.
func unknownCharacter(token lexer.Token) *diag.Diagnostic {
	shown := token.Value
	c, _ := utf8.DecodeRuneInString(shown)
	label, known := otherwise[shown]
	if !known && unicode.IsLetter(c) {
		label = "names have the letters a to z, digits and `_`"
	}
	if !unicode.IsGraphic(c) || unicode.IsSpace(c) {
		shown = fmt.Sprintf("U+%04X", c)
	}
	return diag.New("E001", tokenSpan(token), label, "forge does not know the character `%s`", shown)
}
