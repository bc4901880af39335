// Package parity runs a published-style checkpoint against stored expectations: it imports the checkpoint, computes every quantity
// that the expectation holds (logits, multi-token-prediction logits, hidden states, routing, greedy text, losses, gradients, ten
// training steps) and judges each by a tolerance. A directory and a backend flow in; out flow judgements and everything that was
// computed, under the expectation's names. Nothing is written unless Report.Dump is called.
package parity

import (
	"encoding/json"
	"fmt"
	"math"
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
	Greedy    greedy            `json:"greedy"`
	Loss      *losses           `json:"loss"`
	GradNorms map[string]number `json:"grad_norms"`
	Train     struct {
		Steps []losses         `json:"steps"`
		Final map[string]final `json:"final"`
	} `json:"train"`
}

type greedy struct {
	Prompt []int32 `json:"prompt"`
	Tokens []int32 `json:"tokens"`
}

// losses are the parts of a step's loss. Balance and Load go by the checkpoint's layer number.
type losses struct {
	Total    number            `json:"total"`
	Main     number            `json:"main"`
	MTP      []number          `json:"mtp"`
	Balance  map[string]number `json:"balance"`
	GradNorm number            `json:"grad_norm"`
	Load     map[string][]int  `json:"load,omitzero"` // tokens that each expert got
}

type final struct {
	Norm      number `json:"norm"`
	DeltaNorm number `json:"delta_norm"`
	Probe     number `json:"probe"`
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
	file     *weights.Named
	ids      []int32
	batch    int
	seq      int
	report   *Report
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
func Run(dir string, backend backends.Backend) (*Report, error) {
	r, err := open(dir, backend)
	if err != nil {
		return nil, err
	}
	defer r.close()
	for _, part := range []func() error{r.probe, r.greedy, r.train} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	for _, name := range r.expected.Names() {
		if !r.report.has(name) && !given[name] {
			r.report.add(name, math.Inf(1), 0)
		}
	}
	return r.report, nil
}

// open reads the expectation and the checkpoint of a folder.
func open(dir string, backend backends.Backend) (_ *run, err error) {
	r := &run{backend: backend, report: newReport()}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
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
	if r.config, err = huggingface.ReadConfig(filepath.Join(dir, "config.json")); err != nil {
		return nil, err
	}
	ids, ok := r.expected.Tensor("input_ids")
	if !ok || len(ids.Shape) != 2 || ids.Shape.Size() == 0 {
		return nil, fmt.Errorf("%s: expected.safetensors has no input_ids of two axes", dir)
	}
	r.batch, r.seq = ids.Shape[0], ids.Shape[1]
	if r.ids, err = r.tokens("input_ids"); err != nil {
		return nil, err
	}
	if err := r.load(dir); err != nil {
		return nil, err
	}
	if r.file, err = weights.OpenNamed(dir, r.model, r.recipe.Names, r.config.Reading()); err != nil {
		return nil, err
	}
	r.start = map[string][]float32{}
	for _, w := range r.model.Weights() {
		values := make([]float32, w.Entries())
		if err := r.file.Read(w.Path, values); err != nil {
			return nil, err
		}
		r.start[w.Path] = values
	}
	return r, nil
}

// close closes the files that were opened.
func (r *run) close() {
	if r.expected != nil {
		r.expected.Close()
	}
	if r.file != nil {
		r.file.Close()
	}
}

// given are the tensors of an expectation that go in, and those that stand for a number judged elsewhere.
var given = map[string]bool{"input_ids": true, "train.batches": true, "greedy.prompt": true}

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

// tokens reads an expected tensor of token numbers, each of which must be in the vocabulary.
func (r *run) tokens(name string) ([]int32, error) {
	f, err := r.floats(name)
	v := make([]int32, len(f))
	for i := range f {
		if v[i] = int32(f[i]); v[i] < 0 || int(v[i]) >= r.config.VocabSize {
			return nil, fmt.Errorf("%s holds %v, which is no token of a vocabulary of %d", name, f[i], r.config.VocabSize)
		}
	}
	return v, err
}

// compare keeps a computed tensor and judges its largest difference, if the expectation holds a tensor of that name.
func (r *run) compare(name string, got []float32, tolerance float64) error {
	want, err := r.keep(name, got)
	if want != nil {
		r.report.absolute(name, want, got, tolerance)
	}
	return err
}

// keep keeps a computed tensor for Dump and gives the expected one, nil if the expectation holds none of that name.
func (r *run) keep(name string, got []float32) ([]float32, error) {
	t, ok := r.expected.Tensor(name)
	if !ok {
		return nil, nil
	}
	shape := t.Shape
	if shape.Size() != len(got) {
		shape = op.Shape{len(got)}
	}
	r.report.keep(name, shape, got)
	return r.floats(name)
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

// inFile gives one tensor as the checkpoint has it, from the values of the weight that holds it.
func (r *run) inFile(t check.NamedTensor, read func(path string) ([]float32, error)) ([]float32, error) {
	place := r.file.Place(t)
	values, err := read(place.Path)
	if err != nil {
		return nil, err
	}
	out := make([]float32, place.Size)
	r.file.ToFile(out, t, values[place.First:][:place.Size])
	return out, nil
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
		if err := r.compare(probeName(o.Name), got, 2e-4); err != nil {
			return err
		}
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
	var picked, weights []float32
	experts := *r.config.RoutedExperts
	for i, g := range gate {
		if g != 0 {
			picked, weights = append(picked, float32(i%experts)), append(weights, g)
		}
	}
	if err := r.compare(name+".indices", picked, 0); err != nil {
		return err
	}
	return r.compare(name+".weights", weights, 2e-5)
}

// greedy judges the text that the caches give from the prompt.
func (r *run) greedy() error {
	prompt := r.want.Greedy.Prompt
	if len(prompt) == 0 {
		return nil
	}
	for _, t := range prompt {
		if t < 0 || int(t) >= r.config.VocabSize {
			return fmt.Errorf("the greedy prompt holds %d, which is no token of a vocabulary of %d", t, r.config.VocabSize)
		}
	}
	tokens, logits, err := r.generate(prompt, len(r.want.Greedy.Tokens), len(prompt)+len(r.want.Greedy.Tokens), false)
	if err != nil {
		return err
	}
	r.report.Numbers.Greedy = &greedy{prompt, tokens}
	r.report.exact("greedy.tokens", widen(r.want.Greedy.Tokens), widen(tokens))
	if _, err := r.keep("greedy.tokens", widen(tokens)); err != nil {
		return err
	}
	return r.compare("greedy.logits", logits, 2e-4)
}

// generate makes n tokens, each the likeliest, with caches of the given capacity, and gives the logits that each was chosen by.
func (r *run) generate(prompt []int32, n, capacity int, plain bool) (tokens []int32, logits []float32, err error) {
	var store backends.Store
	program := func(rows int) (backends.Program, error) {
		g, err := compiler.Generate(r.model, compiler.Options{Batch: 1, Seq: rows, NoRewrite: plain}, capacity)
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
		return nil, nil, err
	}
	defer prefill.Close()
	decode, err := program(1)
	if err != nil {
		return nil, nil, err
	}
	defer decode.Close()
	next, at, p := prompt, 0, prefill
	for range n {
		for _, err := range []error{p.SetInts("tokens", next), p.SetInts("position", []int32{int32(at)}), p.SetInts("row", []int32{int32(len(next) - 1)}), p.RunAll()} {
			if err != nil {
				return nil, nil, err
			}
		}
		row, err := p.Output("logits")
		if err != nil {
			return nil, nil, err
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
	return tokens, logits, nil
}

func widen(v []int32) []float32 {
	f := make([]float32, len(v))
	for i := range v {
		f[i] = float32(v[i])
	}
	return f
}
