package huggingface

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"forge/dsl/check"
	"forge/engine/weights"

	"github.com/google/go-cmp/cmp"
)

func fixture(name string) string { return filepath.Join("..", "parity", "testdata", name) }

func opened(t *testing.T, dir string) *Checkpoint {
	t.Helper()
	c, err := Open(dir, Overlay{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exported(t *testing.T, c *Checkpoint, dtype string) *Checkpoint {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	if err := c.Export(t.Context(), dir, Options{Dtype: dtype}); err != nil {
		t.Fatal(err)
	}
	return opened(t, dir)
}

// bytesOf is a tensor as it is stored.
func bytesOf(t *testing.T, c *Checkpoint, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := c.Weights.Copy(&out, name); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestExportKeepsFiles: as stored, a checkpoint comes back file by file, the index too, whoever wrote it; fp8 with scales in other files
// than their weights.
func TestExportKeepsFiles(t *testing.T) {
	split := filepath.Join(t.TempDir(), "split")
	splitScales(t, fixture("fp8"), split)
	for _, dir := range []string{fixture("bf16"), fixture("fp8"), fixture("moe-groups"), split} {
		out := filepath.Join(t.TempDir(), "out")
		if err := opened(t, dir).Export(t.Context(), out, Options{Dtype: AsStored}); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), "expected.") })
		if len(written) != len(files) {
			t.Errorf("%s: %q, want %q", dir, written, files)
		}
		for _, f := range files {
			a, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(filepath.Join(out, f.Name())); err != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %s is not what it was (%v)", dir, f.Name(), err)
			}
		}
	}
}

// TestTokenizerIsCompared: a tokenizer that is not the model's is told with all that is wrong with the weights.
func TestTokenizerIsCompared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "split")
	splitScales(t, fixture("fp8"), dir)
	path := filepath.Join(dir, "tokenizer.json")
	vocabulary := func(tokens int) []byte {
		vocab := map[string]int{}
		for i := range tokens {
			vocab[string(rune('a'+i))] = i
		}
		text, err := json.Marshal(map[string]any{"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": []string{}}, "decoder": map[string]any{"type": "Fuse"}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, k := range []struct {
		text []byte
		want []string
	}{
		{vocabulary(65), []string{"has 1 fault", "error[E502]: tokenizer.json: it has 65 tokens, and the model's vocabulary is 64"}},
		{nil, []string{"has 1 fault", "error[E600]: tokenizer.json: the file is empty"}},
		{vocabulary(60), nil},
		{vocabulary(66), []string{"has 2 faults", "error[E600]: b.safetensors: the file is missing", "error[E502]: tokenizer.json"}},
	} {
		if err := os.WriteFile(path, k.text, 0o666); err != nil {
			t.Fatal(err)
		}
		if len(k.want) > 2 {
			if err := os.Remove(filepath.Join(dir, "b.safetensors")); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Open(dir, Overlay{}, nil)
		if len(k.want) == 0 {
			if err != nil || c.Tokenizer == nil || c.Tokenizer.Vocab() != 64 {
				t.Fatalf("a tokenizer of fewer tokens: %v", err)
			}
			c.Close()
			continue
		}
		for _, want := range k.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nlacks %s", err, want)
			}
		}
	}
}

// splitScales writes a checkpoint of one file as two with an index, all block scales in the second.
func splitScales(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Mkdir(to, 0o777); err != nil {
		t.Fatal(err)
	}
	in := opened(t, from)
	index := map[string]string{}
	var lists [2][]weights.Stored
	for _, name := range in.Weights.Directory.Names() {
		tensor, _ := in.Weights.Tensor(name)
		k := 0
		if _, scales := in.scalesOf(name); scales {
			k = 1
		}
		lists[k] = append(lists[k], weights.Stored{Entry: weights.Entry{Name: name, Shape: tensor.Shape}, Dtype: tensor.Dtype})
		index[name] = []string{"a.safetensors", "b.safetensors"}[k]
	}
	for k, name := range []string{"a.safetensors", "b.safetensors"} {
		var file bytes.Buffer
		err := weights.WriteStored(&file, lists[k], nil, func(w io.Writer, s weights.Stored) error { return in.Weights.Copy(w, s.Name) })
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), file.Bytes(), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(from, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{weights.IndexFile: text, ConfigFile: config} {
		if err := os.WriteFile(filepath.Join(to, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExportKeepsBytes: what was stored in a type and is written in it again has the same bytes, tensor by tensor, copies and scales
// included.
func TestExportKeepsBytes(t *testing.T) {
	for _, k := range []struct{ fixture, dtype string }{
		{"bf16", AsStored}, {"bf16", "bf16"}, {"fp8", AsStored}, {"fp8", "fp8"}, {"moe-groups", AsStored}, {"moe-groups", "f32"}, {"dense", "f32"},
	} {
		t.Run(k.fixture+"/"+k.dtype, func(t *testing.T) {
			in := opened(t, fixture(k.fixture))
			out := exported(t, in, k.dtype)
			if diff := cmp.Diff(in.Weights.Summary, out.Weights.Summary); diff != "" {
				t.Error(diff)
			}
			for _, name := range in.Weights.Directory.Names() {
				a, _ := in.Weights.Tensor(name)
				b, ok := out.Weights.Tensor(name)
				if !ok || a.Dtype != b.Dtype || !a.Shape.Equal(b.Shape) || !bytes.Equal(bytesOf(t, in, name), bytesOf(t, out, name)) {
					t.Errorf("%s, %s %v, comes back as %s %v", name, a.Dtype, a.Shape, b.Dtype, b.Shape)
				}
			}
			if len(in.Weights.Directory.Names()) != len(out.Weights.Directory.Names()) {
				t.Error("there are other tensors")
			}
			if diff := cmp.Diff(in.Config, out.Config); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestExportConverts: the values of every weight are those that went in, to the precision of the type.
func TestExportConverts(t *testing.T) {
	for _, k := range []struct {
		fixture, dtype string
		relative       float64 // of the largest value of a weight
	}{{"fp8", "f32", 0}, {"fp8", "bf16", 1. / 256}, {"bf16", "f32", 0}, {"moe", "bf16", 1. / 256}, {"moe", "fp8", 1. / 16}, {"moe-groups", "fp8", 1. / 16}} {
		t.Run(k.fixture+"/"+k.dtype, func(t *testing.T) {
			in := opened(t, fixture(k.fixture))
			out := exported(t, in, k.dtype)
			if (out.Config.Quantization != nil) != (k.dtype == "fp8") || (out.Weights.Summary.Scales > 0) != (k.dtype == "fp8") {
				t.Errorf("%+v and %+v", out.Config.Quantization, out.Weights.Summary)
			}
			for _, w := range in.Recipe.Model.Weights() {
				a, b := make([]float32, w.Entries()), make([]float32, w.Entries())
				if err := in.Weights.Read(w.Path, a); err != nil {
					t.Fatal(err)
				}
				if err := out.Weights.Read(w.Path, b); err != nil {
					t.Fatal(err)
				}
				var largest, worst float64
				for i := range a {
					largest = max(largest, math.Abs(float64(a[i])))
					worst = max(worst, math.Abs(float64(a[i])-float64(b[i])))
				}
				of := k.relative * largest
				if w.State {
					of = 0
				}
				if worst > of {
					t.Errorf("%s is off by %g of %g", w.Path, worst, of)
				}
			}
		})
	}
}

// TestDescribe: the model of a configuration has that configuration.
func TestDescribe(t *testing.T) {
	for _, changes := range []string{
		``, `"q_lora_rank": null`, `"n_group": 4, "topk_group": 2`, `"n_routed_experts": null, "num_experts_per_tok": null, "n_shared_experts": null, "moe_intermediate_size": null`,
		`"topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": false, "routed_scaling_factor": 16.0, "n_shared_experts": 2`,
		`"topk_method": "group_limited_greedy", "scoring_func": "softmax", "norm_topk_prob": false, "n_group": 4, "topk_group": 2`,
		`"n_shared_experts": 0`, `"rope_interleave": false`, `"num_nextn_predict_layers": 3`, `"num_nextn_predict_layers": 0`,
		`"first_k_dense_replace": 0, "intermediate_size": null`, `"tie_word_embeddings": true, "rms_norm_eps": 1e-05`,
		`"rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 1.0}`,
	} {
		c, faults := configOf(changes)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		d, err := Describe(recipeOf(t, c).Model, 4096)
		if err != nil {
			t.Errorf("%s: %v", changes, err)
			continue
		}
		text, err := json.Marshal(d.keys())
		if err != nil {
			t.Fatal(err)
		}
		again, faults := parseConfig(text)
		if len(faults) > 0 {
			t.Errorf("%s: %v", changes, faults)
			continue
		}
		if diff := cmp.Diff(c.Model("m", published), again.Model("m", published)); diff != "" {
			t.Errorf("%s: %s", changes, diff)
		}
	}
}

// TestDescribeRefuses: what config.json can't say is listed.
func TestDescribeRefuses(t *testing.T) {
	for _, k := range []struct {
		sets []string
		want []string
	}{
		{[]string{"model.attn=gqa(heads=4,head=32)"}, []string{"layers[0].attn is `gqa`, not `mla`", "mtp.layer.attn is `gqa`"}},
		{[]string{"model.sparse.shared=swiglu(100)"}, []string{"shared is 100 wide"}},
		{[]string{"model.mtp.norm=rms_norm(eps=1e-3)"}, []string{"mtp.norm has eps = 0.001"}},
		{[]string{"model.gate.group_top=1"}, []string{"layers[1].ffn.gate judges a group by its best 1 experts"}},
	} {
		r, found := check.Load(Overlay{}, "tiny", k.sets)
		if found.HasErrors() {
			t.Fatal(found)
		}
		_, err := Describe(r.Model, 128)
		for _, want := range k.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %v, want %q", k.sets, err, want)
			}
		}
	}
}

// TestEveryVariantIsImported: for each configuration of the family, weights under the names that its table gives are a whole checkpoint,
// in which every weight is found again.
func TestEveryVariantIsImported(t *testing.T) {
	for _, k := range variants {
		t.Run(k.name, func(t *testing.T) {
			c, faults := configOf(k.changes)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			r := recipeOf(t, c)
			path, dir := filepath.Join(t.TempDir(), "model.safetensors"), filepath.Join(t.TempDir(), "out")
			value := func(name string, i int) float32 { return float32(len(name)) + float32(i%97)/128 }
			var out bytes.Buffer
			if err := weights.Write(&out, weights.Of(r.Model, true), nil, func(name string, dst []float32) error {
				for i := range dst {
					dst[i] = value(name, i)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := weights.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := (&Model{Model: r.Model, Names: r.Names, File: f, Context: 128}).Export(t.Context(), dir, Options{}); err != nil {
				t.Fatal(err)
			}
			// The configuration as it was published, not as the export describes it.
			text := []byte("{" + base + ", " + strings.TrimSuffix(strings.TrimSpace(k.changes+" "), ",") + "}")
			if k.changes == "" {
				text = []byte("{" + base + "}")
			}
			if err := os.WriteFile(filepath.Join(dir, ConfigFile), text, 0o666); err != nil {
				t.Fatal(err)
			}
			in := opened(t, dir)
			for _, w := range r.Model.Weights() {
				got := make([]float32, w.Entries())
				if err := in.Weights.Read(w.Path, got); err != nil {
					t.Fatal(err)
				}
				for i, v := range got {
					want := value(w.Path, i)
					if w.State && !c.biased() {
						want = 0
					}
					if v != want {
						t.Fatalf("%s[%d] is %g, want %g", w.Path, i, v, want)
					}
				}
			}
		})
	}
}

// TestExportModel: a model in forge's own file comes out as a published checkpoint with the same weights, in one file and in several.
func TestExportModel(t *testing.T) {
	text := "forge 1\nuse \"tiny\" as t\nuse \"deepseek_hf\" as hf\nrecipe r from t.tiny {\n  weights = hf.huggingface\n}\n"
	r, found := check.Load(Overlay{Texts: map[string]string{"r.forge": text}}, "r.forge", []string{"model.dim=16", "model.attn.heads=2"})
	if found.HasErrors() {
		t.Fatal(found)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	value := func(name string, i int) float32 { return float32(len(name)) + float32(i%97)/128 }
	var out bytes.Buffer
	if err := weights.Write(&out, weights.Of(r.Model, true), nil, func(name string, dst []float32) error {
		for i := range dst {
			dst[i] = value(name, i)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, k := range []struct {
		dtype     string
		fileBytes int64
		files     int
	}{{"f32", 0, 1}, {AsStored, 100_000, 0}, {"bf16", 0, 1}, {"fp8", 0, 1}} {
		dir := filepath.Join(t.TempDir(), "out")
		m := &Model{Model: r.Model, Names: r.Names, File: f, Context: 128, Side: map[string]string{"generation_config.json": fixture("moe/config.json")}}
		if err := m.Export(t.Context(), dir, Options{Dtype: k.dtype, FileBytes: k.fileBytes}); err != nil {
			t.Fatal(err)
		}
		c := opened(t, dir)
		if n := len(c.Weights.Files); k.files > 0 && n != k.files || k.files == 0 && n < 5 {
			t.Errorf("%s: %d files", k.dtype, n)
		}
		if c.Config.MaxPositions != 128 || c.Weights.Summary.Copies != 0 {
			t.Errorf("%+v", c.Weights.Summary)
		}
		if !exists(filepath.Join(dir, "generation_config.json")) {
			t.Error("the file that lay beside the weights is not there")
		}
		if k.dtype == "bf16" || k.dtype == "fp8" {
			continue
		}
		for _, w := range r.Model.Weights() {
			got := make([]float32, w.Entries())
			if err := c.Weights.Read(w.Path, got); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if v != value(w.Path, i) {
					t.Fatalf("%s[%d] is %g, want %g", w.Path, i, v, value(w.Path, i))
				}
			}
		}
	}
}

// TestExportRefuses: a folder that holds something is left alone, and an error leaves no config.json.
func TestExportRefuses(t *testing.T) {
	c := opened(t, fixture("dense"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := c.Export(t.Context(), dir, Options{Dtype: AsStored}); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("error %v", err)
	}
	if err := c.Export(t.Context(), filepath.Join(t.TempDir(), "new"), Options{Dtype: "q4"}); err == nil {
		t.Error("q4 is written")
	}
}

// TestExportStops: a call that is given up leaves neither config.json nor half a file.
func TestExportStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := filepath.Join(t.TempDir(), "out")
	err := opened(t, fixture("moe")).Export(ctx, dir, Options{Dtype: "fp8", Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, error %v", entries, err)
	}
}
