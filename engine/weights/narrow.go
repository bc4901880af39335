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

// BlockScales gives the scale of each block (height × width, partial at the edges) of values with so many columns, row by row, as
// DeepSeek-V3 is published: largest size in the block / 448, and 1 for a block of zeros.
func BlockScales(scales, values []float32, columns, height, width int) {
	clear(scales)
	across := blocks(columns, width)
	for i := 0; i*columns < len(values); i++ {
		row, line := values[i*columns:][:columns], scales[i/height*across:][:across]
		for b := range line {
			largest := line[b]
			for _, v := range row[b*width : min((b+1)*width, columns)] {
				largest = max(largest, v, -v)
			}
			line[b] = largest
		}
	}
	for b, largest := range scales {
		if scales[b] = largest / 448; scales[b] == 0 {
			scales[b] = 1
		}
	}
}

// Quantize stores values as codes of e4m3fn with BlockScales: code = value / scale, rounded. codes has an entry for each value, scales
// one for each block; both are filled in.
func Quantize(codes []byte, scales, values []float32, columns, height, width int) {
	BlockScales(scales, values, columns, height, width)
	across := blocks(columns, width)
	for i := 0; i*columns < len(values); i++ {
		row, out := values[i*columns:][:columns], codes[i*columns:][:columns]
		for b, scale := range scales[i/height*across:][:across] {
			for j := b * width; j < min((b+1)*width, columns); j++ {
				out[j] = toFloat8(row[j] / scale)
			}
		}
	}
}
