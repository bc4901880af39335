package check

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forge/recipes"
)

// tree is the layout that the wrong files are written for: errors/ beside recipes/.
type tree struct{}

func (tree) ReadFile(name string) ([]byte, error) {
	switch path.Dir(name) {
	case "errors":
		return os.ReadFile("testdata/" + name)
	case "recipes":
		return recipes.FS.ReadFile(path.Base(name))
	}
	return nil, fs.ErrNotExist
}

// Every wrong file gives a placed message, and always the same one.
func TestWrongFiles(t *testing.T) {
	files, err := fs.Glob(os.DirFS("testdata/errors"), "*.forge")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 29 {
		t.Fatalf("%d wrong files, want 29", len(files))
	}
	var all strings.Builder
	for _, f := range files {
		got := rendered(tree{}, "errors/"+f)
		if !strings.Contains(got, "error[E") || !strings.Contains(got, ":::") && !strings.Contains(got, "-->") {
			t.Errorf("%s gives no placed error:\n%s", f, got)
		}
		all.WriteString("# " + f + "\n\n" + got + "\n")
	}
	const golden = "testdata/errors/all.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), all.String()); d != "" {
		t.Error(d)
	}
	bar, err := os.ReadFile("testdata/errors/bar.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split(string(bar), "\nerror") {
		text = "error" + strings.TrimPrefix(strings.TrimRight(text, "\n"), "error") + "\n"
		if !strings.Contains(all.String(), text) {
			t.Errorf("the language promises, word for word:\n%s", text)
		}
	}
}
