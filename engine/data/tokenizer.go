package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"forge/dsl/check"
	"forge/engine/tokenizer"
)

// Making is what there is to know about a tokenizer that a recipe has trained on texts.
type Making struct {
	// Progress is called as the work goes on with what is done of what: bytes of text read, then merges made; nil: nobody asks.
	Progress func(what string, done, all int64)
	// Began is called before the work begins, with the texts and the number of tokens; it isn't where the tokenizer was made before.
	Began func(sources []string, vocab int)
	// Ended is called after it.
	Ended func(*tokenizer.Training)
}

// OpenTokenizer gives the tokenizer of a recipe. One that is to be trained on texts is made here, once: it is kept in the user's cache
// under a name made of the texts and the number of tokens, and the same texts give the same tokenizer. Errors name the place in the
// recipe; a cancelled ctx ends the work and leaves nothing behind.
func OpenTokenizer(ctx context.Context, t check.Tokenizer, m Making) (tokenizer.Tokenizer, error) {
	if len(t.Train) == 0 {
		return tokenizer.Open(t)
	}
	var sources []*source
	defer func() {
		for _, s := range sources {
			s.close()
		}
	}()
	key := sha256.New()
	fmt.Fprintf(key, "%d %d %s\n", trainerVersion, t.Vocab, tokenizer.DefaultPattern)
	for _, recipe := range t.Train {
		s, err := openSource(recipe)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
		fmt.Fprintln(key, s.sum)
	}
	dir, err := cacheFolder("tokenizers")
	if err != nil {
		return nil, fmt.Errorf("%s: no place for the trained tokenizer: %w", t.Span, err)
	}
	at := t
	at.Path, at.Train = filepath.Join(dir, hex.EncodeToString(key.Sum(nil)[:16])+".json"), nil
	if made, err := tokenizer.Open(at); err == nil {
		return made, nil
	}
	b, err := trainTokenizer(ctx, sources, t.Vocab, m)
	if err != nil {
		return nil, fmt.Errorf("%s: training the tokenizer: %w", t.Span, err)
	}
	if err := b.WriteFile(at.Path); err != nil {
		return nil, fmt.Errorf("%s: keeping the trained tokenizer: %w", t.Span, err)
	}
	return tokenizer.Open(at)
}

// trainerVersion is raised when the same texts come to give another tokenizer.
const trainerVersion = 1

func trainTokenizer(ctx context.Context, sources []*source, vocab int, m Making) (*tokenizer.BPE, error) {
	if m.Progress == nil {
		m.Progress = func(string, int64, int64) {}
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.recipe.Kind+": "+s.detail)
	}
	if m.Began != nil {
		m.Began(names, vocab)
	}
	b, err := tokenizer.Train(texts(ctx, sources, m.Progress), tokenizer.TrainOptions{Vocab: vocab, Progress: func(done, all int) error {
		m.Progress("merges", int64(done), int64(all))
		return ctx.Err()
	}})
	if err == nil && m.Ended != nil {
		m.Ended(b.Training)
	}
	return b, err
}

// texts gives every document of the sources once, in memory that the next one uses again.
func texts(ctx context.Context, sources []*source, progress func(string, int64, int64)) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var done, all int64
		for _, s := range sources {
			all += s.bytes
		}
		var text []byte
		for _, s := range sources {
			for i := range s.documents {
				text = resize(text, int(s.documents[i].size))
				err := s.readText(int32(i), 0, text)
				if err == nil {
					err = ctx.Err()
				}
				if !yield(text, err) || err != nil {
					return
				}
				done += int64(len(text))
				progress("bytes read", done, all)
			}
		}
	}
}

// cacheFolder makes and gives a folder of forge's in the user's cache, where all can be made again.
func cacheFolder(name string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, "forge", name)
	return dir, os.MkdirAll(dir, 0o777)
}
