package parity

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/backends/reference"
	"forge/engine/weights"
)

// TestVersion2 computes DeepSeek-V2 as its published code does: softmax scores, groups of experts judged by their best one, weights that
// are not normalised, no biases, and yarn whose two magnitudes differ. The expected logits are testdata/v2/compute.py's, which computes them in
// NumPy from the weights of moe-groups. Judged by two best experts, ten choices of its 40 would be others.
func TestVersion2(t *testing.T) {
	dir := t.TempDir()
	writeVariant(t, filepath.Join("testdata", "moe-groups"), filepath.Join("testdata", "v2", "changes.json"), dir)
	text, err := os.ReadFile(filepath.Join("testdata", "v2", "logits.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "expected.safetensors"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	fast, err := cpu.New(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []backends.Backend{fast, reference.New()} {
		report, err := Run(dir, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Judgements) != 1 || !report.has("logits") || !report.Judgements[0].OK() {
			t.Errorf("%s: %v", b.Name(), report.Judgements)
		}
		b.Close()
	}
}

// writeVariant writes a checkpoint without its layers of multi-token prediction and biases, and with other values in its config.json.
func writeVariant(t *testing.T, from, changes, to string) {
	t.Helper()
	read := func(path string) map[string]any {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		document := map[string]any{}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		return document
	}
	write := func(name string, document map[string]any) {
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	config := read(filepath.Join(from, "config.json"))
	for key, value := range read(changes) {
		config[key] = value
	}
	write("config.json", config)
	write("expected.json", map[string]any{"hyper": read(filepath.Join(from, "expected.json"))["hyper"]})
	r, err := open(from, reference.New())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var list []weights.Stored
	for _, name := range r.file.Directory.Names() {
		tensor, _ := r.file.Tensor(name)
		if !strings.HasPrefix(name, "model.layers.3.") && !strings.HasSuffix(name, "bias") {
			list = append(list, weights.Stored{Entry: weights.Entry{Name: name, Shape: tensor.Shape}, Dtype: tensor.Dtype})
		}
	}
	file, err := os.Create(filepath.Join(to, weights.SingleFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := weights.WriteStored(file, list, nil, func(w io.Writer, s weights.Stored) error { return r.file.Copy(w, s.Name) }); err != nil {
		t.Fatal(err)
	}
}
