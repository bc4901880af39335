package dsl

import (
	"sort"
	"strconv"

	"github.com/alecthomas/participle/v2/lexer"
)

// Format prints a file in the one style there is: two blanks of indentation, lines up to 120 columns, a call or header that is
// too long with one item a line, a schedule of three pieces or more with one piece a line, at most one blank line, comments
// where they were. Lines are never reordered, numbers and texts never changed. Formatting the result changes nothing, and it
// has the same tree. A file whose tree leaves out parts of its source, since they have errors, comes back as it is. A tree
// without source (no tool has parsed it) is printed with a blank line between declarations.
func Format(f *File) string {
	w := &writer{}
	if f.Source != "" {
		s := scanner{file: f.Name, source: f.Source}
		s.scan()
		if len(s.list) > 0 {
			return f.Source
		}
		for _, token := range s.tokens {
			if token.Type != typeNL {
				w.tokens = append(w.tokens, token)
			}
		}
		w.comments = s.comments
	}
	w.printer.tokens, w.printer.comments, w.printer.source = w.tokens, w.comments, f.Source
	for i, d := range f.Decls {
		w.decl(d)
		w.printer.newline(0, true)
		if f.Source == "" && i+1 < len(f.Decls) {
			w.printer.out.WriteByte('\n')
		}
	}
	if w.lost || w.next < len(w.tokens) {
		return f.Source
	}
	w.printer.commentsBefore(len(f.Source)+1, false)
	text := w.printer.out.String()
	if text == "" {
		return ""
	}
	return text + "\n"
}

// writer turns the tree into documents. It takes the tokens of the source one by one as it goes through the tree, so each word
// knows where it stands; lost says that the two don't agree.
type writer struct {
	printer  printer
	tokens   []lexer.Token
	comments []Comment
	next     int
	lost     bool
}

// word is the next token, which must have this text.
func (w *writer) word(text string) document {
	if w.tokens == nil {
		return word{text, -1}
	}
	if w.next >= len(w.tokens) || w.tokens[w.next].Value != text {
		w.lost = true
		return word{text, -1}
	}
	w.next++
	return word{text, w.next - 1}
}

// comma takes the comma between two items.
func (w *writer) comma() document {
	w.word(",")
	return mark(",")
}

// group makes a group of what build gives. It must be broken if a comment stands in it, or something else that must be.
func (w *writer) group(build func() []document) group {
	first := w.next
	g := group{parts: build()}
	g.force = w.commentSince(first) || forced(g.parts)
	return g
}

// commentSince says that there is a comment between the first of the tokens taken and the last.
func (w *writer) commentSince(first int) bool {
	if first >= w.next || w.next > len(w.tokens) {
		return false
	}
	start, end := w.tokens[first].Pos.Offset, w.tokens[w.next-1].Pos.Offset
	i := sort.Search(len(w.comments), func(i int) bool { return w.comments[i].Span.Start.Offset > start })
	return i < len(w.comments) && w.comments[i].Span.Start.Offset < end
}

func forced(docs []document) bool {
	for _, doc := range docs {
		switch doc := doc.(type) {
		case group:
			if doc.force {
				return true
			}
		case nested:
			if forced(doc) {
				return true
			}
		case row:
			if forced(doc) {
				return true
			}
		}
	}
	return false
}

// list is n items between two brackets, one a line with a comma after each where it has no room; last is what then follows the last.
func (w *writer) list(open, close string, last ifBroken, n int, item func(int) document) group {
	return w.group(func() []document {
		first := w.next
		parts := []document{w.word(open)}
		if n == 0 {
			closing := w.word(close)
			if w.commentSince(first) {
				parts = append(parts, softLine{})
			}
			return append(parts, closing)
		}
		items := nested{softLine{}}
		for i := range n {
			if i > 0 {
				items = append(items, w.comma(), softLine{" ", true})
			}
			items = append(items, item(i))
		}
		if w.next < len(w.tokens) && w.tokens[w.next].Value == "," {
			w.next++
		}
		items = append(items, last)
		return append(parts, items, softLine{}, w.word(close))
	})
}

func (w *writer) decl(d Decl) {
	switch d := d.(type) {
	case *Version:
		number := strconv.Itoa(d.N)
		line := row{w.word("forge"), gap{}}
		if w.next < len(w.tokens) {
			number = w.tokens[w.next].Value
		}
		w.printer.print(append(line, w.word(number)), 0)
	case *Use:
		line := row{w.word("use"), gap{}, w.str(d.Path)}
		if d.As.Name != "" {
			line = append(line, gap{}, w.word("as"), gap{}, w.word(d.As.Name))
		}
		w.printer.print(line, 0)
	case *Section:
		line := row{w.word(d.Kind.Name), gap{}, w.word(d.Name.Name)}
		if d.From != nil {
			line = append(line, gap{}, w.word("from"), gap{}, w.expr(d.From))
		}
		w.body(line, len(d.Cells), func(i int) document { return w.cell(d.Cells[i]) })
	case *Block:
		w.block(d)
	case *Builtin:
		keyword := "builtin"
		if d.IsKind {
			keyword = "kind"
		}
		line := row{w.word(keyword), gap{}, w.word(d.Name.Name), w.params(d.Params)}
		if d.Type != nil {
			line = append(line, gap{}, w.word("->"), gap{}, w.types(d.Type))
		}
		w.printer.print(line, 0)
	}
}

// body prints a header and the lines between its braces.
func (w *writer) body(header row, n int, line func(int) document) {
	p := &w.printer
	brace := w.next
	p.print(append(header, gap{}, w.word("{")), 0)
	for i := range n {
		doc := line(i)
		p.newline(step, true)
		p.print(doc, step)
	}
	closing := w.word("}")
	if n > 0 || w.commentSince(brace) {
		p.newline(0, true)
	}
	p.print(closing, 0)
}

func (w *writer) block(d *Block) {
	header := row{w.word("block"), gap{}, w.word(d.Name.Name)}
	params := w.params(d.Params)
	inputs := w.list("(", ")", ",", len(d.Inputs), func(i int) document {
		return row{w.word(d.Inputs[i].Name.Name), w.shape(d.Inputs[i].Shape)}
	})
	result := row{gap{}, w.word("->"), gap{}, w.shape(d.Result)}
	// Where the header has no room it is the attributes that get a line each.
	whole := group{parts: []document{header, params, inputs, result, mark(" {")}}
	if len(d.Params) > 0 && !(&printer{}).fits(whole, nil) {
		params.force = true
	}
	header = append(header, params, inputs, result)
	if d.HasBody {
		w.body(header, len(d.Body), func(i int) document { return w.stmt(d.Body[i]) })
	} else {
		w.printer.print(header, 0)
	}
}

func (w *writer) params(params []*Param) group {
	return w.list("(", ")", ",", len(params), func(i int) document {
		p := params[i]
		doc := row{w.word(p.Name.Name)}
		if p.Type != nil {
			doc = append(doc, w.word(":"), gap{}, w.types(p.Type))
		}
		if p.Default != nil {
			doc = append(doc, gap{}, w.word("="), gap{}, w.expr(p.Default))
		}
		return doc
	})
}

func (w *writer) types(t *Type) document {
	var doc row
	for i, atom := range t.Atoms {
		if i > 0 {
			doc = append(doc, gap{}, w.word("|"), gap{})
		}
		switch {
		case atom.Text != nil:
			doc = append(doc, w.str(*atom.Text))
		case atom.In != nil:
			doc = append(doc, w.word(atom.Name), w.word("("), w.shape(*atom.In), gap{}, w.word("->"), gap{}, w.shape(*atom.Out), w.word(")"))
		default:
			doc = append(doc, w.word(atom.Name))
		}
	}
	return doc
}

// shape is never broken: its place is in headers, which are broken elsewhere.
func (w *writer) shape(s Shape) document {
	doc := row{w.word("[")}
	for i, axis := range s.Axes {
		if i > 0 {
			doc = append(doc, w.comma(), gap{})
		}
		doc = append(doc, w.word(axis.Name))
	}
	return append(doc, w.word("]"))
}

func (w *writer) str(s Str) document {
	raw := s.Raw
	if raw == "" {
		raw = strconv.Quote(s.Value)
	}
	return w.word(raw)
}
