package backends

import (
	"encoding/binary"
	"fmt"
	"math"

	"forge/compiler/op"
)

// Format is how the values of a Piece are stored.
type Format uint8

// Formats. Multi-byte values are little-endian.
const (
	Float32  Format = iota
	BFloat16        // the upper half of a float32
	Float16         // IEEE binary16
	Float8          // e4m3fn; times the float32 scale of its block of 128 rows × 128 columns
	Int8            // two's complement; times the float16 scale of its 32 columns of a row
)

// Blocks of values that share a scale.
const (
	Float8Block = 128 // rows, and columns
	Int8Block   = 32  // columns
)

func (f Format) String() string {
	return [...]string{"float32", "bfloat16", "float16", "float8", "int8"}[f]
}

// Size is the bytes of a value without its scale.
func (f Format) Size() int { return [...]int{4, 2, 2, 1, 1}[f] }

// Piece is a matrix as it is stored: in memory, or mapped from a file.
type Piece struct {
	Format        Format
	Rows, Columns int
	Values        []byte    // row by row, without gaps
	Scales        []float32 // of Float8, one for each block, row by row
	HalfScales    []uint16  // of Int8, one for each block, row by row
}

// Stored is a storage as it lies in memory. Its pieces, which have the same number of values, are laid end to end; the strides say
// where in them an entry is. A bank of experts whose tensors are apart has a piece for each; a matrix that a file holds transposed has
// the strides of the transpose.
type Stored struct {
	Type    op.Type // of Float
	Strides []int   // of each axis, in values; nil: row-major
	Pieces  []Piece
	Mapped  bool // from files: the system can give the memory up, and a file that is shortened makes reading fail
}

// Check reports what is wrong with the sizes.
func (s *Stored) Check() error {
	if s.Type.Dtype != op.Float {
		return fmt.Errorf("%v is not stored in pieces", s.Type)
	}
	if len(s.Pieces) == 0 {
		return fmt.Errorf("%v is stored in no piece", s.Type)
	}
	size := s.Pieces[0].Rows * s.Pieces[0].Columns
	for i := range s.Pieces {
		if p := &s.Pieces[i]; p.Rows*p.Columns != size {
			return fmt.Errorf("pieces of %d and %d values", size, p.Rows*p.Columns)
		} else if err := p.check(); err != nil {
			return err
		}
	}
	if all := size * len(s.Pieces); all != s.Type.Shape.Size() || all == 0 {
		return fmt.Errorf("%v has %d values, its pieces %d", s.Type, s.Type.Shape.Size(), all)
	}
	if s.Strides == nil {
		return nil
	}
	if len(s.Strides) != len(s.Type.Shape) {
		return fmt.Errorf("%v has %d axes, not %d strides", s.Type, len(s.Type.Shape), len(s.Strides))
	}
	last := 0
	for i, n := range s.Type.Shape {
		if s.Strides[i] < 0 || s.Strides[i] > size*len(s.Pieces) {
			return fmt.Errorf("%v with strides %v", s.Type, s.Strides)
		}
		last += (n - 1) * s.Strides[i]
	}
	if last >= size*len(s.Pieces) {
		return fmt.Errorf("%v with strides %v reaches beyond its %d values", s.Type, s.Strides, size*len(s.Pieces))
	}
	return nil
}

func (p *Piece) check() error {
	if p.Format > Int8 || p.Rows < 1 || p.Columns < 1 {
		return fmt.Errorf("a piece of %d×%d values in format %d", p.Rows, p.Columns, int(p.Format))
	}
	scales, halfScales := 0, 0
	switch p.Format {
	case Float8:
		scales = blocks(p.Rows, Float8Block) * blocks(p.Columns, Float8Block)
	case Int8:
		halfScales = p.Rows * blocks(p.Columns, Int8Block)
	}
	if bytes := p.Rows * p.Columns * p.Format.Size(); len(p.Values) != bytes || len(p.Scales) != scales || len(p.HalfScales) != halfScales {
		return fmt.Errorf("a piece of %d×%d values in %v has %d bytes and %d scales, not %d and %d",
			p.Rows, p.Columns, p.Format, len(p.Values), len(p.Scales)+len(p.HalfScales), bytes, scales+halfScales)
	}
	return nil
}

// blocks is how many blocks of the given size cover n, the last one partial.
func blocks(n, size int) int { return (n + size - 1) / size }

// Bytes is the memory that the values and scales occupy.
func (s *Stored) Bytes() int64 {
	n := int64(0)
	for i := range s.Pieces {
		p := &s.Pieces[i]
		n += int64(len(p.Values)) + 4*int64(len(p.Scales)) + 2*int64(len(p.HalfScales))
	}
	return n
}

// Read fills dst, which has the type's size, with the entries in row-major order, scales applied.
func (s *Stored) Read(dst []float32) error {
	strides := s.Strides
	if strides == nil {
		strides = RowMajor(s.Type.Shape)
	}
	return Mapped(func() error {
		s.widen(dst, s.Type.Shape, strides, 0)
		return nil
	})
}

func (s *Stored) widen(dst []float32, shape op.Shape, strides []int, at int) {
	if len(shape) == 0 {
		dst[0] = s.Pieces[0].At(at)
		return
	}
	if len(shape) > 1 {
		step := shape[1:].Size()
		for i := range shape[0] {
			s.widen(dst[i*step:(i+1)*step], shape[1:], strides[1:], at+i*strides[0])
		}
		return
	}
	size := s.Pieces[0].Rows * s.Pieces[0].Columns
	for i := range dst {
		dst[i] = s.Pieces[at/size].At(at % size)
		at += strides[0]
	}
}

// At is a value by its place in the piece, scale applied.
func (p *Piece) At(i int) float32 {
	row, column := i/p.Columns, i%p.Columns
	switch p.Format {
	case Float32:
		return math.Float32frombits(binary.LittleEndian.Uint32(p.Values[4*i:]))
	case BFloat16:
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(p.Values[2*i:])) << 16)
	case Float16:
		return FromFloat16(binary.LittleEndian.Uint16(p.Values[2*i:]))
	case Float8:
		return FromFloat8(p.Values[i]) * p.Scales[row/Float8Block*blocks(p.Columns, Float8Block)+column/Float8Block]
	}
	return float32(int8(p.Values[i])) * FromFloat16(p.HalfScales[row*blocks(p.Columns, Int8Block)+column/Int8Block])
}

// FromFloat16 widens an IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
func FromFloat16(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	if rest >= 0x7c00 { // infinite, or not a number
		return math.Float32frombits(sign | 0x7f800000 | rest&0x3ff<<13)
	}
	// The bits in float32's places are 2^-112 times the value, exactly.
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(rest<<13)*0x1p112))
}

// FromFloat8 widens an e4m3fn: 1 sign, 4 exponent (bias 7), 3 fraction bits; all ones is not a number.
func FromFloat8(b byte) float32 {
	if b&0x7f == 0x7f {
		return float32(math.NaN())
	}
	return math.Float32frombits(uint32(b&0x80)<<24|uint32(b&0x7f)<<20) * 0x1p120
}

// RowMajor are the strides of a tensor whose last axis runs fastest, without gaps.
func RowMajor(shape op.Shape) []int {
	strides, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i], n = n, n*shape[i]
	}
	return strides
}
