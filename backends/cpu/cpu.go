// Package cpu runs graphs on the processor. In flows a sealed graph; plan decides the order, the memory and which values are views;
// each step becomes one call of a kernel over slices of the arena and the store, made once when the graph is compiled. A run walks
// the calls and allocates nothing. The arithmetic itself is in backends/cpu/kernel, which knows no graph; here, one file an
// operation, named like the operation's file in compiler/op, brings shapes and strides into the form that the loops want.
//
// Everything is float32, sums over long rows are carried in float64. Results are the same, bit for bit, for every run with the same
// number of threads: work is cut by sizes alone.
package cpu

import (
	"fmt"

	"forge/backends"
	"forge/backends/cpu/kernel"
	"forge/backends/machine"
	"forge/backends/plan"
	"forge/compiler/graph"
	"forge/compiler/op"
)

type backend struct {
	pool   *kernel.Pool
	memory machine.Memory
}

// MostThreads is how many threads a backend can have.
const MostThreads = 1024

// Options of a backend. The zero value is the usual one.
type Options struct {
	Threads int // 0 or less: as many as the process may use at once
	// Memory bounds what storages and values may take together, in bytes; 0: what the machine and the process's control
	// groups allow.
	Memory int64
	// Deterministic makes results the same to the bit whatever the number of threads is, at the price of work that is cut finer
	// than the threads need.
	Deterministic bool
}

// New starts a backend with a number of threads, 0 or less for as many as the process may use. Close stops the threads.
func New(threads int) (backends.Backend, error) { return Open(Options{Threads: threads}) }

// Open starts a backend. Close stops its threads.
func Open(o Options) (backends.Backend, error) {
	if o.Threads > MostThreads {
		return nil, fmt.Errorf("cpu: %d threads, at most %d are possible", o.Threads, MostThreads)
	}
	if err := kernel.EnvironmentFault(); err != nil {
		return nil, err
	}
	memory := machine.Limit()
	if o.Memory > 0 {
		memory = machine.Given(o.Memory)
	}
	pool := kernel.NewPool(o.Threads)
	if o.Deterministic {
		pool.Fix()
	}
	return &backend{pool, memory}, nil
}

func (b *backend) Name() string { return "cpu" }

func (b *backend) Device() string {
	threads := "1 thread"
	if n := b.pool.Threads(); n > 1 {
		threads = fmt.Sprintf("%d threads", n)
	}
	return fmt.Sprintf("%s, %s, %s", machine.Processor(), kernel.CurrentLevel(), threads)
}

func (b *backend) NewStore() backends.Store {
	return &store{storages: map[string]*storage{}, memory: b.memory}
}

func (b *backend) Close() error {
	b.pool.Close()
	return nil
}

// Compile plans the graph and makes the calls. The store must be one of this backend's.
func (b *backend) Compile(g *graph.Graph, s backends.Store, o backends.Options) (backends.Program, error) {
	own, ok := s.(*store)
	if !ok {
		return nil, fmt.Errorf("cpu: the store is of another backend (%T)", s)
	}
	if g.Float64s() {
		return nil, fmt.Errorf("cpu: %s is a graph in float64, which the kernels don't compute", g.Name())
	}
	t := own.target()
	t.KeepAll = o.KeepAll
	return b.compile(g, own, o, t)
}

func (b *backend) compile(g *graph.Graph, s *store, o backends.Options, t plan.Target) (*program, error) {
	p, err := plan.For(g, t)
	if err != nil {
		return nil, err
	}
	return newProgram(b.pool, p, s, o)
}

// target is what this backend has kernels for.
func target() plan.Target {
	return plan.Target{Kernel: func(o *op.Op, a op.Attrs) (plan.Kernel, bool) {
		k, ok := kernels[o]
		return k.Kernel, ok && (k.fits == nil || k.fits(a))
	}}
}
