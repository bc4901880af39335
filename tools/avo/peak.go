package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// peakWidth independent sums hide the latency of a multiply-add.
const peakWidth = 12

// peakFamily emits loops that do nothing but multiply and add in registers:
// what a core can do at most.
func peakFamily() {
	peak("peakFMAAVX2", "fused multiply-adds of eight float32 values", func(i int) {
		sum, zero := y(i), y(peakWidth)
		VFMADD231PS(zero, zero, sum)
	})
	peak("peakBF16AVX512", "dot products of sixteen pairs of bfloat16 values", func(i int) {
		dotBF16(peakWidth, peakWidth, i)
	})
	peak("peakInt8AVX512", "dot products of sixteen quadruples of int8 values", func(i int) {
		VPDPBUSD(z(peakWidth), z(peakWidth), z(i))
	})
}

func y(i int) Register { return zRegisters[i].AsY() }

func peak(name, what string, step func(i int)) {
	routine(name, "func(n int)", name+" does n times twelve independent "+what+".")
	n := Load(Param("n"), RAX)
	for i := range peakWidth + 1 {
		VXORPS(y(i), y(i), y(i))
	}
	Label("loop")
	for i := range peakWidth {
		step(i)
	}
	DECQ(n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}
