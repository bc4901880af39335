package tokenizer

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"forge/dsl/check"
	"forge/dsl/diag"

	"pgregory.net/rapid"
)

func TestBytesRoundTrip(t *testing.T) {
	tok := Bytes()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		tokens := tok.Encode(nil, text)
		for _, x := range tokens {
			if x < 0 || int(x) >= tok.Vocab() {
				t.Fatalf("token %d outside the vocabulary", x)
			}
		}
		if got := tok.Decode(nil, tokens...); !bytes.Equal(got, text) {
			t.Fatalf("%q came back as %q", text, got)
		}
	})
	if got := tok.Decode(nil, 65, 256, -1, 66); string(got) != "AB" {
		t.Errorf("tokens outside the vocabulary gave %q", got)
	}
}

func TestNewNamesThePlace(t *testing.T) {
	if tok, err := New(check.Tokenizer{Kind: "bytes", Vocab: 256}); err != nil || tok.Vocab() != 256 {
		t.Errorf("bytes: %v, %v", tok, err)
	}
	span := diag.Span{File: "a.forge", Start: diag.Pos{Line: 3, Col: 15}}
	_, err := New(check.Tokenizer{Kind: "bpe", Path: "t.json", Span: span})
	if err == nil || !strings.HasPrefix(err.Error(), "a.forge:3:15: ") || !strings.Contains(err.Error(), "bpe") {
		t.Errorf("bpe: %v", err)
	}
}

func TestHashIsStable(t *testing.T) {
	if got := Bytes().Hash(); got != "e5d7f55a6fc96cc6" {
		t.Errorf("the hash of the byte tokenizer is %q: its behaviour changed, and checkpoints would be refused", got)
	}
}

// TestStream checks, for any bytes, that each piece is valid UTF-8 and that the pieces make what decoding all at once makes.
func TestStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
		).Draw(t, "text")
		s := NewStream(Bytes())
		var got []byte
		for _, b := range text {
			piece := s.Next(int32(b))
			if !utf8.Valid(piece) {
				t.Fatalf("piece %q is not valid UTF-8", piece)
			}
			got = append(got, piece...)
		}
		got = append(got, s.Flush()...)
		if want := string([]rune(string(text))); string(got) != want {
			t.Fatalf("%q streamed as %q, want %q", text, got, want)
		}
	})
}

func TestStreamHoldsBack(t *testing.T) {
	s := NewStream(Bytes())
	var pieces []string
	for _, b := range []byte("a€b\xff\xe2\x82") {
		pieces = append(pieces, string(s.Next(int32(b))))
	}
	want := []string{"a", "", "", "€", "b", "\uFFFD", "", ""}
	for i := range want {
		if pieces[i] != want[i] {
			t.Errorf("piece %d is %q, want %q", i, pieces[i], want[i])
		}
	}
	if got := string(s.Flush()); got != "\uFFFD\uFFFD" {
		t.Errorf("flush gave %q", got)
	}
	if got := s.Flush(); len(got) != 0 {
		t.Errorf("a second flush gave %q", got)
	}
}
