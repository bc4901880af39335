package dsl

import (
	"flag"
	"os"
	"path/filepath"
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
	for _, pattern := range []string{"*.forge", "../plugins/std/*.forge", "../recipes/*.forge"} {
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
		file, list := Parse(filepath.Base(path), source)
		for _, d := range list {
			t.Errorf("%s: %s", path, d)
		}
		if len(file.Decls) < 2 {
			t.Errorf("%s: only %d declarations", path, len(file.Decls))
		}
	}
}
