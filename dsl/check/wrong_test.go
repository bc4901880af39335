package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"forge/dsl/diag"
)

// wrongFile is one entry of the table of wrong files: what is read, and word for word what is said of it.
type wrongFile struct {
	name  string
	files Files
	main  string
	sets  []string
	want  string
}

// got is what forge says of the file; with sets, of its recipe.
func (w *wrongFile) got() string {
	if w.sets != nil {
		return faults(w.files, w.main, w.sets...)
	}
	return rendered(w.files, w.main)
}

// installed knows of one plugin, which has not the version that anyone asks for.
type installed struct{ memory }

func (installed) Plugin(name, version string) ([]PluginFile, error) {
	if name == "acme/gone" {
		return nil, errors.New("there is 1.2.0, and " + version + " is asked for")
	}
	return nil, nil
}

// wrongArchive reads an archive of wrong files: CODE_what.forge, CODE_what/OTHER, CODE_what.set, CODE_what.want.
func wrongArchive(t *testing.T, path, want string) []*wrongFile {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []*wrongFile
	for _, f := range a.Files {
		text := string(f.Data)
		if name, ok := strings.CutSuffix(f.Name, ".forge"); ok && !strings.Contains(name, "/") {
			list = append(list, &wrongFile{name: name, files: installed{memory{f.Name: text}}, main: f.Name})
			continue
		}
		last := list[len(list)-1]
		switch rest := strings.TrimPrefix(f.Name, last.name); {
		case rest == ".set":
			last.sets = strings.Split(strings.TrimSpace(text), "\n")
		case rest == want:
			last.want = text
		case strings.HasPrefix(rest, "/"):
			last.files.(installed).memory[rest[1:]] = text
		default:
			t.Fatalf("%s: %s belongs to nothing", path, f.Name)
		}
	}
	return list
}

// wrongTable is every wrong file of the language: of its text (dsl/testdata/syntax), of its blocks, of whole recipes, and those that
// the specification gives (testdata/errors).
func wrongTable(t *testing.T) []*wrongFile {
	syntax, err := filepath.Glob("../testdata/syntax/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var table []*wrongFile
	for _, path := range syntax {
		table = append(table, wrongArchive(t, path, ".txt")...)
	}
	table = append(table, wrongArchive(t, "testdata/blocks.txtar", ".want")...)
	table = append(table, wrongArchive(t, "testdata/recipes.txtar", ".want")...)
	promised, err := os.ReadFile("testdata/errors/all.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split("\n"+string(promised), "\n# ")[1:] {
		name, want, _ := strings.Cut(text, "\n\n")
		table = append(table, &wrongFile{name: name, files: tree{}, main: "errors/" + name, want: strings.TrimSuffix(want, "\n") + "\n"})
	}
	return table
}

// Wrong recipes are told as testdata/recipes.txtar says; with -update it is written anew.
func TestWrongRecipes(t *testing.T) {
	const path = "testdata/recipes.txtar"
	if *update {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return strings.HasSuffix(f.Name, ".want") })
		for _, w := range wrongArchive(t, path, ".want") {
			last := 0
			for i, f := range a.Files {
				if strings.HasPrefix(f.Name, w.name+".") || strings.HasPrefix(f.Name, w.name+"/") {
					last = i
				}
			}
			a.Files = slices.Insert(a.Files, last+1, txtar.File{Name: w.name + ".want", Data: []byte(w.got())})
		}
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range wrongArchive(t, path, ".want") {
		t.Run(w.name, func(t *testing.T) {
			got := w.got()
			if d := cmp.Diff(w.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if code, _, _ := strings.Cut(w.name, "_"); !strings.Contains(got, "["+code+"]") {
				t.Errorf("no %s in:\n%s", code, got)
			}
		})
	}
}

// elsewhere are the codes that no recipe text gives, each with where it comes from or why it can't occur yet.
var elsewhere = map[string]string{
	"E405": "this build installs no plugins and writes no forge.lock",
	"E406": "this build installs no plugins and writes no forge.lock",
	"E407": "this build runs no plugins",
	"E408": "this build runs no plugins",
	"E409": "this build installs no plugins and writes no forge.lock",
	"E600": "a checkpoint's files: engine/weights",
	"E605": "a checkpoint's files: engine/weights",
	"E606": "a checkpoint's files: engine/weights",
	"E607": "a checkpoint's files: engine/weights",
	"E608": "a checkpoint's files: engine/weights",
	"E609": "a checkpoint's files: engine/weights",
	"E610": "a checkpoint's config.json: engine/huggingface",
	"W003": "a checkpoint without a state is E605 in this build",
	"W004": "there is one version of the language so far",
	"W006": "this build installs no plugins and writes no forge.lock",
}

// Every code has a wrong file that gives it, or a reason above; every file of the table gives what is written of it.
func TestEveryCodeHasAWrongFile(t *testing.T) {
	table := wrongTable(t)
	if len(table) < 80 {
		t.Errorf("%d wrong files, want at least 80", len(table))
	}
	t.Logf("%d wrong files", len(table))
	code := regexp.MustCompile(`(?m)^(?:error|warning)\[([EW]\d{3})\]`)
	given := map[string]bool{}
	for _, w := range table {
		if w.want == "" {
			t.Errorf("%s has no message", w.name)
		}
		for _, m := range code.FindAllStringSubmatch(w.want, -1) {
			given[m[1]] = true
		}
	}
	for _, series := range []string{"E0", "E1", "E2", "E3", "E4", "E5", "E6", "W0"} {
		for i := range 100 {
			c := fmt.Sprintf("%s%02d", series, i)
			_, known := diag.Explain(c)
			_, reason := elsewhere[c]
			switch {
			case known && !given[c] && !reason:
				t.Errorf("no wrong file gives %s", c)
			case given[c] && (reason || !known):
				t.Errorf("%s is given by a wrong file, and is it known? %v; elsewhere? %v", c, known, reason)
			}
		}
	}
}
