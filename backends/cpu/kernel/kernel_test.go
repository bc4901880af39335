package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// onLevels runs a test on every level that the processor has.
func onLevels(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, level := range Levels() {
		t.Run(level.String(), func(t *testing.T) {
			previous, err := SetLevel(level)
			if err != nil {
				t.Fatal(err)
			}
			defer SetLevel(previous)
			test(t)
		})
	}
}

// newPool is a pool that is closed when the test ends.
func newPool(t testing.TB, threads int) *Pool {
	p := NewPool(threads)
	t.Cleanup(p.Close)
	return p
}

// randoms returns n values in [-1, 1), the same for the same seed.
func randoms(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, n)
	for i := range values {
		values[i] = 2*r.Float32() - 1
	}
	return values
}

// nans returns n values that are not numbers, to show which of them a kernel
// reads or leaves.
func nans(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(math.NaN())
	}
	return values
}

// closeTo reports whether got is within absolute of want, or both are NaN or
// the same infinity.
func closeTo(got float32, want, absolute float64) bool {
	if math.IsNaN(want) {
		return got != got
	}
	if math.IsInf(want, 0) {
		return float64(got) == want
	}
	return math.Abs(float64(got)-want) <= absolute
}
