// Package data turns a recipe's sources into batches of tokens. In flows a checked data section; Open lists its documents, hashes
// every text and splits off the held-out share; a Reader then fills batches with tokens and labels in an order that depends on the
// shuffle seed and the texts alone. Texts stay in their files: memory holds an index of the documents. Where a token is not a byte,
// every text is encoded once, into a file in the user's cache that later runs find by the hashes of texts and tokenizer; nothing
// else is written.
//
// A position in the data is a few counters (Position): a sequence's place in the shuffled order is computed, not walked to, so a
// run goes on after a restart exactly where it stopped.
//
// The order of an epoch: documents are shuffled and joined to one long text, cut into sequences, and the sequences are visited in
// random order, so that neighbours in a batch come from different documents. Every token of the text is a label once an epoch,
// save the first of each document, which nothing predicts.
package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"forge/dsl/check"
	"forge/engine/random"
	"forge/engine/tokenizer"
)

// Set is a data section opened: its documents are known, hashed and split. It is used by one goroutine at a time.
type Set struct {
	// Warnings say what is unusual about the data, such as a held-out share that no document falls into.
	Warnings []string

	sources []*source
	train   []*part // a part for each source
	held    []*part
	pack    bool
	seed    int64
	sum     string
	bytes   []int32 // of each token's text
}

// SourceInfo describes a source for the summary and the run's record.
type SourceInfo struct {
	Kind      string `json:"kind"`
	Detail    string `json:"detail"`
	Documents int    `json:"documents"`
	Bytes     int64  `json:"bytes"`
	Tokens    int64  `json:"tokens"`
	Checksum  string `json:"checksum"`
}

// Open reads every text of the data section once and splits off the held-out documents. Errors name the place in the recipe.
func Open(d *check.Data, t tokenizer.Tokenizer) (*Set, error) {
	if d == nil {
		return nil, errors.New("the recipe has no data; give it a data section with sources and a tokenizer")
	}
	if d.FIM > 0 {
		return nil, fmt.Errorf("%s: this build does not rearrange documents for filling in the middle; leave `fim` out", d.Span)
	}
	s := &Set{pack: d.Pack, seed: d.ShuffleSeed, bytes: tokenBytes(t)}
	h := sha256.New()
	for _, recipe := range d.Sources {
		if !(recipe.Weight > 0) || math.IsInf(recipe.Weight, 1) {
			s.Close()
			return nil, fmt.Errorf("%s: the weight of a source is its share in the mixture and must be above 0, not %g", recipe.Span, recipe.Weight)
		}
		src, err := openSource(recipe)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.sources = append(s.sources, src)
		if err := src.tokenize(t); err != nil {
			s.Close()
			return nil, fmt.Errorf("%s: %w", recipe.Span, err)
		}
		fmt.Fprintln(h, src.sum)
	}
	if len(s.sources) == 0 {
		return nil, fmt.Errorf("%s: `sources` is empty: there is nothing to read", d.Span)
	}
	s.sum = hex.EncodeToString(h.Sum(nil))[:16]
	s.split(d)
	longest := int64(0)
	for _, p := range s.train {
		for _, i := range p.documents {
			longest = max(longest, p.source.length(i))
		}
	}
	if longest < 2 {
		s.Close()
		return nil, fmt.Errorf("%s: no text to train on is longer than one token, so there is nothing to predict", d.Span)
	}
	return s, nil
}

// OpenFile opens one file, folder or glob as data of which all is held out, for evaluation.
func OpenFile(path string, t tokenizer.Tokenizer) (*Set, error) {
	src := &source{recipe: check.Source{Kind: "text", Path: path, Weight: 1}, detail: path}
	var err error
	if src.files, err = listFiles(path); err != nil {
		return nil, err
	}
	if err = src.scanFiles(); err != nil {
		return nil, err
	}
	if src.bytes < 2 {
		return nil, fmt.Errorf("%s holds %d bytes of text: there is nothing to predict", path, src.bytes)
	}
	src.checksum()
	if err := src.tokenize(t); err != nil {
		return nil, err
	}
	all := &part{source: src}
	for i := range src.documents {
		all.documents = append(all.documents, int32(i))
	}
	return &Set{sources: []*source{src}, held: []*part{all}, pack: true, bytes: tokenBytes(t), sum: src.sum}, nil
}

// chooseHeldOut gives the hashes of the texts that are held out. Of every 1/share texts of about the same size the one whose hash with
// the seed is least is taken. Sizes of documents are heavy-tailed (a few generated files are a fifth of the Go source): a choice
// by hash alone would make the held-out loss mostly a matter of which of the largest it caught. Equal texts land on one side. A
// share above zero holds out at least one text, and leaves at least one.
func (s *Set) chooseHeldOut(d *check.Data) map[uint64]bool {
	type text struct {
		size int64
		hash uint64
		rank uint64
	}
	key := random.New(d.ShuffleSeed, "held out").At(0)
	var texts []text
	seen := map[uint64]bool{}
	for _, src := range s.sources {
		for i := range src.documents {
			if doc := &src.documents[i]; !seen[doc.hash] {
				seen[doc.hash] = true
				texts = append(texts, text{doc.size, doc.hash, random.Mix(doc.hash ^ key)})
			}
		}
	}
	held := map[uint64]bool{}
	share := math.Min(math.Max(d.HeldOut, 0), 1)
	if share == 0 || len(texts) < 2 {
		return held
	}
	slices.SortFunc(texts, func(a, b text) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.rank, b.rank))
	})
	take := min(max(int(math.Round(share*float64(len(texts)))), 1), len(texts)-1)
	for i := range take {
		group := texts[i*len(texts)/take : (i+1)*len(texts)/take]
		held[slices.MinFunc(group, func(a, b text) int { return cmp.Compare(a.rank, b.rank) }).hash] = true
	}
	return held
}

// split puts each document on its side.
func (s *Set) split(d *check.Data) {
	held := s.chooseHeldOut(d)
	count := 0
	for _, src := range s.sources {
		train, out := &part{source: src}, &part{source: src}
		for i := range src.documents {
			count++
			if !s.pack && src.length(int32(i)) < 2 {
				continue // alone in its sequence, it has nothing to predict
			}
			p := train
			if held[src.documents[i].hash] {
				p = out
			}
			p.documents = append(p.documents, int32(i))
		}
		if len(train.documents) > 0 {
			s.train = append(s.train, train)
		}
		if len(out.documents) > 0 {
			s.held = append(s.held, out)
		}
	}
	if d.HeldOut > 0 && count < 2 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s: held_out = %g holds out whole documents, and the data is one document: nothing is held out. "+
			"Cut the text into several files", d.Span, d.HeldOut))
	}
}

// Checksum identifies the texts of all sources, in order.
func (s *Set) Checksum() string { return s.sum }

// Sources describes each source.
func (s *Set) Sources() []SourceInfo {
	list := make([]SourceInfo, len(s.sources))
	for i, src := range s.sources {
		list[i] = SourceInfo{src.recipe.Kind, src.detail, len(src.documents), src.bytes, src.count(), src.sum}
	}
	return list
}

// TrainTokens and HeldOutTokens count the tokens of each side of the split.
func (s *Set) TrainTokens() int64 { return countTokens(s.train) }

// HeldOutTokens counts the tokens that are held out.
func (s *Set) HeldOutTokens() int64 { return countTokens(s.held) }

func countTokens(parts []*part) (n int64) {
	for _, p := range parts {
		for _, i := range p.documents {
			n += p.source.length(i)
		}
	}
	return n
}

// Prompts gives the beginnings of up to n documents, at most size bytes each and cut at the end of a word or line: held-out ones
// if there are any. They are the same at every call.
func (s *Set) Prompts(n, size int) ([]string, error) {
	parts := s.held
	if len(parts) == 0 {
		parts = s.train
	}
	p := parts[0]
	var prompts []string
	n = min(n, len(p.documents))
	for k := range n {
		i := p.documents[k*len(p.documents)/n]
		text := make([]byte, min(p.source.documents[i].size, int64(size)))
		if err := p.source.readText(i, 0, text); err != nil {
			return nil, err
		}
		prompt := strings.ToValidUTF8(string(text), "")
		if cut := strings.LastIndexAny(prompt, " \n\t"); cut > len(prompt)/2 {
			prompt = prompt[:cut+1]
		}
		prompts = append(prompts, prompt)
	}
	return prompts, nil
}

// Close closes the files.
func (s *Set) Close() error {
	for _, src := range s.sources {
		src.close()
	}
	return nil
}
