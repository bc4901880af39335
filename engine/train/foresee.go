package train

import (
	"fmt"

	"forge/backends"
	"forge/compiler"
	"forge/dsl/check"
	"forge/engine/memory"
)

// foresee reports that a program which the run will need does not fit into memory, before any is made: the step of each stage that
// is left, with its largest batch, beside the evaluations and samples of that stage. Then it warns of what fits only into an
// otherwise empty machine.
func (t *trainer) foresee() error {
	if _, ok := t.Backend.(backends.Measurer); !ok {
		return nil
	}
	for i := t.state.Stage; i < len(t.Recipe.Stages); i++ {
		stage := t.Recipe.Stages[i]
		work, err := t.work(i, stage)
		if err != nil {
			return err
		}
		f, err := work.Check()
		if err != nil {
			return fmt.Errorf("%s: %w", stage.Span, err)
		}
		if crowded := memory.Crowded(f, work.Beside); crowded != "" {
			t.warnings = append(t.warnings, crowded)
			break
		}
	}
	return nil
}

// work is the step of a stage.
func (t *trainer) work(i int, stage *check.Stage) (*memory.Work, error) {
	batch := largestBatch(stage)
	training, err := t.Compiler.Train(stage.Model, stage, compiler.Options{Batch: batch, Seq: stage.Seq, Recompute: compiler.Recomputed(t.Recipe)})
	if err != nil {
		return nil, err
	}
	beside, err := t.beside(stage, batch)
	if err != nil {
		return nil, err
	}
	path := "train"
	if len(t.Recipe.Stages) > 1 {
		path = fmt.Sprintf("stages[%d]", i)
	}
	set := func(cell string) func(int) string {
		return func(n int) string { return fmt.Sprintf("--set '%s.%s=%d'", path, cell, n) }
	}
	return &memory.Work{
		What: fmt.Sprintf("training `%s`", stage.Name), Backend: t.Backend, Store: t.store, Graph: training.Graph, Storage: training.Storage,
		Beside: beside, BesideWhat: "evaluation", Batch: batch, Seq: stage.Seq, SetBatch: set("batch"), SetSeq: set("seq"),
		Cures: cures(t.Recipe),
	}, nil
}

// cures are what else makes a step need less.
func cures(r *check.Recipe) []string {
	smaller := "a smaller model: `dim`, layers, experts, `vocab`"
	if len(compiler.Recomputed(r)) > 0 {
		return []string{smaller}
	}
	return []string{"values computed again instead of kept: `plan p { devices = 1  recompute = [\"**.ffn\"] }` and `run.plan = p`", smaller}
}

// beside is what evaluations and samples hold while a stage trains; their weights are those of the training.
func (t *trainer) beside(stage *check.Stage, batch int) (int64, error) {
	e, err := t.Compiler.Evaluate(stage.Model, compiler.Options{Batch: min(batch, largestEvalBatch), Seq: stage.Seq})
	if err != nil {
		return 0, err
	}
	f, err := t.Backend.(backends.Measurer).Measure(e.Graph, t.store)
	if err != nil {
		return 0, err
	}
	held := f.Values
	if t.SampleTokens >= 0 && stage.Seq >= leastForSamples {
		context := min(stage.Seq, promptBytes+t.SampleTokens)
		g, err := t.Compiler.Generate(stage.Model, compiler.Options{Batch: 1, Seq: min(64, context)}, context)
		if err != nil {
			return 0, err
		}
		if f, err = t.Backend.(backends.Measurer).Measure(g.Graph, t.store); err != nil {
			return 0, err
		}
		for _, s := range g.Storage {
			if s.Kind == compiler.Cache {
				held += 4 * int64(s.Shape.Size())
			}
		}
		held += f.Values
	}
	return held, nil
}

// largestBatch is the most sequences of any step: batches grow or shrink from one end of a schedule's piece to the other.
func largestBatch(stage *check.Stage) int {
	largest := stage.BatchAt(0)
	for _, p := range stage.Batch.Pieces {
		end := p.End
		if end < 0 || end > stage.NumTokens {
			end = stage.NumTokens
		}
		for _, at := range []int64{p.Start, end - 1} {
			if at >= 0 && at < stage.NumTokens {
				largest = max(largest, stage.BatchAt(at))
			}
		}
	}
	return int(max(largest, 1))
}
