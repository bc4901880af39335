package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packFamily emits what brings operands into the words that the AVX-512 tiles
// multiply: float32 values, or pairs of bfloat16 values.
func packFamily() {
	prefetch()
	packWords()
	packPairs()
	packLine()
	packHalves()
	widenHalves()
	bf16Convert()
	convertFloat8()
	convertInt8()
}

func prefetch() {
	routine("prefetchAMD64", "func(src uintptr, stride, rows, lines int)",
		"prefetchAMD64 asks for lines cache lines of each row, stride bytes apart, in the second cache.")
	src := Load(Param("src"), GP64())
	stride := Load(Param("stride"), GP64())
	rows := Load(Param("rows"), GP64())
	lines := Load(Param("lines"), GP64())
	at, left := GP64(), GP64()
	Label("rows")
	MOVQ(src, at)
	MOVQ(lines, left)
	Label("lines")
	PREFETCHT1(Mem{Base: at})
	ADDQ(U8(64), at)
	DECQ(left)
	JNZ(labelRef("lines"))
	ADDQ(stride, src)
	DECQ(rows)
	JNZ(labelRef("rows"))
	RET()
}

// packSource loads the operands that the packers of 16 columns have in common;
// a source row is 2^shift bytes a value.
func packSource(shift uint8) (count, src, srcRow, dst, dstRow Register) {
	count = Load(Param("k"), GP64())
	src = Load(Param("src"), GP64())
	srcRow = Load(Param("srcRow"), GP64())
	SHLQ(U8(shift), srcRow)
	dst = Load(Param("dst"), GP64())
	dstRow = bytes("dstRow")
	return count, src, srcRow, dst, dstRow
}

func packWords() {
	routine("packWordsAVX512", "func(k int, src *float32, srcRow int, dst *float32, dstRow int)",
		"packWordsAVX512 copies k rows of 16 values.")
	k, src, srcRow, dst, dstRow := packSource(2)
	v := ZMM()
	Label("loop")
	VMOVUPS(Mem{Base: src}, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(srcRow, src)
	ADDQ(dstRow, dst)
	DECQ(k)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func packPairs() {
	order := GLOBL("pairOrder", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)|uint32(16+i)<<16))
	}
	routine("packPairsAVX512", "func(k int, src *float32, srcRow int, dst *float32, dstRow int)",
		"packPairsAVX512 rounds 2k rows of 16 values to k rows of pairs; the even row is in the lower halves.",
		"What is below the smallest normal becomes 0, as it does in products.")
	k, src, srcRow, dst, dstRow := packSource(2)
	const high, low, both, places = 0, 1, 2, 3
	VMOVDQU32(order, z(places))
	Label("loop")
	VMOVUPS(Mem{Base: src}, z(low))
	VMOVUPS(Mem{Base: src, Index: srcRow, Scale: 1}, z(high))
	roundTwoBF16(high, low, both)
	VPERMW(z(both), z(places), z(both))
	VMOVDQU32(z(both), Mem{Base: dst})
	LEAQ(Mem{Base: src, Index: srcRow, Scale: 2}, src)
	ADDQ(dstRow, dst)
	DECQ(k)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

// packLine rounds a row that is packed by itself.
func packLine() {
	routine("packLineAVX512", "func(dst *uint16, x *float32, n int)",
		"packLineAVX512 rounds n values, a multiple of 16.",
		"What is below the smallest normal becomes 0, as it does in products.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	const from, to = 0, 1
	Label("loop")
	VMOVUPS(Mem{Base: x}, z(from))
	roundOneBF16(from, to)
	VMOVDQU(y(to), Mem{Base: dst})
	ADDQ(U8(64), x)
	ADDQ(U8(32), dst)
	SUBQ(U8(16), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func packHalves() {
	routine("packHalvesAVX512", "func(k int, src *uint16, srcRow int, dst *float32, dstRow int)",
		"packHalvesAVX512 brings 2k rows of 16 bfloat16 values together to k rows of pairs; the even row is in the lower halves.")
	k, src, srcRow, dst, dstRow := packSource(1)
	v, w := ZMM(), ZMM()
	Label("loop")
	VPMOVZXWD(Mem{Base: src}, v)
	VPMOVZXWD(Mem{Base: src, Index: srcRow, Scale: 1}, w)
	VPSLLD(U8(16), w, w)
	VPORD(v, w, w)
	VMOVDQU32(w, Mem{Base: dst})
	LEAQ(Mem{Base: src, Index: srcRow, Scale: 2}, src)
	ADDQ(dstRow, dst)
	DECQ(k)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func widenHalves() {
	routine("widenHalvesAVX512", "func(k int, src *uint16, srcRow int, dst *float32, dstRow int)",
		"widenHalvesAVX512 widens k rows of 16 bfloat16 values.")
	k, src, srcRow, dst, dstRow := packSource(1)
	Label("loop")
	VMOVDQU32(loadBFloat16(avx512Vectors, Mem{Base: src}, nil), Mem{Base: dst})
	ADDQ(srcRow, src)
	ADDQ(dstRow, dst)
	DECQ(k)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

// bf16Rounded loads 16 float32 values and rounds them to bfloat16, in the upper
// halves; what is in the lower halves is left over. A NaN stays one.
func bf16Rounded(m Mem, one, bias, quiet VecVirtual) VecVirtual {
	v := ZMM()
	VMOVUPS(m, v)
	return bf16RoundedRegister(v, one, bias, quiet)
}

func bf16RoundedRegister(v, one, bias, quiet VecVirtual) VecVirtual {
	odd := ZMM()
	strange := K()
	VCMPPS(U8(unordered), v, v, strange)
	VPSRLD(U8(16), v, odd)
	VPANDD(one, odd, odd)
	VPADDD(bias, odd, odd)
	r := ZMM()
	VPADDD(odd, v, r)
	VPORD(quiet, v, strange, r)
	return r
}

// word is a register that holds the bits in all places.
func word(bits uint32) VecVirtual {
	r, v := GP32(), ZMM()
	MOVL(U32(bits), r)
	VPBROADCASTD(r, v)
	return v
}

// storeBF16 writes 16 values rounded to bfloat16.
func storeBF16(v VecVirtual, to Mem) {
	VPSRLD(U8(16), v, v)
	VPMOVDW(v, to)
}

func bf16Convert() {
	routine("bf16ConvertAVX512", "func(dst *uint16, x *float32, n int)", "bf16ConvertAVX512 rounds n values, a multiple of 16.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	one, bias, quiet := word(1), word(0x7fff), word(0x400000)
	Label("loop")
	storeBF16(bf16Rounded(Mem{Base: x}, one, bias, quiet), Mem{Base: dst})
	ADDQ(U8(64), x)
	ADDQ(U8(32), dst)
	SUBQ(U8(16), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func convertFloat8() {
	routine("convertFloat8AVX512", "func(dst *uint16, x *byte, n int, scale float32)",
		"convertFloat8AVX512 rounds n float8 values, a multiple of 16, times scale·2^-120 to bfloat16.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	scaleParam, _ := Param("scale").Resolve()
	scale := ZMM()
	VBROADCASTSS(scaleParam.Addr, scale)
	one, bias, quiet := word(1), word(0x7fff), word(0x400000)
	places := float8Places(avx512Vectors)
	Label("loop")
	v := loadFloat8(avx512Vectors, Mem{Base: x}, places)
	VMULPS(scale, v, v)
	storeBF16(bf16RoundedRegister(v, one, bias, quiet), Mem{Base: dst})
	ADDQ(U8(16), x)
	ADDQ(U8(32), dst)
	SUBQ(U8(16), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func convertInt8() {
	routine("convertInt8AVX512", "func(dst *uint16, x *byte, n int, scales *uint16)",
		"convertInt8AVX512 rounds n int8 values, a multiple of 32, each 32 of them times a float16 scale, to bfloat16.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	scales := Load(Param("scales"), GP64())
	one, bias, quiet := word(1), word(0x7fff), word(0x400000)
	half, scale := YMM(), ZMM()
	Label("loop")
	VPBROADCASTW(Mem{Base: scales}, half)
	VCVTPH2PS(half, scale)
	for i := range 2 {
		v := loadInt8(avx512Vectors, Mem{Base: x, Disp: 16 * i}, nil)
		VMULPS(scale, v, v)
		storeBF16(bf16RoundedRegister(v, one, bias, quiet), Mem{Base: dst, Disp: 32 * i})
	}
	ADDQ(U8(2), scales)
	ADDQ(U8(32), x)
	ADDQ(U8(64), dst)
	SUBQ(U8(32), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}
