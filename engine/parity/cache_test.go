package parity

import (
	"path/filepath"
	"slices"
	"testing"

	"forge/backends/cpu"
	"forge/compiler"
	"forge/compiler/op"
)

// TestCacheGivesTheWhole: the tokens and logits that caches give are those of the whole forward pass, which the expectation holds, in both
// forms of latent attention: naive, where keys and values of all positions are made from what is kept, and absorbed, where the query
// meets what is kept itself. Either keeps kv_rank + rope numbers a token and layer.
func TestCacheGivesTheWhole(t *testing.T) {
	for _, name := range fixtures(t) {
		b, err := cpu.New(2)
		if err != nil {
			t.Fatal(err)
		}
		r, err := open(filepath.Join("testdata", name), b)
		if err != nil {
			t.Fatal(err)
		}
		want, err := r.floats("greedy.logits")
		if err != nil {
			t.Fatal(err)
		}
		prompt, tokens := r.want.Greedy.Prompt, r.want.Greedy.Tokens
		for _, form := range []struct {
			name     string
			capacity int
			plain    bool
			absorbed bool
		}{
			{"plain equations", len(prompt) + len(tokens), true, false},
			{"absorbed", 2048, false, true},
		} {
			if got := absorbed(t, r, form.capacity, form.plain); got != form.absorbed {
				t.Errorf("%s, %s: the form that was compiled is absorbed: %v", name, form.name, got)
			}
			got, logits, err := r.generate(prompt, len(tokens), form.capacity, form.plain)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i := range want {
				worst = max(worst, float64(max(want[i]-logits[i], logits[i]-want[i])))
			}
			if !slices.Equal(got, tokens) || worst > 2e-4 {
				t.Errorf("%s, %s: tokens %v, want %v; logits %.2g apart", name, form.name, got, tokens, worst)
			}
		}
		r.close()
		b.Close()
	}
}

// absorbed reports in which form a call of one token is compiled: in the naive one every position of the cache gets keys of each head.
func absorbed(t *testing.T, r *run, capacity int, plain bool) bool {
	t.Helper()
	g, err := compiler.Generate(r.model, compiler.Options{Batch: 1, Seq: 1, NoRewrite: plain}, capacity)
	if err != nil {
		t.Fatal(err)
	}
	if want := r.config.NumHiddenLayers * (r.config.KVRank + r.config.QKRope); g.CachePerToken != want {
		t.Errorf("%d numbers a token are kept, want %d", g.CachePerToken, want)
	}
	keys := r.config.NumHeads * r.config.QKNope
	for _, n := range g.Graph.Nodes() {
		for _, out := range n.Outs {
			if slices.Contains(out.Shape, capacity) && perPosition(out.Shape, capacity) >= keys {
				return false
			}
		}
	}
	return true
}

// perPosition is the size of a tensor for each entry of the axis of positions.
func perPosition(shape op.Shape, capacity int) int { return shape.Size() / capacity }
