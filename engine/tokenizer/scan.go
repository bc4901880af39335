package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// matcher finds the matches of a pattern from left to right, none overlapping, none empty.
type matcher interface {
	// each calls yield with the start and end of each match in text.
	each(text []byte, yield func(start, end int))
}

// newMatcher compiles a pattern. The patterns of published tokenizers, which are alternatives of repeated classes, run in the
// scanner below; those that repeat groups or look behind run in regexp2. A test has both agree wherever both can run.
func newMatcher(text string) (matcher, error) {
	a, err := parsePattern(text)
	if err != nil {
		return nil, err
	}
	if s := newScanner(a); s != nil {
		return s, nil
	}
	return newBacktracker(a)
}

// scanner matches over the bytes of UTF-8 text. A program of steps tries what a backtracking engine tries, in the same order, and
// needs neither code points in an array nor memory for each match. It may be used by several goroutines at once.
type scanner struct {
	steps []step
	// starts gives, for each first byte (all above ASCII share the last entry), the steps of the alternatives that can begin with it.
	starts [utf8.RuneSelf + 1][]int
}

type step struct {
	kind     stepKind
	class    *class
	min, max int   // of a repetition; max < 0 is without end
	branches []int // of a choice, in the order in which they are tried; the one body of a look ahead
	negative bool  // of a look ahead
	next     int
}

type stepKind int

const (
	matched    stepKind = iota
	one                 // a code point of the class
	greedy              // as many as there are, then fewer
	possessive          // as many as there are
	lazy                // as few as there are, then more
	choice
	lookAhead
)

type scannerBuilder struct {
	scanner *scanner
	classes map[string]*class
}

// newScanner is nil if the pattern has what a scanner does not do.
func newScanner(a alternatives) *scanner {
	unfit := a.anyTerm(func(t term) bool {
		return t.kind == isBehind || t.kind == isNotBehind || t.kind == isAtomic ||
			t.kind == isGroup && (t.max < 0 || t.max > 1 || t.lazy || t.possessive)
	})
	if unfit {
		return nil
	}
	b := &scannerBuilder{scanner: &scanner{}, classes: map[string]*class{}}
	end := b.add(step{kind: matched})
	for _, s := range a {
		start := b.sequence(s, end)
		first, all := s.first()
		for c := range b.scanner.starts {
			// Bytes above ASCII try every alternative: it is the class that decides.
			if all || c == utf8.RuneSelf || first.has(rune(c)) {
				b.scanner.starts[c] = append(b.scanner.starts[c], start)
			}
		}
	}
	return b.scanner
}

func (b *scannerBuilder) add(s step) int {
	b.scanner.steps = append(b.scanner.steps, s)
	return len(b.scanner.steps) - 1
}

// sequence adds the steps of s, from the last to the first, and gives where they begin.
func (b *scannerBuilder) sequence(s sequence, next int) int {
	for i := len(s) - 1; i >= 0; i-- {
		t := s[i]
		switch t.kind {
		case isClass:
			st := step{kind: greedy, class: b.class(t.set), min: t.min, max: t.max, next: next}
			switch {
			case t.min == 1 && t.max == 1:
				st.kind = one
			case t.possessive:
				st.kind = possessive
			case t.lazy:
				st.kind = lazy
			}
			next = b.add(st)
		case isGroup:
			branches := b.branches(t.body, next)
			if t.max == 0 {
				continue
			}
			if t.min == 0 {
				branches = append(branches, next)
			}
			next = b.add(step{kind: choice, branches: branches})
		case isAhead, isNotAhead:
			body := b.add(step{kind: choice, branches: b.branches(t.body, b.add(step{kind: matched}))})
			next = b.add(step{kind: lookAhead, branches: []int{body}, negative: t.kind == isNotAhead, next: next})
		}
	}
	return next
}

func (b *scannerBuilder) branches(a alternatives, next int) []int {
	var out []int
	for _, s := range a {
		out = append(out, b.sequence(s, next))
	}
	return out
}

// class shares one table between equal sets.
func (b *scannerBuilder) class(s runeSet) *class {
	key := fmt.Sprint(s)
	if b.classes[key] == nil {
		b.classes[key] = newClass(s)
	}
	return b.classes[key]
}

// first is what a match of s can begin with; all is true if that isn't known.
func (s sequence) first() (set runeSet, all bool) {
	for _, t := range s {
		switch {
		case t.kind == isClass:
			set = union(set, t.set)
		case t.kind == isGroup || t.kind == isAtomic:
			for _, inner := range t.body {
				f, every := inner.first()
				if every {
					return nil, true
				}
				set = union(set, f)
			}
		default:
			continue
		}
		if t.min > 0 && (t.kind == isClass || !t.body.canBeEmpty()) {
			return set, false
		}
	}
	return nil, true
}

func (s *scanner) each(text []byte, yield func(start, end int)) {
	for pos := 0; pos < len(text); {
		end := -1
		for _, start := range s.starts[min(text[pos], utf8.RuneSelf)] {
			if end = s.match(start, text, pos); end > pos {
				break
			}
		}
		if end <= pos {
			_, size := utf8.DecodeRune(text[pos:])
			pos += size
			continue
		}
		yield(pos, end)
		pos = end
	}
}

// match is where a match from step i and pos on ends, -1 if there is none.
func (s *scanner) match(i int, text []byte, pos int) int {
	for {
		st := &s.steps[i]
		switch st.kind {
		case matched:
			return pos
		case one:
			size := st.class.next(text, pos)
			if size == 0 {
				return -1
			}
			pos += size
		case possessive, greedy:
			start, n := pos, 0
			for st.max < 0 || n < st.max {
				size := st.class.next(text, pos)
				if size == 0 {
					break
				}
				pos += size
				n++
			}
			if n < st.min {
				return -1
			}
			if st.kind == greedy && s.steps[st.next].kind != matched {
				for ; n > st.min; n-- {
					if end := s.match(st.next, text, pos); end >= 0 {
						return end
					}
					_, size := utf8.DecodeLastRune(text[start:pos])
					pos -= size
				}
			}
		case lazy:
			for n := 0; ; n++ {
				if n >= st.min {
					if end := s.match(st.next, text, pos); end >= 0 || n == st.max {
						return end
					}
				}
				size := st.class.next(text, pos)
				if size == 0 {
					return -1
				}
				pos += size
			}
		case choice:
			for _, branch := range st.branches {
				if end := s.match(branch, text, pos); end >= 0 {
					return end
				}
			}
			return -1
		case lookAhead:
			if (s.match(st.branches[0], text, pos) >= 0) == st.negative {
				return -1
			}
		}
		i = st.next
	}
}

// backtracker is a pattern in regexp2.
type backtracker struct{ expression *regexp2.Regexp }

func newBacktracker(a alternatives) (*backtracker, error) {
	var b strings.Builder
	a.write(&b)
	// Without a limit of its stack a search has no error to give: patterns that need time exponential in the text were refused.
	r, err := regexp2.Compile(b.String(), regexp2.OptionMaxBacktrackingStackSize(-1))
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", b.String(), err)
	}
	return &backtracker{r}, nil
}

func (b *backtracker) each(text []byte, yield func(start, end int)) {
	runes := make([]rune, 0, len(text))
	offsets := make([]int, 0, len(text)+1)
	for pos := 0; pos < len(text); {
		r, size := utf8.DecodeRune(text[pos:])
		runes, offsets = append(runes, r), append(offsets, pos)
		pos += size
	}
	offsets = append(offsets, len(text))
	err := b.expression.FindRunesMatches(runes, 0, func(m regexp2.MatchView) bool {
		if start, length, ok := m.GroupRange(0); ok && length > 0 {
			yield(offsets[start], offsets[start+length])
		}
		return true
	})
	if err != nil { // only a limit of time or stack gives one, and neither is set
		panic(err)
	}
}

// write gives a pattern in regexp2's syntax, with every class as its ranges, so that both engines have the same sets.
func (a alternatives) write(b *strings.Builder) {
	for i, s := range a {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, t := range s {
			t.write(b)
		}
	}
}

func (t term) write(b *strings.Builder) {
	if t.possessive {
		b.WriteString("(?>")
	}
	if t.kind == isClass {
		t.set.write(b)
	} else {
		b.WriteString(map[termKind]string{isGroup: "(?:", isAtomic: "(?>", isAhead: "(?=", isNotAhead: "(?!", isBehind: "(?<=", isNotBehind: "(?<!"}[t.kind])
		t.body.write(b)
		b.WriteByte(')')
	}
	switch {
	case t.min == 1 && t.max == 1:
	case t.max < 0:
		b.WriteString("{" + strconv.Itoa(t.min) + ",}")
	default:
		b.WriteString("{" + strconv.Itoa(t.min) + "," + strconv.Itoa(t.max) + "}")
	}
	if t.lazy {
		b.WriteByte('?')
	}
	if t.possessive {
		b.WriteByte(')')
	}
}

func (s runeSet) write(b *strings.Builder) {
	if len(s) == 0 {
		b.WriteString(`[^\s\S]`)
		return
	}
	b.WriteByte('[')
	for _, r := range s {
		// No text contains the halves of surrogate pairs, which have no place in a pattern either.
		lo, hi := r.lo, r.hi
		if utf16.IsSurrogate(lo) {
			lo = 0xE000
		}
		if utf16.IsSurrogate(hi) {
			hi = 0xD7FF
		}
		if lo > hi {
			continue
		}
		writeRune(b, lo)
		if hi > lo {
			b.WriteByte('-')
			writeRune(b, hi)
		}
	}
	b.WriteByte(']')
}

// writeRune writes code points of ASCII by number, so that none means anything.
func writeRune(b *strings.Builder, r rune) {
	if r < utf8.RuneSelf {
		fmt.Fprintf(b, `\x%02x`, r)
		return
	}
	b.WriteRune(r)
}
