package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

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
	files      io.Closer // whose mapped weights the store uses
}

// openTrained finds a CHECKPOINT and loads it on the device of the command line, or the recipe's. Its weights are kept as one of
// weights.Keepings. What it is needed for must fit into memory.
func (a *app) openTrained(name, keep string, need need) (*trained, error) {
	if err := checkKeeping(keep); err != nil {
		return nil, err
	}
	if huggingface.Is(name) {
		return a.usePublished(name, keep, need)
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
	if err := t.fits(keep, need); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if err := t.load(keep); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// keepFlag adds the flag that says how weights are kept in memory.
func keepFlag(cmd *cobra.Command, keep *string) {
	cmd.Flags().StringVar(keep, "dtype", weights.AsStored, "keep the weights in memory `AS` "+joinComma(weights.Keepings)+"; those of a file are used where they are")
}

func checkKeeping(keep string) error {
	if slices.Contains(weights.Keepings, keep) {
		return nil
	}
	return unknownName(fmt.Sprintf("--dtype %s: weights can't be kept as that", keep), keep, weights.Keepings)
}

// load fills the store with the weights and states that generation and evaluation need.
func (t *trained) load(keep string) error {
	file, err := weights.Open(t.checkpoint.ModelPath())
	if err != nil {
		return err
	}
	t.files = file
	if err := weights.Compare(file, weights.Of(t.stage.Model, true)); err != nil {
		return err
	}
	k, err := weights.NewKeeper(t.store, keep, t.stage.Model, t.recipe.Names)
	if err != nil {
		return err
	}
	defer k.Close()
	return k.File(file, weights.Of(t.stage.Model, false))
}

// Close gives up the device, then the files.
func (t *trained) Close() error {
	err := t.backend.Close()
	if t.files != nil {
		err = errors.Join(err, t.files.Close())
	}
	return err
}
