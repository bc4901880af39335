package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"forge/recipes"
)

// hf is the shipped table of checkpoint names, and a recipe that uses it with tiny (whose model has every kind of layer).
func hf(t testing.TB) (files memory, lines []string) {
	t.Helper()
	table, err := recipes.FS.ReadFile("deepseek_hf.forge")
	if err != nil {
		t.Fatal(err)
	}
	files = memory{"hf.forge": string(table), "r.forge": "forge 1\nuse \"tiny\"\nuse \"hf.forge\"\nrecipe r from tiny.tiny { weights = hf.huggingface }\n"}
	for _, l := range strings.Split(string(table), "\n") {
		if strings.Contains(l, "] = ") || strings.HasPrefix(l, "  \"") {
			lines = append(lines, l)
		}
	}
	return files, lines
}

// Every weight and state of the model is named exactly once, and every name in the file is different.
func TestEveryWeightIsNamed(t *testing.T) {
	files, lines := hf(t)
	if len(lines) != 31 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, sets := range [][]string{nil, {"model.tied=true"}, {"model.mtp=none"}, {"model.mtp_depth=3"}, {"model.attn.q_rank=none"}, {"model.first_dense=0"},
		{"model.sparse.shared=none"}, {"model.depth=1"}} {
		r := load(t, files, "r.forge", sets...)
		named, inFile := map[string]int{}, map[string]bool{}
		for _, n := range r.Names.Tensors {
			if inFile[n.File] {
				t.Errorf("%q: %s is twice in the file", sets, n.File)
			}
			inFile[n.File] = true
			if !n.Copy {
				named[n.Weight]++
			}
		}
		want := 0
		for _, w := range r.Model.Weights() {
			paths := []string{w.Path}
			if w.Bank {
				paths = nil
				for e := range w.Axes[0].Size {
					paths = append(paths, strings.Replace(w.Path, ".bank.", fmt.Sprintf(".bank[%d].", e), 1))
				}
			}
			for _, p := range paths {
				want++
				if named[p] != 1 {
					t.Errorf("%q: %s is named %d times", sets, p, named[p])
				}
			}
		}
		if r.Names.Count() != want {
			t.Errorf("%q: %d tensors, want %d", sets, r.Names.Count(), want)
		}
	}
}

// The tensors of DeepSeek-V3 as published, with the order of their axes.
func TestPublishedNames(t *testing.T) {
	r := load(t, shipped, "deepseek_v3")
	if r.Names.Scales != "_scale_inv" || r.Names.ScaleBlock != [2]int{128, 128} {
		t.Errorf("%+v", r.Names.ScaleBlock)
	}
	for _, want := range []NamedTensor{
		{"model.embed_tokens.weight", "embed", []int{0, 1}, 1, false},
		{"model.norm.weight", "norm.gain", []int{0}, 1, false},
		{"lm_head.weight", "head", []int{0, 1}, 1, false},
		{"model.layers.7.self_attn.q_b_proj.weight", "layers[7].attn.wq_b", []int{1, 2, 0}, 2, false}, // [heads, qk, q_rank] of [q_rank, heads, qk]
		{"model.layers.7.self_attn.o_proj.weight", "layers[7].attn.wo", []int{2, 0, 1}, 1, false},
		{"model.layers.7.mlp.gate.e_score_correction_bias", "layers[7].ffn.gate.b", []int{0}, 1, false},
		{"model.layers.60.mlp.experts.255.down_proj.weight", "layers[60].ffn.bank[255].down", []int{1, 0}, 1, false},
		{"model.layers.61.mlp.experts.3.up_proj.weight", "mtp[0].layer.ffn.bank[3].up", []int{1, 0}, 1, false},
		{"model.layers.61.eh_proj.weight", "mtp[0].proj", []int{1, 0}, 1, false},
		{"model.layers.61.embed_tokens.weight", "embed", []int{0, 1}, 1, true},
		{"model.layers.61.shared_head.head.weight", "head", []int{0, 1}, 1, true},
	} {
		i := slices.IndexFunc(r.Names.Tensors, func(n NamedTensor) bool { return n.File == want.File })
		if i < 0 {
			t.Errorf("%s is missing", want.File)
			continue
		}
		if got := r.Names.Tensors[i]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if deep := load(t, shipped, "deepseek_v3", "model.mtp_depth=2"); !slices.ContainsFunc(deep.Names.Tensors, func(n NamedTensor) bool {
		return n.File == "model.layers.62.eh_proj.weight" && n.Weight == "mtp[1].proj"
	}) {
		t.Error("the second module is layer 62")
	}
}

// One line left out, doubled or misspelt is an error each time: no converter can lose the experts in silence.
func TestBrokenTables(t *testing.T) {
	files, lines := hf(t)
	table := files["hf.forge"]
	broken := func(what, line, by string, optional bool) {
		files["hf.forge"] = strings.Replace(table, line+"\n", by, 1)
		if _, list := Load(files, "r.forge", nil); list.HasErrors() == optional {
			t.Errorf("%s: %s -> %s: %v", what, line, by, list)
		}
	}
	oneDense := map[string]bool{"layers[i].ffn.gate": true, "layers[i].ffn.up": true, "layers[i].ffn.down": true} // tiny has one dense layer
	for _, l := range lines {
		left, right, _ := strings.Cut(l, " = ")
		copied := strings.Contains(right, "mtp[k].embed") || strings.Contains(right, "mtp[k].head")
		// tiny has a q_rank, so the line for wq rests; copies may be missing.
		broken("left out", l, "", copied || strings.Contains(right, ".wq["))
		broken("doubled", l, l+"\n"+l+"\n", false)
		if strings.HasPrefix(left, "  \"") {
			broken("two lines", l, l+"\n"+strings.Replace(l, "\"", "\"other.", 1)+"\n", copied || strings.Contains(right, ".wq["))
		}
		path, axes, hasAxes := right, "", false
		if i := strings.LastIndexByte(right, '['); i > 0 && strings.HasSuffix(right, "]") {
			path, axes, hasAxes = right[:i], right[i:], true
		}
		broken("misspelt", l, left+" = "+path+"q"+axes+"\n", false)
		if i := strings.IndexByte(path, '.'); i > 0 {
			broken("misspelt part", l, left+" = "+path[:i+1]+"x"+path[i+1:]+axes+"\n", false)
		}
		if hasAxes && strings.Contains(axes, ", ") {
			broken("other axes", l, left+" = "+path+strings.Replace(axes, ", ", "q, ", 1)+"\n", false)
			broken("one axis less", l, left+" = "+path+"["+axes[strings.Index(axes, ", ")+2:]+"\n", false)
			broken("no axes", l, left+" = "+path+"\n", false)
		}
		if strings.Contains(left, "{i}") {
			broken("no index", l, strings.Replace(left, "{i}", "0", 1)+" = "+right+"\n", strings.Contains(right, ".wq[") || oneDense[path])
		}
		if strings.Contains(left, "{") {
			broken("unknown index", l, strings.Replace(left, "{", "{z + ", 1)+" = "+right+"\n", false)
		}
	}
}

// A derived table replaces and drops lines.
func TestDerivedTable(t *testing.T) {
	files, _ := hf(t)
	files["r.forge"] = "forge 1\nuse \"tiny\"\nuse \"hf.forge\"\n" +
		"weights own from hf.huggingface {\n  scales = none\n  \"lm_head.weight\" = none\n  \"output.weight\" = head[dim, vocab]\n  \"model.norm.weight\" = norm.gain[d]\n}\n" +
		"recipe r from tiny.tiny { weights = own }\n"
	r := load(t, files, "r.forge")
	i := slices.IndexFunc(r.Names.Tensors, func(n NamedTensor) bool { return n.Weight == "head" && !n.Copy })
	if n := r.Names.Tensors[i]; n.File != "output.weight" || !slices.Equal(n.Order, []int{1, 0}) || r.Names.Scales != "" {
		t.Errorf("%+v", n)
	}
	for line, want := range map[string]string{
		"\"x\" = none":                                            "[E604]",
		"\"x\" = 5":                                               "[E604]",
		"\"x\" = layers[i].attn.wq[0, 1]":                         "[E604]",
		"\"x\" = embed[dim]":                                      "[E60",
		"\"x\" = nothing.gain":                                    "[E604]",
		"\"x{\" = layers[i].attn.wq[heads, qk, d]":                "[E604]",
		"\"x{i i}\" = layers[i].attn.wq[heads, qk, d]":            "[E604]",
		"\"x\" = layers.attn.wq[heads, qk, d]":                    "[E604]",
		"layers[x] = 5":                                           "[E604]",
		"\"lm_head.weight\" = norm.gain":                          "[E60",
		"scale_block = [0, 0]":                                    "[E303]",
		"\"y\" = layers[i].attn[k].wq[heads, qk, d]":              "[E604]",
		"\"model.embed_tokens.weight{norm}\" = embed[vocab, dim]": "[E60",
	} {
		files["r.forge"] = "forge 1\nuse \"tiny\"\nuse \"hf.forge\"\nweights own from hf.huggingface {\n  " + line + "\n}\nrecipe r from tiny.tiny { weights = own }\n"
		if got := faults(files, "r.forge"); !strings.Contains(got, want) {
			t.Errorf("%s: want %s, got\n%s", line, want, got)
		}
	}
}

// A table is checked by itself as far as that goes.
func TestTableAlone(t *testing.T) {
	files, lines := hf(t)
	table := files["hf.forge"]
	if got := rendered(files, "hf.forge"); got != "" {
		t.Error(got)
	}
	for _, l := range lines {
		left, right, _ := strings.Cut(l, " = ")
		if !strings.Contains(left, "\"") {
			continue
		}
		wrong := "x" + right
		if i := strings.IndexByte(right, '.'); i > 0 && !strings.Contains(right, "mtp[k].embed") && !strings.Contains(right, "mtp[k].head") {
			wrong = right[:i+1] + "x" + right[i+1:]
		}
		files["hf.forge"] = strings.Replace(table, l, left+" = "+wrong, 1)
		if got := rendered(files, "hf.forge"); !strings.Contains(got, "[E604]") {
			t.Errorf("%s: %s", wrong, got)
		}
	}
}
