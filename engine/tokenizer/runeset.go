package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// runeSet is a set of code points as ranges in ascending order, with a gap between any two.
type runeSet []runeRange

type runeRange struct{ lo, hi rune }

func single(r rune) runeSet { return runeSet{{r, r}} }

// newRuneSet brings ranges into the order that a runeSet has.
func newRuneSet(ranges []runeRange) runeSet {
	slices.SortFunc(ranges, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
	var s runeSet
	for _, r := range ranges {
		if last := len(s) - 1; last >= 0 && r.lo <= s[last].hi+1 {
			s[last].hi = max(s[last].hi, r.hi)
			continue
		}
		s = append(s, r)
	}
	return s
}

func union(sets ...runeSet) runeSet {
	var all []runeRange
	for _, s := range sets {
		all = append(all, s...)
	}
	return newRuneSet(all)
}

// not is every other code point.
func (s runeSet) not() runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s {
		if next < r.lo {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, runeRange{next, unicode.MaxRune})
	}
	return out
}

func (s runeSet) has(r rune) bool {
	_, found := slices.BinarySearchFunc(s, r, func(e runeRange, r rune) int {
		switch {
		case e.hi < r:
			return -1
		case e.lo > r:
			return 1
		}
		return 0
	})
	return found
}

// overlaps is whether a code point is in both sets.
func (s runeSet) overlaps(t runeSet) bool {
	for i, j := 0, 0; i < len(s) && j < len(t); {
		switch {
		case s[i].hi < t[j].lo:
			i++
		case t[j].hi < s[i].lo:
			j++
		default:
			return true
		}
	}
	return false
}

// tables is the union of Unicode's tables in Go, brought to the version of Unicode that Hugging Face's tokenizers have.
func tables(names ...string) runeSet {
	var ranges []runeRange
	for _, name := range names {
		table := unicode.Categories[name]
		if table == nil {
			table = unicode.Scripts[name]
		}
		if table == nil {
			table = unicode.Properties[name]
		}
		for _, r := range table.R16 {
			ranges = appendStrided(ranges, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			ranges = appendStrided(ranges, rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, a := range laterUnicode {
			if strings.HasPrefix(a.category, name) || name == a.script {
				ranges = append(ranges, runeRange{a.lo, a.hi})
			}
		}
	}
	return newRuneSet(ranges)
}

func appendStrided(ranges []runeRange, lo, hi, stride rune) []runeRange {
	if stride == 1 {
		return append(ranges, runeRange{lo, hi})
	}
	for r := lo; r <= hi; r += stride {
		ranges = append(ranges, runeRange{r, r})
	}
	return ranges
}

// The classes that have an escape of their own, as Oniguruma has them for Unicode text.
func spaceSet() runeSet { return tables("White_Space") }
func digitSet() runeSet { return tables("Nd") }
func wordSet() runeSet  { return tables("L", "M", "N", "Pc", "Other_Alphabetic") }

// The classes that other pre-tokenizers split by.
func numberSet() runeSet { return union(tables("N"), laterNumbers) }

func punctuationSet() runeSet {
	ascii := runeSet{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}
	return union(ascii, earlierPunctuation, union(tables("P").not(), laterPunctuation).not())
}

// property is the set of \p{name}: a general category or a script, the case and spaces of its name being free.
func property(name string) (runeSet, bool) {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", " ", "", "-", "").Replace(s))
	}
	for _, m := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts} {
		for n := range m {
			if plain(n) == plain(name) {
				if n == "C" || n == "Cn" || n == "Cs" || n == "LC" {
					return nil, false // what has no character differs between versions of Unicode; others write LC as L&
				}
				return tables(n), true
			}
		}
	}
	return nil, false
}

// class answers quickly whether a code point is in a set.
type class struct {
	ascii [utf8.RuneSelf]bool
	few   runeSet  // the set itself when it has few ranges
	bits  []uint64 // else a bit for each code point
}

func newClass(s runeSet) *class {
	c := &class{}
	for r := range rune(utf8.RuneSelf) {
		c.ascii[r] = s.has(r)
	}
	if len(s) <= 4 {
		c.few = s
		return c
	}
	c.bits = make([]uint64, (unicode.MaxRune+64)/64)
	for _, r := range s {
		for x := r.lo; x <= r.hi; x++ {
			c.bits[x>>6] |= 1 << (x & 63)
		}
	}
	return c
}

// has is for code points above ASCII.
func (c *class) has(r rune) bool {
	if c.bits != nil {
		return c.bits[r>>6]&(1<<(r&63)) != 0
	}
	for _, e := range c.few {
		if e.lo <= r && r <= e.hi {
			return true
		}
	}
	return false
}

// next is the width of the code point at pos if it is in the class, else 0.
func (c *class) next(text []byte, pos int) int {
	if pos >= len(text) {
		return 0
	}
	if b := text[pos]; b < utf8.RuneSelf {
		if c.ascii[b] {
			return 1
		}
		return 0
	}
	if r, size := utf8.DecodeRune(text[pos:]); c.has(r) {
		return size
	}
	return 0
}
