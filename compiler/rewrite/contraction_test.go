package rewrite

import (
	"testing"

	"forge/compiler/equation"
)

// latent writes MLA's scores (without the rotary part) and values for queries against cached latents, as plugins/std/attention.forge
// has them.
func latent(queries, keys int) *equation.Program {
	axis := func(name string, size int) *equation.Axis { return &equation.Axis{Name: name, Size: size} }
	batch, seq, key := axis("batch", 1), axis("seq", queries), axis("key", keys)
	heads, nope, v, kv := axis("heads", 16), axis("nope", 128), axis("v", 128), axis("kv", 256)
	rank, qrank, d := axis("kv_rank", 512), axis("q_rank", 1536), axis("d", 2048)

	q := equation.NewDot(equation.NewInput("x", false, batch, seq, qrank), equation.NewStorage("wq_b", qrank, heads, nope), qrank)
	cached := equation.NewStorage("cache", batch, key, rank)
	both := equation.NewDot(cached, equation.NewStorage("wkv_b", rank, heads, kv), rank)
	k := equation.NewSlice(both, kv, 0, nope)
	val := equation.NewSlice(both, kv, 128, v)
	p := equation.NewAlong(equation.Softmax, equation.NewCausal(equation.NewDot(q, k, nope), seq, key, 0, nil), key, 0)
	out := equation.NewDot(equation.NewDot(p, val, key), equation.NewStorage("wo", heads, v, d), heads, v)
	return &equation.Program{Outputs: []equation.Output{{Name: "out", Node: out}}}
}

// TestContractionAbsorbs: with one query against a long cache nothing of the size keys × heads × nope is computed; while training the
// naive form stays.
func TestContractionAbsorbs(t *testing.T) {
	for _, c := range []struct {
		queries, keys int
		absorbed      bool
	}{{1, 4096, true}, {4096, 4096, false}} {
		p := latent(c.queries, c.keys)
		Run(p, []Rule{Contraction, Attention})
		cost, expanded, attention := 0, false, false
		equation.Walk(p.Roots(), func(n *equation.Node) {
			if n.Kind == equation.Dot {
				cost += equation.Size(equation.Union(n.Axes, n.On))
				names := map[string]bool{}
				for _, a := range n.Axes {
					names[a.Name] = true
				}
				expanded = expanded || names["key"] && names["heads"] && (names["kv"] || names["nope"] || names["v"])
			}
			attention = attention || n.Kind == equation.Attention
		})
		if expanded == c.absorbed {
			t.Errorf("%d queries, %d keys: keys are expanded to heads: %v", c.queries, c.keys, expanded)
		}
		if !attention {
			t.Errorf("%d queries, %d keys: no attention operation", c.queries, c.keys)
		}
	}
}
