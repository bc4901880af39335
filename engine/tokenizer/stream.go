package tokenizer

import "unicode/utf8"

// Stream decodes tokens one by one into text that is valid UTF-8 at every step: bytes of a character that is not complete are
// held back until it is, and bytes that can't become a character are replaced by U+FFFD. What was given out never changes.
type Stream struct {
	tokenizer Tokenizer
	pending   []byte
	text      []byte
}

// NewStream starts with nothing held back.
func NewStream(t Tokenizer) *Stream { return &Stream{tokenizer: t} }

// Next is the text that token completes, "" if there is none yet. The bytes are valid until the next call.
func (s *Stream) Next(token int32) []byte {
	s.pending = s.tokenizer.Decode(s.pending, token)
	return s.drain(false)
}

// Flush is what was held back, an unfinished character as U+FFFD. The stream is empty afterwards.
func (s *Stream) Flush() []byte { return s.drain(true) }

func (s *Stream) drain(end bool) []byte {
	s.text = s.text[:0]
	complete := len(s.pending)
	if !end {
		complete -= unfinished(s.pending)
	}
	s.text = appendValid(s.text, s.pending[:complete])
	s.pending = append(s.pending[:0], s.pending[complete:]...)
	return s.text
}

// unfinished is the number of bytes at the end of text that begin a character and could still become one.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		b := text[len(text)-n:]
		if utf8.RuneStart(b[0]) {
			if !utf8.FullRune(b) {
				return n
			}
			return 0
		}
	}
	return 0
}

// appendValid appends text with each longest part of it that begins a character but is none, and each byte that can't begin one,
// replaced by U+FFFD. That is what Unicode recommends (section 3.9, "maximal subparts") and Hugging Face's decoders do; Go alone
// would replace each byte.
func appendValid(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			for size <= len(text) && !utf8.FullRune(text[:size]) {
				size++
			}
			// The last byte looked at shows that no character comes; it may begin another one.
			size = max(size-1, 1)
			dst = append(dst, "\uFFFD"...)
			text = text[size:]
			continue
		}
		dst = append(dst, text[:size]...)
		text = text[size:]
	}
	return dst
}
