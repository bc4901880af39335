package check

import (
	"strings"
	"testing"
)

// The numbers of language.md section 21.
func TestCounts(t *testing.T) {
	for _, k := range []struct {
		name, sets string
		want       Counts
		named      int // weights and states of the main model, banks counted once
	}{
		{"tiny", "", Counts{Params: 1_417_728, Active: 754_176, MTP: 417_504, State: 32, MTPState: 8}, 66},
		{"tiny", "model.dim=64 model.attn=gqa(heads=4,head=16)", Counts{Params: 671_808, Active: 340_032, MTP: 191_296, State: 32, MTPState: 8}, 54},
		{"tiny_gqa", "", Counts{Params: 1_409_152, Active: 745_600, MTP: 415_360, State: 32, MTPState: 8}, 54},
		{"deepseek_v3", "", Counts{Params: 671_026_404_352, Active: 37_552_282_624, MTP: 11_610_067_968, State: 15_104, MTPState: 256}, 1025},
	} {
		m := loaded(t, k.name, strings.Fields(k.sets)...).Model
		if got := m.Count(); got != k.want {
			t.Errorf("%s %s: %+v, want %+v", k.name, k.sets, got, k.want)
		}
		named := 0
		for _, w := range m.Weights() {
			if !w.MTP {
				named++
			}
		}
		if named != k.named {
			t.Errorf("%s %s: %d named weights and states, want %d", k.name, k.sets, named, k.named)
		}
	}
}

func TestWeights(t *testing.T) {
	m := loaded(t, "tiny").Model
	byPath := map[string]WeightInfo{}
	for _, w := range m.Weights() {
		if _, twice := byPath[w.Path]; twice {
			t.Errorf("%s is listed twice", w.Path)
		}
		byPath[w.Path] = w
	}
	for _, k := range []struct{ path, axes, init string }{
		{"embed", "[vocab=256, dim=128]", "normal"},
		{"head", "[vocab=256, dim=128]", "normal"},
		{"norm.gain", "[dim=128]", "ones"},
		{"layers[0].ffn.up", "[dim=128, hidden=384]", "normal"},
		{"layers[3].ffn.bank.up", "[experts=8, dim=128, hidden=96]", "normal"},
		{"layers[3].attn.wq_b", "[q_rank=64, heads=4, qk=48]", "normal"},
		{"mtp[0].layer.attn.q_norm.gain", "[q_rank=64]", "ones"},
		{"mtp[0].proj", "[both=256, dim=128]", "normal"},
	} {
		w, ok := byPath[k.path]
		if !ok {
			t.Errorf("no %s", k.path)
			continue
		}
		if got := axesText(w.Axes); got != k.axes || w.Init.Kind != k.init || w.State {
			t.Errorf("%s: %s, %s, want %s, %s", k.path, got, w.Init.Kind, k.axes, k.init)
		}
		if w.MTP != strings.HasPrefix(k.path, "mtp") {
			t.Errorf("%s: MTP is %t", k.path, w.MTP)
		}
	}
	if w := byPath["layers[1].ffn.bank.down"]; !w.Bank || w.TopK != 2 {
		t.Errorf("a bank of which 2 are used: %+v", w)
	}
	if w := byPath["layers[1].ffn.gate.b"]; !w.State || w.Initial != 0 {
		t.Errorf("the router's state: %+v", w)
	}
	if _, ok := byPath["layers[1].attn.wq"]; ok {
		t.Error("wq is guarded out")
	}
	tied := loaded(t, "tiny", "model.tied=true", "model.mtp=none").Model
	for _, w := range tied.Weights() {
		if w.Path == "head" || w.MTP {
			t.Errorf("%s in a tied model without MTP", w.Path)
		}
	}
}

// Parts within parts double the weights: the list is bounded before it is made.
func TestTooManyWeights(t *testing.T) {
	var b strings.Builder
	b.WriteString("forge 1\nuse \"tiny\"\n")
	b.WriteString("block b0()(x[.., d]) -> [.., d] {\n  weight w[d]\n  return x * w\n}\n")
	for i := 1; i <= 40; i++ {
		n, prev := itoa(i), itoa(i-1)
		b.WriteString("block b" + n + "()(x[.., d]) -> [.., d] {\n  part p = b" + prev + "()\n  part q = b" + prev + "()\n  return q(p(x))\n}\n")
	}
	b.WriteString("recipe r from tiny.tiny {\n  model.dense = b40()\n}\n")
	if got := rendered(memory{"f.forge": b.String()}, "f.forge"); !strings.Contains(got, "error[E506]") {
		t.Error(got)
	}
}

func itoa(i int) string { return strings.TrimSpace(key(Int(i))) }
