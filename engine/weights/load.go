package weights

import (
	"forge/compiler/op"
	"forge/dsl/check"
)

// Store is where a model's tensors are kept; backends.Store is one.
type Store interface {
	Create(name string, t op.Type) error
	Write(name string, src []float32) error
}

// Of lists the weights and states of a model in their order, those of multi-token prediction only if asked for.
func Of(m *check.Model, mtp bool) []Entry {
	var entries []Entry
	for _, w := range m.Weights() {
		if w.MTP && !mtp {
			continue
		}
		e := Entry{Name: w.Path}
		for _, a := range w.Axes {
			e.Shape = append(e.Shape, a.Size)
		}
		entries = append(entries, e)
	}
	return entries
}

// Load creates the tensors in the store and fills them from the file, one at a time.
func Load(f *File, entries []Entry, s Store) error { return load(entries, s, f.Read) }

func load(entries []Entry, s Store, read func(name string, dst []float32) error) error {
	var values []float32
	for _, e := range entries {
		n := e.Shape.Size()
		if cap(values) < n {
			values = make([]float32, n)
		}
		if err := read(e.Name, values[:n]); err != nil {
			return err
		}
		if err := s.Create(e.Name, op.Type{Shape: e.Shape}); err != nil {
			return err
		}
		if err := s.Write(e.Name, values[:n]); err != nil {
			return err
		}
	}
	return nil
}
