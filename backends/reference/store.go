package reference

import (
	"fmt"

	"forge/backends"
	"forge/compiler/op"
)

// store keeps everything in float64, so that runs of a float64 graph lose nothing in between. Reading rounds to float32.
type store struct {
	names   []string
	tensors map[string]*tensor
}

type tensor struct {
	t     op.Type
	data  []float64
	fixed bool // not to be written
}

func newTensor(t op.Type) *tensor {
	shape := append(op.Shape{}, t.Shape...)
	return &tensor{t: op.Type{Shape: shape, Dtype: t.Dtype}, data: make([]float64, shape.Size())}
}

func same(a, b op.Type) bool { return a.Dtype == b.Dtype && a.Shape.Equal(b.Shape) }

func (s *store) Create(name string, t op.Type) error {
	if old, ok := s.tensors[name]; ok {
		if !same(old.t, t) {
			return fmt.Errorf("reference: storage %s exists as %v, not %v", name, old.t, t)
		}
		return nil
	}
	for _, n := range t.Shape {
		if n < 1 {
			return fmt.Errorf("reference: storage %s would be %v: every axis must be at least 1 long", name, t)
		}
	}
	s.names, s.tensors[name] = append(s.names, name), newTensor(t)
	return nil
}

// Put widens what is stored.
func (s *store) Put(name string, stored backends.Stored) error {
	if err := stored.Check(); err != nil {
		return fmt.Errorf("reference: storage %s: %w", name, err)
	}
	if _, ok := s.tensors[name]; ok {
		return fmt.Errorf("reference: storage %s exists", name)
	}
	values := make([]float32, stored.Type.Shape.Size())
	if err := stored.Read(values); err != nil {
		return fmt.Errorf("reference: storage %s: %w", name, err)
	}
	if err := s.Create(name, stored.Type); err != nil {
		return err
	}
	if err := s.Write(name, values); err != nil {
		return err
	}
	s.tensors[name].fixed = true
	return nil
}

func (s *store) Names() []string { return append([]string{}, s.names...) }

func (s *store) Type(name string) (op.Type, bool) {
	t, ok := s.tensors[name]
	if !ok {
		return op.Type{}, false
	}
	return t.t, true
}

func (s *store) Read(name string, dst []float32) error {
	t, err := s.find(name, len(dst))
	if err != nil {
		return err
	}
	for i, v := range t.data {
		dst[i] = float32(v)
	}
	return nil
}

func (s *store) Write(name string, src []float32) error {
	t, err := s.find(name, len(src))
	if err != nil {
		return err
	}
	if t.fixed {
		return fmt.Errorf("reference: storage %s was put there as it lies, and is not written", name)
	}
	for i, v := range src {
		if t.t.Dtype == op.Int32 {
			v = float32(int32(v))
		}
		t.data[i] = float64(v)
	}
	return nil
}

func (s *store) find(name string, n int) (*tensor, error) {
	t, ok := s.tensors[name]
	if !ok {
		return nil, fmt.Errorf("reference: there is no storage %s", name)
	}
	if n != len(t.data) {
		return nil, fmt.Errorf("reference: storage %s holds %d values, not %d", name, len(t.data), n)
	}
	return t, nil
}
