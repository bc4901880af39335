package lsp

import (
	"fmt"
	"path"
	"regexp"
	"slices"

	"forge/dsl"
	"forge/dsl/diag"
)

// renamable is the name at a place, and what it stands for, if that can be given another name.
func (s *server) renamable(name string, p *documentParams) (*occurrence, *target, error) {
	refuse := func(format string, args ...any) (*occurrence, *target, error) {
		return nil, nil, &fault{codeInvalidParams, fmt.Sprintf(format, args...)}
	}
	o := s.index(name).at(s.tree(name).text.offset(p.Position))
	if o == nil {
		return refuse("there is no name here that forge knows")
	}
	t := s.original(o.target)
	switch {
	case t.span.IsZero() || t.kind == kindSetting || isPrelude(t.span.File):
		return refuse("`%s` is part of the language", t.name)
	case !path.IsAbs(t.span.File):
		return refuse("`%s` is declared in %s, which comes with forge", t.name, t.span.File)
	}
	if c, ok := t.node.(*dsl.Cell); ok && !c.Let {
		return refuse("`%s` is a setting", t.name)
	}
	if u, ok := t.node.(*dsl.Use); ok && u.As.Name == "" {
		return refuse("the import has no name of its own: write `as` and one")
	}
	return o, t, nil
}

func (s *server) prepareRename(name string, p *documentParams) (any, error) {
	o, _, err := s.renamable(name, p)
	if err != nil {
		return nil, err
	}
	return s.tree(name).text.rangeOf(o.span), nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// known are the names that are known everywhere and can't be given.
var known = []string{"none", "inf", "batch", "seq", "key"}

// rename gives a name another one, in the open files and in those that they use. It is refused where some name would then mean
// something else.
func (s *server) rename(name string, p *documentParams) (any, error) {
	_, meant, err := s.renamable(name, p)
	if err != nil {
		return nil, err
	}
	to := p.NewName
	if _, faults := dsl.ParseExpr("name", to); !identifier.MatchString(to) || faults.HasErrors() || slices.Contains(known, to) {
		return nil, &fault{codeInvalidParams, fmt.Sprintf("%q can't be a name", to)}
	}
	r := &renaming{s: s, target: meant, to: to, places: map[string][]diag.Span{}}
	changes := map[string][]textEdit{}
	for _, file := range s.related(name, meant.span.File) {
		t := s.tree(file)
		var edits []textEdit
		for _, u := range s.index(file).occurrences {
			switch {
			case s.original(u.target).same(meant):
				edits = append(edits, textEdit{t.text.rangeOf(u.span), to})
				r.places[file] = append(r.places[file], u.span)
			case u.declares && u.target.name == to && u.target.owner == meant.owner:
				return nil, &fault{codeInvalidParams, fmt.Sprintf("`%s` is taken: %s:%d", to, path.Base(file), u.span.Start.Line)}
			}
		}
		if len(edits) > 0 {
			changes[s.uri(file)] = edits
		}
	}
	if at, changed := r.changesMeaning(); changed {
		return nil, &fault{codeInvalidParams, fmt.Sprintf("`%s` means something else already: %s:%d", to, path.Base(at.File), at.Start.Line)}
	}
	return workspaceEdit{changes}, nil
}

// renaming is a name that is to be given another one.
type renaming struct {
	s      *server
	target *target
	to     string
	places map[string][]diag.Span // by file, in order
}

// moved is where an offset of a file is once the name is another.
func (r *renaming) moved(file string, offset int) int {
	by := 0
	for _, at := range r.places[file] {
		if at.Start.Offset >= offset {
			break
		}
		by += len(r.to) - len(r.target.name)
	}
	return offset + by
}

// changesMeaning resolves every name anew, in the texts as they would be: each must mean what it meant. It gives the first place,
// in the text as it is, that would not.
func (r *renaming) changesMeaning() (diag.Span, bool) {
	after := &server{Options: r.s.Options, cache: r.s.cache, docs: map[string]*document{}, trees: map[string]*tree{}, indexes: map[string]*index{}}
	for name, d := range r.s.docs {
		after.docs[name] = d
	}
	for file, places := range r.places {
		source := r.s.tree(file).text.source
		for _, at := range slices.Backward(places) {
			source = source[:at.Start.Offset] + r.to + source[at.End.Offset:]
		}
		after.docs[file] = &document{name: file, text: newText(source)}
	}
	for file := range r.places {
		old, now := r.s.index(file).occurrences, after.index(file).occurrences
		for i, o := range old {
			if i >= len(now) || now[i].span.Start.Offset != r.moved(file, o.span.Start.Offset) || !r.means(o.target, now[i].target) {
				return o.span, true
			}
		}
		if len(now) > len(old) {
			return r.target.span, true
		}
	}
	return diag.Span{}, false
}

// means reports whether a name's target is the same once the name is another.
func (r *renaming) means(old, now *target) bool {
	if old.span.IsZero() || now.span.IsZero() {
		return old.same(now)
	}
	return old.span.File == now.span.File && r.moved(old.span.File, old.span.Start.Offset) == now.span.Start.Offset
}
