package cpu

import (
	"fmt"
	"unsafe"

	"forge/backends"
	"forge/backends/cpu/kernel"
	"forge/backends/machine"
	"forge/compiler/op"
)

// store is named memory. Int32 storage holds integers in the same 4 bytes an entry.
type store struct {
	names    []string
	storages map[string]*storage
	size     int64 // values in all, in memory of the store's own
	memory   machine.Memory
	mapped   bool // some memory is mapped from files
}

// storage is memory of the store's own, row-major, or what was put there as it lies: pieces laid end to end.
type storage struct {
	t       op.Type
	data    []float32 // nil if it is packed: not one piece of float32
	strides []int     // nil: row-major
	fixed   bool      // not to be written
	stored  backends.Stored
	pieces  []piece // of what was put there, and of memory of its own too
}

// piece is a piece with its values as they are typed.
type piece struct {
	format        kernel.Format
	rows, columns int
	float32s      []float32
	halves        []uint16
	bytes         []uint8
	blockScales   []float32
	halfScales    []uint16
}

func (s *store) Create(name string, t op.Type) error {
	if old, ok := s.storages[name]; ok {
		if old.t.Dtype != t.Dtype || !old.t.Shape.Equal(t.Shape) {
			return fmt.Errorf("cpu: storage %s exists as %v, not %v", name, old.t, t)
		}
		return nil
	}
	shape := append(op.Shape{}, t.Shape...)
	if err := tooLarge(s.memory, "storage "+name+" with those before it", int64(shape.Size()), s.size); err != nil {
		return err
	}
	s.size += int64(shape.Size())
	data := alignedFloats(shape.Size())
	s.add(name, &storage{t: op.Type{Shape: shape, Dtype: t.Dtype}, data: data, pieces: []piece{{float32s: data, rows: 1, columns: len(data)}}})
	return nil
}

func (s *store) add(name string, st *storage) {
	s.storages[name] = st
	s.names = append(s.names, name)
}

// Put uses the memory where it is. What the kernels have no loops for is widened: Float16, and values that are not aligned.
func (s *store) Put(name string, stored backends.Stored) error {
	if err := stored.Check(); err != nil {
		return fmt.Errorf("cpu: storage %s: %w", name, err)
	}
	if _, ok := s.storages[name]; ok {
		return fmt.Errorf("cpu: storage %s exists", name)
	}
	pieces, usable := make([]piece, len(stored.Pieces)), true
	for i := range stored.Pieces {
		var ok bool
		pieces[i], ok = newPiece(&stored.Pieces[i])
		usable = usable && ok
	}
	if !usable {
		if err := s.Create(name, stored.Type); err != nil {
			return err
		}
		s.storages[name].fixed = true
		return stored.Read(s.storages[name].data)
	}
	if stored.Mapped {
		s.mapped = true
	} else {
		// It is there already, and counts; a file's pages come and go.
		s.size += (stored.Bytes() + 3) / 4
		advisePieces(stored.Pieces)
	}
	st := &storage{t: stored.Type, strides: stored.Strides, fixed: true, stored: stored, pieces: pieces}
	if len(pieces) == 1 && pieces[0].format == kernel.Float32 {
		st.data = pieces[0].float32s
	}
	s.add(name, st)
	return nil
}

// advisePieces asks for huge pages for pieces that lie side by side.
func advisePieces(pieces []backends.Piece) {
	for i := 0; i < len(pieces); {
		first, n := &pieces[i].Values[0], 0
		for ; i < len(pieces) && uintptr(unsafe.Pointer(first))+uintptr(n) == uintptr(unsafe.Pointer(&pieces[i].Values[0])); i++ {
			n += len(pieces[i].Values)
		}
		if from := uintptr(unsafe.Pointer(first)) % 4; from == 0 && n >= 4 {
			adviseHugePages(unsafe.Slice((*float32)(unsafe.Pointer(first)), n/4))
		}
	}
}

// newPiece gives the values of a piece their type; false if the kernels can't read them where they are.
func newPiece(from *backends.Piece) (piece, bool) {
	p := piece{rows: from.Rows, columns: from.Columns, blockScales: from.Scales, halfScales: from.HalfScales}
	address := unsafe.Pointer(&from.Values[0])
	n := from.Rows * from.Columns
	if !littleEndian || uintptr(address)%uintptr(from.Format.Size()) != 0 {
		return p, false
	}
	switch from.Format {
	case backends.Float32:
		p.format, p.float32s = kernel.Float32, unsafe.Slice((*float32)(address), n)
	case backends.BFloat16:
		p.format, p.halves = kernel.BFloat16, unsafe.Slice((*uint16)(address), n)
	case backends.Float8:
		p.format, p.bytes = kernel.Float8, from.Values
	case backends.Int8:
		p.format, p.bytes = kernel.Int8, from.Values
	default:
		return p, false
	}
	return p, true
}

// littleEndian says that values in memory are as they are in files.
var littleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

func (s *store) Names() []string { return append([]string{}, s.names...) }

func (s *store) Type(name string) (op.Type, bool) {
	st, ok := s.storages[name]
	if !ok {
		return op.Type{}, false
	}
	return st.t, true
}

func (s *store) find(name string, n int) (*storage, error) {
	st, ok := s.storages[name]
	if !ok {
		return nil, fmt.Errorf("cpu: there is no storage %s", name)
	}
	if size := st.t.Shape.Size(); n != size {
		return nil, fmt.Errorf("cpu: storage %s holds %d values, not %d", name, size, n)
	}
	return st, nil
}

func (s *store) Read(name string, dst []float32) error {
	st, err := s.find(name, len(dst))
	switch {
	case err != nil:
		return err
	case st.stored.Pieces != nil:
		return st.stored.Read(dst)
	case st.t.Dtype == op.Int32:
		for i, v := range asInts(st.data) {
			dst[i] = float32(v)
		}
		return nil
	}
	copy(dst, st.data)
	return nil
}

func (s *store) Write(name string, src []float32) error {
	st, err := s.find(name, len(src))
	switch {
	case err != nil:
		return err
	case st.fixed:
		return fmt.Errorf("cpu: storage %s was put there as it lies, and is not written", name)
	case st.t.Dtype == op.Int32:
		for i, v := range src {
			asInts(st.data)[i] = int32(v)
		}
		return nil
	}
	copy(st.data, src)
	return nil
}

// alignedFloats is zeroed memory that begins on a cache line.
func alignedFloats(n int) []float32 {
	const line = 16
	raw := make([]float32, n+line)
	adviseHugePages(raw)
	skip := 0
	if rest := uintptr(unsafe.Pointer(&raw[0])) % 64; rest != 0 {
		skip = int(64-rest) / 4
	}
	return raw[skip : skip+n : skip+n]
}

// asInts is the same memory read as integers.
func asInts(v []float32) []int32 {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&v[0])), len(v))
}
