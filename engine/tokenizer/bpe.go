package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unicode/utf8"
)

// BPE is a byte pair encoding tokenizer read from a Hugging Face tokenizer.json. Text goes through the steps of the file:
//
//	added tokens are found and taken out → normalizers → the other added tokens → pre-tokenizers cut pieces → merges in each piece
//
// Encode gives exactly the tokens that Hugging Face's tokenizers give for valid UTF-8. Invalid bytes, which those never see, are
// encoded as bytes and come back as they were if the vocabulary is a byte-level one.
type BPE struct {
	size       int // tokens are below it
	vocab      map[string]int32
	names      []string // of each token, as the file writes it; "" where there is none
	texts      [][]byte // of each token within a text
	special    []bool
	ids        map[string]int32 // names to tokens, added tokens included
	first      *addedTokens     // searched for in the text
	second     *addedTokens     // searched for in the normalized text
	normalize  normalizer
	steps      []preTokenizer
	model      model
	template   template
	decode     decoder
	start      int32
	hash       string
	definition definition
	encoders   sync.Pool
	// Training is what Train did; nil for a tokenizer that was read.
	Training *Training
}

// model is how a piece becomes tokens.
type model struct {
	merges merges
	// bytes are the tokens of single bytes, and whole those of texts, of a vocabulary that has every byte: pieces are then
	// encoded from their bytes, and the pre-tokenizer ByteLevel at the end of the steps has nothing to do.
	bytes        []int32
	whole        map[string]int32
	ignoreMerges bool
	byteFallback bool
	fuseUnknown  bool
	unknown      int32 // -1 if there is none
}

var _ Tokenizer = (*BPE)(nil)

// Name is what a recipe calls it.
func (b *BPE) Name() string { return "bpe" }

// Hash is of everything in the file that has a part in the behaviour, and of the tokens of a sample text.
func (b *BPE) Hash() string { return b.hash }

// Vocab is one more than the largest token, or what Pad made it.
func (b *BPE) Vocab() int { return b.size }

// Pad raises Vocab to a model's, whose tables are often larger than what the file names; false if the file has more tokens.
func (b *BPE) Pad(vocab int) bool {
	if b.size > vocab {
		return false
	}
	b.size = vocab
	return true
}

// Start is the token that the file's post-processor puts before a text; without one, the first of the special tokens that
// published tokenizers begin or end a text with; without those, a newline or else token 0.
func (b *BPE) Start() int32 { return b.start }

// ID is the token with a name as the file writes it: "<｜end▁of▁sentence｜>", or "Ġthe" for " the".
func (b *BPE) ID(name string) (id int32, found bool) {
	id, found = b.ids[name]
	return id, found
}

// TokenName is a token as the file writes it; "" if there is no such token.
func (b *BPE) TokenName(id int32) string {
	if id < 0 || int(id) >= len(b.names) {
		return ""
	}
	return b.names[id]
}

// Special is whether a token is one that text doesn't contain, such as the end of a text.
func (b *BPE) Special(id int32) bool {
	return id >= 0 && int(id) < len(b.special) && b.special[id]
}

// Encode appends the tokens of text, without those that the post-processor puts around a text.
func (b *BPE) Encode(dst []int32, text []byte) []int32 {
	e := b.encoders.Get().(*encoder)
	e.out = dst
	e.text(text)
	dst, e.out = e.out, nil
	b.encoders.Put(e)
	return dst
}

// EncodeWhole appends the tokens of text and those that the post-processor puts around a text.
func (b *BPE) EncodeWhole(dst []int32, text []byte) []int32 {
	dst = append(dst, b.template.before...)
	dst = b.Encode(dst, text)
	return append(dst, b.template.after...)
}

// Decode appends the text of tokens within a text. Tokens decoded one by one give the same as all at once.
func (b *BPE) Decode(dst []byte, tokens ...int32) []byte {
	for _, t := range tokens {
		if t >= 0 && int(t) < len(b.texts) {
			dst = append(dst, b.texts[t]...)
		}
	}
	return dst
}

// Text is the text of tokens from the beginning of a text on, special tokens left out if skipSpecial is set. It is always valid
// UTF-8: what Hugging Face's decode gives.
func (b *BPE) Text(tokens []int32, skipSpecial bool) string {
	var pieces []string
	for _, t := range tokens {
		if t < 0 || int(t) >= len(b.names) || b.names[t] == "" || skipSpecial && b.special[t] {
			continue
		}
		pieces = append(pieces, b.names[t])
	}
	return strings.Join(b.decode(pieces), "")
}

// encoder is the memory for encoding one text at a time.
type encoder struct {
	b      *BPE
	out    []int32
	word   []int32
	merger merger
	// The tokens of words seen before: where in arena they are.
	cache map[string]cached
	arena []int32
}

type cached struct{ start, length int32 }

// The cache is emptied when it is full; longer words are rarely seen twice.
const (
	cacheWords    = 1 << 16
	cacheWordSize = 64
)

func (e *encoder) text(text []byte) {
	b := e.b
	found := func(id int32) { e.out = append(e.out, id) }
	b.first.split(text, func(start, end int) {
		piece := text[start:end:end]
		if b.normalize != nil {
			piece = b.normalize(piece)
		}
		b.second.split(piece, func(s, end int) {
			e.step(0, piece[s:end:end], start == 0 && s == 0)
		}, found)
	}, found)
}

// step hands a piece to the pre-tokenizer i and what comes of it to the next.
func (e *encoder) step(i int, piece []byte, first bool) {
	switch {
	case len(piece) == 0:
	case i == len(e.b.steps):
		e.piece(piece)
	case i == len(e.b.steps)-1:
		e.b.steps[i].split(piece, first, func(piece []byte, _ bool) { e.piece(piece) })
	default:
		e.b.steps[i].split(piece, first, func(piece []byte, first bool) { e.step(i+1, piece, first) })
	}
}

// piece appends the tokens of a piece.
func (e *encoder) piece(piece []byte) {
	if c, found := e.cache[string(piece)]; found {
		e.out = append(e.out, e.arena[c.start:c.start+c.length]...)
		return
	}
	m := &e.b.model
	if m.ignoreMerges {
		if id, found := m.whole[string(piece)]; found {
			e.out = append(e.out, id)
			return
		}
	}
	e.word = e.word[:0]
	if m.bytes != nil {
		for _, x := range piece {
			e.word = append(e.word, m.bytes[x])
		}
	} else {
		e.characters(piece)
	}
	e.word = e.merger.apply(m.merges, e.word)
	e.out = append(e.out, e.word...)
	if len(piece) > cacheWordSize {
		return
	}
	if len(e.cache) >= cacheWords {
		clear(e.cache)
		e.arena = e.arena[:0]
	}
	e.cache[string(piece)] = cached{int32(len(e.arena)), int32(len(e.word))}
	e.arena = append(e.arena, e.word...)
}

// characters makes a token of each character, those that the vocabulary lacks by their bytes or as the unknown token.
func (e *encoder) characters(piece []byte) {
	m := &e.b.model
	unknown := false // an unknown token is held back, so that those that follow can be fused with it
	for len(piece) > 0 {
		r, size := utf8.DecodeRune(piece)
		character := piece[:size]
		if r == utf8.RuneError && size == 1 {
			character = []byte("\uFFFD")
		}
		piece = piece[size:]
		if id, known := e.b.vocab[string(character)]; known {
			if unknown {
				e.word = append(e.word, m.unknown)
				unknown = false
			}
			e.word = append(e.word, id)
			continue
		}
		if m.byteFallback && e.fallback(character) {
			continue
		}
		if m.unknown < 0 {
			continue // what Hugging Face does: the character is left out
		}
		if unknown && !m.fuseUnknown {
			e.word = append(e.word, m.unknown)
		}
		unknown = true
	}
	if unknown {
		e.word = append(e.word, m.unknown)
	}
}

// fallback appends the tokens of a character's bytes, if the vocabulary has all of them.
func (e *encoder) fallback(character []byte) bool {
	n := len(e.word)
	for _, x := range character {
		id, known := e.b.vocab[fallbackToken(x)]
		if !known {
			e.word = e.word[:n]
			return false
		}
		e.word = append(e.word, id)
	}
	return true
}

// finish fills in what follows from the rest: encoders, the start token, the hash.
func (b *BPE) finish() {
	b.encoders.New = func() any { return &encoder{b: b, cache: map[string]cached{}} }
	b.start = b.findStart()
	b.hash = b.behaviour()
}

func (b *BPE) findStart() int32 {
	if len(b.template.before) > 0 {
		return b.template.before[0]
	}
	for _, name := range []string{"<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<|startoftext|>", "<s>", "<bos>", "<|bos|>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>"} {
		if id, found := b.ids[name]; found && b.special[id] {
			return id
		}
	}
	if line := b.Encode(nil, []byte("\n")); len(line) > 0 {
		return line[len(line)-1]
	}
	return 0
}

// ReadFile reads a tokenizer.json.
func ReadFile(path string) (*BPE, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, err := Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Read reads the text of a tokenizer.json. What the file asks for and forge does not do is an error that names it.
func Read(data []byte) (*BPE, error) {
	var d definition
	if data = bytes.TrimSpace(data); len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	if err := (component{"the file", data}).fields(&d); err != nil {
		return nil, err
	}
	return d.tokenizer()
}
