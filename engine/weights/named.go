package weights

import (
	"fmt"
	"path/filepath"
	"slices"

	"strings"

	"forge/compiler/op"
	"forge/dsl/check"
)

// Named is a published checkpoint read through a recipe's table of names (language.md section 14): every weight and state of the model
// has its tensors, in the order and the type of the file.
type Named struct {
	*Directory
	*Layout
	Summary Summary

	states map[string]bool                // tensors that hold states
	pieces map[string][]check.NamedTensor // by weight or state; none: a state that the checkpoint does not hold
}

// Summary counts what a checkpoint holds.
type Summary struct {
	Files   int            `json:"files"`
	Tensors int            `json:"tensors"`
	Scales  int            `json:"scales"` // tensors of block scales
	Copies  int            `json:"copies"` // of the model's own tables
	Bytes   int64          `json:"bytes"`
	Dtypes  map[Dtype]int  `json:"dtypes"`          // tensors of each type, scales not counted
	Fresh   map[string]int `json:"fresh,omitempty"` // states that the checkpoint does not hold, by name, which start anew
}

// Reading says how a checkpoint may differ from the table of names.
type Reading struct {
	// FreshStates lets states begin at their initial value if the checkpoint holds none at all of that name: routers without a
	// selection bias (DeepSeek-V2) have no tensors for it.
	FreshStates bool
	// HeadersOnly compares no data: copies may then differ from their originals.
	HeadersOnly bool
}

// OpenNamed opens a checkpoint and compares it with the model. A *Faults error lists everything that is wrong: files that are missing
// or damaged (E600), tensors that are missing (E605), that no line names (E606), of other sizes (E607), whose scales are missing or of
// other sizes (E608), copies that differ (E609).
func OpenNamed(dir string, m *check.Model, names *check.Names, o Reading) (*Named, error) {
	d, faults, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	n := &Named{Directory: d, Layout: NewLayout(m, names), states: map[string]bool{}, pieces: map[string][]check.NamedTensor{}}
	n.match(o, faults)
	if !o.HeadersOnly && len(faults.List) == 0 {
		if err := n.compareCopies(faults); err != nil {
			d.Close()
			return nil, err
		}
	}
	if err := faults.err(); err != nil {
		d.Close()
		return nil, err
	}
	return n, nil
}

// match gives every tensor of the table its place in the files, and lists what does not fit.
func (n *Named) match(o Reading, faults *Faults) {
	claimed := map[string]bool{}
	fresh := map[string]bool{}
	if o.FreshStates {
		fresh = n.absent()
	}
	n.Summary = Summary{Files: len(n.Files), Dtypes: map[Dtype]int{}, Fresh: map[string]int{}}
	for _, t := range n.Table.Tensors {
		found, ok := n.Tensor(t.File)
		if !ok {
			_, _, last := bankPath(t.Weight)
			switch {
			case t.Copy || n.hidden(t.File):
			case fresh[last]:
				n.Summary.Fresh[last]++
			default:
				faults.add("E605", "", "%s is missing: it holds %s", t.File, t.Weight)
			}
			continue
		}
		claimed[t.File] = true
		file := filepath.Base(n.in[t.File].Path)
		n.Summary.Tensors++
		n.Summary.Dtypes[found.Dtype]++
		n.Summary.Bytes += found.Bytes()
		if want := n.FileShape(t); !fits(found.Shape, want, n.Place(t).sizes, t.Order) {
			faults.add("E607", file, "%s has the shape %v, and the recipe's %s is stored as %v", t.File, found.Shape, t.Weight, want)
		}
		switch found.Dtype {
		case F32, BF16, F16, F64:
		case F8:
			if scales := n.scales(t, found, faults); scales != "" {
				claimed[scales] = true
			}
		default:
			faults.add("E600", file, "%s has the type %s; forge reads weights stored as F32, BF16, F16, F64 and F8_E4M3", t.File, found.Dtype)
		}
		if t.Copy {
			n.Summary.Copies++
		} else {
			storage, _, _ := bankPath(t.Weight)
			_, n.states[t.File] = n.initial[storage]
			n.pieces[storage] = append(n.pieces[storage], t)
		}
	}
	var extra []string
	for name := range n.in {
		if !claimed[name] {
			extra = append(extra, name)
		}
	}
	slices.Sort(extra)
	for _, name := range extra {
		faults.add("E606", filepath.Base(n.in[name].Path), "%s is claimed by no line of `%s`", name, n.Table.Name)
	}
}

// IsState reports whether a tensor of the checkpoint holds a state of the model.
func (n *Named) IsState(tensor string) bool { return n.states[tensor] }

// absent gives the names of states of which the checkpoint holds no tensor at all.
func (n *Named) absent() map[string]bool {
	absent := map[string]bool{}
	for _, t := range n.Table.Tensors {
		storage, _, last := bankPath(t.Weight)
		if _, state := n.initial[storage]; !state {
			continue
		}
		_, held := n.in[t.File]
		before, known := absent[last]
		absent[last] = !held && (before || !known)
	}
	return absent
}

// scales checks the block scales of a tensor and gives their name, "" if there are none.
func (n *Named) scales(t check.NamedTensor, found Tensor, faults *Faults) string {
	file := filepath.Base(n.in[t.File].Path)
	if n.Table.Scales == "" {
		faults.add("E608", file, "%s is stored in blocks, and `%s` does not say how its scales end (`scales = \"_scale_inv\"`)", t.File, n.Table.Name)
		return ""
	}
	name := t.File + n.Table.Scales
	scales, ok := n.Tensor(name)
	if !ok {
		if !n.hidden(name) {
			faults.add("E608", file, "%s is stored as F8_E4M3, and its block scales %s are missing", t.File, name)
		}
		return ""
	}
	n.Summary.Scales++
	n.Summary.Bytes += scales.Bytes()
	scaleFile := filepath.Base(n.in[name].Path)
	if len(found.Shape) != 2 {
		faults.add("E608", scaleFile, "%s: scales belong to a matrix, and %s has the shape %v", name, t.File, found.Shape)
		return name
	}
	block := n.Table.ScaleBlock
	want := op.Shape{blocks(found.Shape[0], block[0]), blocks(found.Shape[1], block[1])}
	if !scales.Shape.Equal(want) {
		faults.add("E608", scaleFile, "%s has the shape %v, and %v in blocks of %d×%d has %v", name, scales.Shape, found.Shape, block[0], block[1], want)
	}
	if scales.Dtype != F32 && scales.Dtype != BF16 && scales.Dtype != F16 {
		faults.add("E608", scaleFile, "%s has the type %s; scales are F32, BF16 or F16", name, scales.Dtype)
	}
	return name
}

// blocks is how many blocks of the given size cover n, the last one partial.
func blocks(n, size int) int { return (n + size - 1) / size }

// fits reports whether a file's shape is the usual one or another way to write it: each dimension holds whole neighbouring axes.
func fits(shape, usual op.Shape, sizes, order []int) bool {
	if shape.Equal(usual) {
		return true
	}
	i := 0
	for _, n := range shape {
		product := 1
		for product < n && i < len(order) {
			product *= sizes[order[i]]
			i++
		}
		if product != n {
			return false
		}
	}
	for ; i < len(order); i++ {
		if sizes[order[i]] != 1 {
			return false
		}
	}
	return true
}

// compareCopies reads every copy beside its original.
func (n *Named) compareCopies(faults *Faults) error {
	for _, t := range n.Table.Tensors {
		if _, ok := n.Tensor(t.File); !ok || !t.Copy {
			continue
		}
		if len(n.pieces[t.Weight]) != 1 {
			continue
		}
		original := n.pieces[t.Weight][0].File
		shape, _ := n.Tensor(t.File)
		if other, _ := n.Tensor(original); !shape.Shape.Equal(other.Shape) {
			faults.add("E609", filepath.Base(n.in[t.File].Path), "%s is to be a copy of %s and has another shape", t.File, original)
			continue
		}
		rows, columns := rowsOf(shape.Shape)
		strip := max(1, stripEntries/columns)
		for first := 0; first < rows; first += strip {
			a, b := make([]float32, min(strip, rows-first)*columns), make([]float32, min(strip, rows-first)*columns)
			if err := n.ReadRows(t.File, first, a); err != nil {
				return err
			}
			if err := n.ReadRows(original, first, b); err != nil {
				return err
			}
			if i := differs(a, b); i >= 0 {
				faults.add("E609", filepath.Base(n.in[t.File].Path), "%s is to be a copy of %s and differs from row %d on", t.File, original, first+i/columns)
				break
			}
		}
	}
	return nil
}

// WeightSize is the bytes that a weight takes in the files, on average, scales included.
func (n *Named) WeightSize() float64 {
	count := 0
	for _, t := range n.Table.Tensors {
		if found, ok := n.Tensor(t.File); ok {
			count += found.Shape.Size()
		}
	}
	return float64(n.Summary.Bytes) / float64(max(count, 1))
}

func differs(a, b []float32) int {
	for i := range a {
		if a[i] != b[i] && (a[i] == a[i] || b[i] == b[i]) {
			return i
		}
	}
	return -1
}

// String is the summary in a line.
func (s Summary) String() string {
	var types []string
	for _, d := range []Dtype{F8, BF16, F16, F32, F64} {
		if c := s.Dtypes[d]; c > 0 {
			types = append(types, fmt.Sprintf("%d %s", c, d))
		}
	}
	text := fmt.Sprintf("%d tensors (%s)", s.Tensors, strings.Join(types, ", "))
	if s.Scales > 0 {
		text += fmt.Sprintf(" and %d of block scales", s.Scales)
	}
	files, size, unit := "files", float64(s.Bytes)/1e9, "GB"
	if s.Files == 1 {
		files = "file"
	}
	if size < 1 {
		size, unit = size*1e3, "MB"
	}
	return fmt.Sprintf("%s in %d %s, %.2f %s", text, s.Files, files, size, unit)
}
