package parity

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/backends/cpu"
	"forge/engine/weights"
)

func run1(t *testing.T, dir string) (*Report, error) {
	t.Helper()
	b, err := cpu.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return Run(dir, b)
}

// TestDump checks that what is written holds every tensor of the expectation, in its shape, and its numbers.
func TestDump(t *testing.T) {
	dir := filepath.Join("testdata", "moe")
	report, err := run1(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "deep", "got")
	if err := report.Dump(out); err != nil {
		t.Fatal(err)
	}
	got, err := weights.Open(filepath.Join(out, "got.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want, err := weights.Open(filepath.Join(dir, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	for _, name := range want.Names() {
		if given[name] {
			continue
		}
		a, _ := want.Tensor(name)
		b, ok := got.Tensor(name)
		if !ok || !a.Shape.Equal(b.Shape) {
			t.Errorf("%s: %v, want %v", name, b.Shape, a.Shape)
		}
	}
	text, err := os.ReadFile(filepath.Join(out, "got.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e expectation
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Train.Steps) != 10 || len(e.Train.Final) == 0 || len(e.Greedy.Tokens) != 32 || e.Loss == nil || len(e.Train.Steps[3].Load) != 3 {
		t.Errorf("got.json lacks something:\n%s", text)
	}
}

// TestWrongValuesAreFound moves one number of each kind and wants exactly its judgements over.
func TestWrongValuesAreFound(t *testing.T) {
	for _, c := range []struct{ from, to, over string }{
		{`"main": 6.311036351663765`, `"main": 6.3115`, "loss.main train.step0.main"},
		{`"bias_gamma": 0.02`, `"bias_gamma": 0.021`, "train.final.model.layers.1.mlp.gate.e_score_correction_bias"},
		{"\n   38,\n   66,\n   4,", "\n   38,\n   67,\n   4,", "greedy.tokens"},
		{"\n      5,\n      6,\n      10,", "\n      6,\n      5,\n      10,", "train.step0.load.1"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "moe"))); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "expected.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), c.from) {
			t.Fatalf("expected.json has no %s", c.from)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), c.from, c.to)), 0o666); err != nil {
			t.Fatal(err)
		}
		report, err := run1(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		over := map[string]bool{}
		for _, j := range report.Judgements {
			if !j.OK() {
				over[j.Name] = true
			}
		}
		for _, name := range strings.Fields(c.over) {
			if !over[name] {
				t.Errorf("%s: %s passes", c.to, name)
			}
		}
		if len(over) == 0 || report.OK() {
			t.Errorf("%s passes", c.to)
		}
	}
}

func TestRefuses(t *testing.T) {
	whole := filepath.Join("testdata", "dense")
	for _, c := range []struct {
		file string
		text string // "" removes the file
		want string
	}{
		{"expected.json", "", "expected.json"},
		{"expected.json", "{", "expected.json"},
		{"expected.safetensors", "", "expected.safetensors"},
		{"expected.safetensors", "x", "has 1 bytes"},
		{"config.json", "", "config.json"},
		{"config.json", `{"vocab_size": 96}`, "hidden_size"},
		{"model.safetensors", "", "model"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, c.file)
		err := os.Remove(path)
		if c.text != "" {
			err = os.WriteFile(path, []byte(c.text), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run1(t, dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: error %v, want %q", c.file, c.text, err, c.want)
		}
	}
}

func TestJudging(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		want, got []float32
		ok        bool
	}{
		{[]float32{1, 2}, []float32{1, 2.09}, true},
		{[]float32{1, 2}, []float32{1, 2.11}, false},
		{[]float32{1, 2}, []float32{1}, false},
		{[]float32{1, 2}, []float32{nan, 2}, false},
		{[]float32{1, 2}, []float32{1, inf}, false},
	} {
		r := newReport()
		r.absolute("x", c.want, c.got, 0.1)
		if r.OK() != c.ok {
			t.Errorf("%v and %v: %v", c.want, c.got, r.Judgements)
		}
		r = newReport()
		r.norm("x", c.want, c.got, 0, 0.1)
		if r.OK() != c.ok {
			t.Errorf("norm of %v and %v: %v", c.want, c.got, r.Judgements)
		}
	}
}
