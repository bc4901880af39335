package backends

import (
	"math"
	"testing"
)

// TestSmallFloats compares every code with its definition: sign, exponent and fraction as numbers.
func TestSmallFloats(t *testing.T) {
	define := func(code, exponentBits, fractionBits int) float64 {
		bias, steps := 1<<(exponentBits-1)-1, float64(int(1)<<fractionBits)
		exponent, fraction := code>>fractionBits&(1<<exponentBits-1), float64(code&(1<<fractionBits-1))
		v := math.Ldexp(1+fraction/steps, exponent-bias)
		if exponent == 0 {
			v = math.Ldexp(fraction/steps, 1-bias)
		}
		if code>>(exponentBits+fractionBits) != 0 {
			v = -v
		}
		return v
	}
	same := func(got float32, want float64) bool {
		return math.Float64bits(float64(got)) == math.Float64bits(want) || got != got && want != want
	}
	for code := range 1 << 8 {
		want := define(code, 4, 3)
		if code&0x7f == 0x7f {
			want = math.NaN()
		}
		if got := FromFloat8(byte(code)); !same(got, want) {
			t.Errorf("float8 %#02x is %g, want %g", code, got, want)
		}
	}
	for code := range 1 << 16 {
		want := define(code, 5, 10)
		if code&0x7c00 == 0x7c00 {
			want = math.Inf(1 - code>>15*2)
			if code&0x3ff != 0 {
				want = math.NaN()
			}
		}
		if got := FromFloat16(uint16(code)); !same(got, want) {
			t.Errorf("half %#04x is %g, want %g", code, got, want)
		}
	}
}
