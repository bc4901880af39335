package check

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"forge/dsl"
	"forge/dsl/diag"
	"forge/recipes"
)

// again expands a recipe, checks that its text stands alone, expands to itself and reads to the same recipe, and gives the text.
func again(t *testing.T, files Files, name string, sets ...string) string {
	t.Helper()
	r := load(t, files, name, sets...)
	text := r.Expand()
	var alone Files = memory{"run/recipe.forge": text}
	if host, ok := files.(Plugins); ok {
		alone = plugged{memory{"run/recipe.forge": text}, host}
	}
	if strings.Contains(text, ".forge\"") {
		t.Errorf("%s uses a file:\n%s", name, text)
	}
	r2 := load(t, alone, "run/recipe.forge")
	if d := cmp.Diff(text, r2.Expand()); d != "" {
		t.Errorf("%s does not expand to itself: %s", name, d)
	}
	if f, _ := dsl.Parse("x", text); dsl.Format(f) != text {
		t.Errorf("%s is not in the one style", name)
	}
	if d := cmp.Diff(facts(r), facts(r2), cmpopts.IgnoreUnexported(Stage{}), cmpopts.IgnoreTypes(diag.Span{})); d != "" {
		t.Errorf("%s reads to another recipe: %s", name, d)
	}
	return text
}

type plugged struct {
	memory
	Plugins
}

// resolvedFact is what must survive: weights, schedules, data, names.
type resolvedFact struct {
	Weights []string
	Stages  []Stage
	Keys    [][]string
	Data    *Data
	Run     *Run
	Plan    *Plan
	Tensors []NamedTensor
}

func facts(r *Recipe) resolvedFact {
	f := resolvedFact{Data: r.Data, Run: r.Run, Plan: r.Plan}
	for _, w := range r.Model.Weights() {
		f.Weights = append(f.Weights, w.Path+axesText(w.Axes)+w.Init.Kind+floatText(w.Init.Std))
	}
	for _, s := range r.Stages {
		var keys []string
		for _, x := range []*Schedule{s.Batch, s.LR, s.MTPWeight} {
			keys = append(keys, key(x))
		}
		f.Keys = append(f.Keys, keys)
		for _, b := range append([]*Built{s.Model.Norm, s.Model.MTP}, s.Model.Layers...) {
			if b != nil {
				f.Weights = append(f.Weights, (&printer{block: func(def *BlockDef) string { return "" }}).text(b))
			}
		}
		c := *s
		c.Name = ""
		c.Batch, c.LR, c.MTPWeight, c.Model, c.line = nil, nil, nil, nil, nil
		f.Stages = append(f.Stages, c)
	}
	if r.Names != nil {
		f.Tensors = r.Names.Tensors
	}
	return f
}

func TestExpandShipped(t *testing.T) {
	for _, name := range recipes.Names() {
		switch name {
		case "h800", "deepseek_hf", "hybrid":
		case "ablations":
			again(t, shipped, "ablations:dsv3_gqa")
			again(t, shipped, "ablations:tiny_aux")
		default:
			again(t, shipped, name)
		}
	}
}

func TestExpandTiny(t *testing.T) {
	golden(t, "testdata/tiny.expanded", again(t, shipped, "tiny"))
	text := again(t, shipped, "tiny", "train.peak=2e-3", "model.gate.top_k=3", "train.optim.groups=[group(\"**.gain\", decay = 0)]", "train.model.norm.eps=1e-5")
	for _, part := range []string{
		"cosine(to = 0.0002, over = 350 steps)  # recipes/tiny.forge:35:3, --set:1:1\n",
		"top_k = 3,",
		"  model = none  # default\n  model.layers = [",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing:\n%s", part, text)
		}
	}
}

// Blocks of the recipe's files are carried along with what they rest on, under names that are free.
func TestExpandBlocks(t *testing.T) {
	files := memory{
		"a/main.forge": `forge 1
use "../lib/parts.forge" as p
use "../lib/other.forge"
use "tiny"
# Shadows the standard block.
## A gated pair.
block swiglu(hidden: axis, inner: block = p.pair(p.sizes.dim))(x[.., d]) -> [.., d] {
  part inner = inner
  part outer = other.pair(hidden)
  return inner(x) + outer(x)
}
recipe r from tiny.tiny {
  model.expert = swiglu(32)
  model.dense = p.pair(8)
}
`,
		"lib/parts.forge": `forge 1
use "other.forge"
model sizes {
  vocab = 1
  dim = 24
  layers = []
}
block pair(hidden: axis, norm: block = eased())(x[.., d]) -> [.., d] {
  part norm = norm
  weight a[d, hidden]
  weight b[hidden, d]
  part second = other.pair(sizes.dim)
  return dot[hidden](dot[d](norm(x), a), b) + second(x)
}
block eased()(x[.., d]) -> [.., d] {
  part norm = rms_norm(eps = 1e-3)
  return norm(x)
}
`,
		"lib/other.forge": `forge 1
block pair(hidden: axis)(x[.., d]) -> [.., d] {
  weight a[d, hidden]
  return dot[hidden](dot[d](x, a), a)
}
`}
	golden(t, "testdata/blocks.expanded", again(t, files, "a/main.forge"))
}

// host is a Files with one plugin installed.
type host struct{ memory }

func (host) Plugin(name, version string) ([]PluginFile, error) {
	if name != "acme/ssm" {
		return nil, nil
	}
	if version != "1.2" {
		return nil, os.ErrNotExist
	}
	return []PluginFile{{"acme/ssm.forge", `forge 1

## Selective state space mixer (Mamba-2). A block without ` + "`return`" + ` runs in the plugin.
block mamba2(state: axis = 128, head: axis = 64, expand: int = 2, conv: axis = 4)(x[batch, seq, d]) -> [batch, seq, d] {
  inner = d * expand
  heads = inner / head
  zxbcdt = 2 * inner + 2 * state + heads
  cin = inner + 2 * state

  require conv <= 8, "the kernel keeps at most 8 past tokens"
  weight w_in[d, zxbcdt]
  weight w_conv[conv, cin]
  weight a_log[heads] ~ ones()
  weight w_out[inner, d]
}
`}}, nil
}

// A plugin's block is just a block; the resolved recipe still uses the plugin.
func TestPlugin(t *testing.T) {
	files := host{}
	text := again(t, files, "hybrid")
	if !strings.Contains(text, "use \"acme/ssm@1.2\"\n") || !strings.Contains(text, "attn = ssm.mamba2(state = 64, head = 64, expand = 2, conv = 4)") {
		t.Error(text)
	}
	if r := load(t, files, "hybrid", "model.layers[0].attn.state=32"); r.Model.Layers[0].Attrs["attn"].(*Built).Attrs["state"] != Int(32) {
		t.Error("a path goes into a plugin's block")
	}
	for set, want := range map[string]string{
		"model.layers[0].attn.conv=9":       "[E500]: `mamba2`: the kernel keeps at most 8 past tokens",
		"model.layers[0].attn.stat=9":       "did you mean `state`?",
		"model.layers=[ssm.mamba3()]":       "[E105]: acme/ssm has nothing called `mamba3`",
		"model.layers=[ssm.mamba2(head=7)]": "[E304]",
	} {
		if got := faults(files, "hybrid", set); !strings.Contains(got, want) {
			t.Errorf("%s: want %s, got\n%s", set, want, got)
		}
	}
	if got := faults(host{memory{"r.forge": "forge 1\nuse \"acme/ssm@9.0\"\n"}}, "r.forge"); !strings.Contains(got, "[E404]: the plugin acme/ssm can't be had") {
		t.Error(got)
	}
	if got := faults(shipped, "hybrid"); !strings.Contains(got, "[E401]: the plugin acme/ssm is not installed") {
		t.Error(got)
	}
}
