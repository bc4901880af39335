package dsl

import (
	"strings"
	"testing"
	"unicode/utf8"

	"forge/dsl/diag"
)

func seeds(f *testing.F) {
	for _, source := range shipped(f) {
		f.Add(source)
	}
	for _, source := range []string{
		"", "forge 1\n", "forge 1\nmodel m {\n  a = [1, 2, ]\n  b: 3\n}\n", ")", "}", "{", "forge 1\nblock b(", "\"", "forge 1\nmodel m {\n a = f(\n}\n",
		"forge 1\r\nmodel m { a = 1 }", "\ufeffforge 1", "forge 1\nmodel m {\ntrain t {\n}\n", "forge 1\nuse x\n", "forge 1 # c",
		"forge 1\nmodel m {\n  a =\n  b = 1 +\n  c == 3\n}\n", "forge 1\nmodel m {\n a = ({)}\n}\n", "forge 1\nblock b()(x[..., 3]) -> [d]: \n  return x\n",
	} {
		f.Add(source)
	}
}

// readAnyhow checks the tokens of any text and that both parsers read the same, and gives what they read.
func readAnyhow(t *testing.T, source string) (*File, diag.List) {
	t.Helper()
	if utf8.ValidString(source) {
		checkTokens(t, source)
	}
	checkDirect(t, source)
	return ParseHeader("f", source)
}

// FuzzParse: any text is read to a tree or to errors that point into it, and rendering these works.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, source string) {
		file, list := readAnyhow(t, source)
		lines := strings.Count(source, "\n") + 1
		for _, d := range list {
			at := d.Main()
			if at.File != "f" || at.Start.Line < 1 || at.Start.Line > lines || at.Start.Col < 1 || at.Start.Offset > at.End.Offset ||
				at.End.Offset > len(source) {
				t.Errorf("%s %s: the place is %+v", d.Code, d.Message, at)
			}
			if d.Message == "" || len(d.Labels) == 0 || len(d.Help) > 3 {
				t.Errorf("%s: %+v", d.Code, d)
			}
			if utf8.ValidString(source) && !utf8.ValidString(d.Message) {
				t.Errorf("%s: %q is no text", d.Code, d.Message)
			}
		}
		var out strings.Builder
		diag.Render(&out, list, func(string) (string, bool) { return source, true }, false)
		for _, d := range file.Decls {
			if span := d.At(); span.Start.Offset > span.End.Offset || span.End.Offset > len(source) {
				t.Errorf("%T at %+v", d, span)
			}
		}
		_, _ = ParseCell("--set", source)
		_, _ = ParseExpr("e", source)
	})
}

// FuzzFormat: a text without errors keeps its meaning and its comments, and is a fixed point the second time.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, source string) {
		file, list := readAnyhow(t, source)
		if len(list) == 0 {
			checkFormat(t, source)
			return
		}
		_ = Format(file) // must not fail either
	})
}
