package graph

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"forge/compiler/op"
)

// v3 emits the training step of DeepSeek-V3 at its published sizes: 61 layers of latent attention, 58 of them with 256 routed
// experts, one multi-token-prediction layer, one AdamW a parameter and the square of the global gradient norm. No value is made.
type v3 struct {
	g          *Graph
	b          op.Builder
	place      string
	parameters []*Node
	group      int // parameters a SumSquares node
}

const (
	v3Tokens, v3Dim, v3Heads, v3Vocabulary = 4096, 7168, 128, 129280
	v3QLow, v3KVLow, v3Nope, v3Rope        = 1536, 512, 128, 64
	v3Experts, v3TopK, v3Inner             = 256, 8, 2048
)

func (v *v3) at(place string) {
	v.place = place
	v.b = v.g.At(Place{Span: "recipes/deepseek-v3.forge:1:1", Text: place})
}

func (v *v3) weight(name string, shape ...int) op.Value {
	w := v.g.Storage(v.place+"."+name, floatType(shape...))
	v.parameters = append(v.parameters, w)
	return w
}

func (v *v3) one(o *op.Op, a op.Attrs, in ...op.Value) op.Value { return op.One(v.b, o, a, in...) }

func (v *v3) dot(a, b, out string, x, w op.Value) op.Value {
	return v.one(op.Dot, op.DotAttrs{A: a, B: b, Out: out}, x, w)
}

func (v *v3) mapped(e *op.Expr, labels string, in ...op.Value) op.Value {
	all := make([]string, len(in))
	for i := range all {
		all[i] = labels
	}
	return v.one(op.Map, op.MapAttrs{Expr: e, In: all, Out: labels}, in...)
}

func (v *v3) norm(name string, x op.Value) op.Value {
	shape := x.Type().Shape
	return v.one(op.RMSNorm, op.RMSNormAttrs{Eps: 1e-6}, x, v.weight(name, shape[len(shape)-1]))
}

func (v *v3) attention(x op.Value) op.Value {
	frequencies := make([]float64, v3Rope/2)
	for i := range frequencies {
		frequencies[i] = 1 / float64(1+i)
	}
	h := v.norm("norm", x)
	low := v.norm("q_norm", v.dot("sd", "dc", "sc", h, v.weight("q_down", v3Dim, v3QLow)))
	q := v.b.Apply(op.Split, op.SplitAttrs{Axis: 2, Sizes: []int{v3Nope, v3Rope}}, v.dot("sc", "chn", "shn", low, v.weight("q_up", v3QLow, v3Heads, v3Nope+v3Rope)))
	rotated := v.one(op.Rotate, op.RotateAttrs{Seq: 0, Axis: 2, Frequencies: frequencies, Scale: 1}, q[1])
	kv := v.b.Apply(op.Split, op.SplitAttrs{Axis: 1, Sizes: []int{v3KVLow, v3Rope}}, v.dot("sd", "dc", "sc", h, v.weight("kv_down", v3Dim, v3KVLow+v3Rope)))
	shared := v.one(op.Rotate, op.RotateAttrs{Seq: 0, Axis: 1, Frequencies: frequencies, Scale: 1}, kv[1])
	up := v.b.Apply(op.Split, op.SplitAttrs{Axis: 2, Sizes: []int{v3Nope, v3Nope}}, v.dot("kc", "chn", "khn", v.norm("kv_norm", kv[0]), v.weight("kv_up", v3KVLow, v3Heads, 2*v3Nope)))
	a := op.AttentionAttrs{Q: []string{"shn", "shr"}, K: []string{"khn", "kr"}, V: "khv", Out: "shv", Seq: 's', Key: 'k', Scale: 0.135}
	y := v.one(op.Attention, a, q[0], up[0], rotated, shared, up[1])
	return v.dot("shv", "hvd", "sd", y, v.weight("out", v3Heads, v3Nope, v3Dim))
}

func (v *v3) swiglu(prefix string, x op.Value, inner int) op.Value {
	gate := v.dot("sd", "df", "sf", x, v.weight(prefix+"gate", v3Dim, inner))
	up := v.dot("sd", "df", "sf", x, v.weight(prefix+"up", v3Dim, inner))
	h := v.mapped(op.Call(op.FnMul, op.Call(op.FnSilu, op.In(0)), op.In(1)), "sf", gate, up)
	return v.dot("sf", "fd", "sd", h, v.weight(prefix+"down", inner, v3Dim))
}

func (v *v3) experts(x op.Value) op.Value {
	score := v.mapped(op.Call(op.FnSigmoid, op.In(0)), "se", v.dot("sd", "ed", "se", x, v.weight("router", v3Experts, v3Dim)))
	bias := v.g.Storage(v.place+".bias", floatType(v3Experts))
	biased := v.one(op.Map, op.MapAttrs{Expr: op.Call(op.FnAdd, op.In(0), op.In(1)), In: []string{"se", "e"}, Out: "se"}, score, bias)
	biased = v.one(op.StopGradient, nil, biased)
	groups := v.one(op.Reshape, op.ReshapeAttrs{Shape: op.Shape{v3Tokens, 8, 32}}, biased)
	best := v.one(op.Top, op.TopAttrs{Axis: 2, N: 2}, groups)
	product := op.Call(op.FnMul, op.In(0), op.In(1))
	total := v.one(op.Reduce, op.ReduceAttrs{Kind: "sum", In: "sgi", Out: "sg"}, v.mapped(product, "sgi", groups, best))
	kept := v.one(op.Top, op.TopAttrs{Axis: 1, N: 4}, total)
	masked := op.MapAttrs{Expr: op.Call(op.FnWhere, op.In(1), op.In(0), op.Const(-1)), In: []string{"sgi", "sg"}, Out: "sgi"}
	choice := v.one(op.Reshape, op.ReshapeAttrs{Shape: op.Shape{v3Tokens, v3Experts}}, v.one(op.Map, masked, groups, kept))
	gate := v.mapped(product, "se", score, v.one(op.Top, op.TopAttrs{Axis: 1, N: v3TopK}, choice))
	sum := v.one(op.Reduce, op.ReduceAttrs{Kind: "sum", In: "se", Out: "s"}, gate)
	scaled := op.MapAttrs{Expr: op.Call(op.FnMul, op.Const(2.5), op.Call(op.FnDiv, op.In(0), op.In(1))), In: []string{"se", "s"}, Out: "se"}
	gate = v.one(op.Map, scaled, gate, sum)

	plan := v.b.Apply(op.RoutePlan, op.RoutePlanAttrs{TopK: v3TopK}, gate)
	rows := v.one(op.GatherRows, nil, x, plan[0], plan[2])
	grouped := func(x, w, out string, in, weight op.Value) op.Value {
		return v.one(op.GroupedDot, op.GroupedDotAttrs{X: x, W: w, Out: out}, in, weight, plan[1])
	}
	h := v.mapped(op.Call(op.FnMul, op.Call(op.FnSilu, op.In(0)), op.In(1)), "rf",
		grouped("rd", "edf", "rf", rows, v.weight("experts.gate", v3Experts, v3Dim, v3Inner)),
		grouped("rd", "edf", "rf", rows, v.weight("experts.up", v3Experts, v3Dim, v3Inner)))
	y := grouped("rf", "efd", "rd", h, v.weight("experts.down", v3Experts, v3Inner, v3Dim))
	g := v.one(op.GatherGate, nil, gate, plan[0], plan[1], plan[2])
	y = v.one(op.Map, op.MapAttrs{Expr: product, In: []string{"rd", "r"}, Out: "rd"}, y, g)
	return v.one(op.Add, nil, v.one(op.ScatterRows, nil, y, plan[0], plan[2]), v.swiglu("shared.", x, v3Inner))
}

func (v *v3) layer(name string, x op.Value, dense bool) op.Value {
	v.at(name + ".attn")
	x = v.one(op.Add, nil, x, v.attention(x))
	v.at(name + ".ffn")
	h := v.norm("norm", x)
	if dense {
		return v.one(op.Add, nil, x, v.swiglu("", h, 18432))
	}
	return v.one(op.Add, nil, x, v.experts(h))
}

func (v *v3) step(layers int) error {
	v.at("model")
	ids, targets := v.g.Input("ids", intType(v3Tokens)), v.g.Input("targets", intType(v3Tokens))
	table, head := v.weight("embed", v3Vocabulary, v3Dim), v.weight("head", v3Vocabulary, v3Dim)
	x := v.one(op.Embed, nil, ids, table)
	for i := range layers {
		x = v.layer(fmt.Sprintf("layers[%d]", i), x, i < 3)
	}
	v.at("model")
	main := v.one(op.MaskedMean, nil, v.one(op.CrossEntropy, nil, v.norm("norm", x), head, targets), targets)

	v.at("mtp")
	next := v.one(op.Embed, nil, v.one(op.Prev, op.PrevAttrs{Axis: 0, N: -1}, ids), table)
	joined := v.one(op.Concat, op.ConcatAttrs{Axis: 1}, v.norm("hidden_norm", x), v.norm("embed_norm", next))
	y := v.layer("mtp.layer", v.dot("sd", "de", "se", joined, v.weight("join", 2*v3Dim, v3Dim)), false)
	v.at("mtp")
	later := v.one(op.Prev, op.PrevAttrs{Axis: 0, N: -1}, targets)
	mtp := v.one(op.MaskedMean, nil, v.one(op.CrossEntropy, nil, v.norm("norm", y), head, later), later)
	loss := v.mapped(op.Call(op.FnAdd, op.In(0), op.Call(op.FnMul, op.Const(0.3), op.In(1))), "", main, mtp)
	v.g.Output("loss", loss.(*Node))

	grads, err := v.g.Differentiate(loss.(*Node), v.parameters)
	if err != nil {
		return err
	}
	v.at("train.optim")
	var squares []op.Value
	for i := 0; i < len(grads); i += v.group {
		var part []op.Value
		for _, d := range grads[i:min(i+v.group, len(grads))] {
			part = append(part, d)
		}
		squares = append(squares, v.one(op.SumSquares, nil, part...))
	}
	norm := v.one(op.Add, nil, squares...)
	v.g.Output("grad_norm", norm.(*Node))
	scalar := floatType()
	rate, one, two := v.g.Input("lr", scalar), v.g.Input("correction1", scalar), v.g.Input("correction2", scalar)
	clip := v.mapped(op.Call(op.FnMin, op.Const(1), op.Call(op.FnDiv, op.Const(1), op.Call(op.FnSqrt, op.In(0)))), "", norm)
	for i, p := range v.parameters {
		m, s := v.g.Storage(p.Name+".m", p.Type()), v.g.Storage(p.Name+".v", p.Type())
		next := v.b.Apply(op.AdamW, op.AdamWAttrs{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, LRScale: 1}, p, grads[i], m, s, rate, clip, one, two)
		for j, storage := range []*Node{p, m, s} {
			v.g.Update(storage, next[j].(*Node))
		}
	}
	return v.g.Seal()
}

func buildV3(group int) (*v3, error) {
	v := &v3{g: New("deepseek-v3", false), group: group}
	var err error
	if caught := Catch(func() { err = v.step(61) }); caught != nil {
		return nil, caught
	}
	return v, err
}

// TestDeepSeekV3Builds holds the numbers of construction: nodes, memory, and, loosely because machines differ, time.
func TestDeepSeekV3Builds(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	v, err := buildV3(64)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	parameters := 0
	for _, p := range v.parameters {
		parameters += p.Type().Shape.Size()
	}
	heap := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
	t.Logf("%d parameter nodes of %.1f G parameters, %d nodes (%d in gorgonia), %v, %.1f MB", len(v.parameters), float64(parameters)/1e9,
		len(v.g.Nodes()), len(v.g.expr.AllNodes()), took, heap)
	if parameters < 650e9 || parameters > 700e9 {
		t.Errorf("%d parameters, want those of DeepSeek-V3 with its prediction layer", parameters)
	}
	if n := len(v.g.expr.AllNodes()); n > mostNodes {
		t.Errorf("%d nodes", n)
	}
	if took > 10*time.Second || heap > 40 {
		t.Errorf("took %v and %.1f MB", took, heap)
	}
	runtime.KeepAlive(v)
}

func BenchmarkDeepSeekV3(b *testing.B) {
	for _, group := range []int{8, 64, 256, 2000} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			for b.Loop() {
				if _, err := buildV3(group); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
