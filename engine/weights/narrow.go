package weights

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Write writes values as the type stores them: F32, BF16 or F8, rounded to the nearest, ties to the even one.
func (d Dtype) Write(w io.Writer, values []float32) error {
	size := d.Size()
	buffer := make([]byte, min(len(values)*size, 1<<18))
	for len(values) > 0 {
		n := min(len(values), len(buffer)/size)
		if err := d.narrow(buffer, values[:n]); err != nil {
			return err
		}
		if _, err := w.Write(buffer[:n*size]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// narrow stores values as F32, BF16 or F8; what lies between two numbers goes to the nearest, ties to the even one.
func (d Dtype) narrow(dst []byte, values []float32) error {
	switch d {
	case F32:
		for i, v := range values {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case BF16:
		for i, v := range values {
			binary.LittleEndian.PutUint16(dst[2*i:], toBFloat16(v))
		}
	case F8:
		for i, v := range values {
			dst[i] = toFloat8(v)
		}
	default:
		return fmt.Errorf("forge does not write tensors of type %s", d)
	}
	return nil
}

func toBFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40 // a NaN must stay one when its low bits go
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// toFloat8 gives the code of e4m3fn nearest to v; beyond 448 it is 448.
func toFloat8(v float32) byte {
	bits := math.Float32bits(v)
	sign, size := byte(bits>>24)&0x80, bits&0x7fffffff
	switch {
	case size > 0x7f800000:
		return sign | 0x7f
	case size >= 0x43e80000: // 464, halfway to the 480 that e4m3fn has no code for
		return sign | 0x7e
	case size < 0x3c800000: // 2^-6: subnormal, multiples of 2^-9
		return sign | byte(math.RoundToEven(float64(math.Float32frombits(size))*512))
	}
	size += 0x7ffff + size>>20&1
	return sign | byte(size>>20-(127-7)<<3)
}

// Quantize stores rows × columns values as codes of e4m3fn with a scale for each block (height × width, partial at the edges), as
// DeepSeek-V3 is published: scale = largest size in the block / 448, code = value / scale rounded. A block of zeros has the scale 1.
// codes has rows·columns entries; scales one for each block, row by row.
func Quantize(codes []byte, scales, values []float32, columns, height, width int) {
	rows := len(values) / columns
	across := blocks(columns, width)
	for r := 0; r < rows; r += height {
		for b := range across {
			from, to := b*width, min((b+1)*width, columns)
			largest := float32(0)
			for i := r; i < min(r+height, rows); i++ {
				for _, v := range values[i*columns+from : i*columns+to] {
					largest = max(largest, v, -v)
				}
			}
			scale := largest / 448
			if scale == 0 {
				scale = 1
			}
			scales[r/height*across+b] = scale
			for i := r; i < min(r+height, rows); i++ {
				for j := i*columns + from; j < i*columns+to; j++ {
					codes[j] = toFloat8(values[j] / scale)
				}
			}
		}
	}
}
