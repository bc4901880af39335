package weights

import (
	"encoding/binary"
	"math"
)

// Dtype is how a file stores the numbers of a tensor, as safetensors names it.
type Dtype string

// The types that forge reads; it writes F32.
const (
	F64  Dtype = "F64"
	F32  Dtype = "F32"
	F16  Dtype = "F16"
	BF16 Dtype = "BF16"
	F8   Dtype = "F8_E4M3" // e4m3fn: no infinities, largest 448
	I64  Dtype = "I64"
	I32  Dtype = "I32"
	U8   Dtype = "U8"
)

// Size is the bytes of a number, 0 for a type that forge does not read.
func (d Dtype) Size() int {
	switch d {
	case F64, I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16:
		return 2
	case F8, U8:
		return 1
	}
	return 0
}

// widen turns the little-endian numbers of src into float32. Every F16, BF16, F8 and U8 is a float32 exactly; F64 and wide
// integers are rounded.
func (d Dtype) widen(dst []float32, src []byte) {
	le := binary.LittleEndian
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = halfToFloat(le.Uint16(src[2*i:]))
		}
	case F8:
		for i := range dst {
			dst[i] = float8[src[i]]
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	case I64:
		for i := range dst {
			dst[i] = float32(int64(le.Uint64(src[8*i:])))
		}
	case I32:
		for i := range dst {
			dst[i] = float32(int32(le.Uint32(src[4*i:])))
		}
	case U8:
		for i := range dst {
			dst[i] = float32(src[i])
		}
	}
}

// halfToFloat widens an IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero or subnormal: fraction · 2^−24
		v := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// float8 holds the value of each code of e4m3fn: 1 sign, 4 exponent (bias 7), 3 fraction bits; all ones is not a number.
var float8 = func() (table [256]float32) {
	for code := range table {
		exponent, fraction := code>>3&15, float64(code&7)
		v := math.Ldexp(1+fraction/8, exponent-7)
		switch {
		case code&0x7f == 0x7f:
			v = math.NaN()
		case exponent == 0:
			v = math.Ldexp(fraction/8, -6)
		}
		if code&0x80 != 0 {
			v = -v
		}
		table[code] = float32(v)
	}
	return table
}()
