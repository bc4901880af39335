// Package diag holds places in recipe files, diagnostics about them, and the one renderer that prints a diagnostic with its
// source lines and carets. Every package that can find fault with a recipe fills in Diagnostics; only this package turns them
// into text or JSON. It reads no files itself: the sources a diagnostic points into are handed to the renderer.
package diag

import (
	"fmt"
	"sort"
)

// Pos is a place in a file. Line and Col count from 1; Col counts runes; Offset counts bytes from 0.
type Pos struct {
	Offset int
	Line   int
	Col    int
}

// Span is a stretch of a file, End exclusive. File is the name shown to the user (as given on the command line, `std/moe.forge`
// for the standard blocks, `--set` for a command-line cell). The zero Span is "nowhere".
type Span struct {
	File  string
	Start Pos
	End   Pos
}

// IsZero reports whether the span points nowhere.
func (s Span) IsZero() bool { return s.File == "" && s.Start.Line == 0 }

// String gives file:line:column of the start.
func (s Span) String() string {
	if s.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%s:%d:%d", s.File, s.Start.Line, s.Start.Col)
}

// To is the span from the start of s to the end of t, which lies in the same file.
func (s Span) To(t Span) Span {
	s.End = t.End
	return s
}

// Severity says whether a diagnostic stops the recipe from being used.
type Severity int

// Error stops; Warning does not.
const (
	Error Severity = iota
	Warning
)

// Label is one place of a diagnostic with what is to be said there (may be empty). The main place is underlined with `^`,
// the others with `-`.
type Label struct {
	Span Span
	Text string
	Main bool
}

// Fix is a replacement that would cure the diagnostic ("did you mean").
type Fix struct {
	Span Span
	Text string
}

// Diagnostic is one fault: a code that never changes its meaning (E204), one headline in the recipe's words, the places
// involved (exactly one of them Main), at most three lines of help, and fixes.
type Diagnostic struct {
	Code     string
	Severity Severity
	Message  string
	Labels   []Label
	Help     []string
	Fixes    []Fix
}

// Main is the span that the diagnostic is about.
func (d *Diagnostic) Main() Span {
	for _, l := range d.Labels {
		if l.Main {
			return l.Span
		}
	}
	return Span{}
}

// Error makes a diagnostic usable as an error: "file:line:col: message".
func (d *Diagnostic) Error() string { return d.Main().String() + ": " + d.Message }

// New starts an error diagnostic at a main place. label is what is printed under the caret.
func New(code string, at Span, label, format string, args ...any) *Diagnostic {
	return &Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), Labels: []Label{{at, label, true}}}
}

// Note adds another place with its label and returns d.
func (d *Diagnostic) Note(at Span, format string, args ...any) *Diagnostic {
	d.Labels = append(d.Labels, Label{Span: at, Text: fmt.Sprintf(format, args...)})
	return d
}

// Helpf adds a `=` line and returns d.
func (d *Diagnostic) Helpf(format string, args ...any) *Diagnostic {
	d.Help = append(d.Help, fmt.Sprintf(format, args...))
	return d
}

// FixWith adds a replacement and returns d.
func (d *Diagnostic) FixWith(at Span, text string) *Diagnostic {
	d.Fixes = append(d.Fixes, Fix{at, text})
	return d
}

// List is a set of diagnostics of one run.
type List []*Diagnostic

// Sort orders by file, line, column and code.
func (l List) Sort() {
	sort.SliceStable(l, func(i, j int) bool {
		a, b := l[i].Main(), l[j].Main()
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Start.Line != b.Start.Line {
			return a.Start.Line < b.Start.Line
		}
		if a.Start.Col != b.Start.Col {
			return a.Start.Col < b.Start.Col
		}
		return l[i].Code < l[j].Code
	})
}

// HasErrors reports whether any diagnostic is an error (not just a warning).
func (l List) HasErrors() bool {
	for _, d := range l {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Err is l as an error, or nil if it has no errors.
func (l List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	return l
}

// Error is the first error's text and how many more there are.
func (l List) Error() string {
	n, first := 0, ""
	for _, d := range l {
		if d.Severity == Error {
			if n++; n == 1 {
				first = d.Error()
			}
		}
	}
	if n > 1 {
		return fmt.Sprintf("%s (and %d more)", first, n-1)
	}
	return first
}
