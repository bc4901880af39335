// Package huggingface reads the configuration of published checkpoints of the DeepSeek-V2 and -V3 family and writes it as a recipe.
// A config.json flows in, the text of a recipe flows out; weights are left to package weights and to the recipe's own table of
// names (language.md section 14).
package huggingface

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Config is the part of a config.json that decides about the function. Pointers tell null or missing from 0. Keys not named here
// say nothing about the function and are passed over.
type Config struct {
	HiddenSize        int           `json:"hidden_size"`
	VocabSize         int           `json:"vocab_size"`
	TieWordEmbeddings bool          `json:"tie_word_embeddings"`
	NumHiddenLayers   int           `json:"num_hidden_layers"`
	FirstKDense       int           `json:"first_k_dense_replace"`
	NumHeads          int           `json:"num_attention_heads"`
	QKNope            int           `json:"qk_nope_head_dim"`
	QKRope            int           `json:"qk_rope_head_dim"`
	VHead             int           `json:"v_head_dim"`
	KVRank            int           `json:"kv_lora_rank"`
	QRank             *int          `json:"q_lora_rank"`
	IntermediateSize  int           `json:"intermediate_size"`
	MoEIntermediate   int           `json:"moe_intermediate_size"`
	SharedExperts     *int          `json:"n_shared_experts"`
	RoutedExperts     *int          `json:"n_routed_experts"`
	ExpertsPerToken   *int          `json:"num_experts_per_tok"`
	Groups            *int          `json:"n_group"`
	TopKGroups        *int          `json:"topk_group"`
	TopKMethod        string        `json:"topk_method"`
	ScoringFunc       string        `json:"scoring_func"`
	NormTopK          bool          `json:"norm_topk_prob"`
	RoutedScaling     *float64      `json:"routed_scaling_factor"`
	RMSNormEps        float64       `json:"rms_norm_eps"`
	RopeTheta         float64       `json:"rope_theta"`
	RopeScaling       *RopeScaling  `json:"rope_scaling"`
	MTPLayers         int           `json:"num_nextn_predict_layers"`
	InitializerRange  float64       `json:"initializer_range"`
	MaxPositions      int           `json:"max_position_embeddings"`
	AttentionBias     bool          `json:"attention_bias"`
	HiddenAct         string        `json:"hidden_act"`
	Quantization      *Quantization `json:"quantization_config"`
}

// RopeScaling is YaRN's parameters.
type RopeScaling struct {
	Type         string   `json:"type"`
	RopeType     string   `json:"rope_type"`
	Factor       float64  `json:"factor"`
	Original     int      `json:"original_max_position_embeddings"`
	BetaFast     *float64 `json:"beta_fast"`
	BetaSlow     *float64 `json:"beta_slow"`
	MScale       *float64 `json:"mscale"`
	MScaleAllDim *float64 `json:"mscale_all_dim"`
}

// Quantization says how weights are stored.
type Quantization struct {
	Method string `json:"quant_method"`
	Format string `json:"fmt"`
	Block  []int  `json:"weight_block_size"`
}

// ReadConfig reads a config.json. Its error lists every value that forge can't express or that can't be.
func ReadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Config{RMSNormEps: 1e-6, RopeTheta: 10000, InitializerRange: 0.02, HiddenAct: "silu", ScoringFunc: "sigmoid"}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if faults := c.faults(); len(faults) > 0 {
		return nil, fmt.Errorf("%s asks for what forge can't express:\n  %s", path, strings.Join(faults, "\n  "))
	}
	return c, nil
}

func orZero(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

func orOne(p *int) int { return max(orZero(p), 1) }

func (c *Config) faults() []string {
	var f []string
	positive := func(key string, v int) {
		if v < 1 {
			f = append(f, fmt.Sprintf("%s is %d, must be at least 1", key, v))
		}
	}
	positive("hidden_size", c.HiddenSize)
	positive("vocab_size", c.VocabSize)
	positive("num_hidden_layers", c.NumHiddenLayers)
	positive("num_attention_heads", c.NumHeads)
	positive("qk_nope_head_dim", c.QKNope)
	positive("qk_rope_head_dim", c.QKRope)
	positive("v_head_dim", c.VHead)
	positive("kv_lora_rank", c.KVRank)
	if c.dense() > 0 {
		positive("intermediate_size", c.IntermediateSize)
	}
	if experts := orZero(c.RoutedExperts); experts > 0 {
		positive("moe_intermediate_size", c.MoEIntermediate)
		if k := orZero(c.ExpertsPerToken); k < 1 || k > experts {
			f = append(f, fmt.Sprintf("num_experts_per_tok is %d, must be 1 to n_routed_experts (%d)", k, experts))
		}
		if g := orOne(c.Groups); experts%g != 0 || orOne(c.TopKGroups) > g {
			f = append(f, fmt.Sprintf("n_group %d and topk_group %d don't fit %d experts", g, orOne(c.TopKGroups), experts))
		}
		if !slices.Contains([]string{"", "noaux_tc", "greedy"}, c.TopKMethod) {
			f = append(f, fmt.Sprintf("topk_method %q: forge knows noaux_tc and greedy", c.TopKMethod))
		}
		if !slices.Contains([]string{"sigmoid", "softmax"}, c.ScoringFunc) {
			f = append(f, fmt.Sprintf("scoring_func %q: forge knows sigmoid and softmax", c.ScoringFunc))
		}
	}
	if c.AttentionBias {
		f = append(f, "attention_bias true: forge's mla has no biases")
	}
	if c.HiddenAct != "silu" {
		f = append(f, fmt.Sprintf("hidden_act %q: forge's swiglu is silu", c.HiddenAct))
	}
	if c.QKRope%2 != 0 {
		f = append(f, fmt.Sprintf("qk_rope_head_dim is %d, must be even", c.QKRope))
	}
	if s := c.RopeScaling; s != nil {
		if s.Type != "yarn" && s.RopeType != "yarn" {
			f = append(f, fmt.Sprintf("rope_scaling of type %q: forge knows yarn", s.Type+s.RopeType))
		}
		if s.Factor <= 0 || s.Original < 1 {
			f = append(f, "rope_scaling needs a positive factor and original_max_position_embeddings")
		}
	}
	return f
}

// dense is how many layers come before the first with experts.
func (c *Config) dense() int {
	if orZero(c.RoutedExperts) == 0 {
		return c.NumHiddenLayers
	}
	return min(c.FirstKDense, c.NumHiddenLayers)
}

// Training are settings that a config.json does not hold.
type Training struct {
	BiasRate float64 // speed of the router's bias
	Balance  float64 // weight of the sequence-wise balance loss
}

// Model is the text of a model section called name, and nothing else.
func (c *Config) Model(name string, t Training) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	fmt.Fprintf(&b, "model %s {\n", name)
	line("vocab = %d", c.VocabSize)
	line("dim = %d", c.HiddenSize)
	line("norm = rms_norm(eps = %s)", number(c.RMSNormEps))
	line("init = normal(%s)", number(c.InitializerRange))
	if c.TieWordEmbeddings {
		line("tied = true")
	}
	b.WriteByte('\n')
	line("let depth = %d", c.NumHiddenLayers)
	line("let first_dense = %d", c.dense())
	line("let pos = %s", c.position())
	rank := "none"
	if r := orZero(c.QRank); r > 0 {
		rank = fmt.Sprint(r)
	}
	line("let attn = mla(heads = %d, nope = %d, rope = %d, v = %d, q_rank = %s, kv_rank = %d, pos = pos, norm = norm)",
		c.NumHeads, c.QKNope, c.QKRope, c.VHead, rank, c.KVRank)
	ffn := "dense if i < first_dense else sparse"
	if c.dense() > 0 || orZero(c.RoutedExperts) == 0 {
		line("let dense = swiglu(%d)", c.IntermediateSize)
	} else {
		ffn = "sparse"
	}
	sparse := "dense"
	if orZero(c.RoutedExperts) > 0 {
		sparse = "sparse"
		c.experts(line, t)
	} else {
		ffn = "dense"
	}
	line("layers = [layer(attn, %s, norm = norm) for i in 0..depth]", ffn)
	if c.MTPLayers > 0 {
		line("mtp = mtp(layer(attn, %s, norm = norm), norm = norm)", sparse)
		line("mtp_depth = %d", c.MTPLayers)
	}
	b.WriteString("}\n")
	return b.String()
}

func (c *Config) experts(line func(string, ...any), t Training) {
	line("let expert = swiglu(%d)", c.MoEIntermediate)
	scale, rate := 1.0, t.BiasRate
	if c.RoutedScaling != nil {
		scale = *c.RoutedScaling
	}
	if c.TopKMethod == "greedy" {
		rate = 0
	}
	line("let gate = router(experts = %d, top_k = %d, groups = %d, kept = %d, score = %q, norm_topk = %v, scale = %s, bias = %s, aux = %s)",
		*c.RoutedExperts, *c.ExpertsPerToken, orOne(c.Groups), orOne(c.TopKGroups), c.ScoringFunc, c.NormTopK, number(scale), number(rate), number(t.Balance))
	shared := "none"
	if n := orZero(c.SharedExperts); n > 0 {
		shared = fmt.Sprintf("swiglu(%d)", n*c.MoEIntermediate)
	}
	line("let sparse = moe(expert, gate, shared = %s)", shared)
}

func (c *Config) position() string {
	s := c.RopeScaling
	if s == nil {
		return fmt.Sprintf("rotary(theta = %s)", number(c.RopeTheta))
	}
	or := func(p *float64, missing float64) string {
		if p == nil {
			return number(missing)
		}
		return number(*p)
	}
	return fmt.Sprintf("yarn(theta = %s, factor = %s, original = %d, beta_fast = %s, beta_slow = %s, mscale = %s, mscale_all_dim = %s)",
		number(c.RopeTheta), number(s.Factor), s.Original, or(s.BetaFast, 32), or(s.BetaSlow, 1), or(s.MScale, 1), or(s.MScaleAllDim, 0))
}

// number is a float as the recipe language writes it.
func number(v float64) string { return strings.Replace(fmt.Sprint(v), "e+", "e", 1) }
