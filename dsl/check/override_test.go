package check

import (
	"strings"
	"testing"
)

// Paths that change linked attributes are put in together: a block's rules are checked when all are in place, whichever way and in
// whichever order the changes are written.
func TestLinkedChanges(t *testing.T) {
	const head = "forge 1\nuse \"tiny\"\n"
	for name, k := range map[string]struct {
		source string
		sets   []string
		want   map[string]string // path: text
	}{
		"two sets":       {head + "recipe r from tiny.tiny {}\n", []string{"model.gate.groups=1", "model.gate.kept=1"}, map[string]string{"model.gate.groups": "1", "model.gate.kept": "1"}},
		"in other order": {head + "recipe r from tiny.tiny {}\n", []string{"model.gate.kept=1", "model.gate.groups=1"}, map[string]string{"model.gate.kept": "1"}},
		"from":           {head + "recipe r from tiny.tiny {\n  model.gate.groups = 1\n  model.gate.kept = 1\n}\n", nil, map[string]string{"model.gate.kept": "1"}},
		"from and set":   {head + "recipe r from tiny.tiny {\n  model.gate.top_k = 16\n}\n", []string{"model.gate.experts=64"}, map[string]string{"model.gate.top_k": "16"}},
		"two froms":      {head + "recipe q from tiny.tiny {\n  model.gate.top_k = 16\n}\nrecipe r from q {\n  model.gate.experts = 64\n}\n", nil, map[string]string{"model.gate.experts": "64"}},
		"in a list":      {head + "recipe r from tiny.tiny {}\n", []string{"model.layers[2].ffn.gate.groups=1", "model.layers[2].ffn.gate.kept=1"}, map[string]string{"model.layers[2].ffn.gate.kept": "1", "model.layers[1].ffn.gate.kept": "2"}},
		"a cell and a path": {head + "model m from tiny.tiny_v3 {\n  let n = 8\n  gate = router(experts = n, top_k = 4)\n}\nrecipe r from tiny.tiny {\n  model = m\n}\n",
			[]string{"model.n=2", "model.gate.top_k=1"}, map[string]string{"model.gate.top_k": "1"}},
		"a call of a table": {head + "recipe r from tiny.tiny {\n  model = tiny.tiny_v3(gate = router(experts = 4, top_k = 8))\n}\n",
			[]string{"model.gate.experts=16"}, map[string]string{"model.gate.experts": "16"}},
		"a new block and a path into it": {head + "recipe r from tiny.tiny {}\n", []string{"model.sparse.gate.experts=32", "model.sparse.gate=router(experts = 4, top_k = 8)"},
			map[string]string{"model.sparse.gate.experts": "32", "model.sparse.gate.top_k": "8"}},
		"a default changed inside": {head + "block b(h: axis, inner: block = swiglu(h))(x[.., d]) -> [.., d] {\n  part inner = inner\n  weight w[d, h]\n  weight v[h, d]\n  return inner(x) + dot[h](dot[d](x, w), v)\n}\n" +
			"recipe r from tiny.tiny {\n  model.dense = b(h = 64)\n}\n", []string{"model.dense.inner.hidden=48", "model.dense.h=32"}, map[string]string{"model.dense.inner.hidden": "48", "model.dense.h": "32"}},
		"a value in range by two changes": {head + "train t from tiny.quick {\n  let e = 1e-8\n  optim = adamw(eps = e)\n}\nrecipe r from tiny.tiny {\n  stages = [t]\n}\n",
			[]string{"train.e=0", "train.optim.eps=1e-6"}, map[string]string{"stages[0].optim.eps": "1e-6"}},
		"a default computed anew": {head + "recipe r from tiny.tiny {\n  model.attn = gqa(heads = 4, head = 32)\n}\n", []string{"model.attn.heads=8", "model.attn.head=16"},
			map[string]string{"model.attn.kv_heads": "8"}},
	} {
		r, list := Load(with(k.source), "r.forge:r", k.sets)
		if len(list) > 0 {
			t.Errorf("%s: %s", name, report(with(k.source), k.sets, list))
			continue
		}
		for path, want := range k.want {
			if got, _, err := r.Show(path); err != nil || got != want {
				t.Errorf("%s: %s is %q (%v), want %s", name, path, got, err, want)
			}
		}
	}
}

// What the changes come to is checked all the same, in the parts of what is changed too.
func TestLinkedChangesAreChecked(t *testing.T) {
	const head = "forge 1\nuse \"tiny\"\n"
	for name, k := range map[string]struct {
		source string
		sets   []string
		want   string
	}{
		"one of two":     {head + "recipe r from tiny.tiny {}\n", []string{"model.gate.groups=1"}, "cannot keep more groups than there are"},
		"both wrong":     {head + "recipe r from tiny.tiny {}\n", []string{"model.gate.groups=2", "model.gate.kept=4"}, "here groups = 2, kept = 4"},
		"beside it":      {head + "model m from tiny.tiny_v3 {\n  sparse = moe(swiglu(96), router(experts = 4, top_k = 8))\n}\nrecipe r from tiny.tiny {\n  model = m\n}\n", []string{"model.sparse.shared=swiglu(96)"}, "cannot pick more experts than there are"},
		"a value":        {head + "recipe r from tiny.tiny {}\n", []string{"train.optim.eps=0", "train.optim.decay=0.2"}, "`eps` must be above 0"},
		"an item":        {head + "recipe r from tiny.tiny {}\n", []string{"model.layers[3].ffn.gate.kept=1", "model.layers[3].ffn.gate.top_k=3"}, "the kept groups hold too few experts"},
		"not there":      {head + "recipe r from tiny.tiny {}\n", []string{"model.gate.kept=1", "model.gate.grups=1"}, "did you mean `groups`?"},
		"not an item":    {head + "recipe r from tiny.tiny {}\n", []string{"model.gate[0].kept=1"}, "the path asks for an item, but there is a block (router)"},
		"no such item":   {head + "recipe r from tiny.tiny {}\n", []string{"model.layers[9].attn.heads=1", "model.layers[0].attn.heads=2"}, "the list has no item 9"},
		"in none":        {head + "recipe r from tiny.tiny {\n  model.mtp = none\n}\n", []string{"model.mtp.norm.eps=1e-5"}, "there is nothing to change inside `none`"},
		"not an address": {head + "recipe r from tiny.tiny {}\n", []string{"model.layers.attn=gqa(heads = 4)"}, "a path can't go into a list"},
	} {
		if got := faults(with(k.source), "r.forge:r", k.sets...); !strings.Contains(got, k.want) || strings.Count(got, "error[") != 1 {
			t.Errorf("%s: want one error with %q, got\n%s", name, k.want, got)
		}
	}
}
