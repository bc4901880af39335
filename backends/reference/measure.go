package reference

import (
	"forge/backends"
	"forge/backends/plan"
	"forge/compiler/graph"
)

// float64Size is the size of every entry.
const float64Size = 8

// Measure adds up all values of the graph: none shares memory with another.
func (b backend) Measure(g *graph.Graph, s backends.Store) (*backends.Footprint, error) {
	f := &backends.Footprint{EntrySize: float64Size, Limit: b.memory}
	for _, name := range s.Names() {
		if t, ok := s.Type(name); ok {
			f.Held += float64Size * int64(t.Shape.Size())
		}
	}
	for _, n := range g.Storages() {
		if _, ok := s.Type(n.Name); !ok {
			f.Storages += float64Size * int64(n.Type().Shape.Size())
		}
	}
	p, err := plan.Build(g)
	if err != nil {
		return nil, err
	}
	f.Values, f.Gradients = float64Size*p.UnplannedSize, float64Size*p.Gradients()
	return f, nil
}
