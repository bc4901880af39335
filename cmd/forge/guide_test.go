package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"forge/dsl/check"
	"forge/dsl/diag"
	"forge/recipes"
)

// TestGuide checks the snippets of docs/guide.md that are no whole, right files (those are checked with every document's): lines
// marked `forge tiny` stand in the tiny recipe in this order, and a file marked `forge wrong` gives the report that follows it.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	tiny, err := recipes.FS.ReadFile("tiny.forge")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)\n```([a-z ]+)\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	counts := map[string]int{}
	for i, s := range snippets {
		kind, body := s[1], s[2]
		counts[kind]++
		switch kind {
		case "forge":
		case "forge tiny":
			if !strings.Contains(string(tiny), body) {
				t.Errorf("not in tiny.forge:\n%s", body)
			}
		case "forge wrong":
			if i+1 == len(snippets) || snippets[i+1][1] != "report" {
				t.Fatalf("no report follows\n%s", body)
			}
			files := check.FS{FS: fstest.MapFS{"main.forge": &fstest.MapFile{Data: []byte(body)}}}
			_, found := check.File(files, "main.forge")
			var got strings.Builder
			diag.Render(&got, found, check.Sources(files, nil), false)
			if want := snippets[i+1][2]; strings.TrimSpace(got.String()) != strings.TrimSpace(want) {
				t.Errorf("the report of\n%s\nis\n%s\nnot\n%s", body, got.String(), want)
			}
		case "report":
			if snippets[i-1][1] != "forge wrong" {
				t.Errorf("a report of nothing:\n%s", body)
			}
		default:
			t.Errorf("a snippet of no known kind, %q", kind)
		}
	}
	for _, kind := range []string{"forge", "forge tiny", "forge wrong"} {
		if counts[kind] < 3 {
			t.Errorf("%d snippets of kind %q", counts[kind], kind)
		}
	}
}
