package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vectorFamily emits functions of contiguous values.
func vectorFamily() {
	masks := maskTable("vectorMasks")

	zero := func() VecVirtual { r := YMM(); VXORPS(r, r, r); return r }
	elementwise(masks, "vectorRoutines", "neg", 4, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return negative(x[0]) })
	elementwise(masks, "vectorRoutines", "abs", 4, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return absolute(x[0]) })
	elementwise(masks, "vectorRoutines", "square", 4, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return mul(x[0], x[0]) })
	elementwise(masks, "vectorRoutines", "sqrt", 2, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { r := YMM(); VSQRTPS(x[0], r); return r })
	elementwise(masks, "vectorRoutines", "reciprocal", 2, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return div(number(1), x[0]) })
	elementwise(masks, "vectorRoutines", "rsqrt", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
		r := YMM()
		VSQRTPS(x[0], r)
		return div(number(1), r)
	})
	elementwise(masks, "vectorRoutines", "relu", 4, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return larger(zero(), x[0]) })
	elementwise(masks, "vectorRoutines", "sign", 2, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
		up := and(compare(greater, x[0], zero()), constant(1))
		down := and(compare(less, x[0], zero()), constant(1))
		return keepNaN(x[0], sub(up, down))
	})
	elementwise(masks, "vectorRoutines", "exp", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return exponential(x[0]) })
	elementwise(masks, "vectorRoutines", "log", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return logarithm(x[0]) })
	elementwise(masks, "vectorRoutines", "sigmoid", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return logistic(x[0]) })
	elementwise(masks, "vectorRoutines", "silu", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
		return div(x[0], add(exponential(negative(x[0])), constant(1)))
	})
	elementwise(masks, "vectorRoutines", "tanh", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return hyperbolicTangent(x[0]) })
	elementwise(masks, "vectorRoutines", "normalCDF", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return normalDistribution(x[0]) })
	elementwise(masks, "vectorRoutines", "gelu", 1, 1, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return mul(normalDistribution(x[0]), x[0]) })

	elementwise(masks, "vectorRoutines", "add", 4, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return add(x[0], x[1]) })
	elementwise(masks, "vectorRoutines", "sub", 4, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return sub(x[0], x[1]) })
	elementwise(masks, "vectorRoutines", "mul", 4, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return mul(x[0], x[1]) })
	elementwise(masks, "vectorRoutines", "div", 2, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return div(x[0], x[1]) })
	elementwise(masks, "vectorRoutines", "max", 2, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
		return keepNaN(x[0], larger(x[0], x[1]))
	})
	elementwise(masks, "vectorRoutines", "min", 2, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
		return keepNaN(x[0], smaller(x[0], x[1]))
	})
	for _, relation := range []struct {
		name      string
		predicate int
	}{{"greater", greater}, {"greaterEqual", greaterEqual}, {"equal", equal}, {"notEqual", notEqual}} {
		elementwise(masks, "vectorRoutines", relation.name, 2, 2, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
			return and(compare(relation.predicate, x[0], x[1]), constant(1))
		})
	}
	elementwise(masks, "vectorRoutines", "where", 2, 3, false, func(x []VecVirtual, _ VecVirtual) VecVirtual {
		return choose(compare(notEqual, x[0], zero()), x[1], x[2])
	})
	// mulAdd reads its destination as the first operand.
	elementwise(masks, "vectorRoutines", "mulAdd", 2, 3, false, func(x []VecVirtual, _ VecVirtual) VecVirtual { return mulAdd(x[1], x[2], x[0]) })

	elementwise(masks, "vectorRoutines", "scale", 4, 1, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return mul(x[0], s) })
	elementwise(masks, "vectorRoutines", "addScalar", 4, 1, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return add(x[0], s) })
	elementwise(masks, "vectorRoutines", "maxScalar", 4, 1, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return larger(s, x[0]) })
	elementwise(masks, "vectorRoutines", "minScalar", 4, 1, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return smaller(s, x[0]) })
	elementwise(masks, "vectorRoutines", "axpy", 4, 2, true, func(x []VecVirtual, s VecVirtual) VecVirtual { return mulAdd(x[1], s, x[0]) })

	reduction(masks, "sum", 1, 0, func(sum VecVirtual, x []VecVirtual) { VADDPS(x[0], sum, sum) }, horizontalSum)
	reduction(masks, "sumSquares", 1, 0, func(sum VecVirtual, x []VecVirtual) { VFMADD231PS(x[0], x[0], sum) }, horizontalSum)
	reduction(masks, "dot", 2, 0, func(sum VecVirtual, x []VecVirtual) { VFMADD231PS(x[0], x[1], sum) }, horizontalSum)
	maximum(masks)
}

// operandNames are the parameters of elementwise functions after dst.
var operandNames = []string{"x", "y", "z"}

// elementwise emits nameAVX2(dst, x, y, … *float32, s float32, n int), which
// sets dst[i] to formula(x[i], y[i], …, s) for i < n, in registers of eight
// and unroll of them at a time.
func elementwise(masks Mem, table, name string, unroll, operands int, scalar bool, formula func([]VecVirtual, VecVirtual) VecVirtual) {
	signature := "func(dst"
	for _, o := range operandNames[:operands] {
		signature += ", " + o
	}
	signature += " *float32, "
	if scalar {
		signature += "s float32, "
	}
	signature += "n int)"
	routine(name+"AVX2", signature, name+"AVX2 is "+table+"."+name+".")
	dst := Load(Param("dst"), GP64())
	sources := make([]Register, operands)
	for i, o := range operandNames[:operands] {
		sources[i] = Load(Param(o), GP64())
	}
	var s VecVirtual
	if scalar {
		s = broadcast("s")
	}
	n := Load(Param("n"), GP64())
	body := func(u int) {
		results := make([]VecVirtual, u)
		for i := range u {
			values := make([]VecVirtual, operands)
			for j, source := range sources {
				values[j] = load(Mem{Base: source, Disp: 32 * i})
			}
			results[i] = formula(values, s)
		}
		for i, r := range results {
			VMOVUPS(r, Mem{Base: dst, Disp: 32 * i})
		}
		for _, r := range append([]Register{dst}, sources...) {
			ADDQ(U32(32*u), r)
		}
	}
	loops(n, unroll, body)
	mask, _ := loadMasks(masks, n)
	values := make([]VecVirtual, operands)
	for j, source := range sources {
		values[j] = YMM()
		VMASKMOVPS(Mem{Base: source}, mask, values[j])
	}
	VMASKMOVPS(formula(values, s), mask, Mem{Base: dst})
	Label("done")
	VZEROUPPER()
	RET()
}

// loops emits a loop over unroll·8 values (if unroll > 1), one over 8 values,
// and a jump to "done" when nothing is left; what follows handles the n < 8
// values that are.
func loops(n Register, unroll int, body func(unroll int)) {
	for _, u := range []struct {
		label string
		count int
	}{{"wide", unroll}, {"single", 1}} {
		if u.label == "wide" && unroll == 1 {
			continue
		}
		step := U32(lanes * u.count)
		SUBQ(step, n)
		JL(labelRef(u.label + "Done"))
		Label(u.label)
		body(u.count)
		SUBQ(step, n)
		JGE(labelRef(u.label))
		Label(u.label + "Done")
		ADDQ(step, n)
	}
	TESTQ(n, n)
	JZ(labelRef("done"))
}

// reductionWidth is the number of separate sums of a reduction: the latency
// of an addition times the additions in a cycle.
const reductionWidth = 8

// reduction emits nameAVX2(x, y, … *float32, n int) float32.
func reduction(masks Mem, name string, operands int, start float32, step func(sum VecVirtual, x []VecVirtual), finish func(VecVirtual) VecVirtual) {
	signature := "func(x"
	if operands == 2 {
		signature += ", y"
	}
	signature += " *float32, n int) float32"
	routine(name+"AVX2", signature, name+"AVX2 is vectorRoutines."+name+".")
	sources := make([]Register, operands)
	for i, o := range operandNames[:operands] {
		sources[i] = Load(Param(o), GP64())
	}
	n := Load(Param("n"), GP64())
	sums := make([]VecVirtual, reductionWidth)
	for i := range sums {
		sums[i] = number(start)
	}
	loops(n, reductionWidth, func(u int) {
		for i := range u {
			values := make([]VecVirtual, operands)
			for j, source := range sources {
				values[j] = load(Mem{Base: source, Disp: 32 * i})
			}
			step(sums[i], values)
		}
		for _, r := range sources {
			ADDQ(U32(32*u), r)
		}
	})
	mask, _ := loadMasks(masks, n)
	values := make([]VecVirtual, operands)
	for j, source := range sources {
		values[j] = YMM()
		VMASKMOVPS(Mem{Base: source}, mask, values[j])
	}
	step(sums[1], values)
	Label("done")
	for half := reductionWidth / 2; half > 0; half /= 2 {
		for i := range half {
			VADDPS(sums[i+half], sums[i], sums[i])
		}
	}
	result := finish(sums[0])
	Store(result, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// maximum emits the largest of n >= 1 values, NaN if one of them is.
func maximum(masks Mem) {
	routine("maximumAVX2", "func(x *float32, n int) float32", "maximumAVX2 is vectorRoutines.maximum.")
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	const width = 4
	best := make([]VecVirtual, width)
	strange := make([]VecVirtual, width) // set where a NaN was met
	for i := range best {
		best[i] = load(constantBits(0xff800000))
		strange[i] = YMM()
		VXORPS(strange[i], strange[i], strange[i])
	}
	step := func(i int, v VecVirtual) {
		VMAXPS(v, best[i], best[i])
		VORPS(compare(unordered, v, v), strange[i], strange[i])
	}
	loops(n, width, func(u int) {
		for i := range u {
			step(i, load(Mem{Base: x, Disp: 32 * i}))
		}
		ADDQ(U32(32*u), x)
	})
	mask, _ := loadMasks(masks, n)
	v := YMM()
	VMASKMOVPS(Mem{Base: x}, mask, v)
	step(1, choose(mask, v, load(constantBits(0xff800000))))
	Label("done")
	for half := width / 2; half > 0; half /= 2 {
		for i := range half {
			VMAXPS(best[i+half], best[i], best[i])
			VORPS(strange[i+half], strange[i], strange[i])
		}
	}
	// A lane that met a NaN becomes one: all bits set.
	all := or(best[0], strange[0])
	high, low := XMM(), all.AsX()
	VEXTRACTF128(U8(1), all, high)
	bits := XMM()
	VEXTRACTF128(U8(1), strange[0], bits)
	VORPS(strange[0].AsX(), bits, bits)
	VMAXPS(high, low, high)
	swapped := XMM()
	VMOVHLPS(high, high, swapped)
	VMAXPS(swapped, high, high)
	VMOVSHDUP(high, swapped)
	VMAXSS(swapped, high, high)
	// Comparisons lose a NaN on one side: any met one overrides them.
	any := GP32()
	VMOVMSKPS(bits, any)
	TESTL(any, any)
	JZ(labelRef("ordered"))
	VMOVUPS(constantBits(0x7fc00000), high)
	Label("ordered")
	Store(high, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
