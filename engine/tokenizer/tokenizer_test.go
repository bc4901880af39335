package tokenizer

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"forge/dsl/check"
	"forge/dsl/diag"

	"golang.org/x/text/encoding/unicode"
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

func TestOpenNamesThePlace(t *testing.T) {
	if tok, err := Open(check.Tokenizer{Kind: "bytes", Vocab: 256}); err != nil || tok.Vocab() != 256 {
		t.Errorf("bytes: %v, %v", tok, err)
	}
	span := diag.Span{File: "a.forge", Start: diag.Pos{Line: 3, Col: 15}}
	_, err := Open(check.Tokenizer{Kind: "bpe", Path: "testdata/none.json", Span: span})
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "a.forge:3:15: ") {
		t.Errorf("bpe: %v", err)
	}
	if _, err = Open(check.Tokenizer{Kind: "words", Span: span}); err == nil || !strings.Contains(err.Error(), "`words`") {
		t.Errorf("words: %v", err)
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
		want, err := unicode.UTF8.NewDecoder().Bytes(text) // x/text replaces invalid bytes as Unicode recommends, too
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
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
	if got := string(s.Flush()); got != "\uFFFD" {
		t.Errorf("flush gave %q", got)
	}
	if got := s.Flush(); len(got) != 0 {
		t.Errorf("a second flush gave %q", got)
	}
}
