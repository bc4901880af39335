package lsp

import (
	"fmt"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// publish shows what a check found, unless the document has changed since: then a newer check is on its way.
func (s *server) publish(c *checked) error {
	d := s.docs[c.name]
	if d == nil || d.text != c.source {
		return nil
	}
	d.checked = c
	if c.module != nil && len(c.module.Files) > 0 && c.module.Files[0].Source == c.source.source {
		s.trees[c.name] = &tree{c.source, c.module.Files[0]}
	}
	list := []diagnostic{}
	if c.fault != "" {
		list = append(list, diagnostic{Severity: severityError, Source: "forge", Message: "internal error: " + c.fault})
	}
	elsewhere := map[string]bool{}
	for _, x := range c.found {
		if at := x.Main(); at.File == c.name {
			list = append(list, s.diagnostic(c, x))
		} else if x.Severity == diag.Error && !elsewhere[at.File] {
			elsewhere[at.File] = true
			list = append(list, s.elsewhere(c, x))
		}
	}
	return s.out.notify("textDocument/publishDiagnostics", publishParams{URI: d.uri, Version: d.version, Diagnostics: list})
}

// diagnostic is a fault in the protocol's form: its places elsewhere become related information, its help further lines.
func (s *server) diagnostic(c *checked, x *diag.Diagnostic) diagnostic {
	d := diagnostic{Range: c.source.rangeOf(x.Main()), Severity: severityError, Code: x.Code, Source: "forge", Message: x.Message}
	if x.Severity == diag.Warning {
		d.Severity = severityWarn
	}
	for _, l := range x.Labels {
		switch {
		case l.Main && l.Text != "":
			d.Message += "\n" + l.Text
		case !l.Main && !l.Span.IsZero():
			if at, ok := s.location(c, l.Span); ok {
				d.Related = append(d.Related, relatedInformation{at, or(l.Text, "here")})
			}
		}
	}
	for _, h := range x.Help {
		d.Message += "\n" + h
	}
	return d
}

// elsewhere tells of a fault in a file that the document uses, at the `use` that leads there.
func (s *server) elsewhere(c *checked, x *diag.Diagnostic) diagnostic {
	d := diagnostic{Severity: severityError, Code: x.Code, Source: "forge", Message: fmt.Sprintf("%s: %s", x.Main(), x.Message)}
	if t := s.tree(c.name); t != nil {
		for _, decl := range t.file.Decls {
			if u, ok := decl.(*dsl.Use); ok && (d.Range == textRange{} || imported(c.name, u) == x.Main().File) {
				d.Range = t.text.rangeOf(u.Path.Span)
			}
		}
	}
	if at, ok := s.location(c, x.Main()); ok {
		d.Related = []relatedInformation{{at, x.Message}}
	}
	return d
}

// location is a place that a check saw, in its own file or another.
func (s *server) location(c *checked, at diag.Span) (location, bool) {
	if at.File == c.name {
		return location{s.docs[c.name].uri, c.source.rangeOf(at)}, true
	}
	return s.place(at)
}

// place is a place of any file.
func (s *server) place(at diag.Span) (location, bool) {
	t := s.tree(at.File)
	uri := s.uri(at.File)
	if t == nil || uri == "" {
		return location{}, false
	}
	return location{uri, t.text.rangeOf(at)}, true
}

// codeActions are the "did you mean" of the faults in a stretch.
func (s *server) codeActions(name string, p *documentParams) (any, error) {
	actions := []codeAction{}
	c := s.current(name)
	if c == nil {
		return actions, nil
	}
	for _, x := range c.found {
		if x.Main().File != name {
			continue
		}
		d := s.diagnostic(c, x)
		if after(d.Range.Start, p.Range.End) || after(p.Range.Start, d.Range.End) {
			continue
		}
		for _, f := range x.Fixes {
			at, ok := s.location(c, f.Span)
			if !ok || at.URI != s.docs[name].uri {
				continue
			}
			title := "Replace by `" + f.Text + "`"
			if strings.TrimSpace(f.Text) == "" {
				title = "Remove it"
			}
			actions = append(actions, codeAction{
				Title: title, Kind: "quickfix", Diagnostics: []diagnostic{d}, IsPreferred: len(x.Fixes) == 1,
				Edit: workspaceEdit{map[string][]textEdit{at.URI: {{at.Range, f.Text}}}},
			})
		}
	}
	return actions, nil
}

func after(a, b position) bool {
	return a.Line > b.Line || a.Line == b.Line && a.Character > b.Character
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
