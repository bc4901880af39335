package train

import (
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
)

// TestRecomputedIsKept: what the plan has computed again for the backward pass takes less memory than what is kept, and a run is the
// same to the bit.
func TestRecomputedIsKept(t *testing.T) {
	kept, again := newWorld(t), newWorld(t)
	kept.sets = append(append(kept.sets[:2:2], small...), "run.save=10 steps", "run.eval=100 steps")
	again.sets = kept.sets
	a, b := kept.model(""), again.model("")
	b.Recipe.Plan = &check.Plan{Recompute: []string{"**_norm", "**.attn.val", "**.ffn"}}
	kept.train(a)
	again.train(b)
	sameRun(t, a.Run, b.Run, 10)

	arena := func(o Options) int64 {
		stage := o.Recipe.Stages[0]
		training, err := compiler.Train(stage.Model, stage, compiler.Options{Batch: 4, Seq: 32, Recompute: compiler.Recomputed(o.Recipe)})
		if err != nil {
			t.Fatal(err)
		}
		backend, err := cpu.New(1)
		if err != nil {
			t.Fatal(err)
		}
		defer backend.Close()
		store := backend.NewStore()
		for _, s := range training.Storage {
			if err := store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
				t.Fatal(err)
			}
		}
		program, err := backend.Compile(training.Graph, store, backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		return program.Stats().ArenaBytes
	}
	if whole, less := arena(a), arena(b); less >= whole*9/10 {
		t.Errorf("an arena of %d bytes where the plan has values computed again, %d where they are kept", less, whole)
	}
}
