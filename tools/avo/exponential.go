package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// expSumWide emits expSum with registers of 16 values: the same polynomial as
// exponential, and a single instruction for the power of two, subnormal results
// included.
func expSumWide() {
	routine("expSumAVX512", "func(dst, x *float32, shift float32, n int) float32", "expSumAVX512 is rowRoutines.expSum.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	fill := func(m Op) VecVirtual {
		r := ZMM()
		VBROADCASTSS(m, r)
		return r
	}
	number := func(v float32) VecVirtual { return fill(constant(v)) }
	shiftParam, _ := Param("shift").Resolve()
	shift := fill(shiftParam.Addr)
	least, most, log2e := number(-105), number(90), number(math.Log2E)
	high, low, one := number(0.693359375), number(-2.12194440e-4), number(1)
	var coefficients []VecVirtual
	for _, c := range []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		coefficients = append(coefficients, number(c))
	}
	exponential := func(v VecVirtual) VecVirtual {
		VSUBPS(shift, v, v)
		// v stays the second operand, which is what the comparison returns for a NaN.
		VMAXPS(v, least, v)
		VMINPS(v, most, v)
		power, p, square := ZMM(), ZMM(), ZMM()
		VMULPS(log2e, v, power)
		VRNDSCALEPS(U8(8), power, power)
		VFNMADD231PS(high, power, v)
		VFNMADD231PS(low, power, v)
		VMOVAPS(coefficients[0], p)
		for _, c := range coefficients[1:] {
			VFMADD213PS(c, v, p)
		}
		VMULPS(v, v, square)
		VFMADD213PS(v, square, p)
		VADDPS(one, p, p)
		VSCALEFPS(power, p, p)
		return p
	}
	sums := []VecVirtual{ZMM(), ZMM()}
	for _, s := range sums {
		VPXORD(s, s, s)
	}
	SUBQ(U8(32), n)
	JL(labelRef("rest"))
	Label("loop")
	for i, s := range sums {
		v := ZMM()
		VMOVUPS(Mem{Base: x, Disp: 64 * i}, v)
		e := exponential(v)
		VMOVUPS(e, Mem{Base: dst, Disp: 64 * i})
		VADDPS(e, s, s)
	}
	ADDQ(U32(128), x)
	ADDQ(U32(128), dst)
	SUBQ(U8(32), n)
	JGE(labelRef("loop"))
	Label("rest")
	ADDQ(U8(32), n)
	JZ(labelRef("done"))
	// 1 to 31 values: 16 at most, then the others.
	Label("masked")
	left, bits, count := K(), GP64(), GP64()
	MOVQ(n, count)
	sixteen := GP64()
	MOVQ(U32(16), sixteen)
	CMPQ(count, sixteen)
	CMOVQGT(sixteen, count)
	XORQ(bits, bits)
	BTSQ(count, bits)
	DECQ(bits)
	KMOVW(bits.As32(), left)
	v := ZMM()
	VMOVUPS_Z(Mem{Base: x}, left, v)
	e := exponential(v)
	VMOVUPS(e, left, Mem{Base: dst})
	VADDPS(e, sums[0], left, sums[0])
	ADDQ(U8(64), x)
	ADDQ(U8(64), dst)
	SUBQ(count, n)
	JNZ(labelRef("masked"))
	Label("done")
	VADDPS(sums[1], sums[0], sums[0])
	Store(avx512Vectors.horizontalSum(sums[0]), ReturnIndex(0))
	VZEROUPPER()
	RET()
}
