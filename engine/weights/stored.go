package weights

import (
	"fmt"
	"slices"

	"forge/backends"
	"forge/backends/cpu/kernel"
	"forge/compiler/op"
	"forge/dsl/check"
)

// Weights that are only used, not trained, stay as the checkpoint stores them: the store gets the mapped files' own bytes, and the
// kernels read them there. Or they are converted to a format once, tensor by tensor, so that beside the result only a part of one
// tensor is in memory. Vectors (gains of norms, biases) and states are float32 always: there is little of them.

// AsStored keeps weights as the file has them; Keepings are all ways to keep them.
const AsStored = "as-stored"

// Keepings are what weights can be kept as. int8 has a scale for every 32 entries of a matrix's row, fp8 one for 128×128.
var Keepings = []string{AsStored, "f32", "bf16", "fp8", "int8"}

// Keeper puts weights into a store.
type Keeper struct {
	Store  backends.Store
	As     string  // one of Keepings
	Layout *Layout // how a published checkpoint has the weights; nil: they lie as the model has them

	pool   *kernel.Pool
	pieces map[string][]check.NamedTensor
	buffer []float32 // of a tensor, or strips of one: kept, so that what is held grows by what is made only
}

// NewKeeper makes a keeper; Close ends it. The table of names, which may be nil, says which way the matrices lie; int8 and fp8 need one.
func NewKeeper(s backends.Store, as string, m *check.Model, names *check.Names) (*Keeper, error) {
	k := &Keeper{Store: s, As: as}
	if !slices.Contains(Keepings, as) {
		return nil, fmt.Errorf("weights can't be kept as %s", as)
	}
	if names != nil {
		k.Layout = NewLayout(m, names)
		k.pieces = map[string][]check.NamedTensor{}
		for _, t := range names.Tensors {
			if path, _, _ := bankPath(t.Weight); !t.Copy {
				k.pieces[path] = append(k.pieces[path], t)
			}
		}
	} else if as == "int8" || as == "fp8" {
		return nil, fmt.Errorf("weights are kept as %s in the layout of published checkpoints, and the recipe has no table of names: "+
			"write `use \"deepseek_hf\" as hf`, and in the recipe `weights = hf.huggingface`", as)
	}
	k.pool = kernel.NewPool(0)
	return k, nil
}

// Close gives up the threads that convert.
func (k *Keeper) Close() { k.pool.Close() }

// File keeps the entries of one of forge's own files, which must stay open as long as the store is used.
func (k *Keeper) File(f *File, entries []Entry) error {
	var values []float32
	for _, e := range entries {
		t, ok := f.Tensor(e.Name)
		if !ok {
			return fmt.Errorf("%s has no tensor %s", f.Path, e.Name)
		}
		if format, ok := formats[t.Dtype]; ok && (k.As == AsStored || k.As == "f32" && t.Dtype == F32 && k.Layout == nil) && len(e.Shape) > 1 {
			rows, columns := rowsOf(e.Shape)
			err := k.Store.Put(e.Name, backends.Stored{Type: op.Type{Shape: e.Shape}, Mapped: f.unmap != nil,
				Pieces: []backends.Piece{{Format: format, Rows: rows, Columns: columns, Values: f.bytes(t)}}})
			if err != nil {
				return err
			}
			continue
		}
		values = slices.Grow(values[:0], e.Shape.Size())[:e.Shape.Size()]
		if err := f.Read(e.Name, values); err != nil {
			return err
		}
		if err := k.Values(e, values); err != nil {
			return err
		}
	}
	return nil
}

// Values keeps an entry of the given values, which are not used afterwards. Kept as stored they are float32.
func (k *Keeper) Values(e Entry, values []float32) error {
	pieces := k.pieces[e.Name]
	narrow := k.As != AsStored && len(e.Shape) > 1 && (k.As != "f32" || k.Layout != nil)
	if narrow && k.Layout != nil {
		if len(pieces) == 0 || len(k.Layout.Place(pieces[0]).sizes) < 2 || k.Layout.Place(pieces[0]).State {
			narrow = false
		}
	}
	if !narrow {
		return k.plain(e, values)
	}
	stored := backends.Stored{Type: op.Type{Shape: e.Shape}}
	if k.Layout == nil {
		rows, columns := rowsOf(e.Shape)
		p := k.empty(make([]byte, e.Shape.Size()*k.format().Size()), rows, columns)
		k.convert(&p, 0, values)
		stored.Pieces = []backends.Piece{p}
		return k.Store.Put(e.Name, stored)
	}
	var err error
	if stored.Strides, err = k.Layout.strides(e, pieces); err != nil {
		return err
	}
	all := make([]byte, e.Shape.Size()*k.format().Size())
	for _, t := range pieces {
		part := k.Layout.Place(t)
		buffer := k.scratch(part.Size)
		k.Layout.ToFile(buffer, t, values[part.First:part.First+part.Size])
		shape := k.Layout.FileShape(t)
		p := k.empty(take(&all, part.Size*k.format().Size()), shape[0], shape[1])
		k.convert(&p, 0, buffer)
		stored.Pieces = append(stored.Pieces, p)
	}
	return k.Store.Put(e.Name, stored)
}

// plain keeps an entry in float32.
func (k *Keeper) plain(e Entry, values []float32) error {
	if err := k.Store.Create(e.Name, op.Type{Shape: e.Shape}); err != nil {
		return err
	}
	return k.Store.Write(e.Name, values)
}

// formats are the types of files that need no conversion, and no scales.
var formats = map[Dtype]backends.Format{F32: backends.Float32, BF16: backends.BFloat16, F16: backends.Float16}

// Named keeps the entries of a published checkpoint, which must stay open as long as the store is used.
func (k *Keeper) Named(n *Named, entries []Entry) error {
	for _, e := range entries {
		if err := k.named(n, e); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) named(n *Named, e Entry) error {
	pieces := n.pieces[e.Name]
	if len(pieces) == 0 || n.Place(pieces[0]).State || len(n.Place(pieces[0]).sizes) < 2 {
		return k.read(n, e)
	}
	stored := backends.Stored{Type: op.Type{Shape: e.Shape}, Mapped: true}
	var err error
	if stored.Strides, err = n.strides(e, pieces); err != nil {
		return err
	}
	var converted []byte
	for i, t := range pieces {
		found, _ := n.Tensor(t.File)
		switch k.way(n, found) {
		case widened:
			return k.read(n, e)
		case mapped:
			p, err := n.piece(t, found)
			if err != nil {
				return err
			}
			stored.Pieces = append(stored.Pieces, p)
		default:
			size := found.Shape.Size() * k.format().Size()
			if len(converted) < size {
				converted = make([]byte, size*(len(pieces)-i))
			}
			rows, columns := rowsOf(found.Shape)
			p := k.empty(take(&converted, size), rows, columns)
			strip := max(1, stripEntries/columns/backends.Float8Block) * backends.Float8Block
			for first := 0; first < rows; first += strip {
				values := k.scratch(min(strip, rows-first) * columns)
				if err := n.ReadRows(t.File, first, values); err != nil {
					return err
				}
				k.convert(&p, first, values)
			}
			stored.Pieces, stored.Mapped = append(stored.Pieces, p), false
		}
	}
	return k.Store.Put(e.Name, stored)
}

// read keeps an entry in float32.
func (k *Keeper) read(n *Named, e Entry) error {
	values := make([]float32, e.Shape.Size())
	if err := n.Read(e.Name, values); err != nil {
		return err
	}
	return k.plain(e, values)
}

// way is what becomes of a tensor of a published checkpoint.
type way uint8

const (
	mapped   way = iota // it is used where it is
	narrowed            // it is converted to the format
	widened             // the weight is read as float32
)

func (k *Keeper) way(n *Named, t Tensor) way {
	_, simple := formats[t.Dtype]
	usable := simple || t.Dtype == F8 && n.Table.ScaleBlock == [2]int{backends.Float8Block, backends.Float8Block}
	switch {
	case k.As == "f32" && t.Dtype != F32, k.As == AsStored && !usable:
		return widened
	case k.As == AsStored, usable && formatOf(t.Dtype) == k.format():
		return mapped
	}
	return narrowed
}

// formatOf is the format of a type of files that is used without conversion.
func formatOf(d Dtype) backends.Format {
	if d == F8 {
		return backends.Float8
	}
	return formats[d]
}

// format is what weights are converted to.
func (k *Keeper) format() backends.Format {
	switch k.As {
	case "bf16":
		return backends.BFloat16
	case "fp8":
		return backends.Float8
	case "int8":
		return backends.Int8
	}
	return backends.Float32
}

// piece is a tensor where it is mapped, with its scales.
func (n *Named) piece(t check.NamedTensor, found Tensor) (backends.Piece, error) {
	rows, columns := rowsOf(found.Shape)
	p := backends.Piece{Format: formatOf(found.Dtype), Rows: rows, Columns: columns, Values: n.in[t.File].bytes(found)}
	if p.Format != backends.Float8 {
		return p, nil
	}
	p.Scales = make([]float32, blocks(rows, backends.Float8Block)*blocks(columns, backends.Float8Block))
	return p, n.ReadFrom(t.File+n.Table.Scales, 0, p.Scales)
}

// scratch is the buffer with n entries.
func (k *Keeper) scratch(n int) []float32 {
	k.buffer = slices.Grow(k.buffer[:0], n)[:n]
	return k.buffer
}

// take cuts n bytes off the front.
func take(from *[]byte, n int) []byte {
	taken := (*from)[:n:n]
	*from = (*from)[n:]
	return taken
}

// empty is a matrix in the format that weights are converted to, with its values in the given bytes.
func (k *Keeper) empty(values []byte, rows, columns int) backends.Piece {
	p := backends.Piece{Format: k.format(), Rows: rows, Columns: columns, Values: values}
	switch p.Format {
	case backends.Float8:
		p.Scales = make([]float32, blocks(rows, backends.Float8Block)*blocks(columns, backends.Float8Block))
	case backends.Int8:
		p.HalfScales = make([]uint16, rows*blocks(columns, backends.Int8Block))
	}
	return p
}

// convert fills in rows from one on, which begins a block.
func (k *Keeper) convert(p *backends.Piece, first int, values []float32) {
	rows := len(values) / p.Columns
	strips := blocks(rows, backends.Float8Block)
	k.pool.Run(strips, func(strip, _ int) {
		from, to := strip*backends.Float8Block, min((strip+1)*backends.Float8Block, rows)
		part, at := values[from*p.Columns:to*p.Columns], (first+from)*p.Columns
		switch p.Format {
		case backends.Float32:
			_ = F32.narrow(p.Values[4*at:4*(at+len(part))], part) // F32 and BF16 have no error
		case backends.BFloat16:
			_ = BF16.narrow(p.Values[2*at:2*(at+len(part))], part)
		case backends.Float8:
			across := blocks(p.Columns, backends.Float8Block)
			Quantize(p.Values[at:at+len(part)], p.Scales[(first+from)/backends.Float8Block*across:][:across], part, p.Columns,
				backends.Float8Block, backends.Float8Block)
		case backends.Int8:
			across := blocks(p.Columns, backends.Int8Block)
			kernel.QuantizeRowsInt8(p.Values[at:at+len(part)], p.HalfScales[(first+from)*across:][:(to-from)*across], part, p.Columns)
		}
	})
}

// strides says where the entries of a weight lie in its tensors, laid end to end.
func (l *Layout) strides(e Entry, pieces []check.NamedTensor) ([]int, error) {
	first := l.Place(pieces[0])
	for i, t := range pieces {
		if p := l.Place(t); p.First != i*first.Size || !slices.Equal(t.Order, pieces[0].Order) {
			return nil, fmt.Errorf("the tensors of %s are not in the order of its entries", e.Name)
		}
	}
	banks := len(e.Shape) - len(first.sizes)
	strides := make([]int, len(e.Shape))
	step := first.Size
	for i := banks - 1; i >= 0; i-- {
		strides[i], step = step, step*e.Shape[i]
	}
	step = 1
	for i := len(pieces[0].Order) - 1; i >= 0; i-- {
		axis := pieces[0].Order[i]
		strides[banks+axis], step = step, step*first.sizes[axis]
	}
	return strides, nil
}

// bytes are a tensor's bytes where the file is mapped.
func (f *File) bytes(t Tensor) []byte { return f.data[t.begin:t.end:t.end] }
