package data

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/dsl/check"
	"forge/engine/tokenizer"

	"github.com/google/go-cmp/cmp"
)

// cacheIn puts the user's cache into a folder of the test's.
func cacheIn(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, dir)
	}
	return dir
}

// keptIn lists the trained tokenizers of a cache, unfinished ones too.
func keptIn(t *testing.T, cache string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".json") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTokenizerIsTrainedOnce makes a tokenizer from texts, finds it again, makes it anew where the cache is damaged or gone, always the
// same one, and another for other texts or another size.
func TestTokenizerIsTrainedOnce(t *testing.T) {
	cache := cacheIn(t)
	dir := folder(t, map[string]string{"a.txt": strings.Repeat("the cat sat on the mat. ", 20), "b.txt": strings.Repeat("the dog, the log. ", 20)})
	wanted := check.Tokenizer{Kind: "bpe", Vocab: 266, Train: []check.Source{textSource(dir)}, Span: place}
	var training *tokenizer.Training
	var stages []string
	making := Making{
		Began: func(sources []string, vocab int) {
			if vocab != 266 || !cmp.Equal(sources, []string{"text: " + dir + ", 2 files"}) {
				t.Errorf("it begins with %q for %d tokens", sources, vocab)
			}
		},
		Progress: func(what string, done, all int64) {
			if done > all || done < 1 {
				t.Errorf("%s: %d of %d", what, done, all)
			}
			if n := len(stages); n == 0 || stages[n-1] != what {
				stages = append(stages, what)
			}
		},
		Ended: func(r *tokenizer.Training) { training = r },
	}
	open := func(k check.Tokenizer, m Making) tokenizer.Tokenizer {
		t.Helper()
		made, err := OpenTokenizer(context.Background(), k, m)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := open(wanted, making)
	if training == nil || training.Documents != 2 || training.Merges != 10 || first.Vocab() != 266 || !cmp.Equal(stages, []string{"bytes read", "merges"}) {
		t.Errorf("training %+v, %d tokens, stages %q", training, first.Vocab(), stages)
	}
	if tokens := first.Encode(nil, []byte(" the")); len(tokens) != 1 {
		t.Errorf("the most frequent word has %d tokens", len(tokens))
	}
	files := keptIn(t, cache)
	if len(files) != 1 {
		t.Fatalf("the cache holds %q", files)
	}
	training = nil
	if again := open(wanted, making); again.Hash() != first.Hash() || training != nil {
		t.Errorf("the second time it is %s after %+v, not %s", again.Hash(), training, first.Hash())
	}
	for _, harm := range []func() error{
		func() error { return os.Truncate(files[0], 100) }, func() error { return os.Truncate(files[0], 0) }, func() error { return os.Remove(files[0]) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		training = nil
		if again := open(wanted, making); again.Hash() != first.Hash() || training == nil {
			t.Errorf("made anew it is %s, not %s", again.Hash(), first.Hash())
		}
	}
	smaller := wanted
	smaller.Vocab = 260
	other := wanted
	other.Train = []check.Source{textSource(filepath.Join(dir, "a.txt"))}
	for _, k := range []check.Tokenizer{smaller, other} {
		if open(k, Making{}).Hash() == first.Hash() {
			t.Errorf("%+v gives the same tokenizer", k)
		}
	}
	if files := keptIn(t, cache); len(files) != 3 {
		t.Errorf("the cache holds %q", files)
	}
}

// TestTokenizerTrainingEnds stops in each part of the work; nothing is left behind.
func TestTokenizerTrainingEnds(t *testing.T) {
	cache := cacheIn(t)
	dir := folder(t, map[string]string{"a.txt": strings.Repeat("the cat sat on the mat. ", 20), "b.txt": "more"})
	wanted := check.Tokenizer{Kind: "bpe", Vocab: 266, Train: []check.Source{textSource(dir)}, Span: place}
	for _, part := range []string{"bytes read", "merges"} {
		ctx, cancel := context.WithCancel(context.Background())
		made, err := OpenTokenizer(ctx, wanted, Making{Progress: func(what string, _, _ int64) {
			if what == part {
				cancel()
			}
		}})
		cancel()
		if made != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %s: %v, %v", part, made, err)
		}
	}
	if files := keptIn(t, cache); len(files) > 0 {
		t.Errorf("the cache holds %q", files)
	}
	wanted.Train = []check.Source{textSource(filepath.Join(dir, "missing"))}
	if _, err := OpenTokenizer(context.Background(), wanted, Making{}); err == nil || !strings.HasPrefix(err.Error(), "a.forge:7:14: there is no") {
		t.Errorf("a missing text: %v", err)
	}
}
