package cpu

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"testing"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/weights"
)

// noFiles has no files: shipped recipes are found without.
type noFiles struct{}

func (noFiles) ReadFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

// TestDeterministic: with the option, a step of training and generated logits are the same to the bit whatever the number of
// threads, in every precision.
func TestDeterministic(t *testing.T) {
	if testing.Short() {
		t.Skip("trains with four numbers of threads")
	}
	for _, precision := range []string{"fp32()", "bf16()", "fp8()"} {
		t.Run(precision, func(t *testing.T) {
			recipe, found := check.Load(noFiles{}, "tiny", []string{
				// Sizes at which products, sums and attention are cut in every way: few rows and long sums, one head and long keys.
				"train.batch=1", "train.seq=600", "train.precision=" + precision,
			})
			if err := found.Err(); err != nil {
				t.Fatal(err)
			}
			var want map[string][]float32
			for _, threads := range []int{1, 2, 3} {
				b, err := Open(Options{Threads: threads, Deterministic: true})
				if err != nil {
					t.Fatal(err)
				}
				got, err := trained(b, recipe, 1)
				if err = errors.Join(err, b.Close()); err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = got
					continue
				}
				for name, values := range want {
					if i := firstDifference(values, got[name]); i >= 0 {
						t.Errorf("%d threads: entry %d of %s is %g, with one thread %g", threads, i, name, got[name][i], values[i])
					}
				}
			}
		})
	}
}

func firstDifference(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// trained is all storage after some steps, and the logits of a prompt that is read at once and then by one token.
func trained(b backends.Backend, recipe *check.Recipe, steps int64) (map[string][]float32, error) {
	stage := recipe.Stages[0]
	batch, seq := int(stage.BatchAt(0)), stage.Seq
	training, err := compiler.Train(stage.Model, stage, compiler.Options{Batch: batch, Seq: seq})
	if err != nil {
		return nil, err
	}
	store := b.NewStore()
	if err := create(store, training.Storage); err != nil {
		return nil, err
	}
	program, err := b.Compile(training.Graph, store, backends.Options{})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	sizes := data.NewBatch(batch, seq, training.MTPDepth)
	inputs := map[string]int{"tokens": len(sizes.Tokens), "targets": len(sizes.Targets)}
	for k, targets := range sizes.MTP {
		inputs[fmt.Sprintf("targets[%d]", k+1)] = len(targets)
	}
	for step := range steps {
		for name, n := range inputs {
			if err := program.SetInts(name, texts(n, int(step)+len(name))); err != nil {
				return nil, err
			}
		}
		if err := training.SetScalars(program, step+20, step, step); err != nil {
			return nil, err
		}
		if err := program.RunAll(); err != nil {
			return nil, err
		}
	}
	values := map[string][]float32{}
	for _, name := range store.Names() {
		t, _ := store.Type(name)
		values[name] = make([]float32, t.Shape.Size())
		if err := store.Read(name, values[name]); err != nil {
			return nil, err
		}
	}
	if values["logits of 96"], err = logits(b, store, stage.Model, 96, 0); err != nil {
		return nil, err
	}
	values["logits of 1"], err = logits(b, store, stage.Model, 1, 96)
	return values, err
}

// logits are those of the last of some rows behind so many cached ones.
func logits(b backends.Backend, store backends.Store, m *check.Model, rows, cached int) ([]float32, error) {
	generation, err := compiler.Generate(m, compiler.Options{Batch: 1, Seq: rows}, 128)
	if err != nil {
		return nil, err
	}
	if err := create(store, generation.Storage); err != nil {
		return nil, err
	}
	program, err := b.Compile(generation.Graph, store, backends.Options{})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	for name, v := range map[string][]int32{"tokens": texts(rows, 1), "position": {int32(cached)}, "row": {int32(rows - 1)}} {
		if err := program.SetInts(name, v); err != nil {
			return nil, err
		}
	}
	if err := program.RunAll(); err != nil {
		return nil, err
	}
	out, err := program.Output("logits")
	return append([]float32{}, out...), err
}

// create makes storages that a store does not have, weights at random.
func create(store backends.Store, storage []compiler.Stored) error {
	for _, s := range storage {
		if _, ok := store.Type(s.Name); ok {
			continue
		}
		if err := store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
			return err
		}
		if s.Kind != compiler.Weight {
			continue
		}
		values := make([]float32, s.Shape.Size())
		weights.Initialize(values, s.Name, s.Init, 0)
		if err := store.Write(s.Name, values); err != nil {
			return err
		}
	}
	return nil
}

// texts are n tokens.
func texts(n, seed int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32((i*i*31 + seed*17 + i/7) % 256)
	}
	return tokens
}
