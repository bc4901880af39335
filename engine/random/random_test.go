package random

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestSplitmix pins the mixing function to the published sequence of splitmix64 for seed 0, so that runs stay reproducible.
func TestSplitmix(t *testing.T) {
	s := &Stream{}
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		if got := s.Uint64(); got != want {
			t.Errorf("number %d is %#x, want %#x", i, got, want)
		}
	}
}

func TestStreamsAreIndependent(t *testing.T) {
	a, b, c := New(1, "a"), New(1, "b"), New(2, "a")
	if x, y, z := a.At(0), b.At(0), c.At(0); x == y || x == z || y == z {
		t.Errorf("streams start alike: %x %x %x", x, y, z)
	}
	if New(1, "a").At(5) != a.At(5) {
		t.Error("the same seed and name give another stream")
	}
	a.Uint64()
	d := New(1, "a")
	d.Seek(a.Position())
	if a.Uint64() != d.Uint64() {
		t.Error("a stream set to a position goes on otherwise")
	}
}

func TestNormalMoments(t *testing.T) {
	v := make([]float32, 100001)
	New(3, "weights").Normal(v, 0, 0.5, 2)
	var sum, square, fourth float64
	for _, x := range v {
		d := (float64(x) - 0.5) / 2
		sum += d
		square += d * d
		fourth += d * d * d * d
	}
	n := float64(len(v))
	if mean := sum / n; math.Abs(mean) > 0.02 {
		t.Errorf("mean %g", mean)
	}
	if variance := square / n; math.Abs(variance-1) > 0.02 {
		t.Errorf("variance %g", variance)
	}
	if kurtosis := fourth / n; math.Abs(kurtosis-3) > 0.1 {
		t.Errorf("kurtosis %g", kurtosis)
	}
}

// TestNormalInParts checks that a tensor filled in pieces equals one filled at once.
func TestNormalInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "n")
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		s := New(7, "w")
		whole, parts := make([]float32, n), make([]float32, n)
		s.Normal(whole, 0, 0, 1)
		s.Normal(parts[cut:], uint64(cut), 0, 1)
		s.Normal(parts[:cut], 0, 0, 1)
		for i := range whole {
			if whole[i] != parts[i] {
				t.Fatalf("value %d of %d, cut at %d: %g, want %g", i, n, cut, parts[i], whole[i])
			}
		}
	})
}

func TestPermutationIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		p := NewPermutation(New(rapid.Int64().Draw(t, "seed"), "p"), n)
		seen := make([]bool, n)
		for i := range n {
			x := p.At(i)
			if x < 0 || x >= n || seen[x] {
				t.Fatalf("entry %d of %d is %d, twice or out of range", i, n, x)
			}
			seen[x] = true
		}
	})
}

func TestShuffleIsAPermutation(t *testing.T) {
	order := make([]int32, 1000)
	New(1, "s").Shuffle(order)
	seen := make([]bool, len(order))
	fixed := 0
	for i, x := range order {
		if seen[x] {
			t.Fatalf("%d comes twice", x)
		}
		seen[x] = true
		if int(x) == i {
			fixed++
		}
	}
	if fixed > 10 {
		t.Errorf("%d of 1000 stayed in place", fixed)
	}
}

func TestIntnStaysInRange(t *testing.T) {
	s := New(1, "i")
	var counts [7]int
	for range 7000 {
		counts[s.Intn(7)]++
	}
	for i, c := range counts {
		if c < 850 || c > 1150 {
			t.Errorf("%d came %d times of 7000", i, c)
		}
	}
}
