// Package parity runs a published-style checkpoint against stored expectations: it imports the checkpoint, computes every quantity
// that the expectation holds (logits, multi-token-prediction logits, hidden states, routing, greedy text, losses, gradients, ten
// training steps) and judges each by a tolerance. A directory and a backend flow in, a list of judgements flows out; nothing is
// written.
package parity

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/huggingface"
	"forge/engine/weights"
)

// expectation is expected.json.
type expectation struct {
	Hyper struct {
		LR          float64 `json:"lr"`
		Beta1       float64 `json:"beta1"`
		Beta2       float64 `json:"beta2"`
		Eps         float64 `json:"eps"`
		WeightDecay float64 `json:"weight_decay"`
		Clip        float64 `json:"clip"`
		MTPLambda   float64 `json:"mtp_lambda"`
		Balance     float64 `json:"balance_alpha"`
		BiasGamma   float64 `json:"bias_gamma"`
	} `json:"hyper"`
	Greedy struct {
		Prompt []int32 `json:"prompt"`
		Tokens []int32 `json:"tokens"`
	} `json:"greedy"`
	Loss  losses `json:"loss"`
	Train struct {
		Steps []losses         `json:"steps"`
		Final map[string]final `json:"final"`
	} `json:"train"`
}

// losses are the parts of a step's loss. Balance and Load go by the checkpoint's layer number.
type losses struct {
	Total    float64            `json:"total"`
	Main     float64            `json:"main"`
	MTP      []float64          `json:"mtp"`
	Balance  map[string]float64 `json:"balance"`
	GradNorm float64            `json:"grad_norm"`
	Load     map[string][]int   `json:"load"`
}

type final struct {
	Norm      float64 `json:"norm"`
	DeltaNorm float64 `json:"delta_norm"`
	Probe     float64 `json:"probe"`
}

// run is one checkpoint on one backend.
type run struct {
	backend  backends.Backend
	config   *huggingface.Config
	recipe   *check.Recipe
	model    *check.Model
	stage    *check.Stage
	want     expectation
	expected *weights.File
	start    map[string][]float32
	file     *checkpoint
	ids      []int32
	batch    int
	seq      int
	judge    judge
}

// oneFile lets a recipe be checked that is in memory.
type oneFile struct{ name, text string }

func (f oneFile) ReadFile(path string) ([]byte, error) {
	if path == f.name {
		return []byte(f.text), nil
	}
	return nil, fmt.Errorf("%s: %w", path, os.ErrNotExist)
}

const trainText = `
train parity {
  total = 10 steps
  seq = %d
  batch = %d
  optim = adamw(betas = [%v, %v], eps = %v, decay = %v)
  lr = %v
  clip = %v
  mtp_weight = %v
  precision = fp32()
}

recipe imported {
  model = imported_model
  stages = [parity]
  weights = hf.huggingface
}
`

// Run computes and judges everything that dir expects.
func Run(dir string, backend backends.Backend) ([]Judgement, error) {
	r := &run{backend: backend}
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &r.want); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "expected.json"), err)
	}
	if r.expected, err = weights.Open(filepath.Join(dir, "expected.safetensors")); err != nil {
		return nil, err
	}
	defer r.expected.Close()
	if r.config, err = huggingface.ReadConfig(filepath.Join(dir, "config.json")); err != nil {
		return nil, err
	}
	ids, ok := r.expected.Tensor("input_ids")
	if !ok || len(ids.Shape) != 2 {
		return nil, fmt.Errorf("%s: expected.safetensors has no input_ids of two axes", dir)
	}
	r.batch, r.seq = ids.Shape[0], ids.Shape[1]
	if r.ids, err = r.whole("input_ids"); err != nil {
		return nil, err
	}
	if err := r.load(dir); err != nil {
		return nil, err
	}
	if r.file, err = openCheckpoint(dir, r.model, r.recipe.Names); err != nil {
		return nil, err
	}
	defer r.file.close()
	if r.start, err = r.file.load(); err != nil {
		return nil, err
	}
	for _, part := range []func() error{r.probe, r.greedy, r.train} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return r.judge.list, nil
}

// load writes the configuration as a recipe and checks it.
func (r *run) load(dir string) error {
	h := r.want.Hyper
	f := oneFile{name: "imported.forge"}
	f.text = "forge 1\nuse \"deepseek_hf\" as hf\n\n" +
		r.config.Model("imported_model", huggingface.Training{BiasRate: h.BiasGamma, Balance: h.Balance}) +
		fmt.Sprintf(trainText, r.seq, r.batch, h.Beta1, h.Beta2, h.Eps, h.WeightDecay, h.LR, h.Clip, h.MTPLambda)
	recipe, faults := check.Load(f, f.name, nil)
	if faults.HasErrors() {
		return fmt.Errorf("%s: the recipe made from config.json: %w\n%s", dir, faults, f.text)
	}
	r.recipe, r.stage = recipe, recipe.Stages[0]
	r.model = r.stage.Model
	return nil
}

// floats reads an expected tensor.
func (r *run) floats(name string) ([]float32, error) {
	t, ok := r.expected.Tensor(name)
	if !ok {
		return nil, nil
	}
	v := make([]float32, t.Shape.Size())
	return v, r.expected.Read(name, v)
}

func (r *run) whole(name string) ([]int32, error) {
	f, err := r.floats(name)
	v := make([]int32, len(f))
	for i := range f {
		v[i] = int32(f[i])
	}
	return v, err
}

// store makes a store with the checkpoint's weights, and zeros for the rest.
func (r *run) store(list []compiler.Stored) (backends.Store, error) {
	s := r.backend.NewStore()
	for _, w := range list {
		if err := s.Create(w.Name, op.Type{Shape: w.Shape}); err != nil {
			return nil, err
		}
		if v := r.start[w.Name]; v != nil {
			if err := s.Write(w.Name, v); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// layer is a block's path as the checkpoint numbers layers: modules of multi-token prediction come after the last layer.
func (r *run) layer(path string) string {
	var i int
	if _, err := fmt.Sscanf(path, "layers[%d]", &i); err == nil {
		return fmt.Sprint(i)
	}
	fmt.Sscanf(path, "mtp[%d]", &i)
	return fmt.Sprint(len(r.model.Layers) + i)
}

// probe judges logits, hidden states and routing of input_ids.
func (r *run) probe() error {
	e, err := compiler.Probe(r.model, compiler.Options{Batch: r.batch, Seq: r.seq})
	if err != nil {
		return err
	}
	s, err := r.store(e.Storage)
	if err != nil {
		return err
	}
	p, err := r.backend.Compile(e.Graph, s, backends.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.SetInts("tokens", r.ids); err != nil {
		return err
	}
	if err := p.RunAll(); err != nil {
		return err
	}
	for _, o := range e.Graph.Outputs() {
		got, err := p.Output(o.Name)
		if err != nil {
			return err
		}
		if path, ok := strings.CutPrefix(o.Name, "gate/"); ok {
			if err := r.routing("routing."+r.layer(path), got); err != nil {
				return err
			}
			continue
		}
		name := probeName(o.Name)
		want, err := r.floats(name)
		if err != nil {
			return err
		}
		r.judge.absolute(name, want, got, 2e-4)
	}
	return nil
}

func probeName(output string) string {
	var i int
	for form, name := range map[string]string{"hidden/layers[%d]": "hidden.layer%d", "mtp_logits[%d]": "mtp_logits.%d"} {
		if _, err := fmt.Sscanf(output, form, &i); err == nil {
			return fmt.Sprintf(name, i)
		}
	}
	if _, err := fmt.Sscanf(output, "hidden/mtp[%d]", &i); err == nil {
		return fmt.Sprintf("hidden.mtp%d", i+1)
	}
	return strings.Replace(output, "/", ".", 1)
}

// routing judges the picks of each row, in ascending order, and their weights.
func (r *run) routing(name string, gate []float32) error {
	indices, err := r.floats(name + ".indices")
	if err != nil {
		return err
	}
	want, err := r.floats(name + ".weights")
	if err != nil {
		return err
	}
	var picked, weights []float32
	experts := *r.config.RoutedExperts
	for i, g := range gate {
		if g != 0 {
			picked, weights = append(picked, float32(i%experts)), append(weights, g)
		}
	}
	r.judge.exact(name+".indices", indices, picked)
	r.judge.absolute(name+".weights", want, weights, 2e-5)
	return nil
}

// greedy judges the text that the caches give from the prompt.
func (r *run) greedy() error {
	prompt := r.want.Greedy.Prompt
	if len(prompt) == 0 {
		return nil
	}
	capacity := len(prompt) + len(r.want.Greedy.Tokens)
	var store backends.Store
	program := func(rows int) (backends.Program, error) {
		g, err := compiler.Generate(r.model, compiler.Options{Batch: 1, Seq: rows}, capacity)
		if err != nil {
			return nil, err
		}
		if store == nil {
			if store, err = r.store(g.Storage); err != nil {
				return nil, err
			}
		}
		return r.backend.Compile(g.Graph, store, backends.Options{})
	}
	prefill, err := program(len(prompt))
	if err != nil {
		return err
	}
	defer prefill.Close()
	decode, err := program(1)
	if err != nil {
		return err
	}
	defer decode.Close()
	var tokens []int32
	var logits []float32
	next, at, p := prompt, 0, prefill
	for range r.want.Greedy.Tokens {
		for _, err := range []error{p.SetInts("tokens", next), p.SetInts("position", []int32{int32(at)}), p.SetInts("row", []int32{int32(len(next) - 1)}), p.RunAll()} {
			if err != nil {
				return err
			}
		}
		row, err := p.Output("logits")
		if err != nil {
			return err
		}
		logits = append(logits, row...)
		best := 0
		for i, v := range row {
			if v > row[best] {
				best = i
			}
		}
		tokens = append(tokens, int32(best))
		at += len(next)
		next, p = tokens[len(tokens)-1:], decode
	}
	r.judge.exact("greedy.tokens", widen(r.want.Greedy.Tokens), widen(tokens))
	want, err := r.floats("greedy.logits")
	if err != nil {
		return err
	}
	r.judge.absolute("greedy.logits", want, logits, 2e-4)
	return nil
}

func widen(v []int32) []float32 {
	f := make([]float32, len(v))
	for i := range v {
		f[i] = float32(v[i])
	}
	return f
}
