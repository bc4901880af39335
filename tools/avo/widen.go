package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// widenFamily emits the routines that widen weights with scales to float32.
func widenFamily() {
	for _, l := range []vectorLevel{avx2Vectors, avx512Vectors} {
		for _, f := range weightFormats {
			if f.scaled != "" {
				widenScaled(l, f)
			}
		}
	}
}

// widenScaled emits dst[i] = w[i] times its scale for n values, a multiple of
// weightStep above 0.
func widenScaled(l vectorLevel, f weightFormat) {
	name := fmt.Sprintf("widen%s%s", f.name, l.name)
	scaleType := "*uint16"
	if f.scaled == "all" {
		scaleType = "float32"
	}
	routine(name, "func(dst *float32, w *byte, n int, scale "+scaleType+")", fmt.Sprintf("%s is a weightRoutines.widen%s.", name, f.name))
	dst := Load(Param("dst"), GP64())
	w := Load(Param("w"), GP64())
	n := Load(Param("n"), GP64())
	var scale Register
	if f.scaled == "each" {
		scale = Load(Param("scale"), GP64())
	}
	var constants []VecVirtual
	if f.setup != nil {
		constants = f.setup(l)
	}
	factor := l.register()
	if f.scaled == "all" {
		scaleParam, _ := Param("scale").Resolve()
		VBROADCASTSS(scaleParam.Addr, factor)
	}
	Label("loop")
	if f.scaled == "each" {
		half := l.narrow()
		VPBROADCASTW(Mem{Base: scale}, half)
		VCVTPH2PS(half, factor)
		ADDQ(U8(2), scale)
	}
	for v := 0; v < weightStep; v += l.lanes {
		value := f.load(l, Mem{Base: w, Disp: v}, constants)
		VMULPS(factor, value, value)
		VMOVUPS(value, Mem{Base: dst, Disp: 4 * v})
	}
	ADDQ(U8(weightStep), w)
	ADDQ(U32(4*weightStep), dst)
	SUBQ(U8(weightStep), n)
	JNZ(labelRef("loop"))
	VZEROUPPER()
	RET()
}
