package huggingface

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"forge/dsl"
)

// Training are settings that a config.json does not hold.
type Training struct {
	BiasRate float64 // speed of the router's bias
	Balance  float64 // weight of the sequence-wise balance loss
}

// published are DeepSeek-V3's own settings (arXiv 2412.19437, section 4.2).
var published = Training{BiasRate: 0.001, Balance: 1e-4}

// maxSeq bounds the sequences of a recipe made from a config.json: what positions allow is far more than fits a machine at once.
const maxSeq = 4096

// Recipe is the text of a recipe for the model, called name. tokenizer is the path of its tokenizer.json, "" if there is none; a model
// of 256 tokens then reads bytes, and another gets no data.
func (c *Config) Recipe(name, tokenizer string) string {
	var b strings.Builder
	const header = "forge 1\nuse \"deepseek_hf\" as hf\n\n"
	b.WriteString(c.Model("imported", published))
	data := ""
	if tokenizer != "" || c.VocabSize == 256 {
		reads := "bytes()"
		if tokenizer != "" {
			reads = fmt.Sprintf("bpe(%q, vocab = %d)", filepath.ToSlash(tokenizer), c.VocabSize)
		}
		fmt.Fprintf(&b, "\ndata corpus {\n  sources = [gosource()]\n  tokenizer = %s\n  held_out = 0.02\n}\n", reads)
		data = "  data = corpus\n"
	}
	seq := maxSeq
	if c.MaxPositions > 0 {
		seq = min(seq, c.MaxPositions)
	}
	fmt.Fprintf(&b, "\ntrain finetune {\n  total = 1k steps\n  seq = %d\n  batch = 8\n  optim = adamw()\n"+
		"  lr = ramp(0, 1e-5, over = 50 steps) then 1e-5\n  precision = fp32()\n}\n", seq)
	table := "hf.huggingface"
	if q := c.Quantization; q != nil && (q.Block[0] != 128 || q.Block[1] != 128) {
		fmt.Fprintf(&b, "\nweights names from hf.huggingface {\n  scale_block = [%d, %d]\n}\n", q.Block[0], q.Block[1])
		table = "names"
	}
	end := fmt.Sprintf(" {\n  model = imported\n%s  stages = [finetune]\n  weights = %s\n}\n", data, table)
	shown := strings.Join(strings.FieldsFunc(name, unicode.IsControl), " ")
	comment := fmt.Sprintf("# %s, written from its config.json. The data and the training are a place to start from.\n", shown)
	text := header + comment + b.String() + "\nrecipe " + recipeName(name, header+b.String()+end) + end
	file, _ := dsl.Parse(name, text)
	return dsl.Format(file)
}

// recipeName makes a name of the language from any text, one that the text beside it does not use.
func recipeName(text, beside string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' && b.Len() > 0 {
			b.WriteRune(r)
		} else if b.Len() > 0 {
			b.WriteByte('_')
		}
	}
	name := strings.Trim(b.String(), "_")
	if name == "" {
		return "checkpoint"
	}
	isWord := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	words := strings.FieldsFunc(beside, func(r rune) bool { return !isWord(r) })
	if slices.Contains(words, name) || slices.Contains(reserved, name) {
		return name + "_checkpoint"
	}
	return name
}

// reserved are the words of the language that no section can be called.
var reserved = strings.Fields("let if else for in then and or not true false none")

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
	line("let pos = %s", c.position())
	rank := "none"
	if r := orZero(c.QRank); r > 0 {
		rank = fmt.Sprint(r)
	}
	line("let attn = mla(heads = %d, nope = %d, rope = %d, v = %d, q_rank = %s, kv_rank = %d, pos = pos, norm = norm)",
		c.NumHeads, c.QKNope, c.QKRope, c.VHead, rank, c.KVRank)
	mixed := c.sparse() && c.dense() < c.NumHiddenLayers // experts in the main model
	if ahead := c.MTPLayers > 0 && c.mtpSparse(); mixed || ahead {
		c.experts(line, t)
	}
	if c.dense() > 0 || c.MTPLayers > 0 && !c.mtpSparse() {
		line("let dense = swiglu(%d)", c.IntermediateSize)
	}
	ffn := "dense"
	if mixed && c.dense() > 0 {
		line("let first_dense = %d", c.dense())
		ffn = "dense if i < first_dense else sparse"
	} else if mixed {
		ffn = "sparse"
	}
	line("layers = [layer(attn, %s, norm = norm) for i in 0..depth]", ffn)
	if c.MTPLayers > 0 {
		ffn := "dense"
		if c.mtpSparse() {
			ffn = "sparse"
		}
		line("mtp = mtp(layer(attn, %s, norm = norm), norm = norm)", ffn)
		line("mtp_depth = %d", c.MTPLayers)
	}
	b.WriteString("}\n")
	return b.String()
}

func (c *Config) experts(line func(string, ...any), t Training) {
	line("let expert = swiglu(%d)", c.MoEIntermediate)
	rate := t.BiasRate
	groupTop := ""
	if !c.biased() {
		rate = 0
	}
	if n := c.groupTop(); n != 2 {
		groupTop = fmt.Sprintf(", group_top = %d", n)
	}
	line("let gate = router(experts = %d, top_k = %d, groups = %d, kept = %d, score = %q, norm_topk = %v, scale = %s, bias = %s, aux = %s%s)",
		*c.RoutedExperts, *c.ExpertsPerToken, orOne(c.Groups), orOne(c.TopKGroups), c.ScoringFunc, *c.NormTopK, number(c.scale()), number(rate),
		number(t.Balance), groupTop)
	shared := "none"
	if n := orZero(c.SharedExperts); n > 0 {
		shared = fmt.Sprintf("swiglu(%d)", n*c.MoEIntermediate)
	}
	line("let sparse = moe(expert, gate, shared = %s)", shared)
}

func (c *Config) position() string {
	pairs := ""
	if c.RopeInterleave != nil && !*c.RopeInterleave {
		pairs = `, pairs = "halves"`
	}
	s := c.RopeScaling
	if s == nil {
		return fmt.Sprintf("rotary(theta = %s%s)", number(c.RopeTheta), pairs)
	}
	or := func(p *float64, missing float64) string {
		if p == nil {
			return number(missing)
		}
		return number(*p)
	}
	return fmt.Sprintf("yarn(theta = %s, factor = %s, original = %d, beta_fast = %s, beta_slow = %s, mscale = %s, mscale_all_dim = %s%s)",
		number(c.RopeTheta), number(s.Factor), s.Original, or(s.BetaFast, 32), or(s.BetaSlow, 1), or(s.MScale, 1), or(s.MScaleAllDim, 0), pairs)
}

// number is a float as the recipe language writes it.
func number(v float64) string { return shortExponent.Replace(fmt.Sprint(v)) }

var shortExponent = strings.NewReplacer("e+0", "e", "e+", "e", "e-0", "e-")
