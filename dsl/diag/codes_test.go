package diag

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every code that the sources report has its meaning in the table, and has the form that scripts match.
func TestCodesHaveMeanings(t *testing.T) {
	form := regexp.MustCompile(`^[EW][0-9]{3}$`)
	for code, meaning := range meanings {
		if !form.MatchString(code) || meaning == "" {
			t.Errorf("%q: %q", code, meaning)
		}
	}
	written := regexp.MustCompile(`"([EW][0-9]{3})"`)
	reported := map[string]bool{}
	for _, pattern := range []string{"../*.go", "../check/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, match := range written.FindAllStringSubmatch(string(text), -1) {
				reported[match[1]] = true
				if _, ok := Explain(match[1]); !ok {
					t.Errorf("%s reports %s, which has no meaning", file, match[1])
				}
			}
		}
	}
	if len(reported) < 50 {
		t.Errorf("only %d codes found in the sources", len(reported))
	}
}
