// Package tokenizer turns text into tokens and back. In flows the tokenizer that a recipe names; out flows a Tokenizer with a hash
// of its behaviour, which checkpoints carry so that weights are never used with another tokenizer in silence. It knows no model
// and no data. This build reads byte tokenizers: a token is a byte.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"forge/dsl/check"
)

// Tokenizer is a reversible map between text and tokens. It is used by any number of goroutines at once.
type Tokenizer interface {
	// Name is what a recipe calls it.
	Name() string
	// Hash identifies the behaviour: two tokenizers of one hash encode every text alike.
	Hash() string
	// Vocab is the number of tokens; every token is below it.
	Vocab() int
	// Start is the token that a text without a beginning starts from.
	Start() int32
	// Encode appends the tokens of text to dst.
	Encode(dst []int32, text []byte) []int32
	// Decode appends the text of tokens to dst. The result may end within a character. Tokens outside the vocabulary, which a
	// model with a larger table can pick, have no text.
	Decode(dst []byte, tokens ...int32) []byte
}

// New gives the tokenizer of a recipe.
func New(t check.Tokenizer) (Tokenizer, error) {
	if t.Kind == "bytes" {
		return Bytes(), nil
	}
	return nil, fmt.Errorf("%s: this build reads byte tokenizers, not `%s`; write `tokenizer = bytes()` and `vocab = 256`", t.Span, t.Kind)
}

// Bytes is the tokenizer whose tokens are the 256 bytes. It encodes any input, also what is no UTF-8, and gives it back exactly.
func Bytes() Tokenizer { return byteTokenizer{} }

type byteTokenizer struct{}

func (byteTokenizer) Name() string { return "bytes" }
func (byteTokenizer) Vocab() int   { return 256 }

// Start is a newline: text after it begins like any line of the training data.
func (byteTokenizer) Start() int32 { return '\n' }

// Hash covers what the tokenizer does to every byte, so that a change of behaviour changes it.
func (t byteTokenizer) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", t.Name(), t.Vocab())
	for b := range 256 {
		fmt.Fprintln(h, b, t.Encode(nil, []byte{byte(b)}))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func (byteTokenizer) Encode(dst []int32, text []byte) []int32 {
	for _, b := range text {
		dst = append(dst, int32(b))
	}
	return dst
}

func (byteTokenizer) Decode(dst []byte, tokens ...int32) []byte {
	for _, t := range tokens {
		if t >= 0 && t < 256 {
			dst = append(dst, byte(t))
		}
	}
	return dst
}
