package tokenizer

import (
	"bytes"
	"encoding/json"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer changes text before it is split.
type normalizer func(text []byte) []byte

const knownNormalizers = "NFC, NFD, NFKC, NFKD, Lowercase, Replace, Prepend, Strip, Sequence"

// newNormalizer is nil if there is nothing to change.
func newNormalizer(c component) (normalizer, error) {
	if c.absent() {
		return nil, nil
	}
	kind, err := c.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "NFC", "NFD", "NFKC", "NFKD", "Lowercase":
		if err := c.fields(&struct{ Type string }{}); err != nil {
			return nil, err
		}
		forms := map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}
		if form, isForm := forms[kind]; isForm {
			return func(text []byte) []byte { return normalForm(form, text) }, nil
		}
		return lowercase, nil
	case "Replace":
		var f struct {
			Type    string
			Pattern searched
			Content string
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		m, err := f.Pattern.matcher(c)
		if err != nil {
			return nil, err
		}
		return func(text []byte) []byte { return replace(m, text, f.Content) }, nil
	case "Prepend":
		var f struct{ Type, Prepend string }
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		return func(text []byte) []byte {
			if len(text) == 0 {
				return text
			}
			return append([]byte(f.Prepend), text...)
		}, nil
	case "Strip":
		var f struct {
			Type       string
			StripLeft  bool `json:"strip_left"`
			StripRight bool `json:"strip_right"`
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		return func(text []byte) []byte {
			if f.StripLeft {
				text = bytes.TrimLeftFunc(text, unicode.IsSpace)
			}
			if f.StripRight {
				text = bytes.TrimRightFunc(text, unicode.IsSpace)
			}
			return text
		}, nil
	case "Sequence":
		var f struct {
			Type        string
			Normalizers []json.RawMessage
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		var all []normalizer
		for i, raw := range f.Normalizers {
			n, err := newNormalizer(c.item("normalizers", i, raw))
			if err != nil {
				return nil, err
			}
			if n != nil {
				all = append(all, n)
			}
		}
		if len(all) == 0 {
			return nil, nil
		}
		return func(text []byte) []byte {
			for _, n := range all {
				text = n(text)
			}
			return text
		}, nil
	}
	return nil, c.unknown(kind, knownNormalizers)
}

// lowercase maps each character alone: a final Σ becomes σ, and İ an i with a dot above.
func lowercase(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, text[0])
		case r == 'İ':
			out = append(out, "i\u0307"...)
		default:
			out = utf8.AppendRune(out, toLower(r))
		}
		text = text[size:]
	}
	return out
}

func toLower(r rune) rune {
	for _, l := range laterLower {
		if l.lo <= r && r <= l.hi {
			return r - l.lo + l.lower
		}
	}
	return unicode.ToLower(r)
}

// replace puts content in the place of every match.
func replace(m matcher, text []byte, content string) []byte {
	var out []byte
	last := 0
	m.each(text, func(start, end int) {
		out = append(append(out, text[last:start]...), content...)
		last = end
	})
	if last == 0 {
		return text
	}
	return append(out, text[last:]...)
}
