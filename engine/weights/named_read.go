package weights

import (
	"fmt"

	"forge/compiler/op"
)

// Strips hands a tensor to use in strips of whole rows in the file's layout, block scales applied. Every strip but the last has a
// multiple of the given number of rows. The values are valid until use returns.
func Strips(shape op.Shape, multiple int, read func(first int, dst []float32) error, use func(first int, values []float32) error) error {
	rows, columns := rowsOf(shape)
	strip := max(1, stripEntries/columns/multiple) * multiple
	values := make([]float32, min(strip, rows)*columns)
	for first := 0; first < rows; first += strip {
		part := values[:min(strip, rows-first)*columns]
		if err := read(first, part); err != nil {
			return err
		}
		if err := use(first, part); err != nil {
			return err
		}
	}
	return nil
}

// stripEntries is about how many entries are converted at once.
const stripEntries = 1 << 22

// rowsOf takes a shape as a matrix: its first dimension, and all others.
func rowsOf(shape op.Shape) (rows, columns int) {
	if len(shape) < 2 {
		return 1, max(1, shape.Size())
	}
	rows = shape[0]
	return rows, max(1, shape.Size()/max(1, rows))
}

// ReadRows fills dst with whole rows of a tensor in the file's layout, from the given one on, block scales applied: value = code times
// the scale of its block. A tensor of one dimension is one row.
func (n *Named) ReadRows(name string, first int, dst []float32) error {
	t, ok := n.Tensor(name)
	if !ok {
		return fmt.Errorf("%s has no tensor %s", n.Path, name)
	}
	_, columns := rowsOf(t.Shape)
	if err := n.ReadFrom(name, first*columns, dst); err != nil || t.Dtype != F8 {
		return err
	}
	scales := name + n.Table.Scales
	s, ok := n.Tensor(scales)
	if !ok {
		return fmt.Errorf("%s has no block scales %s", n.Path, scales)
	}
	height, width := n.Table.ScaleBlock[0], n.Table.ScaleBlock[1]
	across := blocks(columns, width)
	line, have := make([]float32, across), -1
	for i := 0; i*columns < len(dst); i++ {
		if block := (first + i) / height; block != have {
			if (block+1)*across > s.Shape.Size() {
				return fmt.Errorf("%s has too few block scales in %s", n.Path, scales)
			}
			if err := n.ReadFrom(scales, block*across, line); err != nil {
				return err
			}
			have = block
		}
		row := dst[i*columns:][:columns]
		for b, scale := range line {
			for j := b * width; j < min((b+1)*width, columns); j++ {
				row[j] *= scale
			}
		}
	}
	return nil
}

// Read fills dst with a weight or state in the model's own order of axes, banks whole.
func (n *Named) Read(path string, dst []float32) error {
	e, ok := n.entries[path]
	if !ok || e.Shape.Size() != len(dst) {
		return fmt.Errorf("the model has no weight %s of %d entries", path, len(dst))
	}
	pieces := n.pieces[path]
	if len(pieces) == 0 {
		Fill(dst, n.initial[path])
		return nil
	}
	var buffer []float32
	for _, t := range pieces {
		p := n.Place(t)
		into := dst[p.First:][:p.Size]
		if isSorted(t.Order) {
			if err := n.readWhole(t.File, into); err != nil {
				return err
			}
			continue
		}
		if cap(buffer) < p.Size {
			buffer = make([]float32, p.Size)
		}
		if err := n.readWhole(t.File, buffer[:p.Size]); err != nil {
			return err
		}
		n.FromFile(into, t, buffer[:p.Size])
	}
	return nil
}

func (n *Named) readWhole(name string, dst []float32) error {
	t, _ := n.Tensor(name)
	if t.Shape.Size() != len(dst) {
		return fmt.Errorf("%s: %s has the shape %v, not %d entries", n.Path, name, t.Shape, len(dst))
	}
	return n.ReadRows(name, 0, dst)
}

// Load creates the entries in the store and fills them from the checkpoint, one at a time.
func (n *Named) Load(entries []Entry, s Store) error { return load(entries, s, n.Read) }

func isSorted(order []int) bool {
	for i, o := range order {
		if i != o {
			return false
		}
	}
	return true
}
