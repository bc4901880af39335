package dsl

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"forge/dsl/diag"
)

func rendered(list diag.List, name, source string) string {
	var out strings.Builder
	diag.Render(&out, list, func(file string) (string, bool) { return source, file == name }, false)
	return out.String()
}

// Each archive of testdata/syntax holds wrong files and what forge says about them, by the code that they are about.
func TestSyntaxErrors(t *testing.T) {
	archives, _ := filepath.Glob("testdata/syntax/*.txtar")
	if len(archives) != 13 {
		t.Errorf("%d archives, want one for each of E001 to E013", len(archives))
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code := strings.TrimSuffix(filepath.Base(path), ".txtar")
		outputs := map[string]string{}
		for _, file := range archive.Files {
			outputs[file.Name] = string(file.Data)
		}
		var files []txtar.File
		for _, file := range archive.Files {
			base, isInput := strings.CutSuffix(file.Name, ".forge")
			if !isInput {
				continue
			}
			source := string(file.Data)
			_, list := Parse(file.Name, source)
			got := rendered(list, file.Name, source)
			if !strings.Contains(got, code) {
				t.Errorf("%s: no %s but:\n%s", file.Name, code, got)
			}
			if want := outputs[base+".txt"]; got != want && !*update {
				t.Errorf("%s: %s\n--- want\n%s--- got\n%s", path, file.Name, want, got)
			}
			files = append(files, file, txtar.File{Name: base + ".txt", Data: []byte(got)})
		}
		if *update {
			archive.Files = files
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The language promises these texts for errors/15_syntax2.forge, word for word.
func TestPromisedTexts(t *testing.T) {
	bar, err := os.ReadFile("diag/testdata/bar.txt")
	if err != nil {
		t.Fatal(err)
	}
	const name = "errors/15_syntax2.forge"
	source, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	file, list := Parse(name, string(source))
	got := rendered(list, name, string(source))
	promised := 0
	for _, text := range bytes.Split(bar, []byte("\n\n")) {
		if !bytes.Contains(text, []byte(name)) {
			continue
		}
		promised++
		if !strings.Contains(got, string(text)) {
			t.Errorf("missing:\n%s\ngot:\n%s", text, got)
		}
	}
	if promised != 3 || len(list) != 4 {
		t.Errorf("%d texts promised and %d errors, want 3 and 4:\n%s", promised, len(list), got)
	}
	if n := len(file.Decls); n != 3 {
		t.Errorf("%d declarations kept, want forge, model and train", n)
	}
}

// Of a file with errors, the lines that could be read are kept.
func TestRecoveryKeeps(t *testing.T) {
	source, err := os.ReadFile("testdata/errors/15_syntax.forge")
	if err != nil {
		t.Fatal(err)
	}
	file, list := Parse("15_syntax.forge", string(source))
	var codes []string
	for _, d := range list {
		codes = append(codes, d.Code)
	}
	if got := strings.Join(codes, " "); got != "E010 E010 E002" {
		t.Errorf("codes %s, want E010 E010 E002", got)
	}
	var keys []string
	for _, d := range file.Decls {
		if s, ok := d.(*Section); ok {
			for _, c := range s.Cells {
				keys = append(keys, s.Name.Name+"."+c.Key[0].Name.Name)
			}
		}
	}
	if got := strings.Join(keys, " "); got != "m.dim m.layers t.total t.seq" {
		t.Errorf("kept %s", got)
	}
}

// A fix that an error offers cures it: with the fix applied, the file has it no more.
func TestFixesCure(t *testing.T) {
	archives, _ := filepath.Glob("testdata/syntax/*.txtar")
	fixes := 0
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			source := string(file.Data)
			if !strings.HasSuffix(file.Name, ".forge") {
				continue
			}
			_, list := Parse(file.Name, source)
			for _, d := range list {
				for _, fix := range d.Fixes {
					fixes++
					fixed := source[:fix.Span.Start.Offset] + fix.Text + source[fix.Span.End.Offset:]
					_, left := Parse(file.Name, fixed)
					for _, other := range left {
						if other.Error() == d.Error() {
							t.Errorf("%s: the fix %q does not cure %s", file.Name, fix.Text, d.Error())
						}
					}
				}
			}
		}
	}
	if fixes < 20 {
		t.Errorf("only %d fixes tried", fixes)
	}
}
