package train

import (
	"errors"
	"fmt"
	"slices"

	"forge/compiler"
	"forge/engine/runs"
	"forge/engine/weights"
)

// start brings store, reader and state to where the run begins or goes on.
func (t *trainer) start() error {
	t.state = runs.State{
		Forge: t.Forge, Recipe: t.Recipe.Name, Seed: t.Recipe.Run.Seed, Workers: 1,
		DataChecksum: t.Data.Checksum(), Tokenizer: t.Tokenizer.Name(), TokenizerHash: t.Tokenizer.Hash(),
	}
	if t.From == nil {
		if err := t.foresee(); err != nil {
			return err
		}
		t.reader = t.Data.Reader(t.stage().Seq)
		t.state.Data = t.reader.Position()
		if err := t.compile(); err != nil {
			return err
		}
		return t.initialize()
	}
	if err := t.matches(&t.From.State); err != nil {
		return fmt.Errorf("can't go on from %s: %w", t.From.Dir, err)
	}
	forge := t.state.Forge
	t.state = t.From.State
	t.state.Data.Sources = slices.Clone(t.state.Data.Sources)
	t.state.Forge = forge
	if err := t.foresee(); err != nil {
		return err
	}
	t.saved = t.From
	t.result.Step, t.result.Checkpoint = t.state.Step, t.From
	t.reader = t.Data.Reader(t.stage().Seq)
	if err := t.reader.Seek(t.state.Data); err != nil {
		return fmt.Errorf("can't go on from %s: %w", t.From.Dir, err)
	}
	if err := t.compile(); err != nil {
		return err
	}
	return t.load()
}

// matches says all that makes a checkpoint one of another run.
func (t *trainer) matches(s *runs.State) error {
	var wrong []error
	addf := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if s.DataChecksum != t.state.DataChecksum {
		addf("the data is not what it was (checksum %s, then %s): restore the texts, or start a new run", t.state.DataChecksum, s.DataChecksum)
	}
	if s.TokenizerHash != t.state.TokenizerHash {
		addf("the tokenizer is not what it was (%s %s, then %s %s)", t.state.Tokenizer, t.state.TokenizerHash, s.Tokenizer, s.TokenizerHash)
	}
	if s.Workers != t.state.Workers {
		addf("written with %d workers, started with %d: start as many", s.Workers, t.state.Workers)
	}
	if s.Seed != t.state.Seed {
		addf("the seed is %d and was %d", t.state.Seed, s.Seed)
	}
	if s.Stage < 0 || s.Stage >= len(t.Recipe.Stages) {
		addf("it is in stage %d and the recipe has %d", s.Stage+1, len(t.Recipe.Stages))
	}
	return errors.Join(wrong...)
}

// initialize fills the storage of a fresh run.
func (t *trainer) initialize() error {
	var values []float32
	for _, s := range t.compiled.training.Storage {
		n := s.Shape.Size()
		if cap(values) < n {
			values = make([]float32, n)
		}
		values = values[:n]
		switch s.Kind {
		case compiler.Weight:
			weights.Initialize(values, s.Name, s.Init, t.state.Seed)
		case compiler.State:
			weights.Fill(values, float32(s.Initial))
		default:
			weights.Fill(values, 0)
		}
		if err := t.store.Write(s.Name, values); err != nil {
			return err
		}
	}
	return nil
}

// entries lists what a checkpoint's two files hold.
func (t *trainer) entries() (model, optimizer []weights.Entry) {
	for _, s := range t.compiled.training.Storage {
		e := weights.Entry{Name: s.Name, Shape: s.Shape}
		if s.Kind == compiler.Moment {
			optimizer = append(optimizer, e)
		} else {
			model = append(model, e)
		}
	}
	return model, optimizer
}

// load fills the storage from the checkpoint.
func (t *trainer) load() error {
	model, optimizer := t.entries()
	for _, f := range []struct {
		path    string
		entries []weights.Entry
	}{{t.From.ModelPath(), model}, {t.From.OptimizerPath(), optimizer}} {
		in, err := weights.Open(f.path)
		if err != nil {
			return err
		}
		err = weights.Compare(in, f.entries)
		if err == nil {
			err = weights.Load(in, f.entries, t.store)
		}
		in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// save writes a checkpoint, unless the one of this step was the last that was written or loaded.
func (t *trainer) save() error {
	if t.saved != nil && t.saved.State.Step == t.state.Step {
		t.result.Checkpoint = t.saved
		return nil
	}
	c := &runs.Content{State: t.state, Recipe: t.Text, Tokenizer: t.tokenizerText, Read: t.store.Read}
	c.State.Data.Sources = slices.Clone(t.state.Data.Sources) // the next step stores its position in the same memory
	c.Weights, c.Optimizer = t.entries()
	saved, err := t.Run.Save(c, t.Recipe.Run.Keep)
	if err != nil {
		return fmt.Errorf("the checkpoint of step %d could not be saved: %w", t.state.Step, err)
	}
	t.saved, t.result.Checkpoint = saved, saved
	t.Run.Logf("saved %s", saved.Dir)
	return nil
}
