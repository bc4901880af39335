package kernel

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// Level is a set of instructions that the kernels may use. Higher levels
// include lower ones.
type Level int

const (
	Portable Level = iota // plain Go
	AVX2                  // amd64 with AVX2 and FMA
	AVX512                // and AVX-512 F, BW, DQ, VL; BF16 and VNNI are used where the processor has them
)

// levelNames are the values of FORGE_CPU.
var levelNames = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

func (l Level) String() string {
	if l >= 0 && int(l) < len(levelNames) {
		return levelNames[l]
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
	tile [13]tileRoutine

	// axpy computes C[m×n] += alpha·A[m×depth]·B[depth×n] for contiguous
	// rows of B and C.
	axpy []axpyRoutine

	// dot computes C[m×n] = alpha·A[m×k]·B[k×n] + beta·C for contiguous rows
	// of A and contiguous columns of B, bCol apart.
	dot []dotRoutine

	// packTranspose writes dst[j·dstRow+i] = src[i·srcRow+j] for i < 8 and
	// j < k, where k is a multiple of 8; nil where the level has none.
	packTranspose func(k int, src *float32, srcRow int, dst *float32, dstRow int)

	// packWords copies k rows of packGroup values; nil where the level has none.
	packWords func(k int, src *float32, srcRow int, dst *float32, dstRow int)
}

// tileRoutine is gemmRoutines.tile for one number of rows, or bf16Routines.tile.
type tileRoutine = func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow, n int, alpha, beta float32)

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
	weight weightRoutines
	bf16   bf16Routines
	peak   peakRoutines
}

// supported are the levels of this processor, the lowest first.
var supported = supportedRoutines()

// active is the table in use.
var active atomic.Pointer[routines]

// environmentFault is what is wrong with FORGE_CPU.
var environmentFault error

func init() {
	wanted := os.Getenv("FORGE_CPU")
	level := supported[len(supported)-1].level
	if wanted != "" {
		if level, environmentFault = parseLevel(wanted); environmentFault != nil {
			level = supported[len(supported)-1].level
		}
	}
	active.Store(routinesOf(level))
}

// parseLevel finds a level of this processor by its name.
func parseLevel(name string) (Level, error) {
	var names []string
	for _, r := range supported {
		if r.level.String() == name {
			return r.level, nil
		}
		names = append(names, r.level.String())
	}
	return 0, fmt.Errorf("FORGE_CPU=%s: this processor has %s", name, strings.Join(names, ", "))
}

// EnvironmentFault says that the environment variable FORGE_CPU names no level
// of this processor; the best one is used then. It is nil if all is well.
func EnvironmentFault() error { return environmentFault }

// routinesOf is the table of a level, nil if the processor lacks it.
func routinesOf(level Level) *routines {
	for _, r := range supported {
		if r.level == level {
			return r
		}
	}
	return nil
}

// CurrentLevel is the level that the kernels run on.
func CurrentLevel() Level { return active.Load().level }

// Levels are the levels that this processor supports, the lowest first.
func Levels() []Level {
	var levels []Level
	for _, r := range supported {
		levels = append(levels, r.level)
	}
	return levels
}

// BestLevel is the highest level that this processor supports.
func BestLevel() Level { return supported[len(supported)-1].level }

// SetLevel chooses the level, for tests and measurements, and returns the one
// that was in use. It fails when the processor lacks the level. Kernels that
// are running finish on the level they began with or on the new one.
func SetLevel(level Level) (previous Level, err error) {
	previous = CurrentLevel()
	r := routinesOf(level)
	if r == nil {
		return previous, fmt.Errorf("kernel: this processor does not support level %v", level)
	}
	active.Store(r)
	return previous, nil
}
