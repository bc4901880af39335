package dsl

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file below the package, or rewrites that.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s is not what came out (-want +got):\n%s", path, diff)
	}
}

// The grammar that users read is the one that the parser runs.
func TestGrammar(t *testing.T) {
	golden(t, "grammar.txt", Grammar())
}

// shipped are all recipe files of the repository that are free of syntax errors, by path.
func shipped(t testing.TB) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, pattern := range []string{"*.forge", "../plugins/std/*.forge", "../recipes/*.forge", "../recipes/ideas/*.forge"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files at %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources[file] = string(text)
		}
	}
	return sources
}

func TestShippedFilesParse(t *testing.T) {
	for path, source := range shipped(t) {
		file, list := ParseHeader(path, source)
		for _, d := range list {
			t.Errorf("%s: %s", path, d)
		}
		if len(file.Decls) < 2 {
			t.Errorf("%s: only %d declarations", path, len(file.Decls))
		}
	}
}

// Files that are no text, or too much of it, are one clear error.
func TestUnreadableFiles(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"latin-1", "forge 1\nmodel m {\n  # gr\xf6\xdfe\n}\n", "E001 f:3:7: this file is not UTF-8 text: it has a byte 0xf6 here"},
		{"zero byte", "forge 1\n\x00", "E001 f:2:1: this file has a zero byte: is it a text file?"},
		{"UTF-16", "\xff\xfef\x00o\x00", "E001 f:1:1: this file is UTF-16"},
		{"4 MiB", strings.Repeat("#\n", maxFile/2+1), "E009 f:1:1: this file is too large"},
		{"64 KiB line", "forge 1\n# " + strings.Repeat("x", maxLine), "E009 f:2:1: this line is too long: 65538 bytes"},
	} {
		file, list := Parse("f", test.source)
		if len(list) != 1 || list[0].Code+" "+list[0].Error() != test.want {
			t.Errorf("%s: %v", test.name, list)
		}
		if len(file.Decls) != 0 {
			t.Errorf("%s: declarations from an unreadable file", test.name)
		}
	}
}

// Byte order mark, Windows line ends and blanks at line ends change nothing but places.
func TestLineEnds(t *testing.T) {
	source := "forge 1\n\n## doc\nmodel m {\n  dim = 4 # four\n  s = f(\n    1,\n  )\n}\n"
	want, list := Parse("f", source)
	if len(list) > 0 {
		t.Fatal(list)
	}
	got, list := Parse("f", "\ufeff"+strings.ReplaceAll(source, "\n", "  \r\n"))
	if len(list) > 0 {
		t.Fatal(list)
	}
	if diff := cmp.Diff(want.Decls, got.Decls, withoutPlaces); diff != "" {
		t.Error(diff)
	}
	dim := got.Decls[1].(*Section).Cells[0]
	if at := dim.Span; at.Start.Line != 5 || at.Start.Col != 3 || got.Source[at.Start.Offset:at.End.Offset] != "dim = 4" {
		t.Errorf("the place of `dim = 4` is %+v", at)
	}
	if first := got.Decls[0].At(); first.Start.Col != 1 || first.Start.Offset != 3 {
		t.Errorf("the first place after a byte order mark is %+v", first)
	}
	if doc := got.Decls[1].(*Section).Doc; doc != "doc" {
		t.Errorf("documentation %q", doc)
	}
	if c := got.Comments[1]; c.Text != "four" || c.Doc {
		t.Errorf("comment %+v", c)
	}
}

func TestParseCell(t *testing.T) {
	cell, list := ParseCell("--set", "model.layers[0].attn=gqa(heads = 4, pos = pos)")
	if len(list) > 0 {
		t.Fatal(list)
	}
	if cell.KeySpan().String() != "--set:1:1" || len(cell.Key) != 3 || cell.Key[1].Index == nil || cell.Value.(*Call).Args[1].Name.Name != "pos" {
		t.Errorf("%+v", cell)
	}
	for source, want := range map[string]string{
		"model.dim":             "--set:1:10: `model.dim` has no value",
		"model.dim=":            "--set:1:10: `model.dim` has no value",
		"model.dim=64 model.x=": "--set:1:14: two things on one line",
		"a=1\nb=2":              "--set:1:4: this is more than one line",
		"":                      "--set:1:1: nothing is written here",
		"\n":                    "--set:1:1: nothing is written here",
		"dim=f(":                "--set:1:6: this `(` is never closed",
		"dim=10Ttokens":         "--set:1:5: the unit is glued to the number: `10Ttokens`",
	} {
		cell, list := ParseCell("--set", source)
		if len(list) != 1 || list[0].Error() != want || cell != nil {
			t.Errorf("%q: %v, want %s", source, list, want)
		}
	}
}

func TestParseExpr(t *testing.T) {
	for source, want := range map[string]string{
		"a + b * c ^ d ^ e":         "(a + (b * (c ^ (d ^ e))))",
		"a - b - c":                 "((a - b) - c)",
		"a then b then c":           "((a then b) then c)",
		"a or b and c == d .. e":    "(a or (b and (c == (d .. e))))",
		"-x * y":                    "((- x) * y)",
		"not a and b":               "((not a) and b)",
		"a % b / c + d":             "(((a % b) / c) + d)",
		"2 ^ -x":                    "(2 ^ (- x))",
		"0..n + 1":                  "(0 .. (n + 1))",
		"(a + b) * c":               "((a + b) * c)",
		"a if b else c if d else e": "(a if b else (c if d else e))",
	} {
		e, list := ParseExpr("e", source)
		if len(list) > 0 {
			t.Errorf("%s: %v", source, list)
		} else if got := bracketed(e); got != want {
			t.Errorf("%s is read as %s, want %s", source, got, want)
		}
	}
	if e, list := ParseExpr("e", "a b"); len(list) != 1 || e != nil {
		t.Errorf("`a b`: %v %v", e, list)
	}
}

// bracketed shows how operators were resolved.
func bracketed(e Expr) string {
	switch e := Unparen(e).(type) {
	case *Binary:
		return "(" + bracketed(e.X) + " " + e.Op + " " + bracketed(e.Y) + ")"
	case *Unary:
		return "(" + e.Op + " " + bracketed(e.X) + ")"
	case *Cond:
		return "(" + bracketed(e.Then) + " if " + bracketed(e.If) + " else " + bracketed(e.Else) + ")"
	case *Name:
		return e.Name
	case *Number:
		return e.Raw
	}
	return "?"
}
