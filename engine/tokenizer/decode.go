package tokenizer

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns the tokens of a text into pieces of the text, as Hugging Face's decoders do. Pieces may be longer or fewer than
// the tokens; joined they are the text.
type decoder func(pieces []string) []string

const knownDecoders = "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence"

// decoding is what a file says about decoding, in two forms.
type decoding struct {
	text decoder // of a whole text: its beginning and invalid bytes count
	// bytes is of a token within a text: texts decoded in parts are the text decoded at once. It leaves out what happens at the
	// beginning of a text only.
	bytes func(token string) []byte
}

func newDecoding(c component) (decoding, error) {
	if c.absent() {
		return decoding{}, c.errorf("there is no decoder, so tokens can't become text; forge knows %s", knownDecoders)
	}
	steps, err := newDecoders(c)
	if err != nil {
		return decoding{}, err
	}
	return decoding{
		text: func(pieces []string) []string {
			for _, s := range steps {
				pieces = s.text(pieces)
			}
			return pieces
		},
		bytes: func(token string) []byte {
			b := []byte(token)
			for _, s := range steps {
				if s.within != nil {
					b = s.within(b)
				}
			}
			return b
		},
	}, nil
}

// decodeStep is a step of a decoder; within is what it does to a token in the middle of a text, nil if nothing.
type decodeStep struct {
	text   decoder
	within func(token []byte) []byte
}

func newDecoders(c component) ([]decodeStep, error) {
	kind, err := c.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var f struct {
			Type     string
			Decoders []json.RawMessage
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		var all []decodeStep
		for i, raw := range f.Decoders {
			some, err := newDecoders(c.item("decoders", i, raw))
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	case "ByteLevel":
		if err := c.fields(&byteLevelFields{}); err != nil {
			return nil, err
		}
		within := func(token []byte) []byte {
			if b, ok := visibleBytes(string(token)); ok {
				return b
			}
			return token
		}
		text := func(pieces []string) []string {
			var all []byte
			for _, p := range pieces {
				all = append(all, within([]byte(p))...)
			}
			return []string{string(appendValid(nil, all))}
		}
		return []decodeStep{{text, within}}, nil
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
		within := func(token []byte) []byte { return replace(m, token, f.Content) }
		return []decodeStep{{eachPiece(within), within}}, nil
	case "ByteFallback":
		if err := c.fields(&struct{ Type string }{}); err != nil {
			return nil, err
		}
		within := func(token []byte) []byte {
			if b, ok := fallbackByte(string(token)); ok {
				return []byte{b}
			}
			return token
		}
		return []decodeStep{{joinFallbackBytes, within}}, nil
	case "Fuse":
		if err := c.fields(&struct{ Type string }{}); err != nil {
			return nil, err
		}
		return []decodeStep{{text: func(pieces []string) []string { return []string{strings.Join(pieces, "")} }}}, nil
	case "Strip":
		var f struct {
			Type        string
			Content     string
			Start, Stop int
		}
		if err := c.fields(&f); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(f.Content) != 1 || f.Start < 0 || f.Stop < 0 {
			return nil, c.errorf("content is one character, and start and stop are not negative")
		}
		return []decodeStep{{text: func(pieces []string) []string {
			out := make([]string, len(pieces))
			for i, p := range pieces {
				for n := 0; n < f.Start && strings.HasPrefix(p, f.Content); n++ {
					p = p[len(f.Content):]
				}
				for n := 0; n < f.Stop && strings.HasSuffix(p, f.Content); n++ {
					p = p[:len(p)-len(f.Content)]
				}
				out[i] = p
			}
			return out
		}}}, nil
	case "Metaspace":
		m, err := newMetaspace(c)
		if err != nil {
			return nil, err
		}
		mark := string(m.mark)
		text := func(pieces []string) []string {
			out := make([]string, len(pieces))
			for i, p := range pieces {
				space := " "
				if i == 0 && m.prepend != "never" {
					space = ""
				}
				out[i] = strings.ReplaceAll(p, mark, space)
			}
			return out
		}
		return []decodeStep{{text, func(token []byte) []byte { return []byte(strings.ReplaceAll(string(token), mark, " ")) }}}, nil
	}
	return nil, c.unknown(kind, knownDecoders)
}

func eachPiece(f func([]byte) []byte) decoder {
	return func(pieces []string) []string {
		out := make([]string, len(pieces))
		for i, p := range pieces {
			out[i] = string(f([]byte(p)))
		}
		return out
	}
}

// fallbackToken is the token of a byte in vocabularies with byte_fallback.
func fallbackToken(b byte) string {
	const digits = "0123456789ABCDEF"
	return "<0x" + string(digits[b>>4]) + string(digits[b&15]) + ">"
}

func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}

// joinFallbackBytes makes text of runs of byte tokens. If a run is not valid UTF-8, each of its bytes becomes U+FFFD.
func joinFallbackBytes(pieces []string) []string {
	var out []string
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, p := range pieces {
		if b, ok := fallbackByte(p); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, p)
	}
	flush()
	return out
}
