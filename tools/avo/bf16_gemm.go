package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The tile of bfloat16 products: 12·2 sums, two registers for the pairs of B
// and six for broadcast pairs of A fill the 32 registers.
const (
	bf16TileRows = 12
	bf16TileRegs = 2 // registers across, of 16 columns
)

// bf16Family emits conversion to bfloat16 and the tile of its products.
func bf16Family() {
	bf16Convert()
	bf16Pairs()
	bf16Tile()
}

// bf16Rounded loads 16 float32 values and rounds them to bfloat16, in the upper
// halves; what is in the lower halves is left over. A NaN stays one.
func bf16Rounded(m Mem, one, bias, quiet VecVirtual) VecVirtual {
	v, odd := ZMM(), ZMM()
	VMOVUPS(m, v)
	strange := K()
	VCMPPS(U8(3), v, v, strange)
	VPSRLD(U8(16), v, odd)
	VPANDD(one, odd, odd)
	VPADDD(bias, odd, odd)
	r := ZMM()
	VPADDD(odd, v, r)
	VPORD(quiet, v, strange, r)
	return r
}

func word(bits uint32) VecVirtual {
	r, v := GP32(), ZMM()
	MOVL(U32(bits), r)
	VPBROADCASTD(r, v)
	return v
}

func bf16Convert() {
	routine("bf16ConvertAVX512", "func(dst *uint16, x *float32, n int)", "bf16ConvertAVX512 is bf16Routines.convert.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	one, bias, quiet := word(1), word(0x7fff), word(0x400000)
	Label("loop")
	v := bf16Rounded(Mem{Base: x}, one, bias, quiet)
	VPSRLD(U8(16), v, v)
	VPMOVDW(v, Mem{Base: dst})
	ADDQ(U8(64), x)
	ADDQ(U8(32), dst)
	SUBQ(U8(16), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func bf16Pairs() {
	routine("bf16PairsAVX512", "func(dst *uint32, low, high *float32, n int)", "bf16PairsAVX512 is bf16Routines.pairs.")
	dst := Load(Param("dst"), GP64())
	low := Load(Param("low"), GP64())
	high := Load(Param("high"), GP64())
	n := Load(Param("n"), GP64())
	one, bias, quiet, upper := word(1), word(0x7fff), word(0x400000), word(0xffff0000)
	Label("loop")
	v := bf16Rounded(Mem{Base: low}, one, bias, quiet)
	w := bf16Rounded(Mem{Base: high}, one, bias, quiet)
	VPSRLD(U8(16), v, v)
	VPANDD(upper, w, w)
	VPORD(v, w, w)
	VMOVDQU32(w, Mem{Base: dst})
	for _, r := range []Register{dst, low, high} {
		ADDQ(U8(64), r)
	}
	SUBQ(U8(16), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}

func bf16Tile() {
	routine("bf16TileAVX512", "func(pairs int, a *uint16, aRow int, b *uint32, c *float32, cRow int)", "bf16TileAVX512 is bf16Routines.tile.")
	pairs := Load(Param("pairs"), GP64())
	aRow := Load(Param("aRow"), GP64())
	aRow3 := triple(aRow)
	a := []Register{Load(Param("a"), GP64())}
	for range bf16TileRows/4 - 1 {
		next := GP64()
		LEAQ(Mem{Base: a[len(a)-1], Index: aRow, Scale: 4}, next)
		a = append(a, next)
	}
	b := Load(Param("b"), GP64())
	c := Load(Param("c"), GP64())
	cRow := Load(Param("cRow"), GP64())
	const sums = bf16TileRows * bf16TileRegs
	for i := range sums {
		VPXORD(z(i), z(i), z(i))
	}
	Label("loop")
	for j := range bf16TileRegs {
		VMOVDQU32(Mem{Base: b, Disp: 64 * j}, z(sums+j))
	}
	for i := range bf16TileRows {
		pair := sums + bf16TileRegs + i%6
		VPBROADCASTD(strided(a[i/4], aRow, aRow3, i%4, 0), z(pair))
		for j := range bf16TileRegs {
			dotBF16(pair, sums+j, i*bf16TileRegs+j)
		}
	}
	for _, r := range a {
		ADDQ(U8(4), r)
	}
	ADDQ(U32(64*bf16TileRegs), b)
	DECQ(pairs)
	JNZ(labelRef("loop"))
	for i := range bf16TileRows {
		for j := range bf16TileRegs {
			VADDPS(Mem{Base: c, Disp: 64 * j}, z(i*bf16TileRegs+j), z(i*bf16TileRegs+j))
			VMOVUPS(z(i*bf16TileRegs+j), Mem{Base: c, Disp: 64 * j})
		}
		if i < bf16TileRows-1 {
			ADDQ(cRow, c)
		}
	}
	VZEROUPPER()
	RET()
}
