package weights

import (
	"encoding/binary"
	"math"

	"forge/backends"
)

// Dtype is how a file stores the numbers of a tensor, as safetensors names it.
type Dtype string

// The types that forge reads; it writes F32, BF16 and F8.
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
			dst[i] = backends.FromFloat16(le.Uint16(src[2*i:]))
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

// float8 holds the value of each code of F8.
var float8 = func() (table [256]float32) {
	for code := range table {
		table[code] = backends.FromFloat8(byte(code))
	}
	return table
}()
