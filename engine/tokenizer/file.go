package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// definition is a tokenizer.json. Of its fields, those that say nothing about the tokens of a text are left out of the hash.
type definition struct {
	Version       string          `json:"-"`
	Truncation    json.RawMessage `json:"-"`
	Padding       json.RawMessage `json:"-"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         modelFields     `json:"model"`
}

// UnmarshalJSON reads all fields and refuses others.
func (d *definition) UnmarshalJSON(data []byte) error {
	var f struct {
		Version       string
		Truncation    json.RawMessage
		Padding       json.RawMessage
		AddedTokens   []json.RawMessage `json:"added_tokens"`
		Normalizer    json.RawMessage
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Decoder       json.RawMessage
		Model         json.RawMessage
	}
	if err := (component{"the file", data}).fields(&f); err != nil {
		return err
	}
	*d = definition{Version: f.Version, Truncation: f.Truncation, Padding: f.Padding, Normalizer: f.Normalizer,
		PreTokenizer: f.PreTokenizer, PostProcessor: f.PostProcessor, Decoder: f.Decoder}
	for i, raw := range f.AddedTokens {
		t := addedToken{ID: -1}
		if err := (component{fmt.Sprintf("added_tokens[%d]", i), raw}).fields(&t); err != nil {
			return err
		}
		d.AddedTokens = append(d.AddedTokens, t)
	}
	return component{"model", f.Model}.fields(&d.Model)
}

type modelFields struct {
	Type                    string           `json:"type"`
	Dropout                 *float64         `json:"dropout"`
	UnknownToken            *string          `json:"unk_token"`
	ContinuingSubwordPrefix *string          `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string          `json:"end_of_word_suffix"`
	FuseUnknown             bool             `json:"fuse_unk"`
	ByteFallback            bool             `json:"byte_fallback"`
	IgnoreMerges            bool             `json:"ignore_merges"`
	Vocab                   map[string]int32 `json:"vocab"`
	Merges                  mergeList        `json:"merges"`
}

// mergeList is pairs of tokens, written as ["a", "b"] or, before version 0.20 of Hugging Face's tokenizers, as "a b".
type mergeList [][2]string

// UnmarshalJSON reads both forms.
func (m *mergeList) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*[][2]string)(m)) == nil {
		return nil
	}
	var lines []string
	if err := json.Unmarshal(data, &lines); err != nil {
		return err
	}
	*m = make(mergeList, len(lines))
	for i, line := range lines {
		left, right, found := strings.Cut(line, " ")
		if !found || left == "" || right == "" || strings.Contains(right, " ") {
			return fmt.Errorf("merges[%d] is %q, not two tokens with a space between", i, line)
		}
		(*m)[i] = [2]string{left, right}
	}
	return nil
}

// maxTokens bounds the memory that a wrong file can ask for.
const maxTokens = 1 << 24

// tokenizer builds what the definition describes.
func (d definition) tokenizer() (*BPE, error) {
	for _, c := range []component{{"truncation", d.Truncation}, {"padding", d.Padding}} {
		if !c.absent() {
			return nil, c.errorf("the file cuts or fills up what it encodes, which forge does not do; set %s to null", c.place)
		}
	}
	b := &BPE{definition: d}
	if err := b.readModel(d.Model); err != nil {
		return nil, err
	}
	var err error
	if b.normalize, err = newNormalizer(component{"normalizer", d.Normalizer}); err != nil {
		return nil, err
	}
	if b.steps, err = newPreTokenizers(component{"pre_tokenizer", d.PreTokenizer}); err != nil {
		return nil, err
	}
	if b.template, err = newTemplate(component{"post_processor", d.PostProcessor}); err != nil {
		return nil, err
	}
	decoding, err := newDecoding(component{"decoder", d.Decoder})
	if err != nil {
		return nil, err
	}
	b.decode = decoding.text
	if err := b.addTokens(d.AddedTokens); err != nil {
		return nil, err
	}
	for _, id := range slices.Concat(b.template.before, b.template.after) {
		if id < 0 || int(id) >= b.size || b.names[id] == "" {
			return nil, fmt.Errorf("post_processor: there is no token %d", id)
		}
	}
	if n := len(b.steps); n > 0 {
		if _, isLast := b.steps[n-1].(byteLevel); isLast && b.model.fromBytes(b.vocab) {
			b.steps = b.steps[:n-1]
		}
	}
	b.texts = make([][]byte, b.size)
	for id, name := range b.names {
		b.texts[id] = decoding.bytes(name)
	}
	b.finish()
	return b, nil
}

func (b *BPE) readModel(f modelFields) error {
	switch {
	case f.Type != "BPE" && (f.Type != "" || f.Merges == nil):
		return fmt.Errorf("model: the type %q is not one that forge knows (BPE)", f.Type)
	case f.Dropout != nil && *f.Dropout != 0:
		return fmt.Errorf("model: dropout %v would leave out merges by chance; set it to null", *f.Dropout)
	case f.ContinuingSubwordPrefix != nil && *f.ContinuingSubwordPrefix != "":
		return fmt.Errorf("model: continuing_subword_prefix %q is not supported", *f.ContinuingSubwordPrefix)
	case f.EndOfWordSuffix != nil && *f.EndOfWordSuffix != "":
		return fmt.Errorf("model: end_of_word_suffix %q is not supported", *f.EndOfWordSuffix)
	case len(f.Vocab) == 0:
		return errors.New("model: there is no vocabulary")
	}
	b.vocab = f.Vocab
	b.ids = make(map[string]int32, len(f.Vocab))
	for token, id := range f.Vocab {
		if err := b.name(token, id); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	m := &b.model
	m.ignoreMerges, m.byteFallback, m.fuseUnknown, m.unknown = f.IgnoreMerges, f.ByteFallback, f.FuseUnknown, -1
	m.whole = f.Vocab
	if f.UnknownToken != nil {
		id, found := f.Vocab[*f.UnknownToken]
		if !found {
			return fmt.Errorf("model: the vocabulary lacks unk_token %q", *f.UnknownToken)
		}
		m.unknown = id
	}
	m.merges = make(merges, len(f.Merges))
	for i, p := range f.Merges {
		var ids [3]int32
		for j, token := range [3]string{p[0], p[1], p[0] + p[1]} {
			id, found := f.Vocab[token]
			if !found {
				return fmt.Errorf("model: merges[%d] is about %q, which the vocabulary lacks", i, token)
			}
			ids[j] = id
		}
		m.merges[pair{ids[0], ids[1]}] = merged{int32(i), ids[2]}
	}
	return nil
}

// name gives a token its name.
func (b *BPE) name(token string, id int32) error {
	if id < 0 || id >= maxTokens {
		return fmt.Errorf("the token %q has the number %d", token, id)
	}
	for int(id) >= len(b.names) {
		b.names = append(b.names, "")
	}
	if was := b.names[id]; was != "" {
		return fmt.Errorf("the tokens %q and %q have the same number %d", was, token, id)
	}
	b.names[id], b.ids[token] = token, id
	b.size = len(b.names)
	return nil
}

// addTokens names the added tokens and prepares the search for them.
func (b *BPE) addTokens(tokens []addedToken) error {
	next := int32(len(b.vocab))
	for i, t := range tokens {
		if t.Content == "" {
			return fmt.Errorf("added_tokens[%d] has no content", i)
		}
		if id, known := b.ids[t.Content]; known {
			if id != t.ID {
				return fmt.Errorf("added_tokens[%d]: the token %q has the number %d here and %d elsewhere in the file", i, t.Content, t.ID, id)
			}
			next = max(next, id+1)
			continue
		}
		if t.ID != next {
			return fmt.Errorf("added_tokens[%d]: the token %q has the number %d, but Hugging Face's tokenizers would give it %d, the next that is free",
				i, t.Content, t.ID, next)
		}
		next++
		if err := b.name(t.Content, t.ID); err != nil {
			return fmt.Errorf("added_tokens[%d]: %w", i, err)
		}
	}
	b.special = make([]bool, b.size)
	var plain, normalized []addedToken
	var plainText, normalizedText []string
	for _, t := range tokens {
		b.special[t.ID] = b.special[t.ID] || t.Special
		if !t.Normalized {
			plain, plainText = append(plain, t), append(plainText, t.Content)
			continue
		}
		text := []byte(t.Content)
		if b.normalize != nil {
			text = b.normalize(text)
		}
		normalized, normalizedText = append(normalized, t), append(normalizedText, string(text))
	}
	b.first, b.second = newAddedTokens(plain, plainText), newAddedTokens(normalized, normalizedText)
	return nil
}

// fromBytes prepares encoding from bytes, if the vocabulary is byte-level and has all of them.
func (m *model) fromBytes(vocab map[string]int32) bool {
	ids := make([]int32, 256)
	for x := range ids {
		id, found := vocab[string(byteRune[x])]
		if !found {
			return false
		}
		ids[x] = id
	}
	m.bytes = ids
	m.whole = make(map[string]int32, len(vocab))
	for token, id := range vocab {
		if text, ok := visibleBytes(token); ok {
			m.whole[string(text)] = id
		}
	}
	return true
}
