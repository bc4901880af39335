// Package backends says what a backend must do. A backend takes a sealed graph and gives a program: memory planned, kernels
// chosen, one call runs a step. Weights, optimizer moments, router states and caches live in a Store that outlives programs, so
// that the graphs of training, evaluation and generation share them. Backends reach nothing later: they know no recipe, no data
// and no files.
package backends

import (
	"time"

	"forge/compiler/graph"
	"forge/compiler/op"
)

// Backend compiles graphs for one device.
type Backend interface {
	// Name is what `--device` calls it.
	Name() string
	// Device describes the hardware and instruction set in words, for the summary at the start of a run.
	Device() string
	NewStore() Store
	// Compile plans memory and chooses kernels. Every storage that the graph names must exist in the store with the graph's
	// type. A primitive operation without a kernel is an error that names the recipe line.
	Compile(g *graph.Graph, s Store, o Options) (Program, error)
	Close() error
}

// Options of compiling.
type Options struct {
	// Profile collects the time of each operation.
	Profile bool
	// KeepAll keeps every value for inspection (Program.Value), at the price of memory.
	KeepAll bool
}

// Store is named storage on the device.
type Store interface {
	// Create makes zeroed storage; creating again with the same type does nothing, with another type is an error.
	Create(name string, t op.Type) error
	// Names lists what was created, in that order.
	Names() []string
	Type(name string) (op.Type, bool)
	// Read copies to the host, Write from it; lengths must be exact. Int32 storage holds whole values. What is read is widened to
	// float32 if it is stored otherwise.
	Read(name string, dst []float32) error
	Write(name string, src []float32) error
	// Put makes a storage of what lies somewhere already, in its format and layout. The memory stays the caller's and must stay as it
	// is while the store is used; the device may use it where it is, or copy it. Such a storage is neither written nor updated.
	Put(name string, s Stored) error
}

// Program runs a graph. It has the methods of gorgonia.VM. It is used by one goroutine at a time and allocates nothing while it
// runs.
type Program interface {
	RunAll() error
	Reset()
	Close() error
	// SetFloats and SetInts fill an input; lengths must be exact.
	SetFloats(name string, v []float32) error
	SetInts(name string, v []int32) error
	// Output is the value of a named output after the last run; it stays valid until the next. Int32 outputs come as floats.
	Output(name string) ([]float32, error)
	// Value is any node's value after the last run, if the program was compiled with KeepAll. Nodes that are only a step on the
	// way of another (a product that is added to a sum as it is made) have no value of their own: that is an error.
	Value(n *graph.Node) ([]float32, error)
	Stats() Stats
}

// Stats describes a compiled program.
type Stats struct {
	Kernels        int   // calls a step
	ArenaBytes     int64 // planned memory for values
	UnplannedBytes int64 // the same without sharing
	StoreBytes     int64 // weights, moments, states it uses
	FLOPs          float64
	Profile        []OpTime   // with Options.Profile: since the start, most time first
	Calls          []CallTime // with Options.Profile: since the start, in the order of a run
}

// CallTime is the time spent in one call of a kernel.
type CallTime struct {
	Op    string
	Place string // what it is of, as in layers[3].attn.q; "" where that is not known
	Runs  int
	Time  time.Duration
	FLOPs float64 // of one run
	Bytes float64
}

// OpTime is the time spent in one kind of operation.
type OpTime struct {
	Op    string
	Calls int
	Time  time.Duration
	FLOPs float64
	Bytes float64
}
