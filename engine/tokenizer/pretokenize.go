package tokenizer

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// preTokenizer cuts text into pieces that no token crosses. Each piece goes to emit as soon as it is found; first says of a text
// and of a piece that it is where the whole text begins.
type preTokenizer interface {
	split(text []byte, first bool, emit func(piece []byte, first bool))
}

const knownPreTokenizers = "Split, ByteLevel, Digits, Punctuation, Metaspace, WhitespaceSplit, Sequence"

// newPreTokenizers gives the steps of a pre-tokenizer, sequences taken apart.
func newPreTokenizers(c component) ([]preTokenizer, error) {
	if c.absent() {
		return nil, nil
	}
	kind, err := c.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var f struct {
			Type          string
			Pretokenizers []json.RawMessage
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		var all []preTokenizer
		for i, raw := range f.Pretokenizers {
			some, err := newPreTokenizers(c.item("pretokenizers", i, raw))
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	case "Split":
		var f struct {
			Type     string
			Pattern  searched
			Behavior string
			Invert   bool
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		m, err := f.Pattern.matcher(c)
		if err != nil {
			return nil, err
		}
		return newSplit(c, m, f.Behavior, f.Invert)
	case "ByteLevel":
		f := byteLevelFields{AddPrefixSpace: true, UseRegex: true}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		var all []preTokenizer
		if f.AddPrefixSpace {
			all = append(all, prefixSpace{})
		}
		if f.UseRegex {
			m, err := newMatcher(gpt2Pattern)
			if err != nil {
				return nil, err
			}
			all = append(all, splitter{matcher: m, behavior: "Isolated"})
		}
		return append(all, byteLevel{}), nil
	case "Digits":
		var f struct {
			Type             string
			IndividualDigits bool `json:"individual_digits"`
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		if f.IndividualDigits {
			return newSplit(c, classMatcher{newClass(numberSet())}, "Isolated", false)
		}
		return newSplit(c, classMatcher{newClass(numberSet())}, "Contiguous", false)
	case "Punctuation":
		f := struct{ Type, Behavior string }{Behavior: "Isolated"}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		return newSplit(c, classMatcher{newClass(punctuationSet())}, f.Behavior, false)
	case "WhitespaceSplit":
		if err := c.fields(&struct{ Type string }{}); err != nil {
			return nil, err
		}
		return newSplit(c, classMatcher{newClass(spaceSet())}, "Removed", false)
	case "Metaspace":
		f, err := newMetaspace(c)
		if err != nil {
			return nil, err
		}
		all := []preTokenizer{f}
		if f.splits {
			isMark := classMatcher{newClass(single(f.mark))}
			all = append(all, splitter{matcher: isMark, behavior: "MergedWithNext"})
		}
		return all, nil
	}
	return nil, c.unknown(kind, knownPreTokenizers)
}

// byteLevelFields are the same in a pre-tokenizer, a post-processor and a decoder. TrimOffsets is about offsets, which forge does
// not give.
type byteLevelFields struct {
	Type           string
	AddPrefixSpace bool `json:"add_prefix_space"`
	TrimOffsets    bool `json:"trim_offsets"`
	UseRegex       bool `json:"use_regex"`
}

// classMatcher matches each character of a class by itself.
type classMatcher struct{ class *class }

func (m classMatcher) each(text []byte, yield func(start, end int)) {
	for pos := 0; pos < len(text); {
		if size := m.class.next(text, pos); size > 0 {
			yield(pos, pos+size)
			pos += size
			continue
		}
		_, size := utf8.DecodeRune(text[pos:])
		pos += size
	}
}

// splitter cuts at what a pattern matches; behavior says where the matches go.
type splitter struct {
	matcher  matcher
	behavior string
	invert   bool
}

func newSplit(c component, m matcher, behavior string, invert bool) ([]preTokenizer, error) {
	switch behavior {
	case "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
		return []preTokenizer{splitter{m, behavior, invert}}, nil
	}
	return nil, c.errorf("the behavior %q is not one that forge knows (Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous)", behavior)
}

// part is a match or what lies between two.
type part struct {
	start, end int
	match      bool
}

func (s splitter) split(text []byte, first bool, emit func([]byte, bool)) {
	put := func(start, end int) {
		if start < end {
			emit(text[start:end:end], first && start == 0)
		}
	}
	last := 0
	if s.behavior == "Isolated" || s.behavior == "Removed" {
		keepMatch, keepRest := s.behavior == "Isolated" || s.invert, s.behavior == "Isolated" || !s.invert
		s.matcher.each(text, func(start, end int) {
			if keepRest {
				put(last, start)
			}
			if keepMatch {
				put(start, end)
			}
			last = end
		})
		if keepRest {
			put(last, len(text))
		}
		return
	}
	var parts []part
	add := func(start, end int, match bool) {
		if start < end {
			parts = append(parts, part{start, end, match != s.invert})
		}
	}
	s.matcher.each(text, func(start, end int) {
		add(last, start, false)
		add(start, end, true)
		last = end
	})
	add(last, len(text), false)
	for i := 0; i < len(parts); {
		n := i + 1
		switch s.behavior {
		case "Contiguous":
			for n < len(parts) && parts[n].match == parts[i].match {
				n++
			}
		case "MergedWithPrevious": // the first match after something else joins it
			if !parts[i].match && n < len(parts) && parts[n].match {
				n++
			}
		case "MergedWithNext": // the last match before something else joins it
			if parts[i].match && n < len(parts) && !parts[n].match {
				n++
			}
		}
		put(parts[i].start, parts[n-1].end)
		i = n
	}
}

// prefixSpace puts a space before text that does not begin with one.
type prefixSpace struct{}

func (prefixSpace) split(text []byte, first bool, emit func([]byte, bool)) {
	if text[0] != ' ' {
		text = append([]byte{' '}, text...)
	}
	emit(text, first)
}

// byteLevel writes bytes as the characters that stand for them.
type byteLevel struct{}

func (byteLevel) split(text []byte, first bool, emit func([]byte, bool)) {
	emit(appendVisible(nil, text), first)
}

// metaspace writes spaces as a visible mark, and puts one before the text.
type metaspace struct {
	mark    rune
	prepend string // always, first, never
	splits  bool
}

func newMetaspace(c component) (metaspace, error) {
	f := struct {
		Type           string
		Replacement    string
		PrependScheme  string `json:"prepend_scheme"`
		AddPrefixSpace *bool  `json:"add_prefix_space"`
		Split          *bool
	}{Replacement: "▁"}
	if err := c.fields(&f); err != nil {
		return metaspace{}, err
	}
	m := metaspace{prepend: f.PrependScheme, splits: f.Split == nil || *f.Split}
	if m.prepend == "" {
		m.prepend = "always"
		if f.AddPrefixSpace != nil && !*f.AddPrefixSpace {
			m.prepend = "never"
		}
	}
	size := 0
	m.mark, size = utf8.DecodeRuneInString(f.Replacement)
	if size == 0 || size != len(f.Replacement) {
		return m, c.errorf("replacement %q is not one character", f.Replacement)
	}
	if !strings.Contains("always first never", m.prepend) {
		return m, c.errorf("the prepend_scheme %q is not one that forge knows (always, first, never)", m.prepend)
	}
	return m, nil
}

func (m metaspace) split(text []byte, first bool, emit func([]byte, bool)) {
	mark := utf8.AppendRune(nil, m.mark)
	text = bytes.ReplaceAll(text, []byte{' '}, mark)
	if (m.prepend == "always" || m.prepend == "first" && first) && !bytes.HasPrefix(text, mark) {
		text = append(mark, text...)
	}
	emit(text, first)
}
