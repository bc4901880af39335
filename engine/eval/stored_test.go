package eval

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/compiler"
	"forge/engine/huggingface"
	"forge/engine/weights"
)

type systemFiles struct{}

func (systemFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// TestStoredWeights: the losses of a checkpoint that is used as it is stored are those of the same weights in float32, but for the
// rounding of products to bfloat16.
func TestStoredWeights(t *testing.T) {
	for name, allowed := range map[string]float64{"dense": 1e-5, "bf16": 0.02, "fp8": 0.02} {
		c, err := huggingface.OpenToUse(filepath.Join("..", "parity", "testdata", name), systemFiles{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b, err := cpu.New(2)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		entries := weights.Of(c.Recipe.Model, false)
		wide, stored := b.NewStore(), b.NewStore()
		if err := c.Weights.Load(entries, wide); err != nil {
			t.Fatal(err)
		}
		k, err := weights.NewKeeper(stored, weights.AsStored, c.Recipe.Model, c.Recipe.Names)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		if err := k.Named(c.Weights, entries); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Evaluate(c.Recipe.Model, compiler.Options{Batch: 2, Seq: 24})
		if err != nil {
			t.Fatal(err)
		}
		tokens, targets := make([]int32, 48), make([]int32, 48)
		for i := range tokens {
			tokens[i], targets[i] = int32(i*7%c.Recipe.Model.Vocab), int32(i*11%c.Recipe.Model.Vocab)
		}
		var losses [2][]float32
		for i, s := range []backends.Store{wide, stored} {
			p, err := b.Compile(compiled.Graph, s, backends.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for _, err := range []error{p.SetInts("tokens", tokens), p.SetInts("targets", targets), p.RunAll()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if losses[i], err = p.Output("losses"); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range losses[0] {
			if got := losses[1][i]; !(math.Abs(float64(got-want)) <= allowed*math.Abs(float64(want))) {
				t.Errorf("%s: the loss of token %d is %v as stored and %v in float32", name, i, got, want)
			}
		}
	}
}
