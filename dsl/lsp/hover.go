package lsp

import (
	"fmt"
	"strings"

	"forge/dsl"
	"forge/dsl/check"
	"forge/dsl/diag"
)

// maxShown bounds a value in a hover, in bytes.
const maxShown = 800

// hover tells of what stands at a place: a fault, or what a name means.
func (s *server) hover(name string, p *documentParams) (any, error) {
	t := s.tree(name)
	offset := t.text.offset(p.Position)
	var parts []string
	var at *textRange
	if o := s.index(name).at(offset); o != nil {
		r := t.text.rangeOf(o.span)
		at = &r
		parts = append(parts, s.describe(name, o))
	}
	if c := s.current(name); c != nil && s.Explain != nil {
		for _, x := range c.found {
			if m := x.Main(); m.File == name && m.Start.Offset <= offset && offset <= m.End.Offset {
				if text := s.Explain(x.Code); text != "" {
					parts = append(parts, text)
				}
			}
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return hover{markup{"markdown", strings.Join(parts, "\n\n---\n\n")}, at}, nil
}

func code(text string) string { return "```forge\n" + text + "\n```" }

// describe says what a name means: how it is declared, its documentation, its value or axes, and where that comes from.
func (s *server) describe(file string, o *occurrence) string {
	t := o.target
	switch n := t.node.(type) {
	case check.Primitive:
		return code(n.Usage) + "\nan operation on tensors"
	case *dsl.Block:
		return withDoc(code(s.header(n.Span, n.Body)), n.Doc, t.span)
	case *dsl.Builtin:
		return withDoc(code(s.between(n.Span)), n.Doc, t.span)
	case *dsl.Use:
		return code(s.between(n.Span)) + "\n" + imported(file, n)
	case *dsl.Section:
		text := n.Kind.Name + " " + n.Name.Name
		if n.From != nil {
			text += " from " + s.between(n.From.At())
		}
		return withDoc(code(text), n.Doc, t.span)
	case *dsl.Cell:
		return s.describeCell(file, o, n)
	case *dsl.Param:
		text := code(s.between(n.Span)) + "\n" + string(t.kind) + " of `" + ownerName(t.owner) + "`"
		if t.kind == kindSetting {
			text = code(s.between(n.Span)) + "\na setting"
			if o.cell != nil {
				text += s.valueOf(file, o)
			}
		}
		return text
	}
	if t.kind == kindFunction {
		return "`" + t.name + "`: a function on numbers"
	}
	return s.describeLocal(file, t)
}

// describeCell shows a cell as written and, where the checker could evaluate it, its value.
func (s *server) describeCell(file string, o *occurrence, n *dsl.Cell) string {
	text := code(clip(s.between(n.Span)))
	if n.Doc != "" {
		text += "\n" + n.Doc
	}
	return text + s.valueOf(file, o) + "\n\n" + placeText(o.target.span)
}

// valueOf is the value of the cell that an occurrence means, in the section of the document that it stands in or is written in.
func (s *server) valueOf(file string, o *occurrence) string {
	c := s.current(file)
	if c == nil || c.module == nil {
		return ""
	}
	section := ""
	if d := s.enclosing(file, o.span.Start.Offset); d != nil {
		if x, ok := d.(*dsl.Section); ok && (o.cell != nil || o.target.owner == d || o.target.kind == kindCell) {
			section = x.Name.Name
		}
	}
	value, origin, ok := c.module.Cell(section, o.target.name)
	if !ok {
		return ""
	}
	text := "\n\nvalue:\n" + code(clip(value))
	if origin != "" {
		text += "\nfrom " + strings.ReplaceAll(origin, file+":", "line ")
	}
	return text
}

// describeLocal tells of a name of a block: its line, and a tensor's axes.
func (s *server) describeLocal(file string, x *target) string {
	text := "`" + x.name + "`: " + string(x.kind)
	b, ok := x.owner.(*dsl.Block)
	if !ok {
		return text
	}
	text += " of `" + b.Name.Name + "`"
	if line := s.lineOf(x); line != "" {
		text = code(line) + "\n" + text
	}
	if c := s.current(file); c != nil && c.module != nil {
		for _, n := range c.module.Names(b.Name.Name) {
			if n.Span == x.span && n.Axes != "" {
				text += "\n\naxes `" + n.Axes + "`"
			}
		}
	}
	return text
}

func (s *server) lineOf(x *target) string {
	switch n := x.node.(type) {
	case dsl.Stmt:
		return clip(s.between(n.At()))
	case *dsl.Input:
		return s.between(n.Span)
	}
	return ""
}

func withDoc(text, doc string, at diag.Span) string {
	if doc != "" {
		text += "\n" + doc
	}
	return text + "\n\n" + placeText(at)
}

// placeText is a place as it is told to people.
func placeText(at diag.Span) string { return fmt.Sprintf("*%s*", at) }

func ownerName(d dsl.Decl) string {
	if x := declared(d); x != nil {
		return x.name
	}
	return ""
}

// between is the text of a place.
func (s *server) between(at diag.Span) string {
	f := s.tree(at.File)
	if f == nil || at.Start.Offset > at.End.Offset || at.End.Offset > len(f.text.source) {
		return ""
	}
	return f.text.source[at.Start.Offset:at.End.Offset]
}

// header is a block's text up to its body.
func (s *server) header(at diag.Span, body []dsl.Stmt) string {
	text := s.between(at)
	if len(body) > 0 {
		text = text[:max(0, min(len(text), body[0].At().Start.Offset-at.Start.Offset))]
		if i := strings.LastIndexByte(text, '{'); i >= 0 {
			text = text[:i]
		}
	}
	return strings.TrimSpace(text)
}

func clip(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + " …"
}

// enclosing is the declaration around a byte.
func (s *server) enclosing(file string, offset int) dsl.Decl {
	for _, d := range s.tree(file).file.Decls {
		if at := d.At(); at.Start.Offset <= offset && offset <= at.End.Offset {
			return d
		}
	}
	return nil
}

// inlayHints are the axes of the tensors that equations give, where the line does not state them.
func (s *server) inlayHints(name string, p *documentParams) (any, error) {
	hints := []inlayHint{}
	c := s.current(name)
	if c == nil || c.module == nil {
		return hints, nil
	}
	x := s.tree(name)
	for _, d := range x.file.Decls {
		b, ok := d.(*dsl.Block)
		if !ok {
			continue
		}
		if r := x.text.rangeOf(b.Span); after(r.Start, p.Range.End) || after(p.Range.Start, r.End) {
			continue
		}
		stated := map[string]bool{}
		for _, st := range b.Body {
			if e, ok := st.(*dsl.Equation); ok && e.Shape != nil {
				for _, id := range e.Names {
					stated[id.Name] = true
				}
			}
		}
		for _, n := range c.module.Names(b.Name.Name) {
			if n.Kind == "equation" && n.Axes != "" && !stated[n.Name] {
				hints = append(hints, inlayHint{Position: x.text.position(n.Span.End.Offset), Label: ": " + n.Axes, Kind: 1})
			}
		}
	}
	return hints, nil
}
