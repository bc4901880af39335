package dsl

import "forge/dsl/diag"

// order reports declarations that stand where they may not: `forge N` anywhere but first, `use` after others, headers of kinds
// and builders outside the prelude and plugins.
func (p *parser) order(d Decl, header bool) {
	switch d := d.(type) {
	case *Version:
		if p.count > 1 {
			p.report(diag.New("E012", d.Span, "write it once, at the top", "`forge %d` is the first line of a file", d.N))
		}
	case *Use:
		for _, earlier := range p.seen {
			switch earlier.(type) {
			case *Version, *Use:
				continue
			}
			p.report(diag.New("E012", d.Span, "", "imports stand before other declarations").
				Note(headline(earlier), "this comes first here"))
			return
		}
	case *Builtin:
		if !header {
			word := "builtin"
			if d.IsKind {
				word = "kind"
			}
			p.report(diag.New("E012", headline(d), "", "a `%s` line can stand in the prelude and in plugins only", word).
				Helpf("a recipe file has blocks and sections"))
		}
	}
}

// headline is where a declaration says its name: the place to show it by, as all of it covers many lines.
func headline(d Decl) diag.Span {
	switch d := d.(type) {
	case *Section:
		return d.Kind.Span.To(d.Name.Span)
	case *Block:
		return d.Name.Span
	case *Builtin:
		return d.Name.Span
	}
	return d.At()
}

// needVersion reports a file that does not say its version at all.
func (p *parser) needVersion(file *File) {
	if p.saysVersion {
		return
	}
	at := diag.Span{File: file.Name, Start: diag.Pos{Line: 1, Col: 1}, End: diag.Pos{Line: 1, Col: 1}}
	if p.first != nil {
		at = tokenSpan(*p.first)
	}
	at.End = at.Start
	p.report(diag.New("E006", at, "write `forge 1` above this line", "this file does not say which forge it is written for").
		FixWith(at, "forge 1\n"))
}
