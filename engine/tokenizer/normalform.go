package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalForm is a normal form of Unicode (UAX 15), with characters of later versions than the library of Hugging Face's tokenizers
// has left as they are.
func normalForm(form norm.Form, text []byte) []byte {
	if form.IsNormal(text) && !manyMarks(text) {
		return text
	}
	var out []byte
	start := 0
	for pos := 0; pos < len(text); {
		size := 1
		if text[pos] >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRune(text[pos:]); laterForms.has(r) {
				out = appendNormal(out, form, text[start:pos])
				out = append(out, text[pos:pos+size]...)
				start = pos + size
			}
		}
		pos += size
	}
	return appendNormal(out, form, text[start:])
}

// appendNormal appends a normal form of text. x/text makes "stream-safe" text, with U+034F put into more than 30 marks in a row;
// Hugging Face's tokenizers don't, so text with many marks in a row is normalized here.
func appendNormal(dst []byte, form norm.Form, text []byte) []byte {
	if !manyMarks(text) {
		return append(dst, form.Bytes(text)...)
	}
	out := decompose(text, form == norm.NFKC || form == norm.NFKD)
	if form == norm.NFC || form == norm.NFKC {
		out = compose(out)
	}
	return append(dst, out...)
}

// manyMarks is whether so many marks are in a row that their decompositions could be more than 30.
func manyMarks(text []byte) bool {
	n := 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			n = 0
			i++
			continue
		}
		_, size := utf8.DecodeRune(text[i:])
		if combining(text[i:i+size]) == 0 {
			n = 0
		} else if n++; n > 8 {
			return true
		}
		i += size
	}
	return false
}

// decompose decomposes every character and sorts each run of marks by combining class.
func decompose(text []byte, compatible bool) []byte {
	form := norm.NFD
	if compatible {
		form = norm.NFKD
	}
	var marks [][]byte
	var out []byte
	flush := func() {
		slices.SortStableFunc(marks, func(a, b []byte) int { return int(combining(a)) - int(combining(b)) })
		for _, m := range marks {
			out = append(out, m...)
		}
		marks = marks[:0]
	}
	for len(text) > 0 {
		_, size := utf8.DecodeRune(text)
		parts := form.Bytes(text[:size])
		text = text[size:]
		for len(parts) > 0 {
			_, size := utf8.DecodeRune(parts)
			if combining(parts[:size]) == 0 {
				flush()
			}
			marks = append(marks, parts[:size])
			parts = parts[size:]
		}
	}
	flush()
	return out
}

// compose joins each starter with the marks after it that it has a composite with and that no other mark blocks.
func compose(text []byte) []byte {
	var out, starter, kept []byte
	last := uint8(0)
	for len(text) > 0 {
		_, size := utf8.DecodeRune(text)
		c := text[:size]
		text = text[size:]
		ccc := combining(c)
		blocked := len(kept) > 0 && last >= ccc
		if starter != nil && !blocked {
			if both := norm.NFC.Bytes(append(slices.Clone(starter), c...)); utf8.RuneCount(both) == 1 {
				starter = both
				continue
			}
		}
		if ccc == 0 {
			out = append(append(out, starter...), kept...)
			starter, kept, last = c, kept[:0], 0
			continue
		}
		kept, last = append(kept, c...), ccc
	}
	return append(append(out, starter...), kept...)
}

func combining(character []byte) uint8 { return norm.NFD.Properties(character).CCC() }
