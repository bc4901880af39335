package main

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"forge/dsl"
	"forge/dsl/check"
	"forge/dsl/diag"
	"forge/plugins/std"
)

// TestReferenceIsComplete: docs/language.md has every kind of section with its settings, every value with its attributes, every standard
// block, every operation, type and code.
func TestReferenceIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	_, reference, found := strings.Cut(string(text), "\n## Types\n")
	if !found {
		t.Fatal("there is no reference")
	}
	named := map[string]bool{}
	for _, quoted := range regexp.MustCompile("`[^`\n]+`").FindAllString(reference, -1) {
		for _, name := range regexp.MustCompile("[A-Za-z_][A-Za-z0-9_]*").FindAllString(quoted, -1) {
			named[name] = true
		}
	}
	want := func(what, name string) {
		if !named[name] {
			t.Errorf("%s `%s` is missing", what, name)
		}
	}
	prelude, faults := dsl.ParseHeader(dsl.PreludeName, dsl.PreludeSource)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| (.*) \\|$")
	for _, d := range prelude.Decls {
		b, ok := d.(*dsl.Builtin)
		if !ok {
			continue
		}
		want("kind or value", b.Name.Name)
		for _, p := range b.Params {
			want("attribute of "+b.Name.Name, p.Name.Name)
			if p.Type == nil {
				continue
			}
			for _, a := range p.Type.Atoms {
				if a.Text == nil {
					want("type", a.Name)
				}
			}
		}
	}
	names, err := fs.Glob(std.FS, "*.forge")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		source, err := fs.ReadFile(std.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		file, _ := dsl.Parse(name, string(source))
		for _, d := range file.Decls {
			if b, ok := d.(*dsl.Block); ok {
				want("block", b.Name.Name)
			}
		}
	}
	for _, p := range check.Primitives() {
		want("operation", p.Name)
	}
	for _, unit := range dsl.Units {
		want("unit", unit)
	}
	rows := map[string]bool{}
	for _, r := range row.FindAllStringSubmatch(reference, -1) {
		rows[r[1]] = true
	}
	codes := 0
	for _, letter := range "EW" {
		for n := range 1000 {
			code := fmt.Sprintf("%c%03d", letter, n)
			if meaning, known := diag.Explain(code); known {
				codes++
				if !rows[code+" | "+meaning] {
					t.Errorf("code %s, %q, is missing", code, meaning)
				}
			}
		}
	}
	if codes < 80 {
		t.Errorf("only %d codes", codes)
	}
}
