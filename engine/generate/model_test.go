package generate

import (
	"context"
	"os"
	"strings"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/tokenizer"
	"forge/engine/weights"

	"github.com/google/go-cmp/cmp"
)

type systemFiles struct{}

func (systemFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// TestModelCachesGiveWhatTheWholeGives is TestCachesGiveWhatTheWholeGives for models: greedy text made with caches, in chunks and
// one by one, is what the whole prefix computed anew at each step gives.
func TestModelCachesGiveWhatTheWholeGives(t *testing.T) {
	for _, attention := range []string{"mla(heads = 2, nope = 8, rope = 8, v = 8, q_rank = 16, kv_rank = 16)", "gqa(heads = 4, kv_heads = 2, head = 8)"} {
		recipe, found := check.Load(systemFiles{}, "tiny", []string{"model.dim=32", "model.depth=2", "model.attn=" + attention,
			"model.dense=swiglu(48)", "model.expert=swiglu(16)", "model.init=normal(0.2)"})
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		b, err := cpu.New(2)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		store := b.NewStore()
		for _, w := range recipe.Model.Weights() {
			var shape op.Shape
			for _, a := range w.Axes {
				shape = append(shape, a.Size)
			}
			values := make([]float32, shape.Size())
			weights.Initialize(values, w.Path, w.Init, 1)
			if err := store.Create(w.Path, op.Type{Shape: shape}); err != nil {
				t.Fatal(err)
			}
			if err := store.Write(w.Path, values); err != nil {
				t.Fatal(err)
			}
		}
		g, err := New(Config{Model: recipe.Model, Backend: b, Store: store, Tokenizer: tokenizer.Bytes(), Context: 620})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		const made = 12
		for _, n := range []int{1, 5, 20, 90, 250, 530} {
			prompt := strings.Repeat("for i := range list { total += i }\n", 16)[:n]
			r, err := g.Generate(context.Background(), prompt, Options{MaxTokens: made, Logprobs: -1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			tokens := tokenizer.Bytes().Encode(nil, []byte(prompt))
			tokens = append(tokens, r.Tokens...)
			if diff := cmp.Diff(greedy(t, b, store, recipe.Model, tokens)[n-1:n-1+made], r.Tokens); diff != "" {
				t.Errorf("%s, prompt of %d tokens (-whole +cached):\n%s", attention, n, diff)
			}
		}
	}
}

// greedy gives the most likely token after each prefix of tokens.
func greedy(t *testing.T, b backends.Backend, store backends.Store, m *check.Model, tokens []int32) []int32 {
	t.Helper()
	forward, err := compiler.Forward(m, compiler.Options{Batch: 1, Seq: len(tokens)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Compile(forward.Graph, store, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SetInts("tokens", tokens); err != nil {
		t.Fatal(err)
	}
	if err := p.RunAll(); err != nil {
		t.Fatal(err)
	}
	logits, err := p.Output("logits")
	if err != nil {
		t.Fatal(err)
	}
	var next []int32
	for i := range tokens {
		next = append(next, int32(largest(logits[i*m.Vocab:(i+1)*m.Vocab])))
	}
	return next
}
