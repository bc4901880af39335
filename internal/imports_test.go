// Package internal holds no code, only the test of the house's one rule: data flows from recipe text to checked recipe to graph
// to program to run, and no package imports one that comes after it.
package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// folders is the table of ARCHITECTURE.md: what each folder may import from this module, and why nothing else. The first entry
// whose folder holds a package decides. A folder stands for all below it.
var folders = []struct {
	folder string
	may    []string
	why    string
}{
	{"cmd", []string{"cmd", "dsl", "compiler", "backends", "engine", "plugins", "recipes"}, ""},
	{"dsl/diag", nil, "a diagnostic knows places and texts, not the language"},
	{"dsl/check", []string{"dsl", "plugins/std", "recipes"},
		"a checked recipe is the end of the language; what is made of it comes later and must not be asked"},
	{"dsl/lsp", []string{"dsl", "plugins/std", "recipes"}, "an editor asks about recipes, and must answer without building a model"},
	{"dsl", []string{"dsl/diag"}, "the language stands alone, so that every tool can read a recipe without building a model"},
	{"plugins/std", nil, "the standard blocks are recipe text like anyone else's"},
	{"recipes", nil, "shipped recipes are text"},
	{"compiler/op", []string{"compiler/op"}, "an operation is defined by itself: no graph, no backend, no recipe"},
	{"compiler/equation", []string{"compiler/op"}, "equations have names, sizes and places; who writes them and what becomes of them is not their business"},
	{"compiler/rewrite", []string{"compiler/op", "compiler/equation"}, "a rule sees equations, never a graph or a backend"},
	{"compiler/graph", []string{"compiler/op", "compiler/graph"}, "the graph holds operations and knows no recipe"},
	{"compiler", []string{"compiler", "dsl"}, "the compiler gives a graph; who runs it is not its business"},
	{"backends/cpu/kernel", []string{"backends/cpu/kernel"}, "kernels are functions on slices"},
	{"backends", []string{"backends", "compiler"}, "a backend runs a graph and must not see data, files or checkpoints"},
	{"engine", []string{"engine", "backends", "compiler", "dsl"}, "the engine runs programs and is run by the command line, not the other way round"},
	{"benchmarks", nil, "forge is measured from outside, as a user runs it, beside its peers"},
	{"editors", nil, "files for editors, which know the language only by its words"},
	{"tools", []string{"tools", "backends/cpu/kernel", "compiler/op"}, "tools write source files and are no part of the program"},
	{"internal", nil, "tests only"},
}

// doors are modules that only one folder may import.
var doors = []struct {
	module string
	only   []string
	why    string
}{
	{"gorgonia.org/", []string{"compiler/graph"}, "gorgonia's graph has one door, compiler/graph, which knows its traps"},
	{"github.com/alecthomas/participle", []string{"dsl"}, "the grammar is the language's own business; others read the tree"},
	{"github.com/spf13/cobra", []string{"cmd"}, "flags belong to the command line; everything else takes options"},
	{"github.com/mmcloughlin/avo", []string{"tools"}, "the generator is no dependency of the program"},
}

// TestImports reads the imports of every file. Test files may look forward (a rewrite is tested by running it), but nothing may
// import the command line.
func TestImports(t *testing.T) {
	root := ".."
	packages := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root && (name[0] == '.' || name == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file = filepath.ToSlash(file)
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		packages++
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := forbidden(file, imported); why != "" {
				t.Errorf("%s imports %s: %s", file, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages == 0 {
		t.Fatal("no Go file was found")
	}
}

// TestForbidden shows that the rule can fail.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		file, imported string
		allowed        bool
	}{
		{"dsl/check/recipe.go", "forge/compiler", false},
		{"compiler/emit.go", "forge/backends", false},
		{"backends/cpu/cpu.go", "forge/engine/train", false},
		{"backends/cpu/cpu.go", "gorgonia.org/gorgonia", false},
		{"engine/train/train.go", "forge/cmd/forge", false},
		{"engine/train/train_test.go", "forge/cmd/forge", false},
		{"nowhere/new.go", "forge/dsl", false},
		{"compiler/emit.go", "forge/dsl/check", true},
		{"compiler/emit_test.go", "forge/backends/reference", true},
		{"compiler/graph/graph.go", "gorgonia.org/gorgonia", true},
		{"cmd/forge/train.go", "forge/engine/train", true},
		{"engine/train/train.go", "os", true},
	} {
		if got := forbidden(c.file, c.imported) == ""; got != c.allowed {
			t.Errorf("%s imports %s: allowed %v, want %v", c.file, c.imported, got, c.allowed)
		}
	}
}

// forbidden is the reason why a file may not import a package, or "" if it may.
func forbidden(file, imported string) string {
	folder := file[:max(0, strings.LastIndexByte(file, '/'))]
	isTest := strings.HasSuffix(file, "_test.go")
	for _, door := range doors {
		if strings.HasPrefix(imported, door.module) && !isTest &&
			!slices.ContainsFunc(door.only, func(d string) bool { return within(folder, d) }) {
			return door.why
		}
	}
	own, isOwn := strings.CutPrefix(imported, "forge/")
	if !isOwn {
		return ""
	}
	if within(own, "cmd") {
		return "the command line is the last in the way of the data"
	}
	for _, rule := range folders {
		if !within(folder, rule.folder) {
			continue
		}
		if isTest || slices.ContainsFunc(rule.may, func(m string) bool { return within(own, m) }) {
			return ""
		}
		return rule.why
	}
	return "the folder is not in the table of imports: say there what it may import, and in ARCHITECTURE.md what it is"
}

// within reports whether a folder is another or lies below it.
func within(folder, above string) bool {
	return folder == above || strings.HasPrefix(folder, above+"/")
}
