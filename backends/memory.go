package backends

import (
	"fmt"

	"forge/backends/machine"
	"forge/compiler/graph"
)

// Footprint is the memory of a program, in bytes.
type Footprint struct {
	Held      int64 // by the store already, for this graph or others
	Storages  int64 // that the graph names and the store does not have yet
	Values    int64 // that a run makes
	Gradients int64 // of the values: the most of the optimizer's gradients that exist at once
	// EntrySize is the size of a number in a storage that the backend makes.
	EntrySize int64
	// Limit bounds all of it.
	Limit machine.Memory
}

// Total is the memory that is needed at once.
func (f *Footprint) Total() int64 { return f.Held + f.Storages + f.Values }

// Measurer is a Backend that knows what it may hold.
type Measurer interface {
	// Measure plans a graph as Compile does, and allocates nothing. The storages need not exist.
	Measure(g *graph.Graph, s Store) (*Footprint, error)
}

// TooLarge is the error of a backend for what does not fit into the memory that it may use. Nothing was allocated for it.
type TooLarge struct {
	What string // that was to be made
	Need int64  // bytes that the backend would hold with it
	Have machine.Memory
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%s needs %s in all, %s %s", e.What, machine.Size(e.Need), e.Have.Whose, machine.Size(e.Have.Bytes))
}
