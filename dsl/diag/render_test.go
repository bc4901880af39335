package diag

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testSource finds the files that bar.txt points into.
func testSource(file string) (string, bool) {
	for prefix, folder := range map[string]string{"errors/": "../testdata/errors/", "std/": "../../plugins/std/", "recipes/": "../../recipes/"} {
		if rest, ok := strings.CutPrefix(file, prefix); ok {
			text, err := os.ReadFile(folder + rest)
			return string(text), err == nil
		}
	}
	return "", false
}

var (
	headForm  = regexp.MustCompile(`^error\[(E\d+)\]: (.*)$`)
	placeForm = regexp.MustCompile(`^ +(-->|:::) (.*):(\d+):(\d+)$`)
	lineForm  = regexp.MustCompile(`^ *(\d+) \| (.*)$`)
	markForm  = regexp.MustCompile(`^ +\| ( *)(\^+|-+)(?: (.*))?$`)
	helpForm  = regexp.MustCompile(`^ +=( .*)$`)
)

// readRendered gives the diagnostic that a rendered text must come from.
func readRendered(t *testing.T, text string) *Diagnostic {
	t.Helper()
	d := &Diagnostic{}
	var others []Label
	file, line := "", 0
	for _, row := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if m := headForm.FindStringSubmatch(row); m != nil {
			d.Code, d.Message = m[1], m[2]
		} else if m := placeForm.FindStringSubmatch(row); m != nil {
			file = m[2]
		} else if m := lineForm.FindStringSubmatch(row); m != nil {
			line, _ = strconv.Atoi(m[1])
		} else if m := markForm.FindStringSubmatch(row); m != nil {
			col := len(m[1]) + 1
			span := Span{File: file, Start: Pos{Line: line, Col: col}, End: Pos{Line: line, Col: col + len(m[2])}}
			label := Label{Span: span, Text: m[3], Main: m[2][0] == '^'}
			if label.Main {
				d.Labels = append(d.Labels, label)
			} else {
				others = append(others, label)
			}
		} else if m := helpForm.FindStringSubmatch(row); m != nil {
			d.Help = append(d.Help, m[1][1:])
		} else if strings.Trim(row, " .|") != "" {
			t.Fatalf("can't read %q", row)
		}
	}
	d.Labels = append(d.Labels, others...)
	return d
}

// bar.txt holds the language's promised texts: reading each back and rendering it must give it, column for column.
func TestRenderBar(t *testing.T) {
	text, err := os.ReadFile("testdata/bar.txt")
	if err != nil {
		t.Fatal(err)
	}
	chunks := strings.Split(strings.TrimRight(string(text), "\n"), "\n\n")
	if len(chunks) != 27 {
		t.Errorf("%d texts, want 27", len(chunks))
	}
	for _, chunk := range chunks {
		want := chunk + "\n"
		d := readRendered(t, want)
		var out strings.Builder
		Render(&out, List{d}, testSource, false)
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", d.Code, d.Message, diff)
		}
	}
}

func spanAt(file string, line, col, length int) Span {
	return Span{File: file, Start: Pos{Line: line, Col: col}, End: Pos{Line: line, Col: col + length}}
}

// Errors come sorted by place whatever their order in the list, and beyond the twentieth as a count.
func TestRenderSortsAndCounts(t *testing.T) {
	var list List
	for i := 23; i > 0; i-- {
		list = append(list, New("E100", spanAt("f", i, 1, 1), "", "number %d", i))
	}
	list = append(list, &Diagnostic{Code: "W001", Severity: Warning, Message: "late", Labels: []Label{{Span: spanAt("f", 99, 1, 1), Main: true}}})
	var out strings.Builder
	Render(&out, list, func(string) (string, bool) { return strings.Repeat("x\n", 100), true }, false)
	if list[0].Message != "number 23" {
		t.Error("the caller's list was sorted")
	}
	text := out.String()
	if !strings.HasPrefix(text, "error[E100]: number 1\n") || !strings.HasSuffix(text, "\n\n… and 3 more errors and 1 more warning\n") {
		t.Errorf("got:\n%s", text)
	}
	if n := strings.Count(text, "error[E100]"); n != 20 {
		t.Errorf("%d errors shown, want 20", n)
	}
}

// What the texts of bar.txt don't show: no source, no place, tabs, the end of a file, spans over lines, long lines, color.
func TestRenderCases(t *testing.T) {
	source := func(file string) (string, bool) {
		switch file {
		case "tabs":
			return "\ta\tb\n", true
		case "esc":
			return "a\x1b[31m b\r\nc\r\n", true
		case "long":
			return strings.Repeat("a", 300) + "XY" + strings.Repeat("b", 300), true
		case "wide":
			return "\ufeffgröße = x", true
		}
		return "", false
	}
	over := spanAt("esc", 1, 7, 1)
	over.End = Pos{Line: 2, Col: 2}
	for _, test := range []struct {
		name string
		d    *Diagnostic
		want string
	}{
		{"no source", New("E400", spanAt("gone", 3, 2, 1), "not here", "m").Helpf("help"),
			"error[E400]: m\n --> gone:3:2\n  = not here\n  = help\n"},
		{"no place", New("E503", Span{}, "", "m").Helpf("help"), "error[E503]: m\n  = help\n"},
		{"tabs", New("E100", spanAt("tabs", 1, 4, 1), "here", "m"),
			"error[E100]: m\n --> tabs:1:4\n  |\n1 | \ta\tb\n  | \t \t^ here\n"},
		{"end of file", New("E005", spanAt("tabs", 2, 1, 0), "", "m"), "error[E005]: m\n --> tabs:2:1\n  |\n2 |\n  | ^\n"},
		{"over lines", New("E100", over, "", "m"), "error[E100]: m\n --> esc:1:7\n  |\n1 | a\ufffd[31m b\n  |       ^^\n"},
		{"runes", New("E100", spanAt("wide", 1, 9, 1), "", "m"), "error[E100]: m\n --> wide:1:9\n  |\n1 | größe = x\n  |         ^\n"},
		{"long", New("E100", spanAt("long", 1, 301, 2), "", "m"),
			"error[E100]: m\n --> long:1:301\n  |\n1 | …" + strings.Repeat("a", 59) + "XY" + strings.Repeat("b", 177) + "…\n  | " +
				strings.Repeat(" ", 60) + "^^\n"},
	} {
		var out strings.Builder
		Render(&out, List{test.d}, source, false)
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	var plain, colored strings.Builder
	d := New("E100", spanAt("tabs", 1, 2, 1), "a", "m").Note(spanAt("tabs", 1, 4, 1), "b").Helpf("h")
	Render(&plain, List{d}, source, false)
	Render(&colored, List{d}, source, true)
	stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colored.String(), "")
	if stripped != plain.String() || stripped == colored.String() {
		t.Errorf("color changes the text:\n%q\n%q", plain.String(), colored.String())
	}
}

func TestJSON(t *testing.T) {
	d := New("E101", spanAt("f", 2, 3, 4), "did you mean `seq`?", "m").FixWith(spanAt("f", 2, 3, 4), "seq")
	want := []Record{{
		Code: "E101", Severity: "error", Message: "m", Help: []string{},
		Spans: []LabelRecord{{SpanRecord{"f", 2, 3, 2, 7}, "did you mean `seq`?", true}},
		Fixes: []FixRecord{{SpanRecord{"f", 2, 3, 2, 7}, "seq"}},
	}}
	if diff := cmp.Diff(want, JSON(List{d})); diff != "" {
		t.Error(diff)
	}
	if got := JSON(nil); got == nil {
		t.Error("no errors must be [] and not null")
	}
}

func ExampleSuggest() {
	fmt.Println(Suggest("q_rnak", []string{"heads", "q_rank", "kv_rank"}))
	fmt.Println(Suggest("spares", []string{"dense", "sparse"}))
	fmt.Println(Suggest("GQA", []string{"mla", "gqa"}))
	fmt.Printf("%q\n", Suggest("lr", []string{"la"}))
	// Output:
	// q_rank
	// sparse
	// gqa
	// ""
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b  string
		limit int
		want  int
	}{
		{"", "", 5, 0}, {"abc", "abc", 5, 0}, {"abc", "acb", 5, 1}, {"abc", "ab", 5, 1}, {"kitten", "sitting", 9, 3},
		{"ca", "abc", 9, 3}, {"abcdef", "fedcba", 3, 3}, {"a", "abcdefgh", 4, 4}, {"abcd", "badc", 9, 2},
	} {
		if got := distance(test.a, test.b, test.limit); got != test.want {
			t.Errorf("distance(%q, %q, %d) = %d, want %d", test.a, test.b, test.limit, got, test.want)
		}
		if got := distance(test.b, test.a, test.limit); got != test.want {
			t.Errorf("distance(%q, %q, %d) = %d, want %d", test.b, test.a, test.limit, got, test.want)
		}
	}
}
