package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weightFamily emits the products of few rows with weights stored narrowly.
func weightFamily() {
	for _, l := range []vectorLevel{avx2Vectors, avx512Vectors} {
		for _, f := range weightFormats {
			for _, shape := range l.dotShapes {
				weightDot(l, f, shape[0], shape[1])
			}
		}
	}
}

// vectorLevel is a width of registers.
type vectorLevel struct {
	name      string
	lanes     int // float32 values in a register
	register  func() VecVirtual
	narrow    func() VecVirtual // half as wide
	dotShapes [][2]int          // rows of x, outputs
}

var (
	avx2Vectors   = vectorLevel{"AVX2", 8, YMM, XMM, [][2]int{{4, 2}, {2, 4}, {1, 4}, {1, 1}}}
	avx512Vectors = vectorLevel{"AVX512", 16, ZMM, YMM, [][2]int{{8, 2}, {7, 2}, {6, 2}, {5, 4}, {4, 4}, {3, 4}, {2, 4}, {1, 4}, {1, 1}}}
)

// horizontalSum adds the lanes of v into lane 0 of the returned register.
func (l vectorLevel) horizontalSum(v VecVirtual) VecVirtual {
	if l.lanes == 8 {
		return horizontalSum(v)
	}
	// With instructions that reach all 32 registers.
	half, quarter, shifted := YMM(), XMM(), XMM()
	VEXTRACTF64X4(U8(1), v, half)
	VADDPS(v.AsY(), half, half)
	VEXTRACTF32X4(U8(1), half, quarter)
	VADDPS(half.AsX(), quarter, quarter)
	VMOVHLPS(quarter, quarter, shifted)
	VADDPS(shifted, quarter, quarter)
	VMOVSHDUP(quarter, shifted)
	VADDSS(shifted, quarter, quarter)
	return quarter
}

// weightStep is the number of inputs of a block of int8 weights, and of a round
// of every dot product.
const weightStep = 32

// weightFormat says how a weight is stored.
type weightFormat struct {
	name  string
	bytes int // of a weight
	// scaled formats have a scale for each weightStep inputs: "each" its own
	// for every output, in float16, or "all" one, in float32.
	scaled string
	// load returns lanes float32 values; constants are prepared by setup.
	load  func(l vectorLevel, m Mem, constants []VecVirtual) VecVirtual
	setup func(l vectorLevel) []VecVirtual
}

var weightFormats = []weightFormat{
	{name: "Float32", bytes: 4, load: func(l vectorLevel, m Mem, _ []VecVirtual) VecVirtual {
		v := l.register()
		VMOVUPS(m, v)
		return v
	}},
	{name: "BFloat16", bytes: 2, load: loadBFloat16},
	// Float8 e4m3 in the places of float32: sign to the top, exponent and
	// mantissa to bits 20 to 26. The scale holds the factor 2^120 that corrects
	// the exponent, subnormal values included.
	{name: "Float8", bytes: 1, scaled: "all", load: loadFloat8, setup: float8Places},
	{name: "Int8", bytes: 1, scaled: "each", load: loadInt8},
}

func loadBFloat16(l vectorLevel, m Mem, _ []VecVirtual) VecVirtual {
	v := l.register()
	VPMOVZXWD(m, v)
	VPSLLD(U8(16), v, v)
	return v
}

// loadFloat8 gives 2^-120 times the values.
func loadFloat8(l vectorLevel, m Mem, places []VecVirtual) VecVirtual {
	v := l.register()
	VPMOVSXBD(m, v)
	VPSLLD(U8(20), v, v)
	if l.lanes == 16 {
		VPANDD(places[0], v, v)
	} else {
		VPAND(places[0], v, v)
	}
	return v
}

// float8Places is the mask of loadFloat8.
func float8Places(l vectorLevel) []VecVirtual {
	bits := GP32()
	MOVL(U32(0x87f00000), bits)
	low, all := XMM(), l.register()
	VMOVD(bits, low)
	VPBROADCASTD(low, all)
	return []VecVirtual{all}
}

func loadInt8(l vectorLevel, m Mem, _ []VecVirtual) VecVirtual {
	v := l.register()
	VPMOVSXBD(m, v)
	VCVTDQ2PS(v, v)
	return v
}

// strided addresses base + i·stride for i < 4, given 3·stride.
func strided(base, stride, stride3 Register, i, displacement int) Mem {
	m := Mem{Base: base, Disp: displacement}
	switch i {
	case 1, 2:
		m.Index, m.Scale = stride, uint8(i)
	case 3:
		m.Index, m.Scale = stride3, 1
	}
	return m
}

// triple returns 3·stride in a register of its own.
func triple(stride Register) Register {
	r := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r)
	return r
}

// clear sets a register to zero.
func clear(v VecVirtual, l vectorLevel) {
	if l.lanes == 16 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// weightDot emits y[i, j] += Σ over k of x[i, k]·w[j, k] for rows rows and n
// outputs, n a multiple of cols and k a multiple of weightStep, both above 0.
// Strides are in bytes.
func weightDot(l vectorLevel, f weightFormat, rows, cols int) {
	name := fmt.Sprintf("weightDot%dx%d%s%s", rows, cols, f.name, l.name)
	routine(name, "func(n, k int, x *float32, xRow int, w *byte, wRow int, scale *byte, scaleRow int, y *float32, yRow int, ahead uintptr)",
		fmt.Sprintf("%s is a weightRoutines.dot of %d rows, %d outputs at a time.", name, rows, cols))
	xRow := Load(Param("xRow"), GP64())
	wRow := Load(Param("wRow"), GP64())
	xRow3, wRow3 := xRow, wRow
	if rows > 3 {
		xRow3 = triple(xRow)
	}
	if cols > 3 {
		wRow3 = triple(wRow)
	}
	var scaleRow, scaleRow3 Register
	if f.scaled == "each" && cols > 1 {
		scaleRow = Load(Param("scaleRow"), GP64())
		scaleRow3 = scaleRow
		if cols > 3 {
			scaleRow3 = triple(scaleRow)
		}
	}
	var constants []VecVirtual
	if f.setup != nil {
		constants = f.setup(l)
	}
	n, _ := Param("n").Resolve()
	wParam, _ := Param("w").Resolve()
	scaleParam, _ := Param("scale").Resolve()
	y := Load(Param("y"), GP64())
	Label("outputs")
	x := Load(Param("x"), GP64())
	bases := []Register{x}
	if rows > 4 {
		second := GP64()
		LEAQ(Mem{Base: x, Index: xRow, Scale: 4}, second)
		bases = append(bases, second)
	}
	w := GP64()
	MOVQ(wParam.Addr, w)
	var scale Register
	if f.scaled != "" {
		scale = GP64()
		MOVQ(scaleParam.Addr, scale)
	}
	acc := make([]VecVirtual, rows*cols)
	for i := range acc {
		acc[i] = l.register()
		clear(acc[i], l)
	}
	k := Load(Param("k"), GP64())
	// As many weights as are read are asked for, in the second cache: the first
	// has too few places for lines that are on their way from memory.
	ahead := Load(Param("ahead"), GP64())
	Label("inputs")
	for line := 0; line < cols*f.bytes*weightStep; line += 64 {
		PREFETCHT1(Mem{Base: ahead, Disp: line})
	}
	ADDQ(U32(uint32(cols*f.bytes*weightStep)), ahead)
	scales := make([]VecVirtual, cols)
	switch f.scaled {
	case "all":
		scales[0] = l.register()
		VBROADCASTSS(Mem{Base: scale}, scales[0])
		for j := range scales {
			scales[j] = scales[0]
		}
		ADDQ(U8(4), scale)
	case "each":
		for j := range scales {
			half := l.narrow()
			scales[j] = l.register()
			VPBROADCASTW(strided(scale, scaleRow, scaleRow3, j, 0), half)
			VCVTPH2PS(half, scales[j])
		}
		ADDQ(U8(2), scale)
	}
	for v := 0; v < weightStep; v += l.lanes {
		values := make([]VecVirtual, cols)
		for j := range values {
			values[j] = f.load(l, strided(w, wRow, wRow3, j, v*f.bytes), constants)
			if f.scaled != "" {
				VMULPS(scales[j], values[j], values[j])
			}
		}
		for i := range rows {
			xv := l.register()
			VMOVUPS(strided(bases[i/4], xRow, xRow3, i%4, 4*v), xv)
			for j := range cols {
				VFMADD231PS(values[j], xv, acc[i*cols+j])
			}
		}
	}
	for _, base := range bases {
		ADDQ(U32(4*weightStep), base)
	}
	ADDQ(U32(uint32(f.bytes*weightStep)), w)
	SUBQ(U8(weightStep), k)
	JNZ(labelRef("inputs"))

	aheadParam, _ := Param("ahead").Resolve()
	MOVQ(ahead, aheadParam.Addr)
	addSums(l, acc, rows, cols, y)
	ADDQ(U8(4*cols), y)
	// The parameters are this routine's own memory: the next outputs.
	advance := func(param Mem, stride Register) {
		for range cols {
			ADDQ(stride, param)
		}
	}
	advance(wParam.Addr, wRow)
	if f.scaled == "each" {
		if scaleRow == nil {
			scaleRow = Load(Param("scaleRow"), GP64())
		}
		advance(scaleParam.Addr, scaleRow)
	}
	SUBQ(U8(uint8(cols)), n.Addr)
	JNZ(labelRef("outputs"))
	VZEROUPPER()
	RET()
}

// addSums adds the sums of the lanes of each register, rows × cols of them, to
// the rows of y.
func addSums(l vectorLevel, acc []VecVirtual, rows, cols int, y Register) {
	yRow := Load(Param("yRow"), GP64())
	to := GP64()
	MOVQ(y, to)
	if cols == 1 {
		for i := range rows {
			total := l.horizontalSum(acc[i])
			VADDSS(Mem{Base: to}, total, total)
			VMOVSS(total, Mem{Base: to})
			if i < rows-1 {
				ADDQ(yRow, to)
			}
		}
		return
	}
	// Four registers become one of four sums: a row of y, or two halves of rows.
	for i := 0; i < len(acc); i += 4 {
		four := [4]VecVirtual{}
		for x := range four {
			four[x] = acc[min(i+x, len(acc)-2+x%2)]
		}
		sums := l.fourSums(four)
		old := XMM()
		if cols == 4 {
			VADDPS(Mem{Base: to}, sums, sums)
			VMOVUPS(sums, Mem{Base: to})
			ADDQ(yRow, to)
			continue
		}
		second := i+4 <= len(acc)
		VXORPS(old, old, old)
		VMOVLPS(Mem{Base: to}, old, old)
		if second {
			VMOVHPS(Mem{Base: to, Index: yRow, Scale: 1}, old, old)
		}
		VADDPS(old, sums, sums)
		VMOVLPS(sums, Mem{Base: to})
		if second {
			VMOVHPS(sums, Mem{Base: to, Index: yRow, Scale: 1})
		}
		LEAQ(Mem{Base: to, Index: yRow, Scale: 2}, to)
	}
}

// fourSums are the sums of the lanes of four registers, one after the other.
func (l vectorLevel) fourSums(v [4]VecVirtual) VecVirtual {
	pairs := [2]VecVirtual{}
	for i := range pairs {
		low, high := l.register(), l.register()
		VUNPCKLPS(v[2*i+1], v[2*i], low)
		VUNPCKHPS(v[2*i+1], v[2*i], high)
		VADDPS(low, high, high)
		pairs[i] = high
	}
	low, high := l.register(), l.register()
	VUNPCKLPD(pairs[1], pairs[0], low)
	VUNPCKHPD(pairs[1], pairs[0], high)
	VADDPS(low, high, high)
	half := high
	if l.lanes == 16 {
		half = YMM()
		VEXTRACTF64X4(U8(1), high, half)
		VADDPS(high.AsY(), half, half)
	}
	quarter := XMM()
	if l.lanes == 16 {
		VEXTRACTF32X4(U8(1), half, quarter)
	} else {
		VEXTRACTF128(U8(1), half, quarter)
	}
	VADDPS(half.AsX(), quarter, quarter)
	return quarter
}
