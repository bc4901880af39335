package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lanes is the number of float32 values in one AVX2 register.
const lanes = 8

// routine starts an assembly function that keeps no pointer it is given.
func routine(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

func labelRef(name string) LabelRef { return LabelRef(name) }

// maskTable emits a read-only table of 16 all-ones words followed by 16
// zeros. Eight words read at offset 4·(16-n) are a mask for the first n of
// eight lanes, and eight words 32 bytes further on the mask for the lanes
// n-8 and on.
func maskTable(name string) Mem {
	table := GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		word := uint32(0)
		if i < 16 {
			word = 0xffffffff
		}
		DATA(4*i, U32(word))
	}
	return table
}

// loadMasks returns masks for the first n of 16 lanes, low half first.
// It leaves n as it was.
func loadMasks(table Mem, n Register) (low, high VecVirtual) {
	base, index := GP64(), GP64()
	LEAQ(table, base)
	MOVQ(n, index)
	NEGQ(index)
	low, high = YMM(), YMM()
	VMOVUPS(Mem{Base: base, Index: index, Scale: 4, Disp: 64}, low)
	VMOVUPS(Mem{Base: base, Index: index, Scale: 4, Disp: 96}, high)
	return low, high
}

// horizontalSum adds the eight lanes of v into lane 0 of the returned
// register. v is destroyed.
func horizontalSum(v VecVirtual) VecVirtual {
	high := XMM()
	VEXTRACTF128(U8(1), v, high)
	VADDPS(v.AsX(), high, v.AsX().(Register))
	VMOVHLPS(v.AsX(), v.AsX(), high)
	VADDPS(v.AsX(), high, high)
	shifted := XMM()
	VMOVSHDUP(high, shifted)
	VADDSS(shifted, high, high)
	return high
}
