package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// find gives the matches of a pattern as pieces.
func find(m matcher, text string) []string {
	var out []string
	m.each([]byte(text), func(start, end int) { out = append(out, text[start:end]) })
	return out
}

// TestPattern checks what patterns mean where engines differ; the texts were cut by the oracle too.
func TestPattern(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{`[a-z]++a|b`, "aab", "b"},
		{`[a-z]+a|b`, "aab", "aa b"},
		{`(?>a|ab)c|b`, "abc", "b"},
		{`a+?|b`, "aab", "a a b"},
		{`a{2}|b{1,2}|c{2,}`, "aaabbbcccc", "aa bb b cccc"},
		{`(?i:k'S)`, "k's K'ſ \u212a's", "k's K'ſ \u212a's"},
		{`[^(\s|[.,!?])]+`, "a.b (c|d)!", "a b c d"},
		{`[\p{L}&&]`, "", "error: pattern \"[\\\\p{L}&&]\", at byte 6: `&&` in a class is not supported"},
		{`\p{^L}`, "a1b", "1"},
		{`\P{Lu}+`, "ABcD", "c"},
		{`\p{Han}+|\p{lowercase}`, "", `error: pattern "\\p{Han}+|\\p{lowercase}", at byte 12: the property "lowercase" is not known`},
		{`\x41|\u4e2d|\x{1F600}`, "A中😀", "A 中 😀"},
		{`(?<=a)b|(?<!a)c`, "abacbc", "b c"},
		{`\s+(?!\S)|\s+`, "a   b", "    "},
		{`a*`, "", `error: pattern "a*" can match the empty text`},
		{`(a|b*)`, "", `error: pattern "(a|b*)" can match the empty text`},
		{`(a+b?)+`, "", `error: pattern "(a+b?)+" repeats a group that can match a text in several ways, which can take forever`},
		{`(a|ab)+c`, "", `error: pattern "(a|ab)+c" repeats a group that can match a text in several ways, which can take forever`},
		{`a?b?c?d?e?f?g?h?i?j`, "", `error: pattern "a?b?c?d?e?f?g?h?i?j" has 9 terms of varying length in a row, which can take forever; forge takes 8`},
		{`(a?b){2,9}c`, "", `error: pattern "(a?b){2,9}c" repeats a group that can match a text in several ways, which can take forever`},
		{`(?:a|b)+c`, "xabac", "abac"},
		{`^a`, "", `error: pattern "^a", at byte 0: '^' is not supported here`},
		{`a$`, "", `error: pattern "a$", at byte 1: '$' is not supported here`},
		{`\bfoo`, "", "error: pattern \"\\\\bfoo\", at byte 1: `\\b` is not supported"},
		{`[[:alpha:]]`, "", "error: pattern \"[[:alpha:]]\", at byte 1: `[:` in a class is not supported"},
		{`a**`, "", `error: pattern "a**", at byte 2: a quantifier after a quantifier is not supported`},
		{`(?<name>a)`, "", `error: pattern "(?<name>a)", at byte 1: a group of this kind is not supported`},
		{`(a`, "", "error: pattern \"(a\", at byte 2: `(` without `)`"},
		{`a)`, "", "error: pattern \"a)\", at byte 1: `)` without `(`"},
		{`[a`, "", "error: pattern \"[a\", at byte 2: `[` without `]`"},
		{`[z-a]`, "", `error: pattern "[z-a]", at byte 4: a range in a class goes from one character to a later one`},
		{`(?i:ss)`, "", "error: pattern \"(?i:ss)\", at byte 6: these letters without regard to case also match one letter (as `ss` does `ß`), which forge does not do"},
		{`(?i:é)`, "", `error: pattern "(?i:é)", at byte 6: what is outside ASCII without regard to case is not supported`},
		{`a{3,2}`, "", `error: pattern "a{3,2}", at byte 2: repeated from 3 to 2 times`},
		{`a{`, "", "error: pattern \"a{\", at byte 2: `{` must be followed by numbers, or be written `\\{`"},
		{"\xff", "", `error: pattern "\xff" is not valid UTF-8`},
		{strings.Repeat("(", 99), "", "error: pattern \"" + strings.Repeat("(", 99) + "\", at byte 50: groups within groups, more than 50 deep"},
	} {
		m, err := newMatcher(c.pattern)
		got := ""
		if err != nil {
			got = "error: " + err.Error()
		} else {
			got = strings.Join(find(m, c.text), " ")
		}
		if got != c.want {
			t.Errorf("%s on %q:\n got %s\nwant %s", c.pattern, c.text, got, c.want)
		}
	}
}

// TestScannerAgrees compares the scanner with regexp2 on the patterns of published tokenizers and on generated ones.
func TestScannerAgrees(t *testing.T) {
	alphabet := []rune("aAbBsStT1234 .,'!/\n\r\t (|-中あéßſ\u212a\u0301\u00a0\u3000Ǆǅʰ½²👩\u200d\uFFFD")
	random := rand.New(rand.NewPCG(5, 6))
	text := func() []byte {
		var b []byte
		for range random.IntN(40) {
			if random.IntN(30) == 0 {
				b = append(b, byte(128+random.IntN(128)))
				continue
			}
			for r, n := alphabet[random.IntN(len(alphabet))], 1+random.IntN(3)*random.IntN(3); n > 0; n-- {
				b = append(b, string(r)...)
			}
		}
		return b
	}
	compare := func(pattern string, n int) error {
		a, err := parsePattern(pattern)
		if err != nil {
			return err
		}
		s := newScanner(a)
		if s == nil {
			return fmt.Errorf("pattern %q does not run in the scanner", pattern)
		}
		b, err := newBacktracker(a)
		if err != nil {
			return err
		}
		for range n {
			x := text()
			if got, want := find(s, string(x)), find(b, string(x)); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				return fmt.Errorf("pattern %q on %q:\nscanner %q\nregexp2 %q", pattern, x, got, want)
			}
		}
		return nil
	}
	for name, pattern := range publishedPatterns {
		if err := compare(pattern, 200); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	atoms := []string{"a", "b", "[ab]", `\s`, `\S`, `\p{L}`, `[^\r\n\p{L}\p{N}]`, "1", "[0-9]", `(?i:'s|t)`, "(?:a|bb|)", "(?!b)", `(?=\S|1)`, ".", "(?:b?a|1)?"}
	quantifiers := []string{"", "", "", "*", "+", "?", "??", "*?", "+?", "*+", "++", "?+", "{1,2}", "{2}", "{0,3}"}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for i := range rapid.IntRange(1, 4).Draw(t, "alternatives") {
			if i > 0 {
				b.WriteByte('|')
			}
			for range rapid.IntRange(1, 4).Draw(t, "atoms") {
				atom := rapid.SampledFrom(atoms).Draw(t, "atom")
				b.WriteString(atom)
				if !strings.HasPrefix(atom, "(") {
					b.WriteString(rapid.SampledFrom(quantifiers).Draw(t, "quantifier"))
				}
			}
		}
		pattern := b.String()
		if _, err := parsePattern(pattern); err != nil {
			t.Skip(err)
		}
		if err := compare(pattern, 5); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPatternTakesNoTime runs texts that make backtracking engines slow.
func TestPatternTakesNoTime(t *testing.T) {
	start := time.Now()
	for name, pattern := range publishedPatterns {
		if name == "lazy" {
			continue // a letter is looked at again from every letter before it, in any engine
		}
		m, err := newMatcher(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{" ", "a", "1", "!", "中", "\n", "é", "\xff"} {
			find(m, strings.Repeat(s, 20_000))
		}
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

func FuzzPattern(f *testing.F) {
	for _, p := range publishedPatterns {
		f.Add(p)
	}
	f.Add(`(?<=[a-z])[A-Z]|(?<!\s)\d+|(?:[a-z][0-9])+x`)
	f.Fuzz(func(t *testing.T, pattern string) {
		m, err := newMatcher(pattern)
		if err != nil {
			return
		}
		end := 0
		m.each([]byte("The 12 ends, don't\n\n  3.5 é中 \xff"), func(s, e int) {
			if s < end || e <= s {
				t.Errorf("pattern %q matches from %d to %d after %d", pattern, s, e, end)
			}
			end = e
		})
	})
}
