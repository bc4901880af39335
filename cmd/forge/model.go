package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"forge/backends"
	"forge/dsl/check"
	"forge/engine/huggingface"
	"forge/engine/runs"
	"forge/engine/tokenizer"
	"forge/engine/weights"
)

// trained is a checkpoint opened for use: its recipe checked, its weights in a backend's store.
type trained struct {
	checkpoint *runs.Checkpoint // nil for a published checkpoint
	recipe     *check.Recipe
	stage      *check.Stage // the last: its model generates
	tokenizer  tokenizer.Tokenizer
	backend    backends.Backend
	store      backends.Store
}

// openTrained finds a CHECKPOINT and loads it on the device of the command line, or the recipe's.
func (a *app) openTrained(name string) (*trained, error) {
	if huggingface.Is(name) {
		return a.usePublished(name)
	}
	checkpoint, err := runs.Find(name, "runs")
	if err != nil {
		return nil, err
	}
	recipe, err := a.loadRecipe(filepath.Join(checkpoint.Dir, "recipe.forge"))
	if err != nil {
		return nil, err
	}
	t := &trained{checkpoint: checkpoint, recipe: recipe, stage: recipe.Stages[len(recipe.Stages)-1]}
	if recipe.Data == nil {
		return nil, fmt.Errorf("the recipe of %s has no data section, and so no tokenizer", checkpoint.Dir)
	}
	if t.tokenizer, err = a.checkpointTokenizer(context.Background(), checkpoint, recipe.Data.Tokenizer); err != nil {
		return nil, err
	}
	if was := checkpoint.State.TokenizerHash; was != t.tokenizer.Hash() {
		return nil, fmt.Errorf("%s was trained with the tokenizer %s (%s), and this forge's %s is another (%s): the weights would see other tokens",
			checkpoint.Dir, checkpoint.State.Tokenizer, was, t.tokenizer.Name(), t.tokenizer.Hash())
	}
	if t.backend, err = a.openBackend(recipe.Run); err != nil {
		return nil, err
	}
	t.store = t.backend.NewStore()
	if err := t.load(); err != nil {
		return nil, errors.Join(err, t.backend.Close())
	}
	return t, nil
}

// load fills the store with the weights and states that generation and evaluation need.
func (t *trained) load() error {
	file, err := weights.Open(t.checkpoint.ModelPath())
	if err != nil {
		return err
	}
	defer file.Close()
	if err := weights.Compare(file, weights.Of(t.stage.Model, true)); err != nil {
		return err
	}
	return weights.Load(file, weights.Of(t.stage.Model, false), t.store)
}

// Close gives up the device.
func (t *trained) Close() error { return t.backend.Close() }
