package compiler_test

import (
	"strings"
	"testing"

	"forge/compiler"
	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/engine/random"
)

// weightsFor gives each weight and state deterministic data.
func weightsFor(list []compiler.Stored, seed int64) map[string]op.Tensor {
	values := map[string]op.Tensor{}
	for _, s := range list {
		r := random.New(seed, s.Name)
		d := make([]float64, s.Shape.Size())
		for i := range d {
			if s.Kind != compiler.Cache {
				d[i] = 0.8 * (r.Float64() - 0.5)
			}
		}
		values[s.Name] = op.Tensor{Shape: s.Shape, Data: d}
	}
	return values
}

func run(t *testing.T, g *graph.Graph, values map[string]op.Tensor, ints map[string][]float64, output string) []float64 {
	t.Helper()
	for _, in := range g.Inputs() {
		values[in.Name] = op.Tensor{Shape: in.Type().Shape, Data: ints[in.Name]}
	}
	all, err := g.Interpret(values)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range g.Updates() {
		values[u.Storage.Name] = all[u.Value][0]
	}
	for _, o := range g.Outputs() {
		if o.Name == output {
			return all[o.Node][0].Data
		}
	}
	t.Fatalf("no output %s", output)
	return nil
}

// TestCachedIsWhole: logits from caches, filled in chunks with padding behind the last real token and then token by token, equal those
// of the whole prefix computed anew, plain and rewritten, for every kind of attention.
func TestCachedIsWhole(t *testing.T) {
	const capacity = 12
	tokens := []float64{3, 1, 4, 1, 5, 9, 2, 6, 5, 3}
	for name, set := range others {
		for _, plain := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				m := load(t, set).Stages[0].Model
				o := compiler.Options{Batch: 1, Seq: len(tokens), Float64: true, NoRewrite: plain}
				whole, err := compiler.Forward(m, o)
				if err != nil {
					t.Fatal(err)
				}
				values := weightsFor(whole.Storage, 7)
				want := run(t, whole.Graph, values, map[string][]float64{"tokens": tokens}, "logits")

				calls := map[int]*compiler.Generation{}
				for _, rows := range []int{4, 1} {
					o.Seq = rows
					if calls[rows], err = compiler.Generate(m, o, capacity); err != nil {
						t.Fatal(err)
					}
				}
				for k, v := range weightsFor(calls[1].Storage, 7) {
					values[k] = v
				}
				// Chunks of 4 and of 2 (two rows of padding), then one token at a time.
				at := 0
				for _, real := range []int{4, 2, 1, 1, 1, 1} {
					rows := 1
					if real > 1 {
						rows = 4
					}
					call := append([]float64(nil), tokens[at:at+real]...)
					for len(call) < rows {
						call = append(call, 0)
					}
					got := run(t, calls[rows].Graph, values, map[string][]float64{"tokens": call, "position": {float64(at)}, "row": {float64(real - 1)}}, "logits")
					at += real
					if d := distance(want[(at-1)*m.Vocab:at*m.Vocab], got); d > 1e-9 {
						t.Errorf("after %d tokens the logits are %.2g apart", at, d)
					}
				}
			})
		}
	}
}

// TestCacheSize counts what is kept: kv_rank + rope numbers a token and layer for latent attention, keys and values for grouped.
func TestCacheSize(t *testing.T) {
	for set, want := range map[string]int{others["mla"]: 2 * (6 + 4), others["gqa"]: 2 * 2 * 2 * 6} {
		g, err := compiler.Generate(load(t, set).Stages[0].Model, compiler.Options{Batch: 1, Seq: 1}, 16)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for _, s := range g.Storage {
			if s.Kind == compiler.Cache {
				kept += s.Shape.Size() / 16
				if !strings.HasPrefix(s.Name, "cache/layers[") {
					t.Errorf("a cache is called %s", s.Name)
				}
			}
		}
		if kept != want || g.CachePerToken != want {
			t.Errorf("%s: %d numbers a token are kept, %d said, want %d", set, kept, g.CachePerToken, want)
		}
	}
}
