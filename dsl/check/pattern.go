package check

import (
	"fmt"
	"slices"
	"strings"

	"forge/dsl/diag"
)

// Match reports whether a pattern (language.md section 12) names a weight, state, part or equation, or something that the path
// lies in. `*` matches within a name, `**` anything; an index left out matches all.
func Match(pattern, path string) bool { return match(pattern, path) }

func match(p, s string) bool {
	for {
		switch {
		case p == "":
			return s == "" || s[0] == '.' || s[0] == '['
		case strings.HasPrefix(p, "**"):
			for i := 0; i <= len(s); i++ {
				if match(p[2:], s[i:]) {
					return true
				}
			}
			return false
		case p[0] == '*':
			for i := 0; i <= len(s); i++ {
				if match(p[1:], s[i:]) {
					return true
				}
				if i < len(s) && (s[i] == '.' || s[i] == '[' || s[i] == ']') {
					return false
				}
			}
			return false
		case s == "":
			return false
		case p[0] == s[0]:
			p, s = p[1:], s[1:]
		case p[0] == '.' && s[0] == '[':
			end := strings.IndexByte(s, ']')
			if end < 0 {
				return false
			}
			s = s[end+1:]
		default:
			return false
		}
	}
}

// checkPattern reports a pattern that can't be one.
func (c *checker) checkPattern(p string, at diag.Span) bool {
	why := ""
	switch {
	case p == "":
		why = "it is empty"
	case strings.Contains(p, "***"):
		why = "`*` matches within a name, `**` anything; there is no `***`"
	case strings.Count(p, "[") != strings.Count(p, "]"):
		why = "a `[` without its `]`"
	default:
		for _, r := range p {
			if !(r == '_' || r == '.' || r == '*' || r == '[' || r == ']' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
				why = "`" + string(r) + "` is in no name"
				break
			}
		}
	}
	if why == "" && strings.Count(p, "*") > 16 {
		why = "it has more than 16 stars"
	}
	if why == "" {
		return true
	}
	c.report(diag.New("E311", at, why, "`%s` is not a pattern", p))
	return false
}

// patterns checks every pattern of the recipe: it matches something, and no weight is in two optimizer groups.
func (a *assembly) patterns() bool {
	c := a.c
	ok := true
	used := func(p string, at diag.Span, where string, names []string) {
		if !c.checkPattern(p, at) {
			ok = false
			return
		}
		for _, n := range names {
			if Match(p, n) {
				return
			}
		}
		label := ""
		if near := "**." + p; slices.ContainsFunc(names, func(n string) bool { return Match(near, n) }) {
			label = "did you mean \"" + near + "\"?"
		}
		c.report(diag.New("E505", at, label, "the pattern \"%s\" of `%s` matches nothing", p, where).
			Helpf("patterns name weights, states, parts and equations: `layers[3].attn.wq_a`, `**.gain`"))
		ok = false
	}
	for i, s := range a.recipe.Stages {
		weights := s.Model.Weights()
		paths := make([]string, len(weights))
		for j, w := range weights {
			paths[j] = w.Path
		}
		in := make([]int, len(paths))
		for g, group := range s.Optim.Groups {
			used(group.Match, group.Span, "groups", paths)
			for j, p := range paths {
				if !Match(group.Match, p) {
					continue
				}
				if first := in[j]; first > 0 {
					c.report(diag.New("E505", group.Span, "", "`%s` is in two optimizer groups", p).Note(s.Optim.Groups[first-1].Span, "the first one"))
					return false
				}
				in[j] = g + 1
			}
		}
		if len(s.Precision.Keep) == 0 {
			continue
		}
		names := s.Model.names(paths)
		at := a.stageOf[i].result(c, "precision").at
		for _, p := range s.Precision.Keep {
			used(p, at, "keep", names)
		}
	}
	// A plan is written for many models: what it recomputes need not be in this one.
	if p := a.recipe.Plan; p != nil {
		for _, q := range p.Recompute {
			ok = c.checkPattern(q, p.Span) && ok
		}
	}
	return ok
}

// names are the paths of everything that a pattern may name: weights and states (those of paths too), parts and equations.
func (m *Model) names(paths []string) []string {
	if m.allNames == nil {
		var names []string
		var walk func(prefix string, b *Body)
		walk = func(prefix string, b *Body) {
			for _, w := range b.Weights {
				names = append(names, prefix+"."+w.Name)
			}
			for _, s := range b.States {
				names = append(names, prefix+"."+s.Name)
			}
			for _, p := range b.Parts {
				names = append(names, prefix+"."+p.Name)
			}
			for _, n := range b.Nodes {
				if n.Part != nil && n.Body != nil {
					walk(prefix+"."+n.Part.Name, n.Body)
				} else if n.Name != "" {
					names = append(names, prefix+"."+n.Name)
				}
			}
		}
		for i, b := range m.Layers {
			for _, body := range b.bodies {
				walk(fmt.Sprintf("layers[%d]", i), body)
			}
		}
		for k := range m.MTPDepth {
			for _, body := range m.MTP.bodies {
				walk(fmt.Sprintf("mtp[%d]", k), body)
			}
		}
		m.allNames = append(names, "embed", "head", "norm.gain")
	}
	return append(append([]string{}, m.allNames...), paths...)
}
