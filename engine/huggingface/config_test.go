package huggingface

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/dsl"
	"forge/dsl/check"
	"forge/engine/weights"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// base is a small configuration of the published shape.
const base = `"model_type": "deepseek_v3", "hidden_size": 48, "vocab_size": 96, "num_hidden_layers": 3, "first_k_dense_replace": 1,
	"num_attention_heads": 3, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 16, "kv_lora_rank": 20, "q_lora_rank": 24,
	"intermediate_size": 80, "moe_intermediate_size": 24, "n_shared_experts": 1, "n_routed_experts": 8, "num_experts_per_tok": 2,
	"n_group": 1, "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true,
	"routed_scaling_factor": 2.5, "rms_norm_eps": 1e-06, "rope_theta": 10000, "rope_scaling": null, "num_nextn_predict_layers": 1`

// configOf reads the base with keys put in its place; a later key of JSON replaces an earlier one.
func configOf(changes string) (*Config, []string) {
	if changes != "" {
		changes = ", " + changes
	}
	return parseConfig([]byte("{" + base + changes + "}"))
}

func recipeOf(t *testing.T, c *Config) *check.Recipe {
	t.Helper()
	text := c.Recipe("Some-Model 2", "")
	r, found := check.Load(Overlay{Texts: map[string]string{"x.forge": text}}, "x.forge", nil)
	if found.HasErrors() {
		t.Fatalf("%v\n%s", found, text)
	}
	return r
}

const yarn = `"rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1,
	"mscale": 0.707, "mscale_all_dim": 1.0}`

// variants are configurations of the family: keys put in the base's place, and what of the recipe's text follows.
var variants = []struct{ name, changes, has, lacks string }{
	{"as it is", ``, `q_rank = 24|dense if i < first_dense else sparse|experts = 8, top_k = 2, groups = 1, kept = 1|score = "sigmoid"|norm_topk = true|scale = 2.5|shared = swiglu(24)|rotary(theta = 10000)|mtp_depth = 1|eps = 1e-6`, "tied|yarn"},
	{"q_lora_rank null", `"q_lora_rank": null`, "q_rank = none", ""},
	{"q_lora_rank 0", `"q_lora_rank": 0`, "q_rank = none", ""},
	{"groups", `"n_group": 4, "topk_group": 2`, "groups = 4, kept = 2", ""},
	{"groups null", `"n_group": null, "topk_group": null`, "groups = 1, kept = 1", ""},
	{"no experts", `"n_routed_experts": null, "moe_intermediate_size": null, "n_shared_experts": null`, "layer(attn, dense, norm = norm) for i|mtp(layer(attn, dense", "router|sparse"},
	{"V2-Lite", `"model_type": "deepseek_v2", "topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": false, "routed_scaling_factor": 1.0, "n_shared_experts": 2`,
		`score = "softmax", norm_topk = false, scale = 1, bias = 0|shared = swiglu(48)`, ""},
	{"V2 normalises or scales", `"model_type": "deepseek_v2", "topk_method": "greedy", "scoring_func": "softmax", "routed_scaling_factor": 16.0`,
		"norm_topk = true, scale = 1,", ""},
	{"V2", `"model_type": "deepseek_v2", "topk_method": "group_limited_greedy", "scoring_func": "softmax", "norm_topk_prob": false,
		"routed_scaling_factor": 16.0, "n_group": 4, "topk_group": 2`, `groups = 4, kept = 2, score = "softmax", norm_topk = false, scale = 16, bias = 0|group_top = 1`, ""},
	{"not normalised", `"norm_topk_prob": false`, "norm_topk = false, scale = 2.5", ""},
	{"no shared experts", `"n_shared_experts": 0`, "shared = none", ""},
	{"several shared experts", `"n_shared_experts": 3`, "shared = swiglu(72)", ""},
	{"yarn", yarn, "yarn(theta = 10000, factor = 40, original = 4096, beta_fast = 32, beta_slow = 1, mscale = 0.707, mscale_all_dim = 1)", "rotary("},
	{"yarn without mscale_all_dim", `"rope_scaling": {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 64}`,
		"beta_fast = 32, beta_slow = 1, mscale = 1, mscale_all_dim = 0", ""},
	{"rope_parameters", `"rope_parameters": {"rope_type": "default", "rope_theta": 50000}`, "rotary(theta = 50000)", "yarn"},
	{"halves", `"rope_interleave": false`, `rotary(theta = 10000, pairs = "halves")`, ""},
	{"several depths", `"num_nextn_predict_layers": 3`, "mtp_depth = 3", ""},
	{"no depth", `"num_nextn_predict_layers": 0`, "", "mtp"},
	{"no dense layer", `"first_k_dense_replace": 0, "intermediate_size": null`, "layer(attn, sparse, norm = norm) for i", "dense"},
	{"dense layers only", `"first_k_dense_replace": 3`, "layer(attn, dense, norm = norm) for i|mtp(layer(attn, sparse", "first_dense"},
	{"tied", `"tie_word_embeddings": true`, "tied = true", ""},
	{"other eps", `"rms_norm_eps": 1e-05`, "eps = 1e-5", ""},
	{"unknown keys", `"auto_map": {"a": 1}, "ep_size": 1, "aux_loss_alpha": 0.001, "some_future_key": [null]`, "q_rank = 24", ""},
	{"fp8 in other blocks", `"quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [64, 32]}`, "scale_block = [64, 32]|weights = names", ""},
}

// TestKeys: what each key does to the model.
func TestKeys(t *testing.T) {
	for _, k := range variants {
		t.Run(k.name, func(t *testing.T) {
			c, faults := configOf(k.changes)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			text := strings.Join(strings.Fields(c.Recipe("x", "")), " ")
			flat := strings.NewReplacer("( ", "(", ", )", ")").Replace(text)
			for _, want := range strings.Split(k.has, "|") {
				if !strings.Contains(flat, want) {
					t.Errorf("no %q in\n%s", want, flat)
				}
			}
			for _, not := range strings.Split(k.lacks, "|") {
				if not != "" && strings.Contains(flat, not) {
					t.Errorf("%q in\n%s", not, flat)
				}
			}
			recipeOf(t, c)
		})
	}
}

// TestFaultsOfConfig: every fault is listed, and by its key.
func TestFaultsOfConfig(t *testing.T) {
	for _, k := range []struct {
		changes string
		want    string // one key a fault
	}{
		{`"hidden_size": 0, "qk_rope_head_dim": 7, "topk_method": "hash", "attention_bias": true, "hidden_act": "gelu"`,
			"hidden_size qk_rope_head_dim topk_method attention_bias hidden_act"},
		{`"num_experts_per_tok": 9`, "num_experts_per_tok"},
		{`"n_group": 3, "topk_group": 1`, "n_group"},
		{`"n_group": 4, "topk_group": 5`, "topk_group"},
		{`"n_group": 4, "topk_group": 1, "num_experts_per_tok": 3`, "num_experts_per_tok"},
		{`"n_group": 8, "topk_group": 4`, "n_group"},
		{`"rope_scaling": {"type": "linear", "factor": 2}`, "rope_scaling"},
		{`"rope_scaling": {"type": "yarn", "factor": 0}`, "rope_scaling"},
		{`"rms_norm_eps": 0, "rope_theta": -1`, "rms_norm_eps rope_theta"},
		{`"moe_layer_freq": 2`, "moe_layer_freq"},
		{`"scoring_func": "tanh", "routed_scaling_factor": 0`, "scoring_func routed_scaling_factor"},
		{`"quantization_config": {"quant_method": "gptq", "weight_block_size": [0]}`, "quantization_config weight_block_size"},
		{`"first_k_dense_replace": 4, "num_nextn_predict_layers": 2`, "first_k_dense_replace"},
		{`"vocab_size": "many", "num_hidden_layers": -3`, "vocab_size num_hidden_layers"},
		{`"hidden_size": 99999999999`, "hidden_size"},
	} {
		_, faults := configOf(k.changes)
		keys := strings.Fields(k.want)
		if len(faults) != len(keys) {
			t.Errorf("%s: %q", k.changes, faults)
			continue
		}
		all := strings.Join(faults, "\n")
		for _, key := range keys {
			if !strings.Contains(all, key) {
				t.Errorf("%s: %q lacks %s", k.changes, faults, key)
			}
		}
	}
	for _, text := range []string{"", "[]", "{", "nonsense"} {
		if _, faults := parseConfig([]byte(text)); len(faults) == 0 {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestReadConfigSaysWhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(`{`+base+`, "hidden_size": 0, "hidden_act": "gelu"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := ReadConfig(filepath.Join(dir, ConfigFile))
	faults, ok := err.(*weights.Faults)
	if !ok || len(faults.List) != 2 || !strings.Contains(err.Error(), "error[E610]: config.json: hidden_size is 0") {
		t.Errorf("%v", err)
	}
}

// TestRecipeText pins the recipe that a configuration becomes, which is in the one style already.
func TestRecipeText(t *testing.T) {
	c, faults := configOf(`"n_group": 4, "topk_group": 2, "vocab_size": 256, "max_position_embeddings": 163840`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	text := c.Recipe("Some-Model 2", "")
	path := filepath.Join("testdata", "recipe.golden")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Error(diff)
	}
	file, _ := dsl.Parse("x", text)
	if diff := cmp.Diff(text, dsl.Format(file)); diff != "" {
		t.Error(diff)
	}
	if r := recipeOf(t, c); r.Name != "some_model_2" || r.Data == nil || r.Stages[0].Seq != maxSeq {
		t.Errorf("%s, data %v, %d tokens", r.Name, r.Data, r.Stages[0].Seq)
	}
	for from, to := range map[string]string{"": "checkpoint", "3": "checkpoint", "model": "model_checkpoint", "moe": "moe_checkpoint", "in": "in_checkpoint", "DeepSeek-V3": "deepseek_v3", "..": "checkpoint", "für": "f_r"} {
		if got := recipeName(from, text); got != to {
			t.Errorf("%q becomes %q, want %q", from, got, to)
		}
	}
}
