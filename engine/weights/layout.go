package weights

import (
	"strconv"
	"strings"

	"forge/compiler/op"
	"forge/dsl/check"
)

// Layout knows how the weights of a model lie in a published checkpoint: the model's own shapes, and a table of names.
type Layout struct {
	Table   *check.Names
	entries map[string]Entry
	initial map[string]float32 // of states
}

// NewLayout gives the layout of a model's weights by a table of names made for it.
func NewLayout(m *check.Model, names *check.Names) *Layout {
	l := &Layout{Table: names, entries: map[string]Entry{}, initial: map[string]float32{}}
	for _, w := range m.Weights() {
		e := Entry{Name: w.Path}
		for _, a := range w.Axes {
			e.Shape = append(e.Shape, a.Size)
		}
		l.entries[w.Path] = e
		if w.State {
			l.initial[w.Path] = float32(w.Initial)
		}
	}
	return l
}

// Place is the part of a weight that a tensor of the file holds: a whole one, or an entry of its banks.
type Place struct {
	Path  string // of the weight or state, as in check.WeightInfo
	First int    // the part's first entry in it
	Size  int    // entries
	State bool
	sizes []int // of the weight's axes, without those of banks
}

// Place finds the part of a weight that a tensor holds.
func (l *Layout) Place(t check.NamedTensor) Place {
	path, banks, _ := bankPath(t.Weight)
	axes := l.entries[path].Shape
	_, state := l.initial[path]
	p := Place{Path: path, State: state, sizes: axes[min(len(banks), len(axes)):]}
	p.Size = op.Shape(p.sizes).Size()
	for i, b := range banks {
		p.First = p.First*axes[i] + b
	}
	p.First *= p.Size
	return p
}

// FileShape is the usual shape of a tensor in the file: a matrix as the table of names says, or one dimension.
func (l *Layout) FileShape(t check.NamedTensor) op.Shape {
	sizes := l.Place(t).sizes
	if len(t.Order) < 2 {
		return op.Shape(sizes)
	}
	shape := op.Shape{1, 1}
	for i, o := range t.Order {
		k := 0
		if i >= t.Rows {
			k = 1
		}
		shape[k] *= sizes[o]
	}
	return shape
}

// ToFile fills dst with a tensor as the file has it, from the part of the weight that it holds.
func (l *Layout) ToFile(dst []float32, t check.NamedTensor, part []float32) {
	permute(dst, part, l.Place(t).sizes, t.Order)
}

// FromFile fills the part of a weight that a tensor holds, from the tensor as the file has it.
func (l *Layout) FromFile(part []float32, t check.NamedTensor, values []float32) {
	sizes := l.Place(t).sizes
	inFile := make([]int, len(sizes))
	for i, o := range t.Order {
		inFile[i] = sizes[o]
	}
	permute(part, values, inFile, inverse(t.Order))
}

// bankPath takes the entries of banks out of a path: layers[3].ffn.bank[7].up is entry 7 of layers[3].ffn.bank.up. The first name's
// index belongs to the path. last is the last two names, bank.up: what weights of all layers have in common.
func bankPath(path string) (storage string, banks []int, last string) {
	names := strings.Split(path, ".")
	for i, name := range names[1:] {
		if bare, index, ok := strings.Cut(name, "["); ok {
			b, _ := strconv.Atoi(strings.TrimSuffix(index, "]"))
			names[i+1], banks = bare, append(banks, b)
		}
	}
	return strings.Join(names, "."), banks, strings.Join(names[max(0, len(names)-2):], ".")
}
