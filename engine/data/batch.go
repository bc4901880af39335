package data

import (
	"errors"
	"fmt"
	"sort"

	"forge/engine/random"
)

// Batch is what a step reads, B sequences of T tokens. A label of −1 counts for nothing.
type Batch struct {
	B, T    int
	Tokens  []int32   // [B, T]
	Targets []int32   // [B, T], the next token; −1 at the end of a document and after the end of the text
	MTP     [][]int32 // depth k = 1… at index k−1: [B, T−k], the token k+1 after; −1 if it lies in another document
	Labels  int       // targets that are not −1
	Bytes   int       // of the text of these
}

// NewBatch makes a batch with labels for the given number of multi-token prediction depths.
func NewBatch(b, t, depths int) *Batch {
	batch := &Batch{B: b, T: t, Tokens: make([]int32, b*t), Targets: make([]int32, b*t)}
	for k := 1; k <= depths; k++ {
		batch.MTP = append(batch.MTP, make([]int32, b*max(t-k, 0)))
	}
	return batch
}

// part is the documents of one source on one side of the split, in the source's order.
type part struct {
	source    *source
	documents []int32
}

// arrangement is a part's documents in some order, cut into n sequences. Packed, each is seq tokens of the joined text with one
// more as the last label, and the last is filled up; otherwise each belongs to one document.
type arrangement struct {
	*part
	order []int32
	ends  []int64 // packed: tokens up to the end of each document in order; else sequences up to there
	seq   int
	pack  bool
	n     int
}

// cut makes the sequences of the documents in their present order.
func (a *arrangement) cut(seq int, pack bool) {
	a.seq, a.pack = seq, pack
	a.ends = a.ends[:0]
	total := int64(0)
	for _, i := range a.order {
		size := a.source.length(i)
		if pack {
			total += size
		} else {
			total += (size + int64(seq) - 2) / int64(seq)
		}
		a.ends = append(a.ends, total)
	}
	a.n = int(total)
	if pack {
		a.n = int(max((total+int64(seq)-2)/int64(seq), 1))
	}
}

// window is room for one sequence: its tokens and, for each, where its document ends in the window.
type window struct {
	tokens []int32
	end    []int
}

// load reads sequence j into w: seq+1 tokens, fewer at the end of the text or document.
func (a *arrangement) load(j int, w *window) error {
	w.tokens = w.tokens[:0]
	w.end = w.end[:0]
	want := a.seq + 1
	at := int64(j) * int64(a.seq) // of the joined text
	if !a.pack {
		at = int64(j)
	}
	k := sort.Search(len(a.ends), func(k int) bool { return a.ends[k] > at })
	first := at
	if k > 0 {
		first -= a.ends[k-1]
	}
	if !a.pack {
		first *= int64(a.seq)
	}
	for ; k < len(a.order) && len(w.tokens) < want; k++ {
		i := a.order[k]
		n := int(min(a.source.length(i)-first, int64(want-len(w.tokens))))
		from := len(w.tokens)
		w.tokens = append(w.tokens, make([]int32, n)...)
		if err := a.source.read(i, first, w.tokens[from:]); err != nil {
			return err
		}
		for range n {
			w.end = append(w.end, from+n)
		}
		first = 0
		if !a.pack {
			break
		}
	}
	return nil
}

// fill writes a window into row r of the batch; bytes says how long the text of each token is.
func (b *Batch) fill(r int, w *window, bytes []int32) {
	tokens, targets := b.Tokens[r*b.T:(r+1)*b.T], b.Targets[r*b.T:(r+1)*b.T]
	for i := range tokens {
		tokens[i] = 0
		if i < len(w.tokens) {
			tokens[i] = w.tokens[i]
		}
		if targets[i] = w.label(i, i+1); targets[i] >= 0 {
			b.Labels++
			b.Bytes += int(bytes[targets[i]])
		}
	}
	for d, all := range b.MTP {
		k := d + 1
		n := max(b.T-k, 0)
		row := all[r*n : (r+1)*n]
		for i := range row {
			row[i] = w.label(i, i+k+1)
		}
	}
}

// label is token j as what position i is to predict: −1 if it is not of the same document.
func (w *window) label(i, j int) int32 {
	if i < len(w.end) && j < w.end[i] {
		return w.tokens[j]
	}
	return -1
}

// Position is where a reader stands. It is meaningful for the data (Checksum) and sequence length that it was taken from.
type Position struct {
	Sources []SourcePosition `json:"sources"`
}

// SourcePosition is where a reader stands in one source.
type SourcePosition struct {
	Epoch int   `json:"epoch"` // passes over the source that were finished
	Next  int   `json:"next"`  // sequences read of this pass
	Taken int64 `json:"taken"` // sequences read in all
}

// Reader reads batches of the documents that are not held out, for ever: epoch after epoch, each in its own order.
type Reader struct {
	set      *Set
	seq      int
	position Position
	parts    []reading
	window   window
}

// reading is a part arranged for an epoch (−1: for none yet).
type reading struct {
	arrangement
	epoch int
	visit random.Permutation
}

// Reader starts at the beginning of the first epoch.
func (s *Set) Reader(seq int) *Reader {
	r := &Reader{set: s, seq: seq}
	for _, p := range s.train {
		r.parts = append(r.parts, reading{arrangement: arrangement{part: p}, epoch: -1})
		r.position.Sources = append(r.position.Sources, SourcePosition{})
	}
	return r
}

// Position is where the reader stands; a reader set to it goes on as this one does.
func (r *Reader) Position() Position {
	return Position{Sources: append([]SourcePosition(nil), r.position.Sources...)}
}

// StorePosition is Position into p, reusing its memory.
func (r *Reader) StorePosition(p *Position) { p.Sources = append(p.Sources[:0], r.position.Sources...) }

// Seek makes the reader stand at p.
func (r *Reader) Seek(p Position) error {
	if len(p.Sources) != len(r.parts) {
		return fmt.Errorf("the position is one in %d sources, the data has %d", len(p.Sources), len(r.parts))
	}
	for _, s := range p.Sources {
		if s.Epoch < 0 || s.Next < 0 || s.Taken < 0 {
			return errors.New("the position holds a negative count")
		}
	}
	copy(r.position.Sources, p.Sources)
	return nil
}

// SetSeq changes the sequence length. The pass over each source ends there, since the sequences of another length are others.
func (r *Reader) SetSeq(seq int) {
	if seq == r.seq {
		return
	}
	r.seq = seq
	for i := range r.parts {
		if at := &r.position.Sources[i]; at.Next > 0 {
			at.Epoch, at.Next = at.Epoch+1, 0
		}
		r.parts[i].epoch = -1
	}
}

// Next fills the batch, whose T must be the reader's sequence length, with the sequences that follow.
func (r *Reader) Next(b *Batch) error {
	b.Labels, b.Bytes = 0, 0
	for row := range b.B {
		i := r.choose()
		p, at := &r.parts[i], &r.position.Sources[i]
		r.arrange(i)
		if at.Next >= p.n {
			at.Epoch, at.Next = at.Epoch+1, 0
			r.arrange(i)
		}
		if err := p.load(p.visit.At(at.Next), &r.window); err != nil {
			return err
		}
		at.Next++
		at.Taken++
		b.fill(row, &r.window, r.set.bytes)
	}
	return nil
}

// choose is the source that is furthest behind its share.
func (r *Reader) choose() int {
	best, least := 0, 0.0
	for i := range r.parts {
		if behind := float64(r.position.Sources[i].Taken+1) / r.parts[i].source.recipe.Weight; i == 0 || behind < least {
			best, least = i, behind
		}
	}
	return best
}

// arrange brings a part into the order of its position's epoch.
func (r *Reader) arrange(i int) {
	p, epoch := &r.parts[i], r.position.Sources[i].Epoch
	if p.epoch == epoch {
		return
	}
	p.epoch = epoch
	stream := random.New(r.set.seed, fmt.Sprintf("order/%d/%d", i, epoch))
	if p.order == nil {
		p.order = make([]int32, len(p.documents))
	}
	stream.Shuffle(p.order)
	for k, j := range p.order {
		p.order[k] = p.documents[j]
	}
	p.cut(r.seq, r.set.pack)
	p.visit = random.NewPermutation(stream, p.n)
}

// HeldOut reads the held-out documents in a fixed order.
type HeldOut struct {
	parts  []arrangement
	n      int // sequences there are
	take   int // sequences to read
	bytes  []int32
	next   int
	window window
}

// HeldOut gives the held-out sequences; if there are more than limit tokens (0: no limit), a sample spread evenly over them, the
// same at every call. It is nil if nothing is held out that a token could be predicted in.
func (s *Set) HeldOut(seq int, limit int64) *HeldOut {
	h := &HeldOut{bytes: s.bytes}
	longest := int64(0)
	for _, p := range s.held {
		a := arrangement{part: p, order: p.documents}
		a.cut(seq, s.pack)
		h.n += a.n
		h.parts = append(h.parts, a)
		for _, i := range p.documents {
			longest = max(longest, p.source.length(i))
		}
	}
	if longest < 2 {
		return nil
	}
	h.take = h.n
	if limit > 0 && int64(h.n)*int64(seq) > limit {
		h.take = int(max(limit/int64(seq), 1))
	}
	return h
}

// Sequences is how many sequences there are to read.
func (h *HeldOut) Sequences() int { return h.take }

// Rewind starts again at the first sequence.
func (h *HeldOut) Rewind() { h.next = 0 }

// Next fills the batch; the rows after the last sequence have no labels. It gives the number of rows filled, 0 at the end.
func (h *HeldOut) Next(b *Batch) (int, error) {
	b.Labels, b.Bytes = 0, 0
	rows := 0
	for row := range b.B {
		h.window.tokens, h.window.end = h.window.tokens[:0], h.window.end[:0]
		if h.next < h.take {
			if err := h.load(int(int64(h.next) * int64(h.n) / int64(h.take))); err != nil {
				return 0, err
			}
			h.next++
			rows++
		}
		b.fill(row, &h.window, h.bytes)
	}
	return rows, nil
}

// load reads sequence j, counted over all parts.
func (h *HeldOut) load(j int) error {
	for i := range h.parts {
		if a := &h.parts[i]; j < a.n {
			return a.load(j, &h.window)
		} else {
			j -= a.n
		}
	}
	return nil
}
