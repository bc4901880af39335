package compiler_test

import (
	"bytes"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"forge/compiler"
	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/random"
)

// small is the whole DeepSeek-V3 shape at a size that float64 interpretation can bear.
const small = `forge 1

model small_v3 {
  vocab = 19
  dim = 12
  norm = rms_norm(eps = 1e-6)
  init = normal(0.3)
  let attn = mla(heads = 2, nope = 6, rope = 4, v = 5, q_rank = 7, kv_rank = 6, norm = norm)
  let gate = router(experts = 6, top_k = 2, groups = 3, kept = 2, scale = 1.5, bias = 0.01, aux = 0.02)
  let sparse = moe(swiglu(5), gate, shared = swiglu(7))
  layers = [layer(attn, swiglu(9) if i < 1 else sparse, norm = norm) for i in 0..2]
  mtp = mtp(layer(attn, sparse, norm = norm), norm = norm)
  mtp_depth = 2
}

train t {
  total = 10 steps
  seq = 7
  batch = 2
  optim = adamw()
  lr = 1e-3
  precision = fp32()
}

recipe small {
  model = small_v3
  stages = [t]
}
`

const ideas = `
block differential(heads: axis, head: axis = 6)(x[batch, seq, d]) -> [batch, seq, d] {
  pair = 2
  weight wq[d, heads, pair, head]
  weight wk[d, heads, pair, head]
  weight wv[d, heads, head]
  weight wo[heads, head, d]
  rot = rotary()
  q = rot[head](dot[d](x, wq))
  k = cache(rot[head](dot[d](x, wk)))
  v = cache(dot[d](x, wv))
  maps = softmax[key](causal(dot[head](q, k) / sqrt(head)))
  a, b = take[pair](maps)
  return dot[heads, head](dot[key](a - 0.5 * b, v), wo)
}

block local(heads: axis, window: int, head: axis = 6)(x[batch, seq, d]) -> [batch, seq, d] {
  weight wq[d, heads, head]
  weight wo[heads, head, d]
  k = cache(dot[d](x, wq))
  p = softmax[key](causal(dot[head](dot[d](x, wq), k) / sqrt(head), window = window))
  return dot[heads, head](dot[key](p, k), wo)
}

block twice(inner: block)(x[batch, seq, d]) -> [batch, seq, d] {
  part inner = inner
  return inner(inner(x))
}
`

// others change one thing of small.
var others = map[string]string{
	"mla":          "model.dim=12",
	"gqa":          "model.attn=gqa(heads = 4, kv_heads = 2, head = 6)",
	"direct":       "model.attn=mla(heads = 2, nope = 6, rope = 4, v = 5, q_rank = none, kv_rank = 6, norm = norm)",
	"best group":   `model.gate=router(experts = 6, top_k = 2, groups = 3, kept = 2, score = "softmax", norm_topk = false, scale = 16, group_top = 1)`,
	"softmax":      `model.gate=router(experts = 6, top_k = 3, score = "softmax", norm_topk = false)`,
	"tied":         "model.tied=true",
	"differential": `model.attn=differential(heads = 2)`,
	"window":       `model.attn=local(heads = 2, window = 3)`,
	"looped":       `model.layers=[twice(layer(attn, sparse, norm = norm))]`,
	"halves":       `model.attn=gqa(heads = 2, head = 6, pos = rotary(pairs = "halves"))`,
}

type memory map[string]string

func (m memory) ReadFile(path string) ([]byte, error) { return []byte(m[path]), nil }

func load(t *testing.T, sets ...string) *check.Recipe {
	t.Helper()
	r, faults := check.Load(memory{"small.forge": small + ideas}, "small.forge", sets)
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	return r
}

// bind gives every input and storage of a training graph deterministic data.
func bind(tr *compiler.Training, seed int64, vocab int) map[string]op.Tensor {
	values := map[string]op.Tensor{}
	next := map[string]op.Tensor{}
	for _, s := range tr.Graph.Storages() {
		r := random.New(seed, s.Name)
		d := make([]float64, s.Type().Shape.Size())
		for i := range d {
			switch {
			case strings.HasPrefix(s.Name, "adamw.v/"):
				d[i] = 0.1 * r.Float64()
			case strings.HasSuffix(s.Name, ".b"):
				d[i] = 0.2 * (r.Float64() - 0.5)
			default:
				d[i] = 0.5 * (r.Float64() - 0.5)
			}
		}
		values[s.Name] = op.Tensor{Shape: s.Type().Shape, Data: d}
	}
	for _, in := range tr.Graph.Inputs() {
		r := random.New(seed, in.Name)
		d := make([]float64, in.Type().Shape.Size())
		for i := range d {
			if in.Type().Dtype == op.Int32 {
				d[i] = float64(int(r.Float64() * float64(vocab)))
				if strings.HasPrefix(in.Name, "targets") && i%5 == 3 {
					d[i] = -1
				}
			} else {
				d[i] = 0.1 + 0.3*r.Float64()
			}
		}
		values[in.Name] = op.Tensor{Shape: in.Type().Shape, Data: d}
	}
	for k, v := range next {
		values[k] = v
	}
	return values
}

// interpret gives every output and every updated storage.
func interpret(t *testing.T, tr *compiler.Training, values map[string]op.Tensor) map[string][]float64 {
	t.Helper()
	all, err := tr.Graph.Interpret(values)
	if err != nil {
		t.Fatal(err)
	}
	value := func(n *graph.Node) []float64 {
		if n.Kind == graph.PickNode {
			return all[n][0].Data
		}
		return all[n][0].Data
	}
	out := map[string][]float64{}
	for _, o := range tr.Graph.Outputs() {
		out[o.Name] = value(o.Node)
	}
	for _, u := range tr.Graph.Updates() {
		out["new "+u.Storage.Name] = value(u.Value)
	}
	return out
}

// TestRewrittenIsPlain: with and without the rewrites, losses, gradients, metrics and all new values are equal in float64.
func TestRewrittenIsPlain(t *testing.T) {
	for name, set := range others {
		t.Run(name, func(t *testing.T) {
			r := load(t, set)
			s := r.Stages[0]
			build := func(plain bool) *compiler.Training {
				tr, err := compiler.Train(s.Model, s, compiler.Options{Batch: 2, Seq: 7, NoRewrite: plain, Float64: true, Gradients: true})
				if err != nil {
					t.Fatal(err)
				}
				return tr
			}
			plain, rewritten := build(true), build(false)
			values := bind(plain, 3, s.Model.Vocab)
			want, got := interpret(t, plain, values), interpret(t, rewritten, values)
			for key, g := range got {
				w, ok := want[key]
				if !ok {
					t.Errorf("%s: only the rewritten graph has it", key)
					continue
				}
				if d := distance(w, g); d > 1e-9 {
					t.Errorf("%s: %.2g apart", key, d)
				}
			}
			if len(got) < 50 {
				t.Errorf("only %d values compared", len(got))
			}
		})
	}
}

// distance is the largest difference relative to the largest magnitude.
func distance(want, got []float64) float64 {
	var d, m float64
	for i := range want {
		d = math.Max(d, math.Abs(want[i]-got[i]))
		m = math.Max(m, math.Abs(want[i]))
	}
	if len(want) != len(got) || math.IsNaN(d) {
		return math.Inf(1)
	}
	return d / math.Max(m, 1e-12)
}

// TestGradientIsSlope: the gradient of the whole loss agrees with central differences at a few entries of every weight.
func TestGradientIsSlope(t *testing.T) {
	r := load(t)
	s := r.Stages[0]
	tr, err := compiler.Train(s.Model, s, compiler.Options{Batch: 2, Seq: 7, Float64: true, Gradients: true})
	if err != nil {
		t.Fatal(err)
	}
	values := bind(tr, 5, s.Model.Vocab)
	at := interpret(t, tr, values)
	const h = 1e-5
	for _, w := range tr.Storage {
		if w.Kind != compiler.Weight {
			continue
		}
		data := values[w.Name].Data
		for _, i := range []int{0, len(data) / 2} {
			keep := data[i]
			data[i] = keep + h
			up := interpret(t, tr, values)["loss"][0]
			data[i] = keep - h
			down := interpret(t, tr, values)["loss"][0]
			data[i] = keep
			slope, got := (up-down)/(2*h), at["grad/"+w.Name][i]
			if math.Abs(slope-got) > 1e-6+1e-5*math.Abs(slope) {
				t.Errorf("%s[%d]: gradient %.9g, slope %.9g", w.Name, i, got, slope)
			}
		}
	}
}

// TestDeepSeekV3 builds the training graph of 671B parameters: in well under two seconds, and without allocating a weight.
func TestDeepSeekV3(t *testing.T) {
	r, faults := check.Load(nil, "deepseek_v3", nil)
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	s := r.Stages[0]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	tr, err := compiler.Train(s.Model, s, compiler.Options{Batch: 1, Seq: s.Seq})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes in %v", len(tr.Graph.Nodes()), time.Since(start))
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 1000 {
		t.Errorf("%d MiB were allocated on the way", mib)
	}
	var params int
	for _, w := range tr.Storage {
		if w.Kind == compiler.Weight && !w.MTP {
			params += w.Shape.Size()
		}
	}
	if params != 671_026_404_352 {
		t.Errorf("%d parameters", params)
	}
}

// TestPrint: every stage prints, and says what the rules did.
func TestPrint(t *testing.T) {
	r := load(t)
	s := r.Stages[0]
	for stage, want := range map[string]string{
		compiler.StageEquations: "softmax[key]", compiler.StageRewritten: "attention[nope, rope; key]", compiler.StageGraph: "adamw",
	} {
		var b bytes.Buffer
		if err := compiler.Print(&b, s.Model, s, compiler.Options{Batch: 2, Seq: 7}, stage); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s does not show %q:\n%s", stage, want, b.String())
		}
	}
}
