// Package kernel holds the numeric loops of the CPU backend: matrix products,
// elementwise functions, row reductions, attention, cross entropy and the
// optimizer step, on float32 slices; weights, and the operands of products, may
// be stored more narrowly.
//
// What flows in are slices with strides and a [Pool] of workers; what is
// filled in is the destination slice that the caller owns. The package knows no
// graph, no operation and no model, and keeps nothing between calls except the
// scratch memory of the pool, which grows on demand and is then reused: after
// the first call of a size nothing is allocated.
//
// # Instruction sets
//
// Every kernel has a portable Go path and, on amd64, paths written by
// tools/avo: AVX2 with FMA, and AVX-512, with the dot products of bfloat16
// (BF16) where the processor has them. The path is
// chosen once, at program start, and can be forced by the environment variable
// FORGE_CPU=portable|avx2|avx512 or by [SetLevel]. The innermost loops of a
// level are a table of functions (routines); a new level is a new table.
//
// # Order of summation
//
// Work is cut into parts by the sizes and the number of threads alone, and a
// part does not know which worker runs it. A result is therefore the same, bit
// for bit, on every run with the same number of threads and the same level.
//
// # Faults
//
// A slice that is too short for its sizes and strides is a fault of the
// calling program and panics with the sizes. Sizes of zero are valid
// everywhere.
package kernel
