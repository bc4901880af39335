package cpu

import (
	"fmt"
	"unsafe"

	"forge/backends/machine"
	"forge/compiler/op"
)

// store is named memory. Int32 storage holds integers in the same 4 bytes an entry.
type store struct {
	names    []string
	storages map[string]*storage
	size     int64 // values in all
	memory   machine.Memory
}

type storage struct {
	t    op.Type
	data []float32
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
	s.storages[name] = &storage{op.Type{Shape: shape, Dtype: t.Dtype}, alignedFloats(shape.Size())}
	s.names = append(s.names, name)
	return nil
}

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
	if n != len(st.data) {
		return nil, fmt.Errorf("cpu: storage %s holds %d values, not %d", name, len(st.data), n)
	}
	return st, nil
}

func (s *store) Read(name string, dst []float32) error {
	st, err := s.find(name, len(dst))
	if err != nil {
		return err
	}
	if st.t.Dtype == op.Int32 {
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
	if err != nil {
		return err
	}
	if st.t.Dtype == op.Int32 {
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
