package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// DefaultPattern cuts text into words with the character before them, numbers of up to three digits, punctuation, and white space.
// It is the pattern of cl100k and Llama 3.
const DefaultPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// Training is what a tokenizer was trained on and what came of it.
type Training struct {
	Documents int64
	Bytes     int64
	Words     int   // different pieces that the pattern cut
	Tokens    int64 // that the documents have now
	Merges    int
}

// BytesPerToken is the compression of the documents, 1 for tokens that are bytes.
func (t Training) BytesPerToken() float64 { return float64(t.Bytes) / float64(max(t.Tokens, 1)) }

// TrainOptions are what Train makes.
type TrainOptions struct {
	Vocab   int    // the most tokens, at least 256
	Pattern string // cuts texts into pieces; "" is DefaultPattern
	// Progress is called with the merges made of those that there is room for, once for each; an error that it returns ends the
	// training. nil: nobody asks.
	Progress func(done, all int) error
}

// Train makes a byte-level tokenizer from documents: the 256 bytes, and then as many merges as Vocab leaves room for, each of the
// pair that is the most frequent at that moment (Sennrich et al. 2016, algorithm 1) and, of those, the one whose tokens are older.
// The same documents give the same tokenizer, in any order of the documents, and the merges are those of Hugging Face's trainer.
// Pairs that occur once are left alone, so few documents make fewer tokens than Vocab. No special tokens are added: text that was
// trained on has none. A document may be overwritten when the next is asked for; the first error of docs ends the training.
func Train(docs iter.Seq2[[]byte, error], o TrainOptions) (*BPE, error) {
	if o.Vocab < 256 || o.Vocab > maxTokens {
		return nil, fmt.Errorf("a byte-level vocabulary has at least the 256 bytes, and at most %d tokens; %d is not possible", maxTokens, o.Vocab)
	}
	if o.Pattern == "" {
		o.Pattern = DefaultPattern
	}
	if o.Progress == nil {
		o.Progress = func(int, int) error { return nil }
	}
	m, err := newMatcher(o.Pattern)
	if err != nil {
		return nil, err
	}
	t := &trainer{pairs: map[pair]*pairState{}}
	if err := t.count(docs, splitter{matcher: m, behavior: "Isolated"}); err != nil {
		return nil, err
	}
	if err := t.merge(o.Vocab, o.Progress); err != nil {
		return nil, err
	}
	b, err := trained(t.tokens, t.merges, o.Pattern)
	if err != nil {
		return nil, err
	}
	t.report.Words, t.report.Merges = len(t.words), len(t.merges)
	for _, w := range t.words {
		t.report.Tokens += w.count * int64(len(w.symbols))
	}
	b.Training = &t.report
	return b, nil
}

type trainer struct {
	words  []trainedWord
	pairs  map[pair]*pairState
	queue  pairQueue
	tokens []string // by symbol, in visible characters
	merges mergeList
	report Training
}

type trainedWord struct {
	symbols []int32
	count   int64
}

// pairState is how often a pair occurs in all documents, and the words that have had it; a word may be listed though it has the
// pair no longer.
type pairState struct {
	count int64
	words []int32
}

// count fills in the words, in an order that does not depend on that of the documents.
func (t *trainer) count(docs iter.Seq2[[]byte, error], s splitter) error {
	counts := map[string]*int64{}
	for doc, err := range docs {
		if err != nil {
			return err
		}
		t.report.Documents++
		t.report.Bytes += int64(len(doc))
		s.split(doc, true, func(piece []byte, _ bool) {
			if n := counts[string(piece)]; n != nil {
				*n++
				return
			}
			n := int64(1)
			counts[string(piece)] = &n
		})
	}
	if len(counts) == 0 {
		return errors.New("there is no text to train a tokenizer on")
	}
	symbols := t.alphabet()
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		w := trainedWord{count: *counts[text]}
		for i := range len(text) {
			w.symbols = append(w.symbols, symbols[text[i]])
		}
		t.words = append(t.words, w)
	}
	return nil
}

// alphabet makes the tokens of the bytes, in the order of their visible characters, and gives the token of each byte.
func (t *trainer) alphabet() (symbols [256]int32) {
	visible := byteRune
	slices.Sort(visible[:])
	for _, r := range visible {
		symbols[runeByte[r]] = int32(len(t.tokens))
		t.tokens = append(t.tokens, string(r))
	}
	return symbols
}

// merge adds merges until there are vocab tokens or no pair occurs twice. The queue's counts are brought up to date only when a
// pair comes to the top: a pair's count can have become smaller since it was queued, and a larger one was queued again.
func (t *trainer) merge(vocab int, progress func(done, all int) error) error {
	for i := range t.words {
		t.add(int32(i), 1)
	}
	t.enqueue(slices.Collect(maps.Keys(t.pairs)))
	known := map[string]int32{}
	for i, token := range t.tokens {
		known[token] = int32(i)
	}
	for len(t.tokens) < vocab && len(t.queue) > 0 {
		top := t.queue.pop()
		state := t.pairs[top.pair]
		if state == nil || state.count < 2 {
			continue
		}
		if state.count != top.count {
			t.queue.push(queuedPair{state.count, top.pair})
			continue
		}
		left, right := t.tokens[top.pair.left], t.tokens[top.pair.right]
		symbol, exists := known[left+right] // when another pair made the same text before
		if !exists {
			symbol = int32(len(t.tokens))
			known[left+right] = symbol
			t.tokens = append(t.tokens, left+right)
		}
		t.merges = append(t.merges, [2]string{left, right})
		delete(t.pairs, top.pair)
		t.replace(top.pair, symbol, state.words)
		if err := progress(len(t.tokens)-256, vocab-256); err != nil {
			return err
		}
	}
	return nil
}

// replace merges a pair in the words that have it, and queues the pairs that this makes.
func (t *trainer) replace(p pair, symbol int32, words []int32) {
	fresh := map[pair]bool{}
	for _, i := range words {
		w := &t.words[i]
		at := 0
		for at+1 < len(w.symbols) && (w.symbols[at] != p.left || w.symbols[at+1] != p.right) {
			at++
		}
		if at+1 >= len(w.symbols) {
			continue
		}
		t.add(i, -1)
		kept := w.symbols[:at]
		for k := at; k < len(w.symbols); k++ {
			if k+1 < len(w.symbols) && w.symbols[k] == p.left && w.symbols[k+1] == p.right {
				kept = append(kept, symbol)
				k++
				continue
			}
			kept = append(kept, w.symbols[k])
		}
		w.symbols = kept
		t.add(i, 1)
		for k := 1; k < len(kept); k++ {
			if kept[k-1] == symbol || kept[k] == symbol {
				fresh[pair{kept[k-1], kept[k]}] = true
			}
		}
	}
	t.enqueue(slices.Collect(maps.Keys(fresh)))
}

// add counts the pairs of a word, or takes them from the counts when sign is -1.
func (t *trainer) add(word int32, sign int64) {
	w := &t.words[word]
	for k := 1; k < len(w.symbols); k++ {
		p := pair{w.symbols[k-1], w.symbols[k]}
		state := t.pairs[p]
		if state == nil {
			if sign < 0 {
				continue // the pair that is being merged
			}
			state = &pairState{}
			t.pairs[p] = state
		}
		state.count += sign * w.count
		if n := len(state.words); sign > 0 && (n == 0 || state.words[n-1] != word) {
			state.words = append(state.words, word)
		}
	}
}

func (t *trainer) enqueue(pairs []pair) {
	for _, p := range pairs {
		if state := t.pairs[p]; state != nil {
			t.queue.push(queuedPair{state.count, p})
		}
	}
}

type queuedPair struct {
	count int64
	pair  pair
}

// pairQueue is a binary heap: the most frequent pair on top, and of those the one with the smallest symbols.
type pairQueue []queuedPair

func (q pairQueue) less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.pair.left, b.pair.left), cmp.Compare(a.pair.right, b.pair.right)) < 0
}

func (q *pairQueue) push(x queuedPair) {
	*q = append(*q, x)
	for i := len(*q) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			break
		}
		(*q)[i], (*q)[parent] = (*q)[parent], (*q)[i]
		i = parent
	}
}

func (q *pairQueue) pop() queuedPair {
	top, last := (*q)[0], len(*q)-1
	(*q)[0] = (*q)[last]
	*q = (*q)[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && q.less(child+1, child) {
			child++
		}
		if !q.less(child, i) {
			return top
		}
		(*q)[i], (*q)[child] = (*q)[child], (*q)[i]
		i = child
	}
}

// trained is the tokenizer with these tokens and merges.
func trained(tokens []string, merges mergeList, pattern string) (*BPE, error) {
	expression, err := json.Marshal(pattern)
	if err != nil {
		return nil, err
	}
	const byteLevel = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	d := definition{
		Version:       "1.0",
		AddedTokens:   []addedToken{},
		PreTokenizer:  json.RawMessage(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(expression) + `},"behavior":"Isolated","invert":false},` + byteLevel + `]}`),
		PostProcessor: json.RawMessage(byteLevel),
		Decoder:       json.RawMessage(byteLevel),
		Model:         modelFields{Type: "BPE", Vocab: map[string]int32{}, Merges: merges},
	}
	for i, token := range tokens {
		d.Model.Vocab[token] = int32(i)
	}
	return d.tokenizer()
}
