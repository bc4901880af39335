package dsl

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forge/dsl/diag"
)

// formattable are the shipped files and the wrong ones whose faults lie deeper than syntax.
func formattable(t testing.TB) map[string]string {
	sources := shipped(t)
	wrong, _ := filepath.Glob("testdata/errors/*.forge")
	for _, path := range wrong {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, list := Parse(path, string(text)); len(list) == 0 {
			sources[path] = string(text)
		}
	}
	if len(sources) < 40 {
		t.Fatalf("only %d files", len(sources))
	}
	return sources
}

// The four manglings of a text that must not change its meaning.
var manglings = map[string]func(string) string{
	"as is":            func(s string) string { return s },
	"indentation gone": func(s string) string { return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(s, "") },
	"line breaks moved": func(s string) string {
		n := 0
		return rebreak(s, func(broken bool) string {
			if n++; n%3 == 0 || broken {
				return " "
			}
			return "\n"
		})
	},
	"blanks and blank lines doubled": func(s string) string {
		s = strings.ReplaceAll(s, "\n\n", "\n\n\n")
		return outsideText(s, func(part string) string { return strings.ReplaceAll(part, " ", "  ") })
	},
}

// outsideText changes a source but for its texts and comments.
func outsideText(source string, change func(string) string) string {
	out, last := "", 0
	for _, place := range regexp.MustCompile(`"(?:\\.|[^"\\\n])*"|#[^\n]*`).FindAllStringIndex(source, -1) {
		out += change(source[last:place[0]]) + source[place[0]:place[1]]
		last = place[1]
	}
	return out + change(source[last:])
}

// rebreak gives every gap between two tokens where a newline may stand or fall, and no comment stands, the white space that
// choose gives; broken says that there is a newline.
func rebreak(source string, choose func(broken bool) string) string {
	s := scanner{file: "f", source: source}
	s.scan()
	var out strings.Builder
	last, depth := 0, 0
	for i, token := range s.tokens {
		start := token.Pos.Offset
		if token.Type == typeNL {
			continue
		}
		between := source[last:start]
		free := false
		if i > 0 && s.tokens[i-1].Type != typeNL {
			before := s.tokens[i-1].Value
			free = depth > 0 || joinsNext[before] || joinsPrevious[token.Value]
		}
		if free && token.Type != typeUnit && !strings.Contains(between, "#") {
			between = choose(strings.Contains(between, "\n"))
		}
		out.WriteString(between + token.Value)
		last = start + len(token.Value)
		switch token.Value {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
	}
	return out.String() + source[last:]
}

func commentTexts(f *File) []string {
	var texts []string
	for _, c := range f.Comments {
		texts = append(texts, fmt.Sprint(c.Doc, " ", c.Text))
	}
	return texts
}

// checkFormat formats a source and checks what the formatter promises; it returns the result.
func checkFormat(t interface {
	Errorf(string, ...any)
	Helper()
}, source string) string {
	t.Helper()
	file, list := ParseHeader("f", source)
	if len(list) > 0 {
		t.Errorf("does not parse: %v\n%s", list, source)
		return ""
	}
	formatted := Format(file)
	again, list := ParseHeader("f", formatted)
	if len(list) > 0 {
		t.Errorf("what is formatted does not parse: %v\n--- source\n%s\n--- formatted\n%s", list, source, formatted)
		return formatted
	}
	if diff := cmp.Diff(file.Decls, again.Decls, withoutPlaces); diff != "" {
		t.Errorf("another meaning:\n%s\n--- source\n%s\n--- formatted\n%s", diff, source, formatted)
	}
	if diff := cmp.Diff(commentTexts(file), commentTexts(again)); diff != "" {
		t.Errorf("comments differ:\n%s\n--- source\n%s\n--- formatted\n%s", diff, source, formatted)
	}
	if second := Format(again); second != formatted {
		t.Errorf("no fixed point\n--- source\n%s\n--- formatted\n%s\n--- again\n%s", source, formatted, second)
	}
	return formatted
}

// withoutPlaces compares trees but for places, and for documentation: moving a line break can bring a comment to a line of its own.
var withoutPlaces = cmp.Options{
	cmp.Transformer("span", func(diag.Span) int { return 0 }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Doc" }, cmp.Ignore()),
}

func TestShippedFilesAreFormatted(t *testing.T) {
	for path, source := range shipped(t) {
		file, _ := ParseHeader(path, source)
		if diff := cmp.Diff(source, Format(file)); diff != "" {
			t.Errorf("%s (-is +formatted):\n%s", path, diff)
		}
	}
}

// Every file survives every mangling; the shipped ones come back letter for letter.
func TestFormatManglings(t *testing.T) {
	canonical := shipped(t)
	for path, source := range formattable(t) {
		for name, mangle := range manglings {
			got := checkFormat(t, mangle(source))
			if _, ok := canonical[path]; ok && got != source {
				t.Errorf("%s, %s:\n%s", path, name, cmp.Diff(source, got))
			}
		}
	}
}

// Line breaks and comments in random places where they may stand.
func TestFormatRandomBreaks(t *testing.T) {
	sources := formattable(t)
	paths := slices.Sorted(maps.Keys(sources))
	rapid.Check(t, func(t *rapid.T) {
		source := sources[rapid.SampledFrom(paths).Draw(t, "path")]
		share := rapid.IntRange(1, 20).Draw(t, "share")
		n := 0
		mangled := rebreak(source, func(bool) string {
			switch k := rapid.IntRange(0, 3*share).Draw(t, "gap"); k {
			case 0:
				n++
				return fmt.Sprintf(" #comment %d\n", n)
			case 1:
				n++
				return fmt.Sprintf("\n\n  ## comment %d\n\n\n", n)
			case 2:
				return "\n"
			}
			return " "
		})
		checkFormat(t, mangled)
	})
}

// Each case of testdata/format is a badly laid out file, and the same well laid out.
func TestFormatCases(t *testing.T) {
	inputs, _ := filepath.Glob("testdata/format/*.in")
	if len(inputs) == 0 {
		t.Fatal("no cases")
	}
	for _, path := range inputs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(path, ".in")+".forge", checkFormat(t, string(text)))
	}
}

// A file with errors comes back as it is.
func TestFormatLeavesErrors(t *testing.T) {
	for _, source := range []string{
		"forge 1\nmodel m {\n      a: 3\n    b = 4\n}\n", "forge 1\nmodel m {\n    a = f(3\n", "forge 1\n)\n", "model m { a = \"x }",
		"forge 1\n def f(x):\n", "forge 1\nmodel m {\n   a = ü\n}\n",
	} {
		file, list := Parse("f", source)
		if len(list) == 0 {
			t.Errorf("no errors in %q", source)
		}
		if got := Format(file); got != source {
			t.Errorf("%q became %q", source, got)
		}
	}
}

// A tree that no source belongs to is printed too.
func TestFormatWithoutSource(t *testing.T) {
	for path, source := range shipped(t) {
		file, _ := ParseHeader(path, source)
		bare := &File{Name: file.Name, Decls: file.Decls}
		again, list := ParseHeader(path, Format(bare))
		if len(list) > 0 {
			t.Fatalf("%s: %v", path, list)
		}
		if diff := cmp.Diff(file.Decls, again.Decls, withoutPlaces); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}
