package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowsFamily emits the inner loops of softmax, normalisation, rotation and the
// optimizer.
func rowsFamily() {
	masks := maskTable("rowMasks")
	expSum(masks)
	elementwise(masks, "rowRoutines", "scaledMul", 4, 2, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return mul(mul(x[0], s), x[1]) })
	elementwise(masks, "rowRoutines", "mulSubScalar", 2, 2, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return mul(sub(x[1], s), x[0]) })
	rotateHalves(masks)
	rotatePairs(masks)
	adamW(masks)
}

// expSum emits dst = e^(x-shift) and returns the sum of dst.
func expSum(masks Mem) {
	routine("expSumAVX2", "func(dst, x *float32, shift float32, n int) float32", "expSumAVX2 is rowRoutines.expSum.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	shift := broadcast("shift")
	n := Load(Param("n"), GP64())
	sums := []VecVirtual{number(0), number(0)}
	loops(n, 2, func(u int) {
		for i := range u {
			e := exponential(sub(load(Mem{Base: x, Disp: 32 * i}), shift))
			VMOVUPS(e, Mem{Base: dst, Disp: 32 * i})
			VADDPS(e, sums[i], sums[i])
		}
		ADDQ(U32(32*u), x)
		ADDQ(U32(32*u), dst)
	})
	mask, _ := loadMasks(masks, n)
	v := YMM()
	VMASKMOVPS(Mem{Base: x}, mask, v)
	e := exponential(sub(v, shift))
	VMASKMOVPS(e, mask, Mem{Base: dst})
	VADDPS(and(e, mask), sums[1], sums[1])
	Label("done")
	Store(horizontalSum(add(sums[0], sums[1])), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// broadcast is a float32 parameter in all lanes.
func broadcast(name string) VecVirtual {
	address, _ := Param(name).Resolve()
	r := YMM()
	VBROADCASTSS(address.Addr, r)
	return r
}

// rotateHalves emits the rotation of the pairs (x[i], x[half+i]).
func rotateHalves(masks Mem) {
	routine("rotateHalvesAVX2", "func(dst, x, cos, sin *float32, sign float32, n, half int)", "rotateHalvesAVX2 is rowRoutines.rotateHalves.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	cosine := Load(Param("cos"), GP64())
	sine := Load(Param("sin"), GP64())
	sign := broadcast("sign")
	n := Load(Param("n"), GP64())
	half := bytes("half")
	turn := func(load func(Mem) VecVirtual, store func(VecVirtual, Mem)) {
		a, b := load(Mem{Base: x}), load(Mem{Base: x, Index: half, Scale: 1})
		c, s := load(Mem{Base: cosine}), mul(load(Mem{Base: sine}), sign)
		store(mulSub(b, s, mul(a, c)), Mem{Base: dst})
		store(mulAdd(b, c, mul(a, s)), Mem{Base: dst, Index: half, Scale: 1})
	}
	loops(n, 1, func(int) {
		turn(func(m Mem) VecVirtual { return load(m) }, func(v VecVirtual, m Mem) { VMOVUPS(v, m) })
		for _, r := range []Register{dst, x, cosine, sine} {
			ADDQ(U32(32), r)
		}
	})
	mask, _ := loadMasks(masks, n)
	turn(func(m Mem) VecVirtual { v := YMM(); VMASKMOVPS(m, mask, v); return v },
		func(v VecVirtual, m Mem) { VMASKMOVPS(v, mask, m) })
	Label("done")
	VZEROUPPER()
	RET()
}

// rotatePairs emits the rotation of the pairs (x[2i], x[2i+1]).
func rotatePairs(masks Mem) {
	order := GLOBL("pairOrder", RODATA|NOPTR)
	for i := range lanes {
		DATA(4*i, U32(i/2))
	}
	routine("rotatePairsAVX2", "func(dst, x, cos, sin *float32, sign float32, n int)", "rotatePairsAVX2 is rowRoutines.rotatePairs.")
	dst := Load(Param("dst"), GP64())
	x := Load(Param("x"), GP64())
	cosine := Load(Param("cos"), GP64())
	sine := Load(Param("sin"), GP64())
	sign := broadcast("sign")
	n := Load(Param("n"), GP64())
	twice := load(order)
	turn := func(v, c, s VecVirtual) VecVirtual {
		cc, ss, swapped := YMM(), YMM(), YMM()
		VPERMPS(c, twice, cc)
		VPERMPS(s, twice, ss)
		VPERMILPS(U8(0xb1), v, swapped)
		// Even lanes subtract, odd lanes add.
		t := mul(mul(swapped, ss), sign)
		r := YMM()
		VMULPS(v, cc, r)
		VADDSUBPS(t, r, r)
		return r
	}
	SUBQ(U32(4), n)
	JL(labelRef("foursDone"))
	Label("fours")
	c, s := YMM(), YMM()
	VMOVUPS(Mem{Base: cosine}, c.AsX())
	VMOVUPS(Mem{Base: sine}, s.AsX())
	VMOVUPS(turn(load(Mem{Base: x}), c, s), Mem{Base: dst})
	for _, r := range []Register{cosine, sine} {
		ADDQ(U32(16), r)
	}
	for _, r := range []Register{dst, x} {
		ADDQ(U32(32), r)
	}
	SUBQ(U32(4), n)
	JGE(labelRef("fours"))
	Label("foursDone")
	ADDQ(U32(4), n)
	JZ(labelRef("done"))
	angles, _ := loadMasks(masks, n)
	c, s = YMM(), YMM()
	VMASKMOVPS(Mem{Base: cosine}, angles, c)
	VMASKMOVPS(Mem{Base: sine}, angles, s)
	ADDQ(n, n)
	mask, _ := loadMasks(masks, n)
	v := YMM()
	VMASKMOVPS(Mem{Base: x}, mask, v)
	VMASKMOVPS(turn(v, c, s), mask, Mem{Base: dst})
	Label("done")
	VZEROUPPER()
	RET()
}

// adamW emits one step of the optimizer on n values. The caller has prepared
// the numbers that are the same for all values.
func adamW(masks Mem) {
	routine("adamWAVX2", "func(param, grad, m, v *float32, n int, s *float32)", "adamWAVX2 is rowRoutines.adamW.")
	param := Load(Param("param"), GP64())
	grad := Load(Param("grad"), GP64())
	m := Load(Param("m"), GP64())
	v := Load(Param("v"), GP64())
	n := Load(Param("n"), GP64())
	factors := Load(Param("s"), GP64())
	// The order of the fields of adamWFactors.
	factor := make([]VecVirtual, 8)
	for i := range factor {
		factor[i] = YMM()
		VBROADCASTSS(Mem{Base: factors, Disp: 4 * i}, factor[i])
	}
	gradScale, beta1, rest1, beta2, rest2, keep, step, eps := factor[0], factor[1], factor[2], factor[3], factor[4], factor[5], factor[6], factor[7]
	correction := Mem{Base: factors, Disp: 32}
	update := func(load func(Register) VecVirtual, store func(VecVirtual, Register)) {
		g := mul(load(grad), gradScale)
		newM := mulAdd(g, rest1, mul(load(m), beta1))
		store(newM, m)
		newV := mulAdd(mul(g, g), rest2, mul(load(v), beta2))
		store(newV, v)
		root := YMM()
		VBROADCASTSS(correction, root)
		VMULPS(newV, root, root)
		VSQRTPS(root, root)
		root = add(root, eps)
		store(mulSub(step, div(newM, root), mul(load(param), keep)), param)
	}
	loops(n, 1, func(int) {
		update(func(r Register) VecVirtual { return load(Mem{Base: r}) }, func(x VecVirtual, r Register) { VMOVUPS(x, Mem{Base: r}) })
		for _, r := range []Register{param, grad, m, v} {
			ADDQ(U32(32), r)
		}
	})
	mask, _ := loadMasks(masks, n)
	update(func(r Register) VecVirtual { x := YMM(); VMASKMOVPS(Mem{Base: r}, mask, x); return x },
		func(x VecVirtual, r Register) { VMASKMOVPS(x, mask, Mem{Base: r}) })
	Label("done")
	VZEROUPPER()
	RET()
}
