package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/fstest"

	"forge/dsl/check"
)

// TestRecipesInDocumentsAreRight: every ```forge block of the documents is a file without a fault, warnings included.
func TestRecipesInDocumentsAreRight(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n```forge\n(.*?)\n```\n")
	for _, document := range append(documents, "../../README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		blocks := block.FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows no recipe", document)
		}
		for i, b := range blocks {
			files := fstest.MapFS{"main.forge": &fstest.MapFile{Data: append(b[1], '\n')}}
			if _, found := check.File(check.FS{FS: files}, "main.forge"); len(found) > 0 {
				t.Errorf("%s, recipe %d: %v", document, i+1, found)
			}
		}
	}
}
