// Package tokenizer turns text into tokens and back. In flows the tokenizer that a recipe names; out flows a Tokenizer with a hash
// of its behaviour, which checkpoints carry so that weights are never used with another tokenizer in silence. It knows no model
// and no data. There are two kinds: bytes, where a token is a byte, and byte pair encodings, read from a Hugging Face tokenizer.json
// or trained on documents.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

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

// Open gives the tokenizer of a recipe that needs no training: bytes, or a file. The file may have fewer tokens than the recipe says
// (tables are often padded): Vocab is the recipe's. A file that does not exist is an error that wraps fs.ErrNotExist.
func Open(t check.Tokenizer) (Tokenizer, error) {
	switch t.Kind {
	case "bytes":
		return Bytes(), nil
	case "bpe":
		b, err := ReadFile(t.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w; put Hugging Face's tokenizer.json there (a path is relative to where forge runs), or have one trained: "+
				"`bpe(train = gosource(), vocab = %d)`", t.Span, err, t.Vocab)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Span, err)
		}
		if !b.Pad(t.Vocab) {
			return nil, fmt.Errorf("%s: %s has %d tokens, but the recipe says `vocab = %d`", t.Span, t.Path, b.size, t.Vocab)
		}
		return b, nil
	}
	return nil, fmt.Errorf("%s: forge has no tokenizer `%s`; write `bytes()` or `bpe(path, vocab)`", t.Span, t.Kind)
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
