// Package editors holds no code, only files for editors and the test that they know the language as it is.
package editors

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forge/dsl"
	"forge/dsl/check"
)

// wanted are the word lists of the language, by the part of a grammar that colors them.
func wanted(t *testing.T) map[string][]string {
	words := dsl.AllWords()
	file, faults := dsl.ParseHeader(dsl.PreludeName, dsl.PreludeSource)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	var kinds, operations []string
	for _, d := range file.Decls {
		if b, ok := d.(*dsl.Builtin); ok && b.IsKind {
			kinds = append(kinds, b.Name.Name)
		}
	}
	for _, p := range check.Primitives() {
		operations = append(operations, p.Name)
	}
	lists := map[string][]string{"reserved": words.Reserved, "top": words.Top, "line": words.Lines, "unit": words.Units, "section": kinds, "operation": operations}
	for _, list := range lists {
		slices.Sort(list)
	}
	return lists
}

// TestTextMateGrammar: the grammar is JSON, its patterns are regular expressions, and its words are those of the language.
func TestTextMateGrammar(t *testing.T) {
	text, err := os.ReadFile("vscode/syntaxes/forge.tmLanguage.json")
	if err != nil {
		t.Fatal(err)
	}
	var grammar struct {
		Repository map[string]struct {
			Match    string
			Patterns []struct{ Match string }
		}
	}
	if err := json.Unmarshal(text, &grammar); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	list := regexp.MustCompile(`\((?:\?:)?([a-z_|]+\|[a-z_|]+)\)`)
	for name := range grammar.Repository {
		entry := grammar.Repository[name]
		match := entry.Match
		if len(entry.Patterns) > 0 {
			match = entry.Patterns[0].Match
		}
		if name == "number" {
			name = "unit"
		}
		if found := list.FindAllStringSubmatch(match, -1); found != nil {
			got[name] = strings.Split(found[len(found)-1][1], "|")
		}
	}
	if diff := cmp.Diff(wanted(t), got); diff != "" {
		t.Error(diff)
	}
}

// TestVimSyntax: so are the words of Vim's syntax file.
func TestVimSyntax(t *testing.T) {
	text, err := os.ReadFile("vim/syntax/forge.vim")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^syntax keyword forge(Reserved|Unit)( contained)? (.*)$`).FindAllStringSubmatch(string(text), -1) {
		got[strings.ToLower(m[1])] = strings.Fields(m[3])
	}
	for _, m := range regexp.MustCompile(`(?m)^syntax match forge(Top|Section|Line|Operation) .*?\\\(([a-z_\\|]+)\\\)`).FindAllStringSubmatch(string(text), -1) {
		got[strings.ToLower(m[1])] = strings.Split(m[2], `\|`)
	}
	if diff := cmp.Diff(wanted(t), got); diff != "" {
		t.Error(diff)
	}
}

// TestManifest: what the extension names is there.
func TestManifest(t *testing.T) {
	for _, name := range []string{"package.json", "language-configuration.json"} {
		text, err := os.ReadFile("vscode/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Errorf("%s is not JSON", name)
		}
		for _, m := range regexp.MustCompile(`"\./([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat("vscode/" + m[1]); err != nil {
				t.Error(err)
			}
		}
	}
}
