package lsp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"forge/dsl"
)

// definition is where the name at a place is declared.
func (s *server) definition(name string, p *documentParams) (any, error) {
	t := s.tree(name)
	offset := t.text.offset(p.Position)
	// The path of a `use` leads to the file.
	for _, d := range t.file.Decls {
		u, ok := d.(*dsl.Use)
		if !ok || u.Path.Span.Start.Offset > offset || offset > u.Path.Span.End.Offset {
			continue
		}
		file := imported(name, u)
		if file == "" || s.tree(file) == nil {
			return nil, nil
		}
		return location{URI: s.uri(file)}, nil
	}
	o := s.index(name).at(offset)
	if o == nil || o.target.span.IsZero() {
		return nil, nil
	}
	at, ok := s.place(o.target.span)
	if !ok {
		return nil, nil
	}
	return at, nil
}

// references are all places in the open documents and the files they use where the name at a place is meant.
func (s *server) references(name string, p *documentParams) (any, error) {
	places := []location{}
	o := s.index(name).at(s.tree(name).text.offset(p.Position))
	if o == nil {
		return places, nil
	}
	meant := s.original(o.target)
	for _, file := range s.related(name, meant.span.File) {
		for _, x := range s.index(file).occurrences {
			if !s.original(x.target).same(meant) || x.declares && !p.Context.IncludeDeclaration {
				continue
			}
			if at, ok := s.place(x.span); ok {
				places = append(places, at)
			}
		}
	}
	return places, nil
}

// related are the files to look for a name in, the first ones first.
func (s *server) related(first ...string) []string {
	queue := append(first, slices.Sorted(maps.Keys(s.docs))...)
	var files []string
	for ; len(queue) > 0 && len(files) < 200; queue = queue[1:] {
		file := queue[0]
		if file == "" || slices.Contains(files, file) {
			continue
		}
		t := s.tree(file)
		if t == nil {
			continue
		}
		files = append(files, file)
		for _, d := range t.file.Decls {
			if u, ok := d.(*dsl.Use); ok {
				queue = append(queue, imported(file, u))
			}
		}
	}
	return files
}

// formatting gives the edit that brings a file into the one style; none while it has syntax errors.
func (s *server) formatting(name string, _ *documentParams) (any, error) {
	t := s.tree(name)
	file, faults := dsl.Parse(name, t.text.source)
	if faults.HasErrors() || isPrelude(name) {
		return []textEdit{}, nil
	}
	formatted := dsl.Format(file)
	if strings.Contains(t.text.source, "\r\n") && !strings.Contains(formatted, "\r\n") {
		formatted = strings.ReplaceAll(formatted, "\n", "\r\n")
	}
	e, changes := t.text.change(formatted)
	if !changes {
		return []textEdit{}, nil
	}
	return []textEdit{e}, nil
}

// documentSymbols is the outline of a file.
func (s *server) documentSymbols(name string, _ *documentParams) (any, error) {
	t := s.tree(name)
	list := []documentSymbol{}
	for _, d := range t.file.Decls {
		x := declared(d)
		if x == nil || x.kind == kindImport {
			continue
		}
		y := documentSymbol{Name: x.name, Detail: string(x.kind), Range: t.text.rangeOf(d.At()), Selection: t.text.rangeOf(x.span)}
		add := func(name, detail string, kind int, whole, id textRange) {
			y.Children = append(y.Children, documentSymbol{Name: name, Detail: detail, Kind: kind, Range: whole, Selection: id})
		}
		switch d := d.(type) {
		case *dsl.Section:
			y.Kind, y.Detail = symbolObject, d.Kind.Name
			for _, c := range d.Cells {
				add(s.between(c.KeySpan()), "", symbolKey, t.text.rangeOf(c.Span), t.text.rangeOf(c.KeySpan()))
			}
		case *dsl.Block:
			y.Kind = symbolFunc
			for _, st := range d.Body {
				for _, o := range named(st) {
					kind := symbolVar
					if _, isEquation := st.(*dsl.Equation); !isEquation {
						kind = symbolField
					}
					add(o.Name, strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", st), "*dsl.")), kind, t.text.rangeOf(st.At()), t.text.rangeOf(o.Span))
				}
			}
		default:
			y.Kind = symbolClass
		}
		list = append(list, y)
	}
	return list, nil
}

// named are the names that a line of a block gives.
func named(st dsl.Stmt) []dsl.Ident {
	switch st := st.(type) {
	case *dsl.Weight:
		return []dsl.Ident{st.Name}
	case *dsl.State:
		return []dsl.Ident{st.Name}
	case *dsl.Part:
		return []dsl.Ident{st.Name}
	case *dsl.Equation:
		return st.Names
	}
	return nil
}
