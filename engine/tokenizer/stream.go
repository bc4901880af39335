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
	rest := s.pending
	for len(rest) > 0 {
		if !end && !utf8.FullRune(rest) {
			break
		}
		r, size := utf8.DecodeRune(rest)
		s.text = utf8.AppendRune(s.text, r)
		rest = rest[size:]
	}
	s.pending = append(s.pending[:0], rest...)
	return s.text
}
