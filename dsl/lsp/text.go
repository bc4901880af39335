package lsp

import (
	"sort"
	"strings"
	"unicode/utf8"

	"forge/dsl/diag"
)

// text is the content of a file with its lines, so that offsets in bytes and positions of the protocol turn into one another.
type text struct {
	source string
	starts []int // of lines
}

func newText(source string) *text {
	t := &text{source: source, starts: []int{0}}
	for i := 0; ; {
		j := strings.IndexByte(source[i:], '\n')
		if j < 0 {
			return t
		}
		i += j + 1
		t.starts = append(t.starts, i)
	}
}

// line is a line without its end; lines beyond the text are empty.
func (t *text) line(n int) string {
	if n < 0 || n >= len(t.starts) {
		return ""
	}
	end := len(t.source)
	if n+1 < len(t.starts) {
		end = t.starts[n+1]
	}
	return strings.TrimRight(t.source[t.starts[n]:end], "\r\n")
}

// offset is the byte that a position means; positions outside the text mean its nearest byte.
func (t *text) offset(p position) int {
	if p.Line < 0 {
		return 0
	}
	if p.Line >= len(t.starts) {
		return len(t.source)
	}
	line := t.line(p.Line)
	units := 0
	for i, r := range line {
		if units >= p.Character {
			return t.starts[p.Line] + i
		}
		units++
		if r > 0xffff {
			units++
		}
	}
	return t.starts[p.Line] + len(line)
}

// position is the protocol's name of a byte.
func (t *text) position(offset int) position {
	offset = max(0, min(offset, len(t.source)))
	line := sort.SearchInts(t.starts, offset+1) - 1
	units := 0
	for _, r := range t.source[t.starts[line]:offset] {
		units++
		if r > 0xffff {
			units++
		}
	}
	return position{line, units}
}

func (t *text) rangeOf(s diag.Span) textRange {
	return textRange{t.position(s.Start.Offset), t.position(s.End.Offset)}
}

// apply makes one change of an editor.
func (t *text) apply(c contentChange) *text {
	if c.Range == nil {
		return newText(c.Text)
	}
	start, end := t.offset(c.Range.Start), t.offset(c.Range.End)
	if end < start {
		start, end = end, start
	}
	return newText(t.source[:start] + c.Text + t.source[end:])
}

// change is the smallest stretch of lines that turns one text into another, as an edit; false if they are equal.
func (t *text) change(to string) (textEdit, bool) {
	if t.source == to {
		return textEdit{}, false
	}
	a, b := t.source, to
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	start = strings.LastIndexByte(a[:start], '\n') + 1
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	// Whole lines only: the common end begins after a line's end.
	if i := strings.IndexByte(a[len(a)-end:], '\n'); i < 0 {
		end = 0
	} else if len(a)-end > start && a[len(a)-end-1] != '\n' || len(b)-end > start && b[len(b)-end-1] != '\n' {
		end -= i + 1
	}
	return textEdit{textRange{t.position(start), t.position(len(a) - end)}, b[start : len(b)-end]}, true
}

// wordAt is the name around a byte, with its place.
func (t *text) wordAt(offset int) (word string, start, end int) {
	start, end = offset, offset
	for start > 0 && isWord(t.source[start-1]) {
		start--
	}
	for end < len(t.source) && isWord(t.source[end]) {
		end++
	}
	return t.source[start:end], start, end
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}
