package huggingface

import (
	"context"
	"errors"
	"fmt"
	"io"

	"forge/dsl/check"
	"forge/engine/weights"
)

// Model is a model whose weights lie in one of forge's own files, in float32 under the model's names.
type Model struct {
	Model   *check.Model
	Names   *check.Names
	File    *weights.File
	Context int // the most tokens that the model reads
	// Side are files to lie beside the weights, by name: a tokenizer.json.
	Side map[string]string
}

// Export writes the model as a published checkpoint into a new folder. Tensors are written one at a time; copies of the model's own
// tables are not written. The error lists what config.json can't say about the model.
func (m *Model) Export(ctx context.Context, dir string, o Options) error {
	if o.Dtype == "" || o.Dtype == AsStored {
		o.Dtype = "f32"
	}
	if o.FileBytes == 0 {
		o.FileBytes = 5e9
	}
	c, err := Describe(m.Model, m.Context)
	if err != nil {
		return err
	}
	if o.Dtype == "fp8" && m.Names.Scales == "" {
		return errNoScales(m.Names)
	}
	if err := weights.Compare(m.File, weights.Of(m.Model, true)); err != nil {
		return err
	}
	layout := weights.NewLayout(m.Model, m.Names)
	from := &own{Model: m, layout: layout, tensors: map[string]check.NamedTensor{}}
	var files []file
	var size int64
	for _, t := range m.Names.Tensors {
		if t.Copy || !c.biased() && layout.Place(t).State {
			continue // DeepSeek-V2's routers have no bias, and the state stays 0
		}
		from.tensors[t.File] = t
		list := as(weights.Entry{Name: t.File, Shape: layout.FileShape(t)}, o.Dtype, layout.Place(t).State, m.Names)
		next := (&file{list: list}).bytes()
		if len(files) == 0 || size > 0 && size+next > o.FileBytes {
			files, size = append(files, file{}), 0
		}
		last := &files[len(files)-1]
		last.list = append(last.list, list...)
		size += next
	}
	for i := range files {
		files[i].name = weights.SingleFile
		if len(files) > 1 {
			files[i].name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(files))
		}
	}
	config := c.keys()
	setTypes(config, o.Dtype, m.Names)
	text, err := marshal(config)
	if err != nil {
		return err
	}
	return write(ctx, dir, files, &writer{from: from, block: m.Names.ScaleBlock, o: o}, text, m.Side)
}

// own reads the tensors of a model in the layout of a published file. It keeps the last one.
type own struct {
	*Model
	layout  *weights.Layout
	tensors map[string]check.NamedTensor
	name    string
	part    []float32
	values  []float32
}

func (s *own) rows(name string, first int, dst []float32) error {
	t := s.tensors[name]
	if s.name != name {
		place := s.layout.Place(t)
		s.part, s.values = grown(s.part, place.Size), grown(s.values, place.Size)
		s.name = ""
		if err := s.File.ReadFrom(place.Path, place.First, s.part); err != nil {
			return err
		}
		s.layout.ToFile(s.values, t, s.part)
		s.name = name
	}
	columns := len(s.values)
	if shape := s.layout.FileShape(t); len(shape) == 2 {
		columns = shape[1]
	}
	copy(dst, s.values[first*columns:])
	return nil
}

func (s *own) raw(io.Writer, string) error {
	return errors.New("forge's own files are laid out otherwise")
}

// keys are the configuration as config.json has it, with what readers of the family expect beside.
func (c *Config) keys() map[string]any {
	architecture := "DeepseekV3ForCausalLM"
	if c.ModelType == "deepseek_v2" {
		architecture = "DeepseekV2ForCausalLM"
	}
	k := map[string]any{
		"architectures": []string{architecture}, "model_type": c.ModelType, "attention_bias": false, "hidden_act": c.HiddenAct,
		"hidden_size": c.HiddenSize, "vocab_size": c.VocabSize, "tie_word_embeddings": c.TieWordEmbeddings, "num_hidden_layers": c.NumHiddenLayers,
		"num_attention_heads": c.NumHeads, "num_key_value_heads": c.NumHeads, "qk_nope_head_dim": c.QKNope, "qk_rope_head_dim": c.QKRope,
		"v_head_dim": c.VHead, "kv_lora_rank": c.KVRank, "q_lora_rank": c.QRank, "rms_norm_eps": c.RMSNormEps, "rope_theta": c.RopeTheta,
		"rope_scaling": nil, "num_nextn_predict_layers": c.MTPLayers, "initializer_range": c.InitializerRange,
		"max_position_embeddings": c.MaxPositions, "use_cache": true,
		"first_k_dense_replace": c.FirstKDense, "moe_layer_freq": 1, "n_routed_experts": c.RoutedExperts, "num_experts_per_tok": c.ExpertsPerToken,
		"n_shared_experts": c.SharedExperts, "n_group": orOne(c.Groups), "topk_group": orOne(c.TopKGroups), "topk_method": c.TopKMethod,
		"scoring_func": c.ScoringFunc, "norm_topk_prob": *c.NormTopK, "routed_scaling_factor": 1.0,
	}
	if c.RoutedScaling != nil {
		k["routed_scaling_factor"] = *c.RoutedScaling
	}
	if c.IntermediateSize > 0 {
		k["intermediate_size"] = c.IntermediateSize
	}
	if c.MoEIntermediate > 0 {
		k["moe_intermediate_size"] = c.MoEIntermediate
	}
	if c.RopeInterleave != nil {
		k["rope_interleave"] = *c.RopeInterleave
	}
	if s := c.RopeScaling; s != nil {
		k["rope_scaling"] = map[string]any{"type": "yarn", "factor": s.Factor, "original_max_position_embeddings": s.Original,
			"beta_fast": *s.BetaFast, "beta_slow": *s.BetaSlow, "mscale": *s.MScale, "mscale_all_dim": *s.MScaleAllDim}
	}
	return k
}
