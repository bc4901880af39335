package kernel

import (
	"fmt"
	"os"
	"sync/atomic"
)

// Level is a set of instructions that the kernels may use. Higher levels
// include lower ones.
type Level int

const (
	Portable Level = iota // plain Go
	AVX2                  // amd64 with AVX2 and FMA
)

func (l Level) String() string {
	switch l {
	case Portable:
		return "portable"
	case AVX2:
		return "avx2"
	}
	return fmt.Sprintf("Level(%d)", int(l))
}

// gemmRoutines are the innermost loops of the matrix product. All strides
// count float32 values.
type gemmRoutines struct {
	tileRows, tileCols int

	// tile[m] computes C[m×n] = alpha·A[m×k]·B[k×n] + beta·C for
	// n <= tileCols and contiguous rows of C. Every row of B must have
	// tileCols readable values. beta = 0 does not read C.
	tile [7]func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow, n int, alpha, beta float32)

	// axpy computes C[m×n] += alpha·A[m×depth]·B[depth×n] for contiguous
	// rows of B and C.
	axpy []axpyRoutine

	// dot computes C[m×n] = alpha·A[m×k]·B[k×n] + beta·C for contiguous rows
	// of A and contiguous columns of B, bCol apart.
	dot []dotRoutine

	// packTranspose writes dst[j·dstRow+i] = src[i·srcRow+j] for i < 8 and
	// j < k, where k is a multiple of 8; nil where the level has none.
	packTranspose func(k int, src *float32, srcRow int, dst *float32, dstRow int)
}

// axpyRoutine handles rows of C and depth rows of B at a time.
type axpyRoutine struct {
	rows, depth int
	run         func(n int, alpha float32, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow int)
}

// dotRoutine handles rows × cols values of C at a time.
type dotRoutine struct {
	rows, cols int
	run        func(k int, a *float32, aRow int, b *float32, bCol int, c *float32, cRow, cCol int, alpha, beta float32)
}

// routines are the innermost loops of one level.
type routines struct {
	level  Level
	gemm   gemmRoutines
	vector vectorRoutines
	rows   rowRoutines
}

// active is the table in use.
var active atomic.Pointer[routines]

func init() {
	best := bestRoutines()
	if os.Getenv("FORGE_CPU") == Portable.String() {
		best = &portableRoutines
	}
	active.Store(best)
}

// CurrentLevel is the level that the kernels run on.
func CurrentLevel() Level { return active.Load().level }

// BestLevel is the highest level that this processor supports.
func BestLevel() Level { return bestRoutines().level }

// SetLevel chooses the level, for tests and measurements, and returns the one
// that was in use. It fails when the processor lacks the level. Kernels that
// are running finish on the level they began with or on the new one.
func SetLevel(level Level) (previous Level, err error) {
	previous = CurrentLevel()
	switch {
	case level == Portable:
		active.Store(&portableRoutines)
	case level == bestRoutines().level:
		active.Store(bestRoutines())
	default:
		return previous, fmt.Errorf("kernel: this processor does not support level %v", level)
	}
	return previous, nil
}
