package check

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"forge/dsl/diag"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// memory is a file system of one file.
type memory map[string]string

func (m memory) ReadFile(name string) ([]byte, error) {
	if s, ok := m[name]; ok {
		return []byte(s), nil
	}
	return nil, os.ErrNotExist
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: -want +got\n%s", path, d)
	}
}

// rendered checks one file and renders what is wrong with it.
func rendered(files Files, name string) string {
	_, list := File(files, name)
	var b bytes.Buffer
	diag.Render(&b, list, Sources(files, nil), false)
	return b.String()
}

// Every rule about blocks has wrong files in testdata/blocks.txtar: CODE_what.forge, followed by what is said of it.
func TestWrongBlocks(t *testing.T) {
	const path = "testdata/blocks.txtar"
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: a.Comment}
	want := map[string]string{}
	for _, f := range a.Files {
		if strings.HasSuffix(f.Name, ".want") {
			want[strings.TrimSuffix(f.Name, ".want")] = string(f.Data)
		}
	}
	for _, f := range a.Files {
		name, isRecipe := strings.CutSuffix(f.Name, ".forge")
		if !isRecipe {
			continue
		}
		got := rendered(memory{f.Name: string(f.Data)}, f.Name)
		out.Files = append(out.Files, f, txtar.File{Name: name + ".want", Data: []byte(got)})
		if *update {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(want[name], got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if code, _, _ := strings.Cut(name, "_"); !strings.Contains(got, "error["+code+"]") {
				t.Errorf("no %s in:\n%s", code, got)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What testdata/accepted.txtar holds is accepted, where it is defined and where it is built; its bodies keep what body.go promises.
func TestAcceptedBlocks(t *testing.T) {
	a, err := txtar.ParseFile("testdata/accepted.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		files := memory{f.Name: string(f.Data)}
		if got := rendered(files, f.Name); got != "" {
			t.Errorf("%s", got)
			continue
		}
		r, list := Load(files, f.Name, nil)
		if r == nil {
			t.Errorf("%s: %v", f.Name, list)
			continue
		}
		seen := map[*Body]bool{}
		for _, l := range r.Model.Layers {
			checkBody(t, l.Body(r.Model.stateAxes()), seen)
		}
		r.Model.Count()
	}
}

// Every code of section 19 that is about blocks has a wrong file.
func TestBlockCodesCovered(t *testing.T) {
	a, err := txtar.ParseFile("testdata/blocks.txtar")
	if err != nil {
		t.Fatal(err)
	}
	all := string(txtar.Format(a))
	for n := 200; n <= 226; n++ {
		if code := fmt.Sprintf("-- E%d_", n); !strings.Contains(all, code) {
			t.Errorf("no wrong file for E%d", n)
		}
	}
}
