package generate

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/backends/reference"
	"forge/compiler"
	"forge/compiler/op"
	"forge/engine/huggingface"
	"forge/engine/weights"
)

// fixtures are published-style checkpoints in float32, bfloat16 and fp8, whose experts lie apart and whose matrices are transposed.
var fixtures = []string{"dense", "moe", "moe-groups", "mtp2", "yarn", "qlora-null", "bf16", "fp8"}

// TestStoredWeights: a checkpoint whose weights are used as they are stored, or converted while it is loaded, gives what the same values
// widened to float32 give. Products of one row sum in float32 and differ in the order of their sums only; those of many rows round to
// bfloat16. What is converted is as near as the format allows.
func TestStoredWeights(t *testing.T) {
	for _, name := range fixtures {
		c, err := huggingface.Open(filepath.Join("..", "parity", "testdata", name), systemFiles{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		tokens := make([]int32, 20)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range tokens {
			tokens[i] = int32(random.IntN(c.Recipe.Model.Vocab))
		}
		b, err := cpu.New(2)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		read := b.NewStore()
		entries := weights.Of(c.Recipe.Model, false)
		if err := c.Weights.Load(entries, read); err != nil {
			t.Fatal(err)
		}
		for keep, allowed := range map[string]float64{weights.AsStored: 0, "f32": 0, "bf16": 1.0 / 300, "fp8": 1.0 / 25, "int8": 1.0 / 100} {
			s, wide := kept(t, c, b, keep), b.NewStore()
			for _, e := range entries {
				was, is := make([]float32, e.Shape.Size()), make([]float32, e.Shape.Size())
				for _, err := range []error{read.Read(e.Name, was), s.Read(e.Name, is), wide.Create(e.Name, op.Type{Shape: e.Shape}), wide.Write(e.Name, is)} {
					if err != nil {
						t.Fatal(err)
					}
				}
				if d := distance(is, was); d > allowed {
					t.Errorf("%s kept %s: %s differs by %.2g of its size, at most %g is due to rounding", name, keep, e.Name, d, allowed)
				}
			}
			want := logitsOf(t, c, b, wide, tokens, 1)
			if got := logitsOf(t, c, b, s, tokens, 1); !(distance(got, want) <= 1e-5) {
				t.Errorf("%s kept %s: the logits differ by %.2g of their size", name, keep, distance(got, want))
			}
			if keep == weights.AsStored {
				if got := logitsOf(t, c, b, s, tokens, 16); !(distance(got, want) <= 0.02) {
					t.Errorf("%s as stored, 16 rows a call: the logits differ by %.2g of their size", name, distance(got, want))
				}
			}
			if (name == "fp8" || name == "bf16") && keep == weights.AsStored {
				plain := reference.New()
				got, want := logitsOf(t, c, plain, kept(t, c, plain, keep), tokens[:4], 1), want[:4*c.Recipe.Model.Vocab]
				if !(distance(got, want) <= 1e-5) {
					t.Errorf("%s on reference: the logits differ by %.2g of their size", name, distance(got, want))
				}
			}
		}
	}
}

func kept(t *testing.T, c *huggingface.Checkpoint, b backends.Backend, keep string) backends.Store {
	t.Helper()
	s := b.NewStore()
	k, err := weights.NewKeeper(s, keep, c.Recipe.Model, c.Recipe.Names)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Named(c.Weights, weights.Of(c.Recipe.Model, false)); err != nil {
		t.Fatal(err)
	}
	return s
}

// logitsOf are the logits after each token, read by calls of so many rows.
func logitsOf(t *testing.T, c *huggingface.Checkpoint, b backends.Backend, s backends.Store, tokens []int32, rows int) []float32 {
	t.Helper()
	g, err := compiler.Generate(c.Recipe.Model, compiler.Options{Batch: 1, Seq: rows}, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range g.Storage {
		if stored.Kind == compiler.Cache {
			if err := s.Create(stored.Name, op.Type{Shape: stored.Shape}); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, err := b.Compile(g.Graph, s, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var logits []float32
	set := func(name string, v ...int32) {
		if err := p.SetInts(name, v); err != nil {
			t.Fatal(err)
		}
	}
	for at := 0; at < len(tokens); at += rows {
		part := make([]int32, rows)
		n := copy(part, tokens[at:])
		set("tokens", part...)
		set("position", int32(at))
		for row := range n {
			set("row", int32(row))
			if err := p.RunAll(); err != nil {
				t.Fatal(err)
			}
			out, err := p.Output("logits")
			if err != nil {
				t.Fatal(err)
			}
			logits = append(logits, out...)
		}
	}
	return logits
}

// distance is the root mean square of the differences beside that of the values.
func distance(got, want []float32) float64 {
	d, size := 0.0, 0.0
	for i := range want {
		d += float64(got[i]-want[i]) * float64(got[i]-want[i])
		size += float64(want[i]) * float64(want[i])
	}
	if size == 0 {
		return math.Sqrt(d)
	}
	return math.Sqrt(d / size)
}
