package bench

import (
	"fmt"

	"forge/backends"
	"forge/compiler"
	"forge/engine/data"
	"forge/engine/memory"
)

// flag writes a flag of the command line with a number.
func flag(name string) func(int) string {
	return func(n int) string { return fmt.Sprintf("--%s %d", name, n) }
}

// train measures whole steps: forward, backward, clipping, optimizer.
func (b *bench) train() error {
	stage := b.o.Recipe.Stages[0]
	batch, seq := b.o.Batch, b.o.Seq
	if batch == 0 {
		batch = max(1, int(stage.BatchAt(0)))
	}
	if seq == 0 {
		seq = stage.Seq
	}
	if depth := stage.Model.MTPDepth; seq <= depth {
		return fmt.Errorf("sequences of %d are too short to predict %d more: --seq wants at least %d, or the model no `mtp`", seq, depth, depth+1)
	}
	b.renew()
	var training *compiler.Training
	program, err := b.compile(func() ([]compiler.Stored, backends.Program, error) {
		var err error
		if training, err = compiler.Train(stage.Model, stage, compiler.Options{Batch: batch, Seq: seq, Recompute: compiler.Recomputed(b.o.Recipe)}); err != nil {
			return nil, nil, err
		}
		work := memory.Work{
			What: "a training step", Backend: b.o.Backend, Store: b.store, Graph: training.Graph, Storage: training.Storage, Batch: batch, Seq: seq,
			SetBatch: flag("batch"), SetSeq: flag("seq"), Cures: []string{"a smaller model: `dim`, layers, experts, `vocab`"},
		}
		if _, err := work.Check(); err != nil {
			return nil, nil, err
		}
		if err := b.create(training.Storage); err != nil {
			return nil, nil, err
		}
		program, err := b.o.Backend.Compile(training.Graph, b.store, backends.Options{Profile: b.o.Profile})
		return training.Storage, program, err
	})
	if err != nil {
		return err
	}
	defer program.Close()
	sizes := data.NewBatch(batch, seq, training.MTPDepth)
	inputs := map[string][]int32{"tokens": b.tokens(len(sizes.Tokens)), "targets": b.tokens(len(sizes.Targets))}
	for k, targets := range sizes.MTP {
		inputs[fmt.Sprintf("targets[%d]", k+1)] = b.tokens(len(targets))
	}
	step := int64(0)
	return b.measure(Part{Name: "train", Size: fmt.Sprintf("%d × %d", batch, seq), Tokens: batch * seq}, program, func() error {
		if err := setInts(program, inputs); err != nil {
			return err
		}
		tokens := step * int64(batch*seq)
		if err := training.SetScalars(program, step, tokens, stage.StartTokens+tokens); err != nil {
			return err
		}
		step++
		return program.RunAll()
	})
}
