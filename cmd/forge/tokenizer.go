package main

import (
	"context"
	"os"
	"time"

	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/runs"
	"forge/engine/tokenizer"
)

// openTokenizer gives the tokenizer of a recipe. One that the recipe has trained is made now if it was not before, and one says so.
func (a *app) openTokenizer(ctx context.Context, t check.Tokenizer) (tokenizer.Tokenizer, error) {
	var shown *progress
	of := ""
	end := func() {
		if shown != nil {
			shown.end()
		}
	}
	defer end()
	start := time.Now()
	return data.OpenTokenizer(ctx, t, data.Making{
		Began: func(sources []string, vocab int) {
			a.notef("training a tokenizer of %s on %s …\n", countOf(vocab, "token", "tokens"), joinComma(sources))
		},
		Progress: func(what string, done, all int64) {
			if what != of {
				end()
				shown, of = newProgress(a, "the tokenizer, "+what+":"), what
			}
			shown.at(int(done), int(all))
		},
		Ended: func(r *tokenizer.Training) {
			end()
			a.notef("trained the tokenizer in %.1f s: %s on %d bytes of text, %.2f bytes a token\n",
				time.Since(start).Seconds(), countOf(r.Merges, "merge", "merges"), r.Bytes, r.BytesPerToken())
			if unused := t.Vocab - 256 - r.Merges; unused > 0 {
				a.notef("the text has no more: %s of the vocabulary will not occur\n", countOf(unused, "token", "tokens"))
			}
		},
	})
}

// checkpointTokenizer gives the tokenizer that a checkpoint was trained with: its own, or, where it has none, the recipe's.
func (a *app) checkpointTokenizer(ctx context.Context, c *runs.Checkpoint, t check.Tokenizer) (tokenizer.Tokenizer, error) {
	return a.openTokenizer(ctx, ownTokenizer(c, t))
}

// resumedTokenizer gives the tokenizer to go on with: the file that the recipe names, which may have become another and is then
// refused, or else the checkpoint's own.
func (a *app) resumedTokenizer(ctx context.Context, c *runs.Checkpoint, t check.Tokenizer) (tokenizer.Tokenizer, error) {
	if _, err := os.Stat(t.Path); t.Path == "" || err != nil {
		t = ownTokenizer(c, t)
	}
	return a.openTokenizer(ctx, t)
}

// ownTokenizer is the recipe's tokenizer, read from the checkpoint if that has it. c may be nil.
func ownTokenizer(c *runs.Checkpoint, t check.Tokenizer) check.Tokenizer {
	if c == nil || t.Kind != "bpe" || c.TokenizerPath() == "" {
		return t
	}
	t.Path, t.Train = c.TokenizerPath(), nil
	return t
}
