package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Expressions on registers of eight float32 values. Each function emits one
// or a few instructions and returns a new register, so that formulas read as
// they are written.

// constants are the read-only tables of the file that is being written, one for
// each value.
var constants = map[uint32]Mem{}

// constant is a table of eight times the same value.
func constant(v float32) Mem { return constantBits(math.Float32bits(v)) }

func constantBits(bits uint32) Mem {
	table, ok := constants[bits]
	if !ok {
		table = GLOBL(fmt.Sprintf("eight%08x", bits), RODATA|NOPTR)
		for i := range lanes {
			DATA(4*i, U32(bits))
		}
		constants[bits] = table
	}
	return table
}

// load brings an operand into a register of its own.
func load(m Op) VecVirtual {
	r := YMM()
	VMOVUPS(m, r)
	return r
}

func number(v float32) VecVirtual { return load(constant(v)) }

// The second operand of the following may be memory.

func add(x VecVirtual, y Op) VecVirtual { r := YMM(); VADDPS(y, x, r); return r }
func sub(x VecVirtual, y Op) VecVirtual { r := YMM(); VSUBPS(y, x, r); return r }
func mul(x VecVirtual, y Op) VecVirtual { r := YMM(); VMULPS(y, x, r); return r }
func div(x VecVirtual, y Op) VecVirtual { r := YMM(); VDIVPS(y, x, r); return r }
func and(x VecVirtual, y Op) VecVirtual { r := YMM(); VANDPS(y, x, r); return r }
func or(x VecVirtual, y Op) VecVirtual  { r := YMM(); VORPS(y, x, r); return r }
func xor(x VecVirtual, y Op) VecVirtual { r := YMM(); VXORPS(y, x, r); return r }

// larger and smaller return y when either is not a number.
func larger(x VecVirtual, y Op) VecVirtual  { r := YMM(); VMAXPS(y, x, r); return r }
func smaller(x VecVirtual, y Op) VecVirtual { r := YMM(); VMINPS(y, x, r); return r }

// mulAdd is x·y + z.
func mulAdd(x VecVirtual, y Op, z VecVirtual) VecVirtual {
	r := YMM()
	VMOVAPS(z, r)
	VFMADD231PS(y, x, r)
	return r
}

// mulSub is z - x·y.
func mulSub(x VecVirtual, y Op, z VecVirtual) VecVirtual {
	r := YMM()
	VMOVAPS(z, r)
	VFNMADD231PS(y, x, r)
	return r
}

// polynomial is Horner's rule; the coefficient of the highest power is first.
func polynomial(x VecVirtual, coefficients ...float32) VecVirtual {
	sum := number(coefficients[0])
	for _, c := range coefficients[1:] {
		VFMADD213PS(constant(c), x, sum)
	}
	return sum
}

// Predicates of VCMPPS.
const (
	equal        = 0x00 // ordered
	unordered    = 0x03
	notEqual     = 0x04 // or unordered
	less         = 0x11 // ordered, quiet
	lessEqual    = 0x12
	greaterEqual = 0x1d
	greater      = 0x1e
)

// compare is all ones where x predicate y holds.
func compare(predicate int, x VecVirtual, y Op) VecVirtual {
	r := YMM()
	VCMPPS(U8(predicate), y, x, r)
	return r
}

// choose is x where mask is set and y elsewhere.
func choose(mask, x VecVirtual, y VecVirtual) VecVirtual {
	r := YMM()
	VBLENDVPS(mask, x, y, r)
	return r
}

// keepNaN is x where x is not a number and y elsewhere.
func keepNaN(x, y VecVirtual) VecVirtual { return choose(compare(unordered, x, x), x, y) }

func absolute(x VecVirtual) VecVirtual { return and(x, constantBits(0x7fffffff)) }
func signOf(x VecVirtual) VecVirtual   { return and(x, constantBits(0x80000000)) }
func negative(x VecVirtual) VecVirtual { return xor(x, constantBits(0x80000000)) }

// power2 is 2^n for integers n in -126…127, as a float.
func power2(n VecVirtual) VecVirtual {
	r := YMM()
	VPADDD(constantBits(127), n, r)
	VPSLLD(U8(23), r, r)
	return r
}

// exponential is eˣ: x = n·ln 2 + r, and e^r by a polynomial (Cephes expf,
// S. Moshier). The power of two is applied in two halves, so that results
// which are subnormal and those beyond the largest number come out right.
func exponential(x VecVirtual) VecVirtual {
	// Beyond these limits the result is 0 or infinite. x stays the second
	// operand, which is what the comparison returns for a NaN.
	x = larger(number(-105), x)
	x = smaller(number(90), x)
	n := mul(x, constant(math.Log2E))
	VROUNDPS(U8(0), n, n)
	r := mulSub(n, constant(0.693359375), x)
	r = mulSub(n, constant(-2.12194440e-4), r)
	p := polynomial(r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	y := mulAdd(mul(r, r), p, r)
	y = add(y, constant(1))
	whole, half := YMM(), YMM()
	VCVTPS2DQ(n, whole)
	VPSRAD(U8(1), whole, half)
	VPSUBD(half, whole, whole)
	return mul(mul(y, power2(half)), power2(whole))
}

// logarithm is ln x: x = m·2^e with m in [√½, √2), and ln m by a polynomial
// in m-1 (Cephes logf).
func logarithm(x VecVirtual) VecVirtual {
	// Subnormal numbers are scaled up first.
	tiny := compare(less, x, constantBits(0x00800000))
	scaled := choose(tiny, mul(x, constant(1<<23)), x)
	exponent := YMM()
	VPSRLD(U8(23), scaled, exponent)
	VPSUBD(constantBits(126), exponent, exponent)
	e := YMM()
	VCVTDQ2PS(exponent, e)
	e = sub(e, and(tiny, constant(23)))
	// m in [½, 1), doubled where it is below √½.
	m := or(and(scaled, constantBits(0x007fffff)), constant(0.5))
	small := compare(less, m, constant(math.Sqrt2/2))
	e = sub(e, and(small, constant(1)))
	m = sub(add(m, and(small, m)), constant(1))
	z := mul(m, m)
	p := polynomial(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	y := mul(mul(p, m), z)
	y = mulAdd(e, constant(-2.12194440e-4), y)
	y = mulSub(z, constant(0.5), y)
	y = add(m, y)
	y = mulAdd(e, constant(0.693359375), y)
	// The ends: +∞ and NaN stay, 0 gives -∞, negative numbers NaN.
	infinite := compare(equal, x, constantBits(0x7f800000))
	y = choose(infinite, x, y)
	y = choose(compare(equal, x, constant(0)), load(constantBits(0xff800000)), y)
	y = or(y, compare(less, x, constant(0)))
	return keepNaN(x, y)
}

// logistic is 1/(1+e⁻ˣ).
func logistic(x VecVirtual) VecVirtual {
	return div(number(1), add(exponential(negative(x)), constant(1)))
}

// hyperbolicTangent is tanh x: a polynomial near 0, else 1 - 2/(e^2|x| + 1)
// with the sign of x (Cephes tanhf).
func hyperbolicTangent(x VecVirtual) VecVirtual {
	size, sign := absolute(x), signOf(x)
	z := mul(x, x)
	p := polynomial(z, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	near := mulAdd(mul(z, x), p, x)
	far := sub(number(1), div(number(2), add(exponential(add(size, size)), constant(1))))
	far = or(far, sign)
	return choose(compare(less, size, constant(0.625)), near, far)
}

// normalTail is Φ(-|x|), the normal distribution function of -|x|: ½·erfc(z)
// with z = |x|/√2 by the Chebyshev fit of Numerical Recipes (erfcc), whose
// relative error is below 1.2e-7.
func normalTail(x VecVirtual) VecVirtual {
	z := mul(absolute(x), constant(math.Sqrt2/2))
	t := div(number(1), mulAdd(z, constant(0.5), number(1)))
	p := polynomial(t, 0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
		0.37409196, 1.00002368, -1.26551223)
	return mul(mul(t, constant(0.5)), exponential(mulSub(mul(x, constant(0.5)), x, p)))
}

// normalDistribution is Φ(x).
func normalDistribution(x VecVirtual) VecVirtual {
	tail := normalTail(x)
	return choose(x, tail, sub(number(1), tail))
}
