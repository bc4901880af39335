package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// TestListingsInDocumentsAreReal: each line of a block that is marked ```tiny STAGE is one that `forge graph tiny` prints at that
// stage, save for the numbers of nodes and buffers, which move when anything is added.
func TestListingsInDocumentsAreReal(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	numbers := regexp.MustCompile(`^ *[0-9]+|[%#][0-9]+`)
	listings := regexp.MustCompile("(?s)\n```tiny ([a-z]+)\n(.*?\n)```\n").FindAllStringSubmatch(string(text), -1)
	if len(listings) == 0 {
		t.Fatal("ARCHITECTURE.md has no listing")
	}
	for _, listing := range listings {
		code, stdout, stderr := forge(t, "graph", "tiny", "--stage", listing[1])
		if code != exitDone {
			t.Fatal(stderr)
		}
		printed := map[string]bool{}
		for _, line := range strings.Split(stdout, "\n") {
			printed[numbers.ReplaceAllString(line, "N")] = true
		}
		for _, line := range strings.Split(strings.TrimSuffix(listing[2], "\n"), "\n") {
			if !printed[numbers.ReplaceAllString(line, "N")] {
				t.Errorf("stage %s does not print\n%s", listing[1], line)
			}
		}
	}
}
