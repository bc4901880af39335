package op

import "math"

// Format is how a number is rounded before it is used. Whatever the format, a rounded number is kept as a float32, which holds all
// of them exactly. These are the roundings of the whole program: references and kernels call them.
type Format uint8

// The formats. E4M3 and E5M2 are the 8-bit numbers of "FP8 Formats for Deep Learning" (Micikevicius et al. 2022, table 1): 1 sign
// bit, then bits of exponent and fraction as the names say.
const (
	Float32  Format = iota // as it is
	BFloat16               // float32 with 7 bits of fraction
	E4M3                   // largest 448, steps of 2^−9 below 2^−6
	E5M2                   // largest 57344, steps of 2^−16 below 2^−14
)

func (f Format) String() string {
	switch f {
	case BFloat16:
		return "bf16"
	case E4M3:
		return "e4m3"
	case E5M2:
		return "e5m2"
	}
	return "fp32"
}

// Largest is the largest number of an 8-bit format, 0 for the others.
func (f Format) Largest() float32 {
	switch f {
	case E4M3:
		return 448
	case E5M2:
		return 57344
	}
	return 0
}

// Round gives the nearest number of the format, of two the one whose last bit is 0. Beyond the largest number of an 8-bit format it
// gives that number; bfloat16 goes to infinity as float32 does. A NaN stays one.
func (f Format) Round(v float32) float32 {
	switch f {
	case BFloat16:
		return roundBFloat16(v)
	case E4M3:
		return round8(v, 20, 0x1p-6, 0x1p14, 448)
	case E5M2:
		return round8(v, 21, 0x1p-14, 0x1p7, 57344)
	}
	return v
}

// RoundAll writes the rounded numbers of src to dst, which may be the same memory.
func (f Format) RoundAll(dst, src []float32) {
	dst = dst[:len(src)]
	switch f {
	case Float32:
		copy(dst, src)
	case BFloat16:
		for i, v := range src {
			dst[i] = roundBFloat16(v)
		}
	default:
		for i, v := range src {
			dst[i] = f.Round(v)
		}
	}
}

func roundBFloat16(v float32) float32 {
	if v != v {
		return v
	}
	bits := math.Float32bits(v)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// round8 rounds to a fraction that lacks the last drop bits of float32's. Below the smallest normal number the steps are those of
// float32 at align, so adding and subtracting it rounds to them.
func round8(v float32, drop uint, normal, align, largest float32) float32 {
	bits := math.Float32bits(v)
	sign, size := bits&(1<<31), math.Float32frombits(bits&^(1<<31))
	switch {
	case size != size:
		return v
	case size < normal:
		size = float32(size+align) - align
	case size >= largest:
		size = largest
	default:
		bits &^= 1 << 31
		bits += 1<<(drop-1) - 1 + bits>>drop&1
		size = min(math.Float32frombits(bits&^(1<<drop-1)), largest)
	}
	return math.Float32frombits(math.Float32bits(size) | sign)
}
