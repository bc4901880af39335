// Package huggingface reads and writes published checkpoints of the DeepSeek-V2 and -V3 family: a folder with config.json and
// safetensors files. In flows such a folder; out flow a checked recipe and its weights by name. The other way, the weights of a
// recipe's model flow in, and out flow safetensors files with a config.json that describes the model. Which tensor is which weight is
// said by the recipe's own table of names (language.md section 14), what a file may hold by package weights; an opened folder is
// never changed.
package huggingface

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"forge/engine/weights"
)

// ConfigFile is the name of the file that describes the model.
const ConfigFile = "config.json"

// Config is the part of a config.json that decides about the function. Pointers tell null or missing from 0. Keys not named here
// say nothing about the function and are passed over.
type Config struct {
	ModelType         string        `json:"model_type"`
	HiddenSize        int           `json:"hidden_size"`
	VocabSize         int           `json:"vocab_size"`
	TieWordEmbeddings bool          `json:"tie_word_embeddings"`
	NumHiddenLayers   int           `json:"num_hidden_layers"`
	FirstKDense       int           `json:"first_k_dense_replace"`
	MoELayerFreq      *int          `json:"moe_layer_freq"`
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
	NormTopK          *bool         `json:"norm_topk_prob"`
	RoutedScaling     *float64      `json:"routed_scaling_factor"`
	RMSNormEps        float64       `json:"rms_norm_eps"`
	RopeTheta         float64       `json:"rope_theta"`
	RopeInterleave    *bool         `json:"rope_interleave"`
	RopeScaling       *RopeScaling  `json:"rope_scaling"`
	RopeParameters    *RopeScaling  `json:"rope_parameters"` // newer files say it here
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
	Theta        float64  `json:"rope_theta"`
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

// ReadConfig reads a config.json. Its error, a *weights.Faults, lists every value that forge can't express or that can't be (E610).
func ReadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, faults := parseConfig(text)
	if len(faults) > 0 {
		list := &weights.Faults{Path: filepath.Dir(path)}
		for _, f := range faults {
			list.List = append(list.List, weights.Fault{Code: "E610", File: filepath.Base(path), Text: f})
		}
		return nil, list
	}
	return c, nil
}

func parseConfig(text []byte) (*Config, []string) {
	c := &Config{RMSNormEps: 1e-6, RopeTheta: 10000, InitializerRange: 0.02, HiddenAct: "silu"}
	var faults []string
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(c); err != nil {
		faults = append(faults, err.Error())
		var wrong *json.UnmarshalTypeError
		if !errors.As(err, &wrong) { // after a value of another type the rest was still read
			return nil, faults
		}
	}
	c.fillIn()
	return c, append(faults, c.faults()...)
}

// fillIn gives the keys that were left out what the code published with the family does without them.
func (c *Config) fillIn() {
	if p := c.RopeParameters; p != nil {
		if p.Theta > 0 {
			c.RopeTheta = p.Theta
		}
		if c.RopeScaling == nil {
			c.RopeScaling = p
		}
	}
	if c.RopeScaling != nil && c.RopeScaling.kind() == "default" {
		c.RopeScaling = nil
	}
	v2 := c.ModelType == "deepseek_v2"
	if c.ScoringFunc == "" {
		c.ScoringFunc = "sigmoid"
		if v2 {
			c.ScoringFunc = "softmax"
		}
	}
	if c.TopKMethod == "" {
		c.TopKMethod = "noaux_tc"
		if v2 {
			c.TopKMethod = "greedy"
		}
	}
	if c.NormTopK == nil {
		norm := !v2
		c.NormTopK = &norm
	}
	if c.TopKMethod == "greedy" {
		c.Groups, c.TopKGroups = nil, nil // picks among all experts whatever the groups are
	}
	if orOne(c.Groups) == 1 {
		c.TopKGroups = nil
	}
}

func (s *RopeScaling) kind() string {
	if s.RopeType != "" {
		return s.RopeType
	}
	return s.Type
}

func orZero(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

func orOne(p *int) int {
	if p == nil || *p == 0 {
		return 1
	}
	return *p
}

// faults lists what forge can't express and what can't be.
func (c *Config) faults() []string {
	var f []string
	addf := func(format string, args ...any) { f = append(f, fmt.Sprintf(format, args...)) }
	atLeast := func(least int, key string, v int) {
		if v < least {
			addf("%s is %d, must be at least %d", key, v, least)
		} else if v > 1<<30 {
			addf("%s is %d, beyond any model", key, v)
		}
	}
	atLeast(1, "hidden_size", c.HiddenSize)
	atLeast(1, "vocab_size", c.VocabSize)
	atLeast(1, "num_hidden_layers", c.NumHiddenLayers)
	atLeast(1, "num_attention_heads", c.NumHeads)
	atLeast(1, "qk_nope_head_dim", c.QKNope)
	atLeast(2, "qk_rope_head_dim", c.QKRope)
	atLeast(1, "v_head_dim", c.VHead)
	atLeast(1, "kv_lora_rank", c.KVRank)
	atLeast(0, "q_lora_rank", orZero(c.QRank))
	atLeast(0, "num_nextn_predict_layers", c.MTPLayers)
	atLeast(0, "first_k_dense_replace", c.FirstKDense)
	atLeast(0, "n_routed_experts", orZero(c.RoutedExperts))
	if c.dense() > 0 || c.MTPLayers > 0 && !c.mtpSparse() {
		atLeast(1, "intermediate_size", c.IntermediateSize)
	}
	if c.QKRope%2 != 0 {
		addf("qk_rope_head_dim is %d, must be even", c.QKRope)
	}
	if c.sparse() {
		c.expertFaults(addf, atLeast)
	}
	if c.AttentionBias {
		addf("attention_bias true: forge's mla has no biases")
	}
	if c.HiddenAct != "silu" {
		addf("hidden_act %q: forge's swiglu is silu", c.HiddenAct)
	}
	for _, v := range []struct {
		key   string
		value float64
	}{{"rms_norm_eps", c.RMSNormEps}, {"rope_theta", c.RopeTheta}, {"initializer_range", c.InitializerRange}} {
		if !(v.value > 0) || math.IsInf(v.value, 0) {
			addf("%s is %v, must be above 0", v.key, v.value)
		}
	}
	if s := c.RopeScaling; s != nil {
		if s.kind() != "yarn" {
			addf("rope_scaling of type %q: forge knows yarn", s.kind())
		} else if !(s.Factor > 0) || s.Original < 1 {
			addf("rope_scaling needs a factor above 0 and original_max_position_embeddings of at least 1; they are %v and %d", s.Factor, s.Original)
		}
	}
	if q := c.Quantization; q != nil {
		if q.Method != "fp8" || q.Format != "" && q.Format != "e4m3" {
			addf("quantization_config of method %q, format %q: forge reads fp8 in e4m3", q.Method, q.Format)
		}
		if len(q.Block) != 2 || q.Block[0] < 1 || q.Block[1] < 1 {
			addf("weight_block_size is %v, must be two numbers of at least 1", q.Block)
		}
	}
	return f
}

func (c *Config) expertFaults(addf func(string, ...any), atLeast func(int, string, int)) {
	experts, groups, kept := *c.RoutedExperts, orOne(c.Groups), orOne(c.TopKGroups)
	atLeast(1, "moe_intermediate_size", c.MoEIntermediate)
	atLeast(0, "n_shared_experts", orZero(c.SharedExperts))
	atLeast(2, "n_routed_experts", experts)
	k := orZero(c.ExpertsPerToken)
	if k < 1 || k > experts {
		addf("num_experts_per_tok is %d, must be 1 to n_routed_experts (%d)", k, experts)
	}
	switch {
	case groups < 1 || experts%groups != 0:
		addf("n_group is %d, and %d experts don't make so many equal groups", groups, experts)
	case kept < 1 || kept > groups:
		addf("topk_group is %d, must be 1 to n_group (%d)", kept, groups)
	case k <= experts && k > kept*(experts/groups):
		addf("num_experts_per_tok is %d, and the %d groups that stay hold %d experts", k, kept, kept*(experts/groups))
	case groups > 1 && experts/groups < c.groupTop():
		addf("n_group is %d: a group is judged by its two best experts, and has one", groups)
	}
	if !slices.Contains([]string{"noaux_tc", "greedy", limited}, c.TopKMethod) {
		addf("topk_method %q: forge knows noaux_tc, greedy and %s", c.TopKMethod, limited)
	}
	if !slices.Contains([]string{"sigmoid", "softmax"}, c.ScoringFunc) {
		addf("scoring_func %q: forge knows sigmoid and softmax", c.ScoringFunc)
	}
	if beyond := c.FirstKDense - c.NumHiddenLayers; beyond > 0 && beyond < c.MTPLayers {
		addf("first_k_dense_replace is %d: forge can't make some layers of multi-token prediction dense and others not", c.FirstKDense)
	}
	if n := orOne(c.MoELayerFreq); n != 1 {
		addf("moe_layer_freq is %d: forge puts experts in every layer from first_k_dense_replace on", n)
	}
	if s := c.RoutedScaling; s != nil && (!(*s > 0) || math.IsInf(*s, 0)) {
		addf("routed_scaling_factor is %v, must be above 0", *s)
	}
}

// sparse reports whether the model has experts.
func (c *Config) sparse() bool { return orZero(c.RoutedExperts) > 0 }

// dense is how many layers come before the first with experts.
func (c *Config) dense() int {
	if !c.sparse() {
		return c.NumHiddenLayers
	}
	return min(c.FirstKDense, c.NumHiddenLayers)
}

// mtpSparse reports whether the layers of multi-token prediction, which are numbered after the main model's, have experts.
func (c *Config) mtpSparse() bool { return c.sparse() && c.FirstKDense <= c.NumHiddenLayers }

// limited is DeepSeek-V2's way to pick: from the groups whose best expert scores highest.
const limited = "group_limited_greedy"

// biased reports whether routers have a bias for the selection: DeepSeek-V3's have, DeepSeek-V2's don't.
func (c *Config) biased() bool { return c.TopKMethod == "noaux_tc" }

// groupTop is how many of its best experts a group is judged by.
func (c *Config) groupTop() int {
	if c.TopKMethod == limited {
		return 1
	}
	return 2
}

// scale is what the weights of the picked experts are multiplied with. The code published with DeepSeek-V2 leaves the factor out
// where it normalises the weights.
func (c *Config) scale() float64 {
	if c.RoutedScaling == nil || !c.biased() && *c.NormTopK {
		return 1
	}
	return *c.RoutedScaling
}
