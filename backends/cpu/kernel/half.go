package kernel

import "math"

// BFloat16 is the upper half of a float32: 8 bits of exponent, 7 of mantissa.
// ToBFloat16 rounds to the nearest, ties to even; a NaN stays one.
func ToBFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// FromBFloat16 is exact.
func FromBFloat16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// ToFloat16 rounds to the nearest IEEE half, ties to even; what is too large
// becomes infinite.
func ToFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	switch magnitude := bits & 0x7fffffff; {
	case magnitude > 0x7f800000:
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case magnitude < 0x38800000: // below the smallest normal half, 2^-14
		// Adding 1/2 leaves a multiple of 2^-24, rounded, in the mantissa.
		return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5)-0x3f000000)
	default:
		return sign | uint16((magnitude-0x38000000+0xfff+magnitude>>13&1)>>13)
	}
}

// FromFloat16 is exact.
func FromFloat16(h uint16) float32 {
	sign, magnitude := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	if magnitude >= 0x7c00 {
		return math.Float32frombits(sign | 0x7f800000 | magnitude&0x3ff<<13)
	}
	// The bits in float32's places are 2^-112 times the value, exactly.
	v := math.Float32frombits(magnitude<<13) * 0x1p112
	return math.Float32frombits(sign | math.Float32bits(v))
}

// FromFloat8 is the value of a float8 e4m3 (no infinities), exactly, but that
// the two encodings of NaN are read as ±480.
func FromFloat8(b uint8) float32 {
	return math.Float32frombits(uint32(b&0x80)<<24|uint32(b&0x7f)<<20) * 0x1p120
}
