package parity

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"

	"forge/dsl/check"
	"forge/engine/weights"
)

// checkpoint is a directory of safetensors files, and the recipe's table that says which tensor is which weight.
type checkpoint struct {
	files map[string]*weights.File // by tensor
	names *check.Names
	infos map[string]check.WeightInfo
}

func openCheckpoint(dir string, m *check.Model, names *check.Names) (*checkpoint, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "model*.safetensors"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("%s has no model*.safetensors", dir)
	}
	c := &checkpoint{files: map[string]*weights.File{}, names: names, infos: map[string]check.WeightInfo{}}
	for _, p := range paths {
		f, err := weights.Open(p)
		if err != nil {
			return nil, err
		}
		for _, n := range f.Names() {
			c.files[n] = f
		}
	}
	for _, w := range m.Weights() {
		c.infos[w.Path] = w
	}
	return c, nil
}

func (c *checkpoint) close() {
	for _, f := range c.files {
		f.Close()
	}
}

// tensor reads a tensor, block scales applied.
func (c *checkpoint) tensor(name string) ([]float32, error) {
	f := c.files[name]
	if f == nil {
		return nil, fmt.Errorf("the checkpoint has no tensor %s", name)
	}
	t, _ := f.Tensor(name)
	data := make([]float32, t.Shape.Size())
	if err := f.Read(name, data); err != nil || t.Dtype != weights.F8 {
		return data, err
	}
	scaleName := name + c.names.Scales
	sf := c.files[scaleName]
	if sf == nil {
		return nil, fmt.Errorf("the checkpoint has no block scales %s", scaleName)
	}
	st, _ := sf.Tensor(scaleName)
	scales := make([]float32, st.Shape.Size())
	if err := sf.Read(scaleName, scales); err != nil {
		return nil, err
	}
	rows, cols := t.Shape[0], t.Shape[1]
	blockRows, blockCols := c.names.ScaleBlock[0], c.names.ScaleBlock[1]
	across := (cols + blockCols - 1) / blockCols
	for i := range rows {
		for j := range cols {
			data[i*cols+j] *= scales[i/blockRows*across+j/blockCols]
		}
	}
	return data, nil
}

var bankIndex = regexp.MustCompile(`\.bank\[(\d+)\]`)

// place finds the storage of a tensor: its name, where the tensor starts in it, the storage's axes without a bank's, and for each
// axis in the file its position among them.
func (c *checkpoint) place(t check.NamedTensor) (storage string, start int, sizes []int) {
	storage = t.Weight
	index := -1
	if m := bankIndex.FindStringSubmatch(t.Weight); m != nil {
		index, _ = strconv.Atoi(m[1])
		storage = bankIndex.ReplaceAllString(t.Weight, ".bank")
	}
	size := 1
	axes := c.infos[storage].Axes
	if index >= 0 {
		axes = axes[1:]
	}
	for _, a := range axes {
		sizes = append(sizes, a.Size)
		size *= a.Size
	}
	return storage, max(index, 0) * size, sizes
}

// reorder calls visit with matching positions in the file's tensor and in the storage's.
func reorder(sizes, order []int, visit func(file, stored int)) {
	strides := make([]int, len(sizes))
	n := 1
	for i := len(sizes) - 1; i >= 0; i-- {
		strides[i] = n
		n *= sizes[i]
	}
	at := make([]int, len(order))
	for file := range n {
		stored := 0
		for i, o := range order {
			stored += at[i] * strides[o]
		}
		visit(file, stored)
		for i := len(at) - 1; i >= 0; i-- {
			if at[i]++; at[i] < sizes[order[i]] {
				break
			}
			at[i] = 0
		}
	}
}

// load gives the values of every weight and state.
func (c *checkpoint) load() (map[string][]float32, error) {
	values := map[string][]float32{}
	for path, w := range c.infos {
		n := 1
		for _, a := range w.Axes {
			n *= a.Size
		}
		values[path] = make([]float32, n)
	}
	for _, t := range c.names.Tensors {
		if t.Copy {
			continue
		}
		data, err := c.tensor(t.File)
		if err != nil {
			return nil, err
		}
		storage, start, sizes := c.place(t)
		into := values[storage]
		reorder(sizes, t.Order, func(file, stored int) { into[start+stored] = data[file] })
	}
	return values, nil
}

// inFile gives one tensor as the file has it, from storage values.
func (c *checkpoint) inFile(t check.NamedTensor, values func(storage string) ([]float32, error)) ([]float32, error) {
	storage, start, sizes := c.place(t)
	all, err := values(storage)
	if err != nil {
		return nil, err
	}
	n := 1
	for _, s := range sizes {
		n *= s
	}
	out := make([]float32, n)
	reorder(sizes, t.Order, func(file, stored int) { out[file] = all[start+stored] })
	return out, nil
}
