package kernel

import (
	"fmt"
	"math"
)

// Format is how the values of a Weight are stored.
type Format int

const (
	Float32  Format = iota
	BFloat16        // the upper half of a float32
	Float8          // e4m3, with a float32 scale for every block of 128 × 128
	Int8            // with a float16 scale for every 32 inputs of an output
)

func (f Format) String() string {
	return [...]string{"float32", "bfloat16", "float8", "int8"}[f]
}

// bytes is the size of a value without its scale.
func (f Format) bytes() int { return [...]int{4, 2, 1, 1}[f] }

const (
	int8Block   = 32  // inputs that share a scale
	float8Block = 128 // inputs, and outputs, that share a scale
	weightStep  = 32  // inputs that the routines take at a time
)

// Weight is a matrix of Outputs × Inputs values that products with few rows
// read where it lies. The inputs of an output are contiguous, as in published
// checkpoints; with ByInput the outputs of an input are. Only the slice of the
// format is used:
//
//	Float32   Float32s
//	BFloat16  BFloat16s
//	Float8    Bytes; BlockScales[row/128·⌈Columns/128⌉ + column/128]
//	Int8      Bytes, two's complement; HalfScales[row·⌈Columns/32⌉ + column/32]
//
// Scales are those of the matrix that the weight is a part of. Its rows are the
// outputs (ByInput: the inputs) and the others its columns, from Row and Column
// on; Column is a multiple of 32. Columns is 0 for a weight as wide as the matrix.
type Weight struct {
	Format          Format
	Outputs, Inputs int
	Stride          int // from one output (ByInput: input) to the next, in values
	ByInput         bool

	Row, Column, Columns int

	Float32s    []float32
	BFloat16s   []uint16
	Bytes       []uint8
	BlockScales []float32
	HalfScales  []uint16
}

// Size is the number of bytes that a product reads, scales included.
func (w *Weight) Size() int {
	n := w.Outputs * w.Inputs * w.Format.bytes()
	if w.Format == Int8 {
		rows, columns := w.matrix()
		n += 2 * rows * scalesOf(columns, int8Block)
	}
	return n
}

// matrix is the size by rows and columns of the stored matrix.
func (w *Weight) matrix() (rows, columns int) {
	if w.ByInput {
		return w.Inputs, w.Outputs
	}
	return w.Outputs, w.Inputs
}

// scaleColumns is how many scales a row (Float8: a row of blocks) has.
func (w *Weight) scaleColumns(block int) int {
	_, columns := w.matrix()
	return scalesOf(max(w.Columns, columns), block)
}

func scalesOf(n, block int) int { return (n + block - 1) / block }

// mustHold panics when the weight reaches beyond its slices.
func (w *Weight) mustHold() {
	if w.Format < Float32 || w.Format > Int8 {
		panic(fmt.Sprintf("kernel: weight of format %d", int(w.Format)))
	}
	if w.Outputs < 0 || w.Inputs < 0 || w.Stride < 0 {
		panic(fmt.Sprintf("kernel: weight of %d×%d with stride %d", w.Outputs, w.Inputs, w.Stride))
	}
	rows, columns := w.matrix()
	if w.Row < 0 || w.Column < 0 || w.Column%weightStep != 0 || w.Columns != 0 && w.Column+columns > w.Columns {
		panic(fmt.Sprintf("kernel: weight from row %d and column %d of %d on", w.Row, w.Column, w.Columns))
	}
	if w.Outputs == 0 || w.Inputs == 0 {
		return
	}
	need := (rows-1)*w.Stride + columns
	have := [...]int{len(w.Float32s), len(w.BFloat16s), len(w.Bytes), len(w.Bytes)}[w.Format]
	if need > have {
		panic(fmt.Sprintf("kernel: weight of %d×%d with stride %d needs %d values, the slice has %d", w.Outputs, w.Inputs, w.Stride, need, have))
	}
	needScales, haveScales := 0, 0
	switch w.Format {
	case Float8:
		last := (w.Row + rows - 1) / float8Block
		needScales, haveScales = last*w.scaleColumns(float8Block)+(w.Column+columns-1)/float8Block+1, len(w.BlockScales)
	case Int8:
		needScales, haveScales = (w.Row+rows-1)*w.scaleColumns(int8Block)+(w.Column+columns-1)/int8Block+1, len(w.HalfScales)
	}
	if needScales > haveScales {
		panic(fmt.Sprintf("kernel: weight of %d×%d in %v needs %d scales, the slice has %d", w.Outputs, w.Inputs, w.Format, needScales, haveScales))
	}
}

// at is the value of one weight.
func (w *Weight) at(output, input int) float32 {
	if w.ByInput {
		return w.stored(input, output)
	}
	return w.stored(output, input)
}

// stored is the value at a place of the stored matrix.
func (w *Weight) stored(row, column int) float32 {
	i := row*w.Stride + column
	switch w.Format {
	case Float32:
		return w.Float32s[i]
	case BFloat16:
		return FromBFloat16(w.BFloat16s[i])
	case Float8:
		return FromFloat8(w.Bytes[i]) * w.blockScale(row, column)
	}
	return float32(int8(w.Bytes[i])) * FromFloat16(w.HalfScales[w.halfScale(row, column)])
}

func (w *Weight) blockScale(row, column int) float32 {
	return w.BlockScales[(w.Row+row)/float8Block*w.scaleColumns(float8Block)+(w.Column+column)/float8Block]
}

// halfScale is the place of a scale.
func (w *Weight) halfScale(row, column int) int {
	return (w.Row+row)*w.scaleColumns(int8Block) + (w.Column+column)/int8Block
}

// QuantizeInt8 stores rows × cols contiguous values as an Int8 weight of as many
// outputs and inputs, into memory of its own: in each block of 32 inputs the
// largest magnitude becomes 127, rounding is to the nearest, ties to even. A
// block with a value that is not finite, or too large for a float16 scale, has
// no finite scale, and so gives no finite products.
func QuantizeInt8(p *Pool, values []float32, rows, cols int) Weight {
	blocks := scalesOf(cols, int8Block)
	w := Weight{Format: Int8, Outputs: rows, Inputs: cols, Stride: cols, Bytes: make([]uint8, rows*cols), HalfScales: make([]uint16, rows*blocks)}
	parts := min(rows, 4*p.Cuts())
	p.Run(parts, func(part, _ int) {
		from, to := rows*part/parts, rows*(part+1)/parts
		QuantizeRowsInt8(w.Bytes[from*cols:to*cols], w.HalfScales[from*blocks:to*blocks], values[from*cols:to*cols], cols)
	})
	return w
}

// QuantizeRowsInt8 is QuantizeInt8 of some rows, into memory of the caller's.
func QuantizeRowsInt8(bytes []uint8, scales []uint16, values []float32, cols int) {
	blocks := scalesOf(cols, int8Block)
	for o := 0; o*cols < len(values); o++ {
		row, codes := values[o*cols:(o+1)*cols], bytes[o*cols:(o+1)*cols]
		for b := range blocks {
			from, to := b*int8Block, min((b+1)*int8Block, cols)
			scales[o*blocks+b] = quantizeBlock(codes[from:to], row[from:to])
		}
	}
}

// quantizeBlock fills the bytes of one block and returns its scale, a float16.
func quantizeBlock(bytes []uint8, values []float32) (scale uint16) {
	// Magnitudes are in the order of their bits, NaNs above all.
	bits := uint32(0)
	for _, v := range values {
		bits = max(bits, math.Float32bits(v)&^(1<<31))
	}
	scale = ToFloat16(math.Float32frombits(bits) / 127)
	// The values are divided by the scale as it was stored.
	s := FromFloat16(scale)
	inverse := float32(0)
	if s > 0 && !math.IsInf(float64(s), 0) {
		inverse = 1 / s
	}
	if inverse == 0 {
		clear(bytes)
		return scale
	}
	const whole = 0x1.8p23 // a sum with it keeps whole numbers only, rounded to the nearest, ties to even
	for i, v := range values {
		q := int32(float32(float32(v*inverse)+whole) - whole)
		bytes[i] = uint8(int8(min(max(q, -127), 127)))
	}
	return scale
}
