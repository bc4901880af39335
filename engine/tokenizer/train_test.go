package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestTrain trains the tokenizer of testdata, in any order of the documents.
func TestTrain(t *testing.T) {
	b, err := Train(documents(t), TrainOptions{Vocab: 450})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := b.Write(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "tokenizer.json", text.String())
	if r := small(t); r.Hash() != b.Hash() || r.Vocab() != b.Vocab() {
		t.Errorf("read again, the tokenizer has the hash %s and %d tokens; it was %s and %d", r.Hash(), r.Vocab(), b.Hash(), b.Vocab())
	}
	var tokens, size int64
	var all [][]byte
	for doc := range documents(t) {
		encoded := b.Encode(nil, doc)
		tokens, size = tokens+int64(len(encoded)), size+int64(len(doc))
		if got := b.Decode(nil, encoded...); !bytes.Equal(got, doc) {
			t.Errorf("%q came back as %q", doc, got)
		}
		all = append(all, doc)
	}
	want := Training{Documents: int64(len(all)), Bytes: size, Words: b.Training.Words, Tokens: tokens, Merges: b.Vocab() - 256}
	if *b.Training != want {
		t.Errorf("the report is %+v, want %+v", *b.Training, want)
	}
	if r := b.Training.BytesPerToken(); r < 1.7 || r > 4 {
		t.Errorf("%v bytes a token", r)
	}
	slices.Reverse(all)
	reversed, err := Train(func(yield func([]byte, error) bool) {
		for _, doc := range all {
			if !yield(doc, nil) {
				return
			}
		}
	}, TrainOptions{Vocab: 450, Pattern: DefaultPattern})
	if err != nil || reversed.Hash() != b.Hash() {
		t.Errorf("documents in the other order give another tokenizer (%v)", err)
	}
}

// TestTrainCounts compares the trainer with one that counts every pair anew for each merge.
func TestTrainCounts(t *testing.T) {
	docs := []string{"aaaa aaa aa abab ababab baba", "the then there other the the", "xyxyxyxyx yxyxy zxyz", "aaabdaaabac", "the theater heath; they bathe the other brother there, then another gathers them together whether or not"}
	b, err := Train(func(yield func([]byte, error) bool) {
		for _, d := range docs {
			if !yield([]byte(d), nil) {
				return
			}
		}
	}, TrainOptions{Vocab: 290, Pattern: `\S+|\s+`})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMatcher(`\S+|\s+`)
	if err != nil {
		t.Fatal(err)
	}
	var words [][]string
	for _, d := range docs {
		m.each([]byte(d), func(start, end int) {
			var w []string
			for _, x := range []byte(d[start:end]) {
				w = append(w, string(byteRune[x]))
			}
			words = append(words, w)
		})
	}
	for i, merge := range b.definition.Model.Merges {
		counts := map[[2]string]int{}
		for _, w := range words {
			for k := 1; k < len(w); k++ {
				counts[[2]string{w[k-1], w[k]}]++
			}
		}
		best := merge
		for p, n := range counts {
			older := b.vocab[p[0]] < b.vocab[best[0]] || p[0] == best[0] && b.vocab[p[1]] < b.vocab[best[1]]
			if n > counts[best] || n == counts[best] && older {
				best = p
			}
		}
		if best != merge || counts[best] < 2 {
			t.Fatalf("merge %d is %q, which occurs %d times; %q occurs %d times", i, merge, counts[merge], best, counts[best])
		}
		for j, w := range words {
			var merged []string
			for k := 0; k < len(w); k++ {
				if k+1 < len(w) && w[k] == merge[0] && w[k+1] == merge[1] {
					merged = append(merged, w[k]+w[k+1])
					k++
					continue
				}
				merged = append(merged, w[k])
			}
			words[j] = merged
		}
	}
	if n := len(b.definition.Model.Merges); n < 12 {
		t.Errorf("only %d merges", n)
	}
}

// TestTrainProgress counts the merges, and ends a training in the middle.
func TestTrainProgress(t *testing.T) {
	var calls []int
	stop := errors.New("no more")
	b, err := Train(documents(t), TrainOptions{Vocab: 300, Progress: func(done, all int) error {
		if calls = append(calls, done); all != 44 {
			t.Errorf("%d of %d merges", done, all)
		}
		if done == 10 {
			return stop
		}
		return nil
	}})
	if b != nil || !errors.Is(err, stop) || len(calls) != 10 || calls[0] != 1 {
		t.Errorf("calls %v, then %v", calls, err)
	}
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("the disk is gone")
	one := func(text string, err error) func(func([]byte, error) bool) {
		return func(yield func([]byte, error) bool) { yield([]byte(text), err) }
	}
	if _, err := Train(one("", broken), TrainOptions{Vocab: 300}); !errors.Is(err, broken) {
		t.Errorf("an error of the documents became %v", err)
	}
	for _, c := range []struct {
		text    string
		vocab   int
		pattern string
		want    string
	}{
		{"a", 255, "", "a byte-level vocabulary has at least the 256 bytes, and at most 16777216 tokens; 255 is not possible"},
		{"", 300, "", "there is no text to train a tokenizer on"},
		{"a", 300, "a*", `pattern "a*" can match the empty text`},
	} {
		if _, err := Train(one(c.text, nil), TrainOptions{Vocab: c.vocab, Pattern: c.pattern}); fmt.Sprint(err) != c.want {
			t.Errorf("vocab %d, pattern %q: %v, want %s", c.vocab, c.pattern, err, c.want)
		}
	}
	b, err := Train(one("abcdefg", nil), TrainOptions{Vocab: 1000})
	if err != nil || b.Vocab() != 256 {
		t.Errorf("text without a pair that occurs twice: %d tokens, %v", b.Vocab(), err)
	}
}
