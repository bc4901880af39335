package dsl

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// The formatter's printer: documents of words and of places where a line may be broken, after Wadler ("A prettier printer",
// 1998), with one addition: each word knows its token in the source, so comments and blank lines are put back between the
// same two words between which they stood.

// maxWidth is where lines are broken, in columns. Comments may go beyond.
const maxWidth = 120

type document any

type (
	// word is a token of the source; token is its index, or -1 for a tree that was made without one.
	word struct {
		text  string
		token int
	}
	// mark is text that comments never stand before: the comma and what is added to the source.
	mark string
	// gap is one blank.
	gap struct{}
	// softLine is a place to break: text, "" or " ", where it is not broken. items says that it stands between two items of a
	// list, where a blank line is kept.
	softLine struct {
		text  string
		items bool
	}
	// ifBroken prints text if the group around it is broken.
	ifBroken string
	// group is broken at all of its lines or at none; force says that it must be.
	group struct {
		parts []document
		force bool
	}
	// nested indents the lines in it.
	nested []document
	// row is documents after each other.
	row []document
)

// printer writes documents. White space is held back until the next word shows whether comments come first.
type printer struct {
	out      strings.Builder
	column   int
	source   string
	tokens   []lexer.Token // nil for a tree made without source
	comments []Comment     // those not yet written

	pending whiteSpace
	indent  int
	// The line of the source that the last word or comment stood on, and whether it was a comment or an opening brace.
	lastLine    int
	lastComment bool
	lastOpens   bool
}

type whiteSpace struct {
	kind   byte // 0, ' ' or '\n'
	indent int
	blank  bool // a blank line of the source is kept
}

func (p *printer) newline(indent int, blank bool) {
	p.pending = whiteSpace{'\n', indent, blank}
}

// word writes a token's text, after the comments that stand before it in the source.
func (p *printer) word(w word) {
	line := 0
	if w.token >= 0 {
		token := p.tokens[w.token]
		line = token.Pos.Line
		p.commentsBefore(token.Pos.Offset, w.text == ")" || w.text == "]" || w.text == "}")
	}
	p.space(line, w.text == "}")
	p.write(w.text)
	p.lastComment, p.lastOpens = false, w.text == "{"
	if line > 0 {
		p.lastLine = line
	}
}

func (p *printer) write(text string) {
	p.out.WriteString(text)
	p.column += utf8.RuneCountInString(text)
}

// commentsBefore writes the comments in front of offset: at the end of the line if they stood behind a word, else on lines of
// their own, one step deeper before a closing bracket.
func (p *printer) commentsBefore(offset int, closing bool) {
	for len(p.comments) > 0 && p.comments[0].Span.Start.Offset < offset {
		comment := p.comments[0]
		p.comments = p.comments[1:]
		if p.pending.kind != '\n' && p.out.Len() > 0 {
			p.newline(p.indent+step, false)
			closing = false
		}
		trailing := p.lastLine > 0 && !p.lastComment && p.behindWord(comment)
		if trailing {
			p.write("  ")
		} else {
			indent := p.pending.indent
			if closing {
				p.pending.indent += step
			}
			p.space(comment.Span.Start.Line, false)
			p.pending = whiteSpace{'\n', indent, true}
		}
		p.write(commentText(p.source, comment))
		p.lastComment, p.lastOpens = true, trailing && p.lastOpens
		p.lastLine = comment.Span.Start.Line
	}
}

// behindWord says that there is a word before a comment on its line.
func (p *printer) behindWord(comment Comment) bool {
	start := comment.Span.Start
	after := sort.Search(len(p.tokens), func(i int) bool { return p.tokens[i].Pos.Offset > start.Offset })
	return after > 0 && p.tokens[after-1].Pos.Line == start.Line
}

// commentText is a comment of the source as written, with a blank after `#` or `##`.
func commentText(source string, c Comment) string {
	text := source[c.Span.Start.Offset:c.Span.End.Offset]
	rest := strings.TrimLeft(text, "#")
	marks := len(text) - len(rest)
	if rest == "" || rest[0] == ' ' || rest[0] == '\t' || marks > 2 {
		return text
	}
	return text[:marks] + " " + rest
}

// space writes the white space held back, before something that stands on a line of the source. Of blank lines one is kept,
// none at the edges of braces.
func (p *printer) space(line int, closing bool) {
	switch p.pending.kind {
	case ' ':
		p.write(" ")
	case '\n':
		if p.out.Len() == 0 {
			break
		}
		p.out.WriteByte('\n')
		if p.pending.blank && line > p.lastLine+1 && !closing && !p.lastOpens {
			p.out.WriteByte('\n')
		}
		p.column = 0
		p.write(strings.Repeat(" ", p.pending.indent))
	}
	p.pending = whiteSpace{}
}

// step is how much deeper each level stands.
const step = 2

// placed is a document to print, at an indentation, broken or not.
type placed struct {
	doc    document
	indent int
	broken bool
}

// print writes a document that begins at an indentation.
func (p *printer) print(doc document, indent int) {
	stack := []placed{{doc, indent, true}}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		p.indent = top.indent
		switch doc := top.doc.(type) {
		case word:
			p.word(doc)
		case mark:
			p.space(p.lastLine, false)
			p.write(string(doc))
		case gap:
			if p.pending.kind == 0 {
				p.pending.kind = ' '
			}
		case softLine:
			switch {
			case top.broken:
				p.newline(top.indent, doc.items)
			case doc.text != "" && p.pending.kind == 0:
				p.pending.kind = ' '
			}
		case ifBroken:
			if top.broken {
				p.write(string(doc))
			}
		case group:
			broken := top.broken && (doc.force || !p.fits(doc, stack))
			stack = pushAll(stack, doc.parts, top.indent, broken)
		case nested:
			stack = pushAll(stack, doc, top.indent+step, top.broken)
		case row:
			stack = pushAll(stack, doc, top.indent, top.broken)
		}
	}
}

func pushAll(stack []placed, docs []document, indent int, broken bool) []placed {
	for i := len(docs) - 1; i >= 0; i-- {
		stack = append(stack, placed{docs[i], indent, broken})
	}
	return stack
}

// fits says whether a group, not broken, and what follows up to the next place to break have room on the line.
func (p *printer) fits(g group, rest []placed) bool {
	room := maxWidth - p.column
	if p.pending.kind == '\n' {
		room = maxWidth - p.pending.indent
	} else if p.pending.kind == ' ' {
		room--
	}
	stack := []placed{{row(g.parts), 0, false}}
	for room >= 0 {
		if len(stack) == 0 {
			if len(rest) == 0 {
				return true
			}
			stack = append(stack, rest[len(rest)-1])
			rest = rest[:len(rest)-1]
		}
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch doc := top.doc.(type) {
		case word:
			room -= utf8.RuneCountInString(doc.text)
		case mark:
			room -= len(doc)
		case gap:
			room--
		case softLine:
			if top.broken {
				return true
			}
			room -= len(doc.text)
		case ifBroken:
			if top.broken {
				room -= len(doc)
			}
		case group:
			stack = pushAll(stack, doc.parts, 0, top.broken)
		case nested:
			stack = pushAll(stack, doc, 0, top.broken)
		case row:
			stack = pushAll(stack, doc, 0, top.broken)
		}
	}
	return false
}
