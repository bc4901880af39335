package diag

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// maxShown is how many diagnostics one run prints; the rest is a count.
const maxShown = 20

// Render prints diagnostics for people, sorted by place, with the source lines they point into and a blank line between two.
// Beyond the twentieth they are only counted. source gives the text of a file by the name that spans carry; a diagnostic whose
// source is not to be had is printed without lines. With color, ANSI sequences are used. list is left as it is.
func Render(w io.Writer, list List, source func(file string) (string, bool), color bool) {
	sorted := append(List(nil), list...)
	sorted.Sort()
	r := renderer{source: source, lines: map[string][]string{}}
	if color {
		r.styles = ansi
	}
	for i, d := range sorted {
		if i == maxShown {
			fmt.Fprintf(&r.out, "\n… and %s\n", counted(sorted[maxShown:]))
			break
		}
		if i > 0 {
			r.out.WriteByte('\n')
		}
		r.diagnostic(d)
	}
	// A writer that fails (a closed pipe) has nobody to tell.
	_, _ = io.WriteString(w, r.out.String())
}

// counted says how many errors and warnings a list has: "3 more errors and 1 more warning".
func counted(list List) string {
	errors, warnings := 0, 0
	for _, d := range list {
		if d.Severity == Error {
			errors++
		} else {
			warnings++
		}
	}
	var parts []string
	for _, one := range []struct {
		n    int
		noun string
	}{{errors, "error"}, {warnings, "warning"}} {
		switch {
		case one.n == 1:
			parts = append(parts, "1 more "+one.noun)
		case one.n > 1:
			parts = append(parts, fmt.Sprintf("%d more %ss", one.n, one.noun))
		}
	}
	return strings.Join(parts, " and ")
}

// styles are the escape sequences before each kind of text; empty without color.
type styles struct{ err, warning, strong, gutter, reset string }

var ansi = styles{err: "\x1b[1;31m", warning: "\x1b[1;33m", strong: "\x1b[1m", gutter: "\x1b[1;34m", reset: "\x1b[0m"}

type renderer struct {
	out    strings.Builder
	source func(string) (string, bool)
	lines  map[string][]string // by file; nil where there is no source
	styles styles
	width  int    // of the line numbers
	main   string // the style of the main place
}

func (r *renderer) styled(style, text string) string {
	if style == "" || text == "" {
		return text
	}
	return style + text + r.styles.reset
}

// diagnostic prints one: headline, places, help.
func (r *renderer) diagnostic(d *Diagnostic) {
	severity := "error"
	r.main = r.styles.err
	if d.Severity == Warning {
		severity, r.main = "warning", r.styles.warning
	}
	if d.Code != "" {
		severity += "[" + d.Code + "]"
	}
	fmt.Fprintf(&r.out, "%s%s\n", r.styled(r.main, severity), r.styled(r.styles.strong, ": "+printable(d.Message)))

	files := byFile(d.Labels)
	r.width = 1
	for _, labels := range files {
		for _, l := range labels {
			r.width = max(r.width, len(strconv.Itoa(l.Span.Start.Line)))
		}
	}
	for i, labels := range files {
		place, arrow := labels[0].Span, ":::"
		if i == 0 {
			place, arrow = d.Main(), "-->"
		}
		fmt.Fprintf(&r.out, "%s %s\n", r.styled(r.styles.gutter, strings.Repeat(" ", r.width)+arrow), place)
		r.excerpt(labels)
	}
	for _, help := range d.Help {
		r.note(help)
	}
}

// byFile sorts labels: the main place's file first, the other files as they come, in each by line and from right to left.
// Labels that point nowhere are left out.
func byFile(labels []Label) [][]Label {
	var files [][]Label
	index := map[string]int{}
	add := func(l Label) {
		i, ok := index[l.Span.File]
		if !ok {
			i = len(files)
			index[l.Span.File] = i
			files = append(files, nil)
		}
		files[i] = append(files[i], l)
	}
	for _, l := range labels {
		if l.Main && !l.Span.IsZero() {
			add(l)
		}
	}
	for _, l := range labels {
		if !l.Main && !l.Span.IsZero() {
			add(l)
		}
	}
	for _, one := range files {
		sort.SliceStable(one, func(i, j int) bool {
			a, b := one[i].Span.Start, one[j].Span.Start
			if a.Line != b.Line {
				return a.Line < b.Line
			}
			return a.Col > b.Col
		})
	}
	return files
}

// excerpt prints the lines of one file with their labels below them.
func (r *renderer) excerpt(labels []Label) {
	text := r.text(labels[0].Span.File)
	if text == nil {
		for _, l := range labels {
			if l.Text != "" {
				r.note(l.Text)
			}
		}
		return
	}
	r.gutter("|", "")
	for i := 0; i < len(labels); {
		number := labels[i].Span.Start.Line
		same := i
		for same < len(labels) && labels[same].Span.Start.Line == number {
			same++
		}
		if i > 0 && number > labels[i-1].Span.Start.Line+1 {
			r.gutter("...", "")
		}
		r.line(text, number, labels[i:same])
		i = same
	}
}

// line prints one source line and, below it, each of its labels.
func (r *renderer) line(text []string, number int, labels []Label) {
	var runes []rune
	if number >= 1 && number <= len(text) {
		runes = []rune(text[number-1])
	}
	shown, skipped := window(runes, labels)
	fmt.Fprintln(&r.out, strings.TrimRight(r.styled(r.styles.gutter, fmt.Sprintf("%*d |", r.width, number))+" "+printable(string(shown)), " "))
	for _, l := range labels {
		start, end := l.Span.Start.Col-1-skipped, l.Span.End.Col-1-skipped
		if l.Span.End.Line > l.Span.Start.Line {
			end = len(shown) // goes on below: mark it to the end of this line
		}
		end = min(end, max(len(shown), start+1)) // or beyond what is shown of the line
		mark, style := "-", r.styles.gutter
		if l.Main {
			mark, style = "^", r.main
		}
		below := strings.Repeat(mark, max(1, end-start))
		if l.Text != "" {
			below += " " + printable(l.Text)
		}
		r.gutter("|", indentLike(shown, start)+r.styled(style, below))
	}
}

// Longer lines than maxColumns are cut to what lies around their labels.
const (
	maxColumns = 240
	around     = 60
)

// window cuts a long line down to the columns around its labels and says how many columns that skips on the left.
func window(runes []rune, labels []Label) (shown []rune, skipped int) {
	if len(runes) <= maxColumns {
		return runes, 0
	}
	first, last := len(runes), 0
	for _, l := range labels {
		first = min(first, l.Span.Start.Col-1)
		if l.Span.End.Line == l.Span.Start.Line {
			last = max(last, l.Span.End.Col-1)
		}
	}
	from := max(0, first-around)
	to := min(len(runes), max(last+around, from+maxColumns), from+2*maxColumns)
	if from >= to {
		return nil, 0
	}
	shown = append([]rune(nil), runes[from:to]...)
	if from > 0 {
		shown[0] = '…'
	}
	if to < len(runes) {
		shown[len(shown)-1] = '…'
	}
	return shown, from
}

// indentLike is as wide as the first n columns of a line: blanks, and its tabs.
func indentLike(line []rune, n int) string {
	indent := make([]rune, max(0, n))
	for i := range indent {
		indent[i] = ' '
		if i < len(line) && line[i] == '\t' {
			indent[i] = '\t'
		}
	}
	return string(indent)
}

// gutter prints a line without a number.
func (r *renderer) gutter(mark, text string) {
	if text != "" {
		text = " " + text
	}
	fmt.Fprintf(&r.out, "%s%s\n", r.styled(r.styles.gutter, strings.Repeat(" ", r.width+1)+mark), text)
}

// note prints a `=` line.
func (r *renderer) note(text string) { r.gutter("=", printable(text)) }

// text is a file's source, cut into lines; nil if it is not to be had.
func (r *renderer) text(file string) []string {
	lines, seen := r.lines[file]
	if seen {
		return lines
	}
	if text, ok := r.source(file); ok {
		text = strings.TrimPrefix(text, "\ufeff")
		lines = strings.Split(text, "\n")
		for i := range lines {
			lines[i] = strings.TrimSuffix(lines[i], "\r")
		}
	}
	r.lines[file] = lines
	return lines
}

// maxText bounds a message, label or help line, in bytes: they may quote what stands in a file.
const maxText = 2000

// printable replaces what could steer a terminal, control characters other than the tab, and cuts what is endless.
func printable(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return strings.Map(func(c rune) rune {
		if c != '\t' && (c < ' ' || c >= 0x7f && c < 0xa0) {
			return '\ufffd'
		}
		return c
	}, text)
}
