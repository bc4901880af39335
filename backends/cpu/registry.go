package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// definition is a kernel: what it can work with, and how a step becomes a call.
type definition struct {
	plan.Kernel
	fits  func(a op.Attrs) bool // nil: always
	build func(c *compilation, s *plan.Step) (call, error)
}

// kernels are the kernels by operation; each operation's file adds its own.
var kernels = map[*op.Op]definition{}

// define adds a kernel.
func define(o *op.Op, k plan.Kernel, build func(c *compilation, s *plan.Step) (call, error)) bool {
	if _, ok := kernels[o]; ok {
		panic("cpu: two kernels for " + o.Name)
	}
	kernels[o] = definition{k, nil, build}
	return true
}

// defineIf adds a kernel for some attributes of an operation; with others it is decomposed.
func defineIf(fits func(a op.Attrs) bool, o *op.Op, k plan.Kernel, build func(c *compilation, s *plan.Step) (call, error)) bool {
	define(o, k, build)
	kernels[o] = definition{k, fits, build}
	return true
}

// compilation is what building calls needs.
type compilation struct {
	pool    *kernel.Pool
	program *program
	scratch []float32    // for rounded operands, of one step at a time
	tables  []angleTable // of rotations
}

// tensor is a strided view of memory.
type tensor struct {
	data    []float32 // from the first entry to the end of the buffer
	shape   op.Shape
	strides []int
}

// tensor is the view of a value that is not packed.
func (c *compilation) tensor(v *plan.Value) tensor {
	return tensor{c.program.memory(v), v.Shape, v.Strides}
}

// floats are the entries of a contiguous value.
func (c *compilation) floats(v *plan.Value) []float32 {
	return c.program.memory(v)[:v.Shape.Size()]
}

// ints are the entries of an Int32 value, which is always contiguous.
func (c *compilation) ints(v *plan.Value) []int32 { return asInts(c.floats(v)) }

// smallWork is the work, in nanoseconds or so, below which a second thread costs more than it saves.
const smallWork = 10_000

// parts is into how many parts n items of some nanoseconds each are cut: one if there is little to do, else a few a thread, so that a
// thread that is held up does not hold up all.
func (c *compilation) parts(n int, nanoseconds float64) int {
	threads := c.pool.Cuts()
	total := float64(n) * nanoseconds
	if threads == 1 || total < smallWork || n < 2 {
		return min(n, 1)
	}
	return min(n, 4*threads, max(threads, int(total/(smallWork/2))))
}

// bounds are the items of one part.
func bounds(n, parts, part int) (from, to int) { return n * part / parts, n * (part + 1) / parts }
