package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A pattern is a regular expression as tokenizer.json files have it, in the syntax of Oniguruma, with which Hugging Face's
// tokenizers read it. It is parsed here, so that what means something else to other engines (possessive quantifiers, classes in
// classes, case that folds across ASCII) has one meaning, and what forge can't do the same is an error that quotes it.
//
//	alternatives = sequence { "|" sequence }
//	sequence     = { atom [ quantifier ] }
//	atom         = class | "(?:" alternatives ")" | "(?>" … | "(?=" … | "(?!" … | "(?<=" … | "(?<!" … | "(?i:" …
type alternatives []sequence

type sequence []term

// term is an atom repeated between min and max times; max < 0 is without end.
type term struct {
	kind       termKind
	set        runeSet      // isClass
	body       alternatives // all others
	min, max   int
	lazy       bool
	possessive bool
}

type termKind int

const (
	isClass termKind = iota
	isGroup
	isAtomic
	isAhead
	isNotAhead
	isBehind
	isNotBehind
)

// parsePattern reads a pattern that can't match the empty text.
func parsePattern(text string) (alternatives, error) {
	p := &patternParser{text: text}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("pattern %q is not valid UTF-8", text)
	}
	a, err := p.alternatives(false)
	if err == nil && p.pos < len(text) {
		err = p.errorf("`)` without `(`")
	}
	if err != nil {
		return nil, err
	}
	if a.canBeEmpty() {
		return nil, fmt.Errorf("pattern %q can match the empty text", text)
	}
	if a.ambiguous() {
		return nil, fmt.Errorf("pattern %q repeats a group that can match a text in several ways, which can take forever", text)
	}
	if n := a.varying(); n > maxVarying {
		return nil, fmt.Errorf("pattern %q has %d terms of varying length in a row, which can take forever; forge takes %d", text, n, maxVarying)
	}
	return a, nil
}

// maxVarying bounds the time that backtracking takes, a power of the length of the text: published patterns have 4.
const maxVarying = 8

type patternParser struct {
	text  string
	pos   int
	depth int
}

func (p *patternParser) errorf(format string, args ...any) error {
	return fmt.Errorf("pattern %q, at byte %d: %s", p.text, p.pos, fmt.Sprintf(format, args...))
}

func (p *patternParser) accept(s string) bool {
	if strings.HasPrefix(p.text[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

// rune is the next code point, which it takes; 0 at the end.
func (p *patternParser) rune() rune {
	if p.pos >= len(p.text) {
		return 0
	}
	r, size := utf8.DecodeRuneInString(p.text[p.pos:])
	p.pos += size
	return r
}

func (p *patternParser) alternatives(fold bool) (alternatives, error) {
	if p.depth++; p.depth > 50 {
		return nil, p.errorf("groups within groups, more than 50 deep")
	}
	defer func() { p.depth-- }()
	var a alternatives
	for {
		s, err := p.sequence(fold)
		if err != nil {
			return nil, err
		}
		a = append(a, s)
		if !p.accept("|") {
			return a, nil
		}
	}
}

func (p *patternParser) sequence(fold bool) (sequence, error) {
	var s sequence
	for p.pos < len(p.text) && p.text[p.pos] != '|' && p.text[p.pos] != ')' {
		t, err := p.atom(fold)
		if err != nil {
			return nil, err
		}
		if err := p.quantifier(&t); err != nil {
			return nil, err
		}
		if fold && t.kind == isClass && len(s) > 0 && foldsTogether(s[len(s)-1].set, t.set) {
			return nil, p.errorf("these letters without regard to case also match one letter (as `ss` does `ß`), which forge does not do")
		}
		s = append(s, t)
	}
	return s, nil
}

// foldsTogether is whether a letter of a and one of b make a pair that a single code point folds to.
func foldsTogether(a, b runeSet) bool {
	for _, pair := range []string{"ss", "st", "ff", "fi", "fl"} {
		if a.has(rune(pair[0])) && b.has(rune(pair[1])) {
			return true
		}
	}
	return false
}

func (p *patternParser) atom(fold bool) (term, error) {
	switch {
	case p.accept("("):
		return p.group(fold)
	case p.accept("["):
		set, err := p.class(fold)
		return term{set: set}, err
	case p.accept("."):
		return term{set: single('\n').not()}, nil
	case p.accept(`\`):
		set, err := p.escape()
		if err == nil && fold {
			set, err = p.folded(set)
		}
		return term{set: set}, err
	}
	r := p.rune()
	if strings.ContainsRune("*+?{^$", r) {
		p.pos--
		return term{}, p.errorf("%q is not supported here", r)
	}
	set := single(r)
	var err error
	if fold {
		set, err = p.folded(set)
	}
	return term{set: set}, err
}

func (p *patternParser) group(fold bool) (term, error) {
	kinds := []struct {
		open string
		kind termKind
	}{{"?:", isGroup}, {"?>", isAtomic}, {"?=", isAhead}, {"?!", isNotAhead}, {"?<=", isBehind}, {"?<!", isNotBehind}}
	t := term{kind: isGroup}
	found := false
	for _, k := range kinds {
		if p.accept(k.open) {
			t.kind, found = k.kind, true
			break
		}
	}
	switch {
	case found:
	case p.accept("?i:"):
		fold = true
	case p.pos < len(p.text) && p.text[p.pos] == '?':
		return t, p.errorf("a group of this kind is not supported")
	}
	var err error
	if t.body, err = p.alternatives(fold); err != nil {
		return t, err
	}
	if !p.accept(")") {
		return t, p.errorf("`(` without `)`")
	}
	return t, nil
}

// quantifier reads what says how often a term repeats, if anything does.
func (p *patternParser) quantifier(t *term) error {
	t.min, t.max = 1, 1
	counted := false
	switch {
	case p.accept("*"):
		t.min, t.max = 0, -1
	case p.accept("+"):
		t.min, t.max = 1, -1
	case p.accept("?"):
		t.min, t.max = 0, 1
	case p.accept("{"):
		counted = true
		inside, _, found := strings.Cut(p.text[p.pos:], "}")
		low, high, isRange := strings.Cut(inside, ",")
		var err error
		if t.min, err = strconv.Atoi(low); err != nil || t.min < 0 || !found {
			return p.errorf("`{` must be followed by numbers, or be written `\\{`")
		}
		t.max = t.min
		if isRange {
			t.max = -1
			if high != "" {
				if t.max, err = strconv.Atoi(high); err != nil {
					return p.errorf("`{` must be followed by numbers, or be written `\\{`")
				}
			}
		}
		if t.min > 1000 || t.max > 1000 || t.max >= 0 && t.max < t.min {
			return p.errorf("repeated from %d to %d times", t.min, t.max)
		}
		p.pos += len(inside) + 1
	default:
		return nil
	}
	if t.kind >= isAhead {
		return p.errorf("a look at what is around can't be repeated")
	}
	switch {
	case p.pos >= len(p.text) || !strings.ContainsRune("*+?{", rune(p.text[p.pos])):
	case !counted && p.accept("?"):
		t.lazy = true
	case !counted && p.accept("+"):
		t.possessive = true
	default:
		return p.errorf("a quantifier after a quantifier is not supported")
	}
	return nil
}

// class reads what follows `[`.
func (p *patternParser) class(fold bool) (runeSet, error) {
	if p.depth++; p.depth > 50 {
		return nil, p.errorf("classes within classes, more than 50 deep")
	}
	defer func() { p.depth-- }()
	negated := p.accept("^")
	var parts []runeSet
	for first := true; ; first = false {
		if p.pos >= len(p.text) {
			return nil, p.errorf("`[` without `]`")
		}
		if !first && p.accept("]") {
			break
		}
		rest := p.text[p.pos:]
		if first && rest[0] == ']' || strings.HasPrefix(rest, "&&") || strings.HasPrefix(rest, "[:") {
			return nil, p.errorf("`%.2s` in a class is not supported", rest)
		}
		if p.accept("[") {
			inner, err := p.class(fold)
			if err != nil {
				return nil, err
			}
			parts = append(parts, inner)
			continue
		}
		set, err := p.classItem()
		if err != nil {
			return nil, err
		}
		isRange := strings.HasPrefix(p.text[p.pos:], "-") && !strings.HasPrefix(p.text[p.pos:], "-]")
		if lo, isOne := set.one(); isRange && isOne {
			p.accept("-")
			end, err := p.classItem()
			if err != nil {
				return nil, err
			}
			hi, isOne := end.one()
			if !isOne || hi < lo {
				return nil, p.errorf("a range in a class goes from one character to a later one")
			}
			set = runeSet{{lo, hi}}
		}
		parts = append(parts, set)
	}
	set := union(parts...)
	if fold {
		var err error
		if set, err = p.folded(set); err != nil {
			return nil, err
		}
	}
	if negated {
		set = set.not()
	}
	return set, nil
}

func (p *patternParser) classItem() (runeSet, error) {
	if p.accept(`\`) {
		return p.escape()
	}
	if p.pos >= len(p.text) || p.text[p.pos] == '[' {
		return nil, p.errorf("a character was expected")
	}
	return single(p.rune()), nil
}

func (s runeSet) one() (rune, bool) {
	if len(s) == 1 && s[0].lo == s[0].hi {
		return s[0].lo, true
	}
	return 0, false
}

// escape reads what follows `\`.
func (p *patternParser) escape() (runeSet, error) {
	start := p.pos
	r := p.rune()
	switch r {
	case 'r':
		return single('\r'), nil
	case 'n':
		return single('\n'), nil
	case 't':
		return single('\t'), nil
	case 'f':
		return single('\f'), nil
	case 'v':
		return single('\v'), nil
	case 's':
		return spaceSet(), nil
	case 'S':
		return spaceSet().not(), nil
	case 'd':
		return digitSet(), nil
	case 'D':
		return digitSet().not(), nil
	case 'w':
		return wordSet(), nil
	case 'W':
		return wordSet().not(), nil
	case 'p', 'P':
		if !p.accept("{") {
			return nil, p.errorf("`\\%c` must be followed by `{`", r)
		}
		negated := p.accept("^") != (r == 'P')
		name, _, found := strings.Cut(p.text[p.pos:], "}")
		set, known := property(name)
		if !found || !known {
			return nil, p.errorf("the property %q is not known", name)
		}
		p.pos += len(name) + 1
		if negated {
			set = set.not()
		}
		return set, nil
	case 'u', 'x':
		digits := ""
		if r == 'x' && p.accept("{") {
			inside, _, found := strings.Cut(p.text[p.pos:], "}")
			if !found {
				return nil, p.errorf("`{` without `}`")
			}
			digits = inside
			p.pos += len(inside) + 1
		} else {
			n := map[rune]int{'u': 4, 'x': 2}[r]
			if len(p.text)-p.pos < n {
				return nil, p.errorf("`\\%c` needs %d hexadecimal digits", r, n)
			}
			digits = p.text[p.pos : p.pos+n]
			p.pos += n
		}
		x, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || !utf8.ValidRune(rune(x)) || r == 'x' && len(digits) == 2 && x >= utf8.RuneSelf {
			return nil, p.errorf("%q is not the number of a character", digits)
		}
		return single(rune(x)), nil
	}
	if r < utf8.RuneSelf && (r <= ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
		p.pos = start
		return nil, p.errorf("`\\%c` is not supported", r)
	}
	return single(r), nil
}

// folded adds the other cases of ASCII letters, the two outside ASCII included: ſ is an s and K (Kelvin) a k.
func (p *patternParser) folded(s runeSet) (runeSet, error) {
	if len(s) > 0 && s[len(s)-1].hi >= utf8.RuneSelf {
		return nil, p.errorf("what is outside ASCII without regard to case is not supported")
	}
	all := append([]runeRange(nil), s...)
	for _, r := range s {
		for x := r.lo; x <= r.hi; x++ {
			switch {
			case x >= 'a' && x <= 'z':
				all = append(all, runeRange{x - 'a' + 'A', x - 'a' + 'A'})
			case x >= 'A' && x <= 'Z':
				all = append(all, runeRange{x - 'A' + 'a', x - 'A' + 'a'})
			}
			switch x {
			case 's', 'S':
				all = append(all, runeRange{'ſ', 'ſ'})
			case 'k', 'K':
				all = append(all, runeRange{'\u212a', '\u212a'})
			}
		}
	}
	return newRuneSet(all), nil
}

func (a alternatives) canBeEmpty() bool {
	for _, s := range a {
		empty := true
		for _, t := range s {
			if t.min > 0 && t.kind < isAhead && (t.kind == isClass || !t.body.canBeEmpty()) {
				empty = false
			}
		}
		if empty {
			return true
		}
	}
	return false
}

// ambiguous is whether a group repeats that can match one text in several ways: backtracking could then take time exponential in
// the text. A body that can't has only classes, each a fixed number of times, and no two alternatives that begin alike.
func (a alternatives) ambiguous() bool {
	return a.anyTerm(func(t term) bool {
		if t.kind == isClass || t.max == 0 || t.max == 1 {
			return false
		}
		var begun runeSet
		for _, s := range t.body {
			for _, u := range s {
				if u.kind == isGroup || u.kind == isAtomic || u.min != u.max {
					return true
				}
			}
			first, all := s.first()
			if all || begun.overlaps(first) {
				return true
			}
			begun = union(begun, first)
		}
		return false
	})
}

// varying is the largest number of terms without a fixed length that one match goes through.
func (a alternatives) varying() int {
	most := 0
	for _, s := range a {
		n := 0
		for _, t := range s {
			if t.min != t.max {
				n++
			}
			n += t.body.varying()
		}
		most = max(most, n)
	}
	return most
}

// anyTerm is whether yes holds for a term of the sequences or within their groups.
func (a alternatives) anyTerm(yes func(term) bool) bool {
	for _, s := range a {
		for _, t := range s {
			if yes(t) || t.body.anyTerm(yes) {
				return true
			}
		}
	}
	return false
}
