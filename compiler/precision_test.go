package compiler_test

import (
	"strings"
	"testing"

	"forge/compiler"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// productsOf gives the precision text of each product of a training step by place and operation, "" for float32. Forward products come
// before their gradients.
func productsOf(t *testing.T, sets ...string) map[string][]string {
	t.Helper()
	s := load(t, sets...).Stages[0]
	tr, err := compiler.Train(s.Model, s, compiler.Options{Batch: 2, Seq: 7})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, n := range tr.Graph.Nodes() {
		if n.Kind != graph.OpNode {
			continue
		}
		var p op.Precision
		switch a := n.Attrs.(type) {
		case op.DotAttrs:
			p = a.Precision
		case op.GroupedDotAttrs:
			p = a.Precision
		case op.GroupedDotWeightAttrs:
			p = a.Precision
		case op.CrossEntropyAttrs:
			p = a.Precision
		case op.AttentionAttrs:
			p = op.InFormat(a.Format)
		default:
			if n.Op != op.HeadLoss {
				continue
			}
		}
		text := ""
		if !p.Full() {
			text = p.A.Format.String() + "·" + p.B.Format.String()
		}
		key := n.Op.Name
		for _, in := range n.In {
			if in.Kind == graph.StorageNode {
				key += " " + in.Name
			}
		}
		found[key] = append(found[key], text)
	}
	return found
}

func TestPrecisionOfProducts(t *testing.T) {
	const fp8 = `train.precision=fp8(keep = ["embed", "head", "**.gate.w", "layers[0].ffn.up", "layers[1].attn"])`
	got := productsOf(t, fp8)
	for _, c := range []struct{ key, want string }{
		{"dot layers[0].attn.wq_a", "e4m3·e4m3"}, // with its gradient toward the activation
		{"dot layers[0].ffn.up", "bf16·bf16"},    // kept by the weight's name
		{"dot layers[1].attn.wq_a", "bf16·bf16"}, // kept by the part's
		{"dot layers[1].ffn.gate.w", ""},         // feeds a top
		{"grouped_dot layers[1].ffn.bank.down", "e4m3·e4m3"},
		{"head_loss head", "bf16·bf16"},
		{"dot mtp[0].proj", "e4m3·e4m3"},
		{"attention", "bf16·bf16"},
		{"attention_grad", "bf16·bf16"},
	} {
		list := got[c.key]
		if len(list) == 0 {
			t.Errorf("no product %q among %v", c.key, got)
		}
		for _, p := range list {
			if p != c.want {
				t.Errorf("%s is computed in %q, want %q", c.key, list, c.want)
			}
		}
	}
	for _, p := range got["grouped_dot_weight"] {
		if p != "e4m3·e4m3" {
			t.Errorf("the gradient of a bank is computed in %q", p)
		}
	}
	hybrid := productsOf(t, `train.precision=fp8(format = "hybrid")`)
	if list := strings.Join(hybrid["dot layers[0].attn.wq_a"], " "); list != "e4m3·e4m3 e5m2·e4m3" {
		t.Errorf("hybrid computes forward and toward the activation in %q", list)
	}
	for key, list := range productsOf(t, "train.precision=bf16()") {
		for _, p := range list {
			if p != "bf16·bf16" && !strings.Contains(key, "gate.w") && p != "" {
				t.Errorf("bf16: %s is computed in %q", key, p)
			}
		}
	}
	for key, list := range productsOf(t) {
		for _, p := range list {
			if p != "" {
				t.Errorf("fp32: %s is computed in %q", key, p)
			}
		}
	}
}

func TestMomentsAreKeptInBFloat16(t *testing.T) {
	s := load(t, "train.precision=fp8()").Stages[0]
	tr, err := compiler.Train(s.Model, s, compiler.Options{Batch: 2, Seq: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tr.Graph.Nodes() {
		if a, ok := n.Attrs.(op.AdamWAttrs); ok && (a.Moments != op.BFloat16 || a.Param != op.Float32 || a.Grad != op.Float32) {
			t.Fatalf("AdamW keeps weights, gradients, moments in %v, %v, %v", a.Param, a.Grad, a.Moments)
		}
	}
}
