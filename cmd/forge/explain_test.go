package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"forge/dsl/check"
	"forge/dsl/diag"
)

// TestExamplesAreWrong: each page's wrong file gives the page's error, and no other.
func TestExamplesAreWrong(t *testing.T) {
	for _, p := range pages() {
		if p.Wrong == "" {
			continue
		}
		t.Run(p.Code, func(t *testing.T) {
			for _, d := range checkExample(t, p.Wrong) {
				if d.Code != p.Code {
					t.Errorf("the example gives %s: %v", d.Code, d)
				}
			}
		})
	}
}

// checkExample checks a file of a page; a line `file NAME` begins another file that it may use. It must have a fault.
func checkExample(t *testing.T, text string) diag.List {
	t.Helper()
	files := fstest.MapFS{}
	name := "main.forge"
	for _, line := range strings.SplitAfter(text+"\n", "\n") {
		if next, ok := strings.CutPrefix(line, "file "); ok {
			name = strings.TrimSpace(next)
			continue
		}
		if files[name] == nil {
			files[name] = &fstest.MapFile{}
		}
		files[name].Data = append(files[name].Data, line...)
	}
	_, found := check.File(check.FS{FS: files}, "main.forge")
	if len(found) == 0 {
		t.Error("the example is not wrong")
	}
	return found
}

// TestEveryCodeHasAPage: a code that the sources of the language can report is explained, and none twice.
func TestEveryCodeHasAPage(t *testing.T) {
	explained := map[string]bool{}
	for _, p := range pages() {
		if explained[p.Code] {
			t.Errorf("%s has two pages", p.Code)
		}
		explained[p.Code] = true
		if p.Title == "" || p.Meaning == "" || p.Cure == "" {
			t.Errorf("the page of %s is not complete", p.Code)
		}
	}
	code := regexp.MustCompile(`"([EW][0-9]{3})"`)
	reported := 0
	for _, pattern := range []string{"../../dsl/*.go", "../../dsl/check/*.go"} {
		sources, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range code.FindAllStringSubmatch(string(text), -1) {
				reported++
				if !explained[m[1]] {
					t.Errorf("%s can report %s, and `forge explain %s` has no page", source, m[1], m[1])
				}
			}
		}
	}
	if reported == 0 {
		t.Error("no code was found in the sources")
	}
}
