package cpu

import (
	"fmt"

	"forge/backends"
	"forge/backends/machine"
	"forge/backends/plan"
	"forge/compiler/graph"
)

// Measure plans the graph and adds up what the program would hold.
func (b *backend) Measure(g *graph.Graph, s backends.Store) (*backends.Footprint, error) {
	own, ok := s.(*store)
	if !ok {
		return nil, fmt.Errorf("cpu: the store is of another backend (%T)", s)
	}
	p, err := plan.For(g, own.target())
	if err != nil {
		return nil, err
	}
	f := &backends.Footprint{Held: 4 * own.size, Values: 4 * (p.ArenaSize + int64(scratchSize(p.Steps))), Gradients: 4 * p.Gradients(),
		EntrySize: 4, Limit: own.memory}
	for _, v := range p.Storages {
		if _, ok := own.storages[v.Buffer.Name]; !ok {
			f.Storages += 4 * int64(v.Shape.Size())
		}
	}
	return f, nil
}

// tooLarge says that n values, beside others that are allocated already, are more than the backend may hold; nil if they are not.
// Without it the process would be killed rather than told.
func tooLarge(limit machine.Memory, what string, n, others int64) *backends.TooLarge {
	if n+others > limit.Bytes/4 {
		return &backends.TooLarge{What: what, Need: 4 * (n + others), Have: limit}
	}
	return nil
}
