package main

import (
	"encoding/binary"
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The instructions on bfloat16 values, VDPBF16PS and the roundings of float32
// values, are unknown to Go's assembler and so written as bytes. Registers must
// therefore be chosen by hand in the routines that use them: z is register i of
// the 32.
func z(i int) VecPhysical { return zRegisters[i] }

var zRegisters = [32]VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

// dotBF16 emits sum += x·y: lane i of sum, a float32, gains the products of
// the bfloat16 pairs in lane i of x and y.
func dotBF16(x, y, sum int) { dotProductBF16.emit(x, y, sum, z(x), z(y), z(sum)) }

// roundTwoBF16 rounds 16 float32 values of low and 16 of high to the lower and
// the upper half of to; what is below the smallest normal becomes 0.
func roundTwoBF16(high, low, to int) { roundTwo.emit(high, low, to, z(high), z(low)) }

// roundOneBF16 rounds 16 float32 values to the lower half of to likewise.
func roundOneBF16(from, to int) { roundOne.emit(0, from, to, z(from)) }

// bf16Instruction is an instruction of AVX-512 BF16 on 512-bit registers.
type bf16Instruction struct {
	name     string
	prefix   byte // pp of EVEX: 0b10 is F3, 0b11 F2
	opcode   byte
	operands int
}

// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
var (
	dotProductBF16 = bf16Instruction{"VDPBF16PS", 0b10, 0x52, 3}
	roundTwo       = bf16Instruction{"VCVTNE2PS2BF16", 0b11, 0x72, 3}
	roundOne       = bf16Instruction{"VCVTNEPS2BF16", 0b10, 0x72, 2}
)

// text is the instruction as Go's assembler would write it.
func (b bf16Instruction) text(x, y, to int) string {
	if b.operands == 2 {
		return fmt.Sprintf("%s Z%d, Y%d", b.name, y, to)
	}
	return fmt.Sprintf("%s Z%d, Z%d, Z%d", b.name, y, x, to)
}

// emit writes the instruction after a comment that the test which decodes it
// reads.
func (b bf16Instruction) emit(x, y, to int, in ...Op) {
	code := b.encode(x, y, to)
	Comment(b.text(x, y, to))
	Instruction(&ir.Instruction{
		Opcode:   "LONG",
		Operands: []Op{U32(binary.LittleEndian.Uint32(code[:4]))},
		Inputs:   in,
		Outputs:  []Op{z(to)},
	})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(code[4:]))}})
}

// encode is EVEX.512.prefix.0F38.W0 opcode /r with to as ModRM:reg, x as vvvv
// (register 0 if there is none) and y as ModRM:r/m (volume 2, 2.7.1). The bits
// that extend register numbers are stored inverted.
func (b bf16Instruction) encode(x, y, to int) [6]byte {
	bit := func(n, i int) byte { return byte(n>>i) & 1 }
	inverted := func(n, i int) byte { return 1 - bit(n, i) }
	return [6]byte{
		0x62,
		// R, X, B, R', 0, the opcode map 0F38.
		inverted(to, 3)<<7 | inverted(y, 4)<<6 | inverted(y, 3)<<5 | inverted(to, 4)<<4 | 0b010,
		// W = 0, vvvv, 1, the prefix.
		byte(^x&15)<<3 | 0b100 | b.prefix,
		// No zeroing, 512 bits, no broadcast, V', no mask.
		0b10<<5 | inverted(x, 4)<<3,
		b.opcode,
		0b11<<6 | byte(to&7)<<3 | byte(y&7),
	}
}
