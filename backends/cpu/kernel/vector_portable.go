package kernel

import (
	"math"
	"unsafe"
)

// The loops are written as calls of a small function with a literal, which
// the compiler expands in place.

func each1(dst, x *float32, n int, f func(v float32) float32) {
	to, a := unsafe.Slice(dst, n), unsafe.Slice(x, n)
	for i := range to {
		to[i] = f(a[i])
	}
}

func each2(dst, x, y *float32, n int, f func(v, w float32) float32) {
	to, a, b := unsafe.Slice(dst, n), unsafe.Slice(x, n), unsafe.Slice(y, n)
	for i := range to {
		to[i] = f(a[i], b[i])
	}
}

func indicator(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

var portableVector = vectorRoutines{
	neg: func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return -v }) },
	abs: func(dst, x *float32, n int) {
		each1(dst, x, n, func(v float32) float32 { return float32(math.Abs(float64(v))) })
	},
	square: func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return v * v }) },
	sqrt: func(dst, x *float32, n int) {
		each1(dst, x, n, func(v float32) float32 { return float32(math.Sqrt(float64(v))) })
	},
	reciprocal: func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return 1 / v }) },
	rsqrt: func(dst, x *float32, n int) {
		each1(dst, x, n, func(v float32) float32 { return 1 / float32(math.Sqrt(float64(v))) })
	},
	relu:      func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return relu32(v) }) },
	sign:      func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return sign32(v) }) },
	exp:       func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return exp32(v) }) },
	log:       func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return log32(v) }) },
	sigmoid:   func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return 1 / (1 + exp32(-v)) }) },
	silu:      func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return v / (1 + exp32(-v)) }) },
	tanh:      func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return tanh32(v) }) },
	normalCDF: func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return normalCDF32(v) }) },
	gelu:      func(dst, x *float32, n int) { each1(dst, x, n, func(v float32) float32 { return v * normalCDF32(v) }) },
	add:       func(dst, x, y *float32, n int) { each2(dst, x, y, n, func(v, w float32) float32 { return v + w }) },
	sub:       func(dst, x, y *float32, n int) { each2(dst, x, y, n, func(v, w float32) float32 { return v - w }) },
	mul:       func(dst, x, y *float32, n int) { each2(dst, x, y, n, func(v, w float32) float32 { return v * w }) },
	div:       func(dst, x, y *float32, n int) { each2(dst, x, y, n, func(v, w float32) float32 { return v / w }) },
	max:       func(dst, x, y *float32, n int) { each2(dst, x, y, n, func(v, w float32) float32 { return max(v, w) }) },
	min:       func(dst, x, y *float32, n int) { each2(dst, x, y, n, func(v, w float32) float32 { return min(v, w) }) },
	greater: func(dst, x, y *float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return indicator(v > w) })
	},
	greaterEqual: func(dst, x, y *float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return indicator(v >= w) })
	},
	equal: func(dst, x, y *float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return indicator(v == w) })
	},
	notEqual: func(dst, x, y *float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return indicator(v != w) })
	},
	scale:     func(dst, x *float32, s float32, n int) { each1(dst, x, n, func(v float32) float32 { return v * s }) },
	addScalar: func(dst, x *float32, s float32, n int) { each1(dst, x, n, func(v float32) float32 { return v + s }) },
	maxScalar: func(dst, x *float32, s float32, n int) {
		each1(dst, x, n, func(v float32) float32 { return atLeast(v, s) })
	},
	minScalar: func(dst, x *float32, s float32, n int) {
		each1(dst, x, n, func(v float32) float32 { return atMost(v, s) })
	},
	axpy: func(dst, x, y *float32, s float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return v + s*w })
	},
	where:  portableWhere,
	mulAdd: portableMulAdd,
	sum:    func(x *float32, n int) float32 { return portableSum(x, x, n, func(v, _ float32) float32 { return v }) },
	sumSquares: func(x *float32, n int) float32 {
		return portableSum(x, x, n, func(v, w float32) float32 { return v * w })
	},
	dot: func(x, y *float32, n int) float32 {
		return portableSum(x, y, n, func(v, w float32) float32 { return v * w })
	},
	maximum: portableMaximum,
}

func portableWhere(dst, x, y, z *float32, n int) {
	to, c, a, b := unsafe.Slice(dst, n), unsafe.Slice(x, n), unsafe.Slice(y, n), unsafe.Slice(z, n)
	for i := range to {
		if c[i] != 0 {
			to[i] = a[i]
		} else {
			to[i] = b[i]
		}
	}
}

func portableMulAdd(dst, x, y, z *float32, n int) {
	to, c, a, b := unsafe.Slice(dst, n), unsafe.Slice(x, n), unsafe.Slice(y, n), unsafe.Slice(z, n)
	for i := range to {
		to[i] = c[i] + a[i]*b[i]
	}
}

// portableSum adds term(x, y) in sixteen separate sums, since sums of many
// values in turn lose more digits.
func portableSum(x, y *float32, n int, term func(v, w float32) float32) float32 {
	a, b := unsafe.Slice(x, n), unsafe.Slice(y, n)
	var sums [16]float32
	for i := range a {
		sums[i%16] += term(a[i], b[i])
	}
	for half := 8; half > 0; half /= 2 {
		for i := range half {
			sums[i] += sums[i+half]
		}
	}
	return sums[0]
}

func portableMaximum(x *float32, n int) float32 {
	best := *x
	for _, v := range unsafe.Slice(x, n) {
		best = max(best, v)
	}
	return best
}

func relu32(v float32) float32 {
	if v < 0 {
		return 0
	}
	return v
}

func sign32(v float32) float32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	case v == 0:
		return 0
	}
	return v
}

// atLeast is max(v, s) with v where v is NaN.
func atLeast(v, s float32) float32 {
	if v < s {
		return s
	}
	return v
}

// atMost is min(v, s) with v where v is NaN.
func atMost(v, s float32) float32 {
	if v > s {
		return s
	}
	return v
}

// The transcendental functions use the formulas of the assembly; see
// tools/avo/values.go for where they come from.

func polynomial32(x float32, coefficients ...float32) float32 {
	sum := coefficients[0]
	for _, c := range coefficients[1:] {
		sum = sum*x + c
	}
	return sum
}

func exp32(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, -105), 90)
	n := float32(math.RoundToEven(float64(x * math.Log2E)))
	// The products are exact: 0.693359375 has few digits.
	r := x - float32(n*0.693359375) + float32(n*2.12194440e-4)
	y := polynomial32(r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	y = y*(r*r) + r + 1
	half := int32(n) >> 1
	return y * power2(half) * power2(int32(n)-half)
}

// power2 is 2^n for n in -126…127.
func power2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

func log32(x float32) float32 {
	switch {
	case x != x || x > math.MaxFloat32:
		return x
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	}
	fraction, exponent := math.Frexp(float64(x))
	m := float32(fraction)
	if m < math.Sqrt2/2 {
		m *= 2
		exponent--
	}
	m--
	e := float32(exponent)
	z := m * m
	y := polynomial32(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	y = y*m*z - 2.12194440e-4*e - 0.5*z
	return m + y + 0.693359375*e
}

func tanh32(x float32) float32 {
	size := float32(math.Abs(float64(x)))
	if size < 0.625 {
		z := x * x
		return x + x*z*polynomial32(z, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	}
	return float32(math.Copysign(float64(1-2/(exp32(2*size)+1)), float64(x)))
}

func normalCDF32(x float32) float32 {
	z := float32(math.Abs(float64(x))) * (math.Sqrt2 / 2)
	t := 1 / (1 + 0.5*z)
	p := polynomial32(t, 0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
		0.37409196, 1.00002368, -1.26551223)
	tail := 0.5 * t * exp32(p-0.5*x*x)
	if x < 0 {
		return tail
	}
	return 1 - tail
}
