package main

import (
	"encoding/binary"
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The dot product of bfloat16 pairs, VDPBF16PS, is unknown to Go's assembler
// and so written as bytes. Registers must therefore be chosen by hand in the
// routines that use it: z is register i of the 32.
func z(i int) VecPhysical { return zRegisters[i] }

var zRegisters = [32]VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

// dotBF16 emits sum += x·y: lane i of sum, a float32, gains the products of
// the bfloat16 pairs in lane i of x and y. The comment before the bytes is
// read by the test that decodes them.
func dotBF16(x, y, sum int) {
	code := encodeDotBF16(x, y, sum)
	Comment(fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", y, x, sum))
	Instruction(&ir.Instruction{
		Opcode:   "LONG",
		Operands: []Op{U32(binary.LittleEndian.Uint32(code[:4]))},
		Inputs:   []Op{z(x), z(y), z(sum)},
		Outputs:  []Op{z(sum)},
	})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(code[4:]))}})
}

// encodeDotBF16 is VDPBF16PS sum, x, y on 512-bit registers: EVEX.512.F3.0F38.W0
// 52 /r (Intel 64 and IA-32 Architectures Software Developer's Manual, volume
// 2, 2.7.1). The bits that extend register numbers are stored inverted.
func encodeDotBF16(x, y, sum int) [6]byte {
	bit := func(n, i int) byte { return byte(n>>i) & 1 }
	inverted := func(n, i int) byte { return 1 - bit(n, i) }
	return [6]byte{
		0x62,
		// R, X, B, R', 0, the opcode map 0F38.
		inverted(sum, 3)<<7 | inverted(y, 4)<<6 | inverted(y, 3)<<5 | inverted(sum, 4)<<4 | 0b010,
		// W = 0, vvvv, 1, the prefix F3.
		byte(^x&15)<<3 | 0b100 | 0b10,
		// No zeroing, 512 bits, no broadcast, V', no mask.
		0b10<<5 | inverted(x, 4)<<3,
		0x52,
		0b11<<6 | byte(sum&7)<<3 | byte(y&7),
	}
}
