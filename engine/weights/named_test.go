package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"forge/compiler/op"
	"forge/dsl/check"

	"github.com/google/go-cmp/cmp"
)

// smallRecipe has every kind of weight: two layers, one with experts, one depth ahead.
const smallRecipe = `forge 1
use "deepseek_hf" as hf
model m {
  vocab = 10
  dim = 8
  let depth = 2
  let attn = mla(heads = 2, nope = 4, rope = 2, v = 3, q_rank = none, kv_rank = 5)
  let sparse = moe(swiglu(6), router(experts = 4, top_k = 2), shared = swiglu(6))
  layers = [layer(attn, swiglu(7) if i < 1 else sparse) for i in 0..depth]
  mtp = mtp(layer(attn, sparse))
}
train t {
  total = 1 steps
  seq = 4
  batch = 1
  optim = adamw()
  lr = 1
}
weights small from hf.huggingface {
  scale_block = [4, 3]
}
recipe r {
  model = m
  stages = [t]
  weights = small
}
`

type texts map[string]string

func (f texts) ReadFile(path string) ([]byte, error) {
	if text, ok := f[path]; ok {
		return []byte(text), nil
	}
	return nil, os.ErrNotExist
}

func small(t testing.TB) *check.Recipe {
	t.Helper()
	r, found := check.Load(texts{"r.forge": smallRecipe}, "r.forge", nil)
	if found.HasErrors() {
		t.Fatal(found)
	}
	return r
}

// made is a tensor of a checkpoint that is being made.
type made struct {
	Stored
	file string
	data []byte
}

const first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"

// whole makes a checkpoint of two shards: matrices of attention in fp8, whose scales lie in the other shard, the others in turn bf16
// and f32. It also gives the value of every tensor.
func whole(t testing.TB, r *check.Recipe) (map[string]*made, map[string][]float32) {
	t.Helper()
	l := NewLayout(r.Model, r.Names)
	tensors, values := map[string]*made{}, map[string][]float32{}
	for i, n := range r.Names.Tensors {
		shape := l.FileShape(n)
		v := make([]float32, shape.Size())
		for k := range v {
			v[k] = float32(i%7)/4 + float32(k%11)/8 - 0.5
		}
		if n.Copy {
			copy(v, values[map[string]string{"embed": "model.embed_tokens.weight", "head": "lm_head.weight"}[n.Weight]])
		}
		m := &made{Stored: Stored{Entry{n.File, shape}, []Dtype{BF16, F32}[i%2]}, file: second}
		if n.Weight == "embed" || n.Weight == "head" {
			m.Dtype = BF16
		}
		if len(shape) == 2 && strings.Contains(n.File, "self_attn") {
			m.Dtype, m.file = F8, first
			scale := &made{Stored: Stored{Entry{n.File + "_scale_inv", op.Shape{blocks(shape[0], 4), blocks(shape[1], 3)}}, F32}, file: second}
			m.data = make([]byte, len(v))
			scales := make([]float32, scale.Shape.Size())
			Quantize(m.data, scales, v, shape[1], 4, 3)
			for k := range v {
				v[k] = float8[m.data[k]] * scales[k/shape[1]/4*blocks(shape[1], 3)+k%shape[1]/3]
			}
			scale.data = make([]byte, 4*len(scales))
			if err := F32.narrow(scale.data, scales); err != nil {
				t.Fatal(err)
			}
			tensors[scale.Name] = scale
		} else {
			m.data = make([]byte, len(v)*m.Dtype.Size())
			if err := m.Dtype.narrow(m.data, v); err != nil {
				t.Fatal(err)
			}
		}
		tensors[n.File], values[n.File] = m, v
	}
	return tensors, values
}

// write writes the shards, with an index or without, and gives the folder.
func write(t testing.TB, tensors map[string]*made, withIndex bool) string {
	t.Helper()
	dir := t.TempDir()
	index := map[string]string{}
	byFile := map[string][]Stored{}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		m := tensors[name]
		index[name] = m.file
		byFile[m.file] = append(byFile[m.file], m.Stored)
	}
	for file, list := range byFile {
		var out bytes.Buffer
		if err := WriteStored(&out, list, nil, func(w io.Writer, s Stored) error {
			_, err := w.Write(tensors[s.Name].data)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		put(t, dir, file, out.Bytes())
	}
	if withIndex {
		text, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": index})
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, IndexFile, text)
	}
	return dir
}

func put(t testing.TB, dir, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestNamedRead: every weight comes with its values, whatever type and order the file has them in.
func TestNamedRead(t *testing.T) {
	r := small(t)
	tensors, values := whole(t, r)
	for _, withIndex := range []bool{true, false} {
		n, err := OpenNamed(write(t, tensors, withIndex), r.Model, r.Names, Reading{})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		for _, name := range r.Names.Tensors {
			place := n.Place(name)
			weight := make([]float32, n.entries[place.Path].Shape.Size())
			if err := n.Read(place.Path, weight); err != nil {
				t.Fatal(err)
			}
			back := make([]float32, place.Size)
			n.ToFile(back, name, weight[place.First:][:place.Size])
			if diff := cmp.Diff(values[name.File], back); diff != "" {
				t.Errorf("%s: %s", name.File, diff)
			}
		}
		// [d, heads, qk] in the model, [heads·qk, d] in the file.
		wq := make([]float32, 8*2*6)
		if err := n.Read("layers[0].attn.wq", wq); err != nil {
			t.Fatal(err)
		}
		if in := values["model.layers.0.self_attn.q_proj.weight"]; wq[3*12+7] != in[7*8+3] {
			t.Errorf("wq[3, 7] is %g, want %g", wq[3*12+7], in[7*8+3])
		}
		if s := n.Summary; s.Files != 2 || s.Copies != 2 || s.Scales != 12 || s.Dtypes[F8] != 12 || s.Tensors != len(r.Names.Tensors) {
			t.Errorf("%+v", s)
		}
	}
}

// TestFaultsOfCheckpoint: each damage gives exactly its faults.
func TestFaultsOfCheckpoint(t *testing.T) {
	r := small(t)
	const norm, wq, gate = "model.norm.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.gate.weight"
	cut := func(file string, n int) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n < 0 {
				n = len(text) + n
			}
			put(t, dir, file, text[:n])
		}
	}
	for _, c := range []struct {
		name   string
		change func(tensors map[string]*made)
		after  func(t *testing.T, dir string)
		want   []string // one a fault
	}{
		{name: "nothing"},
		{name: "missing tensor", change: func(m map[string]*made) { delete(m, norm) }, want: []string{"error[E605]: model.norm.weight is missing: it holds norm.gain"}},
		{name: "missing bias", change: func(m map[string]*made) { delete(m, "model.layers.1.mlp.gate.e_score_correction_bias") },
			want: []string{"error[E605]: model.layers.1.mlp.gate.e_score_correction_bias is missing"}},
		{name: "extra tensor", change: func(m map[string]*made) {
			m["model.extra"] = &made{Stored: Stored{Entry{"model.extra", op.Shape{1}}, F32}, file: first, data: make([]byte, 4)}
		}, want: []string{"error[E606]: " + first + ": model.extra is claimed by no line of `small`"}},
		{name: "misshapen", change: func(m map[string]*made) { m[gate].Shape = op.Shape{8, 4} },
			want: []string{"error[E607]: " + second + ": " + gate + " has the shape [8, 4], and the recipe's layers[1].ffn.gate.w is stored as [4, 8]"}},
		{name: "missing scale", change: func(m map[string]*made) { delete(m, wq+"_scale_inv") },
			want: []string{"error[E608]: " + first + ": " + wq + " is stored as F8_E4M3, and its block scales " + wq + "_scale_inv are missing"}},
		{name: "misshapen scale", change: func(m map[string]*made) { m[wq+"_scale_inv"].Shape = op.Shape{1, 9} },
			want: []string{"error[E608]: " + second + ": " + wq + "_scale_inv has the shape [1, 9], and [12, 8] in blocks of 4×3 has [3, 3]"}},
		{name: "scale of nothing", change: func(m map[string]*made) {
			m[norm+"_scale_inv"] = &made{Stored: Stored{Entry{norm + "_scale_inv", op.Shape{1}}, F32}, file: first, data: make([]byte, 4)}
		}, want: []string{"error[E606]: " + first + ": " + norm + "_scale_inv"}},
		{name: "wrong type", change: func(m map[string]*made) { m[norm].Dtype, m[norm].data = I64, make([]byte, 64) },
			want: []string{"error[E600]: " + second + ": model.norm.weight has the type I64"}},
		{name: "copy that differs", change: func(m map[string]*made) { m["model.layers.2.embed_tokens.weight"].data[2*(3*8+1)] ^= 1 },
			want: []string{"error[E609]: " + second + ": model.layers.2.embed_tokens.weight is to be a copy of model.embed_tokens.weight and differs from row 3 on"}},
		{name: "copies left out", change: func(m map[string]*made) {
			delete(m, "model.layers.2.embed_tokens.weight")
			delete(m, "model.layers.2.shared_head.head.weight")
		}},
		{name: "missing shard", after: func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, second)) },
			want: []string{"error[E600]: " + second + ": the file is missing; by the index it holds"}},
		{name: "header longer than file", after: cut(second, 100),
			want: []string{"error[E600]: " + second + ": the header claims"}},
		{name: "several at once", change: func(m map[string]*made) {
			delete(m, norm)
			m[gate].Shape = op.Shape{32}
			delete(m, wq+"_scale_inv")
			m["model.extra"] = &made{Stored: Stored{Entry{"model.extra", op.Shape{1}}, F32}, file: first, data: make([]byte, 4)}
		}, after: cut(first, -4), want: []string{"error[E600]: " + first, "error[E605]: model.norm.weight", "error[E608]: " + first, "error[E606]: " + first}},
		{name: "index out of step", after: func(t *testing.T, dir string) {
			path := filepath.Join(dir, IndexFile)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			put(t, dir, IndexFile, bytes.Replace(text, []byte(`"model.norm.weight":"`+second), []byte(`"model.norm.weight":"`+first), 1))
		}, want: []string{"error[E600]: " + second + ": the index puts model.norm.weight in " + first}},
		{name: "index that leads away", after: func(t *testing.T, dir string) {
			put(t, dir, IndexFile, []byte(`{"weight_map": {"a": "../x.safetensors"}}`))
		}, want: []string{`error[E600]: ` + IndexFile + `: "../x.safetensors" is no name`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tensors, _ := whole(t, r)
			if c.change != nil {
				c.change(tensors)
			}
			dir := write(t, tensors, true)
			if c.after != nil {
				c.after(t, dir)
			}
			n, err := OpenNamed(dir, r.Model, r.Names, Reading{})
			if len(c.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				n.Close()
				return
			}
			var faults *Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v", err)
			}
			if c.name == "index that leads away" { // and so everything else is missing
				faults.List = faults.List[:1]
			}
			if len(faults.List) != len(c.want) {
				t.Errorf("%d faults, want %d:\n%v", len(faults.List), len(c.want), err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
}

// TestFreshStates: routers without a bias in the file begin with none, but only if all are without.
func TestFreshStates(t *testing.T) {
	r := small(t)
	tensors, _ := whole(t, r)
	delete(tensors, "model.layers.1.mlp.gate.e_score_correction_bias")
	if _, err := OpenNamed(write(t, tensors, true), r.Model, r.Names, Reading{FreshStates: true}); err == nil {
		t.Error("one of two biases is missing, and no error")
	}
	delete(tensors, "model.layers.2.mlp.gate.e_score_correction_bias")
	n, err := OpenNamed(write(t, tensors, true), r.Model, r.Names, Reading{FreshStates: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	b := []float32{1, 1, 1, 1}
	if err := n.Read("layers[1].ffn.gate.b", b); err != nil || !cmp.Equal(b, make([]float32, 4)) {
		t.Errorf("%v, error %v", b, err)
	}
	if n.Summary.Fresh["gate.b"] != 2 {
		t.Errorf("%+v", n.Summary)
	}
}

// TestLongListOfFaults: another model's checkpoint is thousands of faults, and still a message that can be read.
func TestLongListOfFaults(t *testing.T) {
	f := &Faults{Path: "x"}
	for i := range 500 {
		f.add("E605", "", "tensor %d is missing", i)
	}
	f.add("E606", "y", "one more")
	if text := f.Error(); strings.Count(text, "\n") != 102 || !strings.Contains(text, "… and 400 more error[E605]") || !strings.Contains(text, "501 faults") {
		t.Error(text)
	}
}

// TestShortenedWhileOpen: a file that another process cuts off is an error, not the end of this one.
func TestShortenedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	var out bytes.Buffer
	if err := Write(&out, []Entry{{"a", op.Shape{1 << 16}}}, nil, func(string, []float32) error { return nil }); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Dir(path), "x.safetensors", out.Bytes())
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Skip("an open file can't be cut off here")
	}
	if err := f.Read("a", make([]float32, 1<<16)); err == nil || !strings.Contains(err.Error(), "shortened") {
		t.Errorf("error %v", err)
	}
}

// TestPublishedSize checks a mock of the 671B model, 163 files of headers over holes: 46,181 tensors and 45,808 of scales, and
// logs how long it takes.
func TestPublishedSize(t *testing.T) {
	r, found := check.Load(texts{}, "deepseek_v3", nil)
	if found.HasErrors() {
		t.Fatal(found)
	}
	l := NewLayout(r.Model, r.Names)
	var list []Stored
	for _, n := range r.Names.Tensors {
		shape := l.FileShape(n)
		s := Stored{Entry{n.File, shape}, BF16}
		if strings.Contains(n.File, "_proj") && !strings.Contains(n.File, "eh_proj") {
			s.Dtype = F8
			list = append(list, Stored{Entry{n.File + "_scale_inv", op.Shape{blocks(shape[0], 128), blocks(shape[1], 128)}}, F32})
		}
		if l.Place(n).State {
			s.Dtype = F32
		}
		list = append(list, s)
	}
	dir := t.TempDir()
	const files = 163
	for i := range files {
		part := list[i*len(list)/files : (i+1)*len(list)/files]
		header, err := formatHeader(part, nil)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, files)
		put(t, dir, name, append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...))
		size := int64(8 + len(header))
		for _, s := range part {
			size += int64(s.Shape.Size()) * int64(s.Dtype.Size())
		}
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Skipf("no room for holes: %v", err)
		}
	}
	start := time.Now()
	n, err := OpenNamed(dir, r.Model, r.Names, Reading{HeadersOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	t.Logf("%s; checked in %v", n.Summary, time.Since(start))
	if s := n.Summary; s.Tensors-s.Copies != 46181 || s.Copies != 2 || s.Scales != 45808 {
		t.Errorf("%+v", s)
	}
}
