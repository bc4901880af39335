package huggingface

import (
	"fmt"
	"slices"
	"strings"

	"forge/dsl/check"
)

// Describe gives the configuration of a model, for readers of published checkpoints; context is the most tokens that it reads. The error
// lists everything that a config.json of the family has no key for.
func Describe(m *check.Model, context int) (*Config, error) {
	d := &description{c: &Config{
		ModelType: "deepseek_v3", HiddenSize: m.Dim, VocabSize: m.Vocab, TieWordEmbeddings: m.Tied, NumHiddenLayers: len(m.Layers),
		MTPLayers: m.MTPDepth, InitializerRange: m.Init.Std, MaxPositions: context, HiddenAct: "silu",
	}}
	d.norm("norm", m.Norm)
	d.c.FirstKDense = len(m.Layers)
	for i, l := range m.Layers {
		path := fmt.Sprintf("layers[%d]", i)
		if d.layer(path, l) {
			d.c.FirstKDense = min(d.c.FirstKDense, i)
		} else if i > d.c.FirstKDense {
			d.addf("%s has no experts, and a layer before it has", path)
		}
	}
	if m.MTP != nil && d.is("mtp", m.MTP, "mtp") {
		d.norm("mtp.norm", built(m.MTP.Attrs["norm"]))
		if layer := built(m.MTP.Attrs["layer"]); layer != nil && d.layer("mtp.layer", layer) != d.c.sparse() {
			d.addf("the layer of multi-token prediction is not like the last layers")
		}
	}
	if d.c.FirstKDense == len(m.Layers) && !d.c.sparse() {
		d.c.FirstKDense = 0
	}
	if len(d.faults) > 0 {
		return nil, fmt.Errorf("config.json describes the DeepSeek-V2 and -V3 family, and this model is another:\n  %s", strings.Join(d.faults, "\n  "))
	}
	d.c.fillIn()
	return d.c, nil
}

// description collects the keys of a configuration from the blocks of a model. What is said twice must agree.
type description struct {
	c       *Config
	faults  []string
	attn    *attention
	routing *routing
}

// attention and routing are the attributes of mla and moe, compared between layers.
type attention struct {
	heads, nope, rope, v, qRank, kvRank int
	pos                                 check.Pos
}

type routing struct {
	experts, topK, groups, kept, groupTop, width, shared int
	score                                                string
	norm                                                 bool
	scale                                                float64
	biased                                               bool
}

func (d *description) addf(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.faults, text) {
		d.faults = append(d.faults, text)
	}
}

// is checks which block something is.
func (d *description) is(path string, b *check.Built, name string) bool {
	if b != nil && b.Def.Name == name {
		return true
	}
	what := "nothing"
	if b != nil {
		what = "`" + b.Def.Name + "`"
	}
	d.addf("%s is %s, not `%s`", path, what, name)
	return false
}

func (d *description) norm(path string, b *check.Built) {
	if !d.is(path, b, "rms_norm") {
		return
	}
	eps := float(b.Attrs["eps"])
	if d.c.RMSNormEps != 0 && d.c.RMSNormEps != eps {
		d.addf("%s has eps = %v and another norm %v: config.json has one", path, eps, d.c.RMSNormEps)
	}
	d.c.RMSNormEps = eps
}

// layer describes a layer and reports whether it has experts.
func (d *description) layer(path string, b *check.Built) bool {
	if !d.is(path, b, "layer") {
		return false
	}
	d.norm(path+".norm", built(b.Attrs["norm"]))
	d.attention(path+".attn", built(b.Attrs["attn"]))
	ffn := built(b.Attrs["ffn"])
	if ffn != nil && ffn.Def.Name == "moe" {
		d.experts(path+".ffn", ffn)
		return true
	}
	if d.is(path+".ffn", ffn, "swiglu") {
		width := whole(ffn.Attrs["hidden"])
		if d.c.IntermediateSize != 0 && d.c.IntermediateSize != width {
			d.addf("%s is %d wide and another dense layer %d: config.json has one width", path+".ffn", width, d.c.IntermediateSize)
		}
		d.c.IntermediateSize = width
	}
	return false
}

func (d *description) attention(path string, b *check.Built) {
	if !d.is(path, b, "mla") {
		return
	}
	d.norm(path+".norm", built(b.Attrs["norm"]))
	record, _ := b.Attrs["pos"].(*check.Record)
	if record == nil {
		d.addf("%s has no position encoding", path)
		return
	}
	a := &attention{whole(b.Attrs["heads"]), whole(b.Attrs["nope"]), whole(b.Attrs["rope"]), whole(b.Attrs["v"]), whole(b.Attrs["q_rank"]),
		whole(b.Attrs["kv_rank"]), *record.Pos()}
	if d.attn != nil && *d.attn != *a {
		d.addf("%s differs from the first layer's: config.json has one attention", path)
		return
	}
	d.attn = a
	c := d.c
	c.NumHeads, c.QKNope, c.QKRope, c.VHead, c.KVRank = a.heads, a.nope, a.rope, a.v, a.kvRank
	if a.qRank > 0 {
		c.QRank = &a.qRank
	}
	c.RopeTheta = a.pos.Theta
	if a.pos.Pairs == "halves" {
		c.RopeInterleave = new(bool)
	}
	if p := &a.pos; p.Kind == "yarn" {
		c.RopeScaling = &RopeScaling{Type: "yarn", Factor: p.Factor, Original: int(p.Original), BetaFast: &p.BetaFast, BetaSlow: &p.BetaSlow,
			MScale: &p.MScale, MScaleAllDim: &p.MScaleAllDim}
	}
}

func (d *description) experts(path string, b *check.Built) {
	gate, expert := built(b.Attrs["gate"]), built(b.Attrs["expert"])
	if !d.is(path+".gate", gate, "router") || !d.is(path+".expert", expert, "swiglu") {
		return
	}
	score, _ := gate.Attrs["score"].(check.Text)
	norm, _ := gate.Attrs["norm_topk"].(check.Bool)
	r := &routing{
		experts: whole(gate.Attrs["experts"]), topK: whole(gate.Attrs["top_k"]), groups: whole(gate.Attrs["groups"]), kept: whole(gate.Attrs["kept"]), groupTop: whole(gate.Attrs["group_top"]),
		width: whole(expert.Attrs["hidden"]), score: string(score), norm: bool(norm), scale: float(gate.Attrs["scale"]), biased: !zero(gate.Attrs["bias"]),
	}
	if shared := built(b.Attrs["shared"]); shared != nil && d.is(path+".shared", shared, "swiglu") {
		r.shared = whole(shared.Attrs["hidden"])
	}
	if d.routing != nil && *d.routing != *r {
		d.addf("%s differs from an earlier layer's: config.json has one kind of experts", path)
		return
	}
	d.routing = r
	shared := r.shared / r.width
	if shared*r.width != r.shared {
		d.addf("%s.shared is %d wide: config.json says a multiple of an expert's width, %d", path, r.shared, r.width)
	}
	c := d.c
	c.RoutedExperts, c.ExpertsPerToken, c.Groups, c.TopKGroups, c.SharedExperts = &r.experts, &r.topK, &r.groups, &r.kept, &shared
	c.MoEIntermediate, c.ScoringFunc, c.NormTopK, c.RoutedScaling, c.TopKMethod = r.width, r.score, &r.norm, &r.scale, "noaux_tc"
	if r.score == "softmax" && !r.biased && (r.groups == 1 || r.groupTop == 1) && (!r.norm || r.scale == 1) {
		c.ModelType, c.TopKMethod = "deepseek_v2", "greedy"
		if r.groups > 1 {
			c.TopKMethod = limited
		}
	} else if r.groups > 1 && r.groupTop != 2 {
		d.addf("%s.gate judges a group by its best %d experts: config.json of a router with a bias says 2", path, r.groupTop)
	}
}

func built(v check.Value) *check.Built {
	b, _ := v.(*check.Built)
	return b
}

// whole is a whole number, 0 for `none`.
func whole(v check.Value) int { return int(float(v)) }

func float(v check.Value) float64 {
	switch v := v.(type) {
	case check.Int:
		return float64(v)
	case check.Float:
		return float64(v)
	case check.Quantity:
		return float64(v.N)
	}
	return 0
}

// zero reports whether a number or schedule is the constant 0.
func zero(v check.Value) bool {
	switch v := v.(type) {
	case check.Int, check.Float, check.Quantity:
		return float(v) == 0
	case *check.Schedule:
		constant, ok := v.Constant()
		return ok && constant == 0
	}
	return false
}
