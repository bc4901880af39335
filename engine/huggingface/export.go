package huggingface

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"

	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/weights"
)

// Dtypes are the types that weights can be written as.
var Dtypes = []string{AsStored, "f32", "bf16", "fp8"}

// AsStored keeps every tensor's bytes.
const AsStored = "as-stored"

// Options of writing.
type Options struct {
	// Dtype is one of Dtypes. With bf16 and fp8, states (selection biases) stay float32; with fp8 the projections of attention and
	// of all feed-forward parts get block scales and the others are bfloat16, as DeepSeek-V3 is published.
	Dtype string
	// FileBytes bounds a file of a model that lay in none before (0: 5 GB); a checkpoint keeps its division into files.
	FileBytes int64
	// Progress, if not nil, is told how many bytes of all are written.
	Progress func(done, all int64)
}

// source is where the tensors come from, in the layout of the file.
type source interface {
	// rows fills dst with whole rows from the given one on, block scales applied.
	rows(name string, first int, dst []float32) error
	// raw writes a tensor's bytes as they are stored.
	raw(w io.Writer, name string) error
}

// output is a tensor to write.
type output struct {
	weights.Stored
	raw      bool
	scalesOf string // for block scales that are computed: the tensor that they belong to
}

// writer writes a checkpoint folder.
type writer struct {
	ctx    context.Context // of the call
	dir    string
	from   source
	block  [2]int
	shapes map[string]op.Shape // of tensors whose scales are computed
	done   int64
	all    int64
	o      Options
}

// Export writes the checkpoint into a new folder: its tensors, an index if they are several files, config.json and the tokenizer's files.
// As stored, every file has the bytes that it had. The memory it takes does not depend on the size of the tensors. After an error, or when ctx ends, the
// folder holds no config.json.
func (c *Checkpoint) Export(ctx context.Context, dir string, o Options) error {
	if o.Dtype == "fp8" && c.Weights.Table.Scales == "" {
		return errNoScales(c.Weights.Table)
	}
	var files []file
	for _, f := range c.Weights.Files {
		out := file{name: filepath.Base(f.Path)}
		if o.Dtype == AsStored {
			out.from = f.Path
		}
		for _, name := range f.Names() {
			t, _ := f.Tensor(name)
			out.list = append(out.list, c.stored(t, o.Dtype)...)
		}
		files = append(files, out)
	}
	config, err := c.config(o.Dtype)
	if err != nil {
		return err
	}
	side := c.sideFiles()
	if path := filepath.Join(c.Dir, weights.IndexFile); o.Dtype == AsStored && exists(path) {
		side[weights.IndexFile] = path
	}
	return write(ctx, dir, files, &writer{from: layered{c.Weights}, block: c.Weights.Table.ScaleBlock, o: o}, config, side)
}

// stored says as what a tensor of the checkpoint is written, with its block scales.
func (c *Checkpoint) stored(t weights.Tensor, dtype string) []output {
	if base, ok := c.scalesOf(t.Name); ok {
		of, _ := c.Weights.Tensor(base)
		if dtype == AsStored || dtype == "fp8" && quantized(base, of.Shape) {
			return []output{{Stored: weights.Stored{Entry: weights.Entry{Name: t.Name, Shape: t.Shape}, Dtype: t.Dtype}, raw: true}}
		}
		return nil
	}
	if dtype == AsStored {
		return []output{{Stored: weights.Stored{Entry: weights.Entry{Name: t.Name, Shape: t.Shape}, Dtype: t.Dtype}, raw: true}}
	}
	list := as(weights.Entry{Name: t.Name, Shape: t.Shape}, dtype, c.Weights.IsState(t.Name), c.Weights.Table)
	if list[0].Dtype == t.Dtype {
		list = list[:1] // scales, if it has any, are copied as well
		list[0].raw = true
	}
	return list
}

// scalesOf gives the tensor that block scales belong to.
func (c *Checkpoint) scalesOf(name string) (string, bool) {
	ending := c.Weights.Table.Scales
	base := name[:max(0, len(name)-len(ending))]
	if ending == "" || base+ending != name {
		return "", false
	}
	t, ok := c.Weights.Tensor(base)
	return base, ok && t.Dtype == weights.F8
}

var projection = regexp.MustCompile(`\.(self_attn|mlp)\..*_proj(_with_mqa)?\.weight$`)

// quantized reports whether a tensor is one of those that DeepSeek-V3 is published with in fp8.
func quantized(name string, shape op.Shape) bool {
	return len(shape) == 2 && projection.MatchString(name)
}

// as says how a tensor is written in a type, with its block scales.
func as(e weights.Entry, dtype string, state bool, table *check.Names) []output {
	switch {
	case state || dtype == "f32":
		return []output{{Stored: weights.Stored{Entry: e, Dtype: weights.F32}}}
	case dtype == "fp8" && quantized(e.Name, e.Shape):
		height, width := table.ScaleBlock[0], table.ScaleBlock[1]
		scales := weights.Entry{Name: e.Name + table.Scales, Shape: op.Shape{(e.Shape[0] + height - 1) / height, (e.Shape[1] + width - 1) / width}}
		return []output{{Stored: weights.Stored{Entry: e, Dtype: weights.F8}}, {Stored: weights.Stored{Entry: scales, Dtype: weights.F32}, scalesOf: e.Name}}
	}
	return []output{{Stored: weights.Stored{Entry: e, Dtype: weights.BF16}}}
}

// layered reads the tensors of a published checkpoint.
type layered struct{ *weights.Named }

func (p layered) rows(name string, first int, dst []float32) error {
	return p.ReadRows(name, first, dst)
}
func (p layered) raw(w io.Writer, name string) error { return p.Copy(w, name) }

// config is the config.json to write: the checkpoint's own, with what it says about the types changed.
func (c *Checkpoint) config(dtype string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, ConfigFile))
	if err != nil || dtype == AsStored {
		return text, err
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, err
	}
	all := map[string]any{}
	for k, v := range keys {
		all[k] = v
	}
	setTypes(all, dtype, c.Weights.Table)
	return marshal(all)
}

func errNoScales(table *check.Names) error {
	return fmt.Errorf("`%s` does not say how block scales are called: write `scales = \"_scale_inv\"`", table.Name)
}

func setTypes(config map[string]any, dtype string, table *check.Names) {
	delete(config, "dtype")
	delete(config, "quantization_config")
	config["torch_dtype"] = "bfloat16"
	switch dtype {
	case "f32":
		config["torch_dtype"] = "float32"
	case "fp8":
		config["quantization_config"] = map[string]any{"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
			"weight_block_size": table.ScaleBlock}
	}
}

func marshal(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}

// sideFiles are the files beside the weights that go with a model.
func (c *Checkpoint) sideFiles() map[string]string {
	list := map[string]string{}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja",
		"vocab.json", "merges.txt"} {
		if path := filepath.Join(c.Dir, name); exists(path) {
			list[name] = path
		}
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// file is a file to write: a copy of from or, if that is "", of the tensors of the list.
type file struct {
	name string
	from string
	list []output
}

func (f *file) bytes() (n int64) {
	for _, t := range f.list {
		n += int64(t.Shape.Size()) * int64(t.Dtype.Size())
	}
	return n
}

// write writes everything, config.json last.
func write(ctx context.Context, dir string, files []file, w *writer, config []byte, side map[string]string) error {
	if !slices.Contains(Dtypes, w.o.Dtype) {
		return fmt.Errorf("weights are written as %v, not %q", Dtypes, w.o.Dtype)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty; choose another folder", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	w.ctx, w.dir, w.shapes = ctx, dir, map[string]op.Shape{}
	index := map[string]string{}
	for _, f := range files {
		w.all += f.bytes()
		for _, t := range f.list {
			index[t.Name] = f.name
			w.shapes[t.Name] = t.Shape
		}
	}
	for _, f := range files {
		if err := w.file(f); err != nil {
			return err
		}
	}
	if _, kept := side[weights.IndexFile]; len(files) > 1 && !kept {
		text, err := marshal(map[string]any{"metadata": map[string]any{"total_size": w.all}, "weight_map": index})
		if err != nil {
			return err
		}
		if err := replace(filepath.Join(dir, weights.IndexFile), copyText(text)); err != nil {
			return err
		}
	}
	for name, path := range side {
		if err := replace(filepath.Join(dir, name), copyFile(path)); err != nil {
			return err
		}
	}
	return replace(filepath.Join(dir, ConfigFile), copyText(config))
}

// file writes one safetensors file. Wide numbers come first, so that all lie at multiples of their size.
func (w *writer) file(f file) error {
	if f.from != "" {
		return replace(filepath.Join(w.dir, f.name), func(out io.Writer) error { return copyFile(f.from)(&progress{out, w}) })
	}
	sort.SliceStable(f.list, func(i, j int) bool { return f.list[i].Dtype.Size() > f.list[j].Dtype.Size() })
	list := make([]weights.Stored, len(f.list))
	byName := map[string]output{}
	for i, t := range f.list {
		list[i], byName[t.Name] = t.Stored, t
	}
	return replace(filepath.Join(w.dir, f.name), func(out io.Writer) error {
		return weights.WriteStored(&progress{out, w}, list, map[string]string{"format": "pt"}, func(out io.Writer, s weights.Stored) error {
			return w.tensor(out, byName[s.Name])
		})
	})
}

// tensor writes one tensor's bytes.
func (w *writer) tensor(out io.Writer, t output) error {
	if t.raw {
		return w.from.raw(out, t.Name)
	}
	name, shape := t.Name, t.Shape
	if t.scalesOf != "" {
		name, shape = t.scalesOf, w.shapes[t.scalesOf]
	}
	var codes []byte
	var scales []float32
	return weights.Strips(shape, w.block[0], func(first int, dst []float32) error {
		return w.from.rows(name, first, dst)
	}, func(_ int, values []float32) error {
		if t.Dtype != weights.F8 && t.scalesOf == "" {
			return t.Dtype.Write(out, values)
		}
		columns := shape[1]
		blockRows := (len(values)/columns + w.block[0] - 1) / w.block[0]
		across := (columns + w.block[1] - 1) / w.block[1]
		scales = grown(scales, blockRows*across)
		if t.scalesOf != "" {
			weights.BlockScales(scales, values, columns, w.block[0], w.block[1])
			return weights.F32.Write(out, scales)
		}
		codes = grown(codes, len(values))
		weights.Quantize(codes, scales, values, columns, w.block[0], w.block[1])
		_, err := out.Write(codes)
		return err
	})
}

func grown[T any](buffer []T, n int) []T {
	if cap(buffer) < n {
		buffer = make([]T, n)
	}
	return buffer[:n]
}

// progress counts what is written, and stops when nobody waits for it any more.
type progress struct {
	io.Writer
	w *writer
}

func (p *progress) Write(b []byte) (int, error) {
	if err := p.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.Writer.Write(b)
	p.w.done += int64(n)
	if p.w.o.Progress != nil {
		p.w.o.Progress(min(p.w.done, p.w.all), p.w.all)
	}
	return n, err
}

// replace writes a file under another name, syncs it, and gives it its name when it is whole.
func replace(path string, fill func(io.Writer) error) (err error) {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".partial")
	out, err := os.Create(temporary)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	buffered := bufio.NewWriterSize(out, 1<<20)
	err = fill(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = out.Sync()
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	return err
}

func copyText(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

func copyFile(path string) func(io.Writer) error {
	return func(w io.Writer) error {
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	}
}
