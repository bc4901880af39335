package cpu

import (
	"os"
	"testing"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
)

// onDisk gives check the files of the machine; shipped recipes need none.
type onDisk struct{}

func (onDisk) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// TestStepAllocatesNothing runs whole training steps of tiny's shape, in every precision.
func TestStepAllocatesNothing(t *testing.T) {
	for _, precision := range []string{"fp32()", "bf16()", "fp8()"} {
		t.Run(precision, func(t *testing.T) {
			recipe, found := check.Load(onDisk{}, "tiny", []string{"train.precision=" + precision, "model.dim=64"})
			if err := found.Err(); err != nil {
				t.Fatal(err)
			}
			stage := recipe.Stages[0]
			const batch, seq = 2, 48
			training, err := compiler.Train(stage.Model, stage, compiler.Options{Batch: batch, Seq: seq})
			if err != nil {
				t.Fatal(err)
			}
			b, err := New(2)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			store := b.NewStore()
			for i, s := range training.Storage {
				if err := store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
					t.Fatal(err)
				}
				values := make([]float32, s.Shape.Size())
				for j := range values {
					if s.Kind == compiler.Weight {
						values[j] = float32((j*7919+i)%201-100) / 1000
					}
				}
				if err := store.Write(s.Name, values); err != nil {
					t.Fatal(err)
				}
			}
			program, err := b.Compile(training.Graph, store, backends.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			inputs := map[string][]int32{"tokens": make([]int32, batch*seq), "targets": make([]int32, batch*seq)}
			for k := 1; k <= training.MTPDepth; k++ {
				inputs["targets["+string(rune('0'+k))+"]"] = make([]int32, batch*(seq-k))
			}
			for name, tokens := range inputs {
				for i := range tokens {
					tokens[i] = int32(i * 31 % 256)
				}
				if err := program.SetInts(name, tokens); err != nil {
					t.Fatal(err)
				}
			}
			if err := training.SetScalars(program, 0, 0, 0); err != nil {
				t.Fatal(err)
			}
			step := func() {
				if err := program.RunAll(); err != nil {
					t.Fatal(err)
				}
			}
			step() // scratch memory grows to what it needs
			if n := testing.AllocsPerRun(5, step); n != 0 {
				t.Errorf("%g allocations a step", n)
			}
		})
	}
}
