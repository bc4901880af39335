package kernel

import "math"

// Functions of contiguous values. dst decides the length; the operands must be
// at least as long. dst may be one of the operands, but not overlap one
// otherwise. They run on the calling goroutine: whoever has a pool cuts the
// slices. Where no error is stated, results are correctly rounded.

// vectorRoutines are the innermost loops of these functions for n >= 1 values.
type vectorRoutines struct {
	neg, abs, square, sqrt, reciprocal, rsqrt, relu, sign, exp, log, sigmoid, silu, tanh, normalCDF, gelu func(dst, x *float32, n int)

	add, sub, mul, div, max, min, greater, greaterEqual, equal, notEqual func(dst, x, y *float32, n int)

	scale, addScalar, maxScalar, minScalar func(dst, x *float32, s float32, n int)

	axpy            func(dst, x, y *float32, s float32, n int)
	where, mulAdd   func(dst, x, y, z *float32, n int)
	sum, sumSquares func(x *float32, n int) float32
	maximum         func(x *float32, n int) float32
	dot             func(x, y *float32, n int) float32
}

func unary(f func(dst, x *float32, n int), dst, x []float32) {
	if n := len(dst); n > 0 {
		f(&dst[0], &x[:n][0], n)
	}
}

func binary(f func(dst, x, y *float32, n int), dst, x, y []float32) {
	if n := len(dst); n > 0 {
		f(&dst[0], &x[:n][0], &y[:n][0], n)
	}
}

func withScalar(f func(dst, x *float32, s float32, n int), dst, x []float32, s float32) {
	if n := len(dst); n > 0 {
		f(&dst[0], &x[:n][0], s, n)
	}
}

// Neg sets dst = -x.
func Neg(dst, x []float32) { unary(active.Load().vector.neg, dst, x) }

// Abs sets dst = |x|.
func Abs(dst, x []float32) { unary(active.Load().vector.abs, dst, x) }

// Square sets dst = x².
func Square(dst, x []float32) { unary(active.Load().vector.square, dst, x) }

// Sqrt sets dst = √x, correctly rounded.
func Sqrt(dst, x []float32) { unary(active.Load().vector.sqrt, dst, x) }

// Reciprocal sets dst = 1/x, correctly rounded.
func Reciprocal(dst, x []float32) { unary(active.Load().vector.reciprocal, dst, x) }

// Rsqrt sets dst = 1/√x, within 1 unit in the last place.
func Rsqrt(dst, x []float32) { unary(active.Load().vector.rsqrt, dst, x) }

// Relu sets dst = max(x, 0); NaN stays.
func Relu(dst, x []float32) { unary(active.Load().vector.relu, dst, x) }

// Sign sets dst to -1, 0 or 1 by the sign of x; NaN stays.
func Sign(dst, x []float32) { unary(active.Load().vector.sign, dst, x) }

// Exp sets dst = eˣ within 2 units in the last place, also where the result is
// subnormal; -∞ gives 0, NaN stays.
func Exp(dst, x []float32) { unary(active.Load().vector.exp, dst, x) }

// Log sets dst = ln x within 2 units in the last place; 0 gives -∞, negative
// numbers and NaN give NaN.
func Log(dst, x []float32) { unary(active.Load().vector.log, dst, x) }

// Sigmoid sets dst = 1/(1+e⁻ˣ), relative error below 4e-7 for x > -87.
func Sigmoid(dst, x []float32) { unary(active.Load().vector.sigmoid, dst, x) }

// Silu sets dst = x/(1+e⁻ˣ), relative error below 4e-7 for x > -87; -∞ gives NaN.
func Silu(dst, x []float32) { unary(active.Load().vector.silu, dst, x) }

// Tanh sets dst = tanh x, relative error below 4e-7.
func Tanh(dst, x []float32) { unary(active.Load().vector.tanh, dst, x) }

// NormalCDF sets dst = Φ(x), the distribution function of the standard normal
// distribution: absolute error below 2e-7, relative error below 8e-6 also in
// the far negative tail.
func NormalCDF(dst, x []float32) { unary(active.Load().vector.normalCDF, dst, x) }

// Gelu sets dst = x·Φ(x) in its exact form (not the tanh approximation), with the
// relative error of NormalCDF.
func Gelu(dst, x []float32) { unary(active.Load().vector.gelu, dst, x) }

// Add sets dst = x + y.
func Add(dst, x, y []float32) { binary(active.Load().vector.add, dst, x, y) }

// Sub sets dst = x - y.
func Sub(dst, x, y []float32) { binary(active.Load().vector.sub, dst, x, y) }

// Mul sets dst = x·y.
func Mul(dst, x, y []float32) { binary(active.Load().vector.mul, dst, x, y) }

// Div sets dst = x/y.
func Div(dst, x, y []float32) { binary(active.Load().vector.div, dst, x, y) }

// Max sets dst to the larger of x and y, NaN if one of them is.
func Max(dst, x, y []float32) { binary(active.Load().vector.max, dst, x, y) }

// Min sets dst to the smaller of x and y, NaN if one of them is.
func Min(dst, x, y []float32) { binary(active.Load().vector.min, dst, x, y) }

// Greater sets dst = 1 where x > y, else 0.
func Greater(dst, x, y []float32) { binary(active.Load().vector.greater, dst, x, y) }

// Less sets dst = 1 where x < y, else 0.
func Less(dst, x, y []float32) { Greater(dst, y, x) }

// GreaterEqual sets dst = 1 where x >= y, else 0.
func GreaterEqual(dst, x, y []float32) { binary(active.Load().vector.greaterEqual, dst, x, y) }

// LessEqual sets dst = 1 where x <= y, else 0.
func LessEqual(dst, x, y []float32) { GreaterEqual(dst, y, x) }

// Equal sets dst = 1 where x = y, else 0.
func Equal(dst, x, y []float32) { binary(active.Load().vector.equal, dst, x, y) }

// NotEqual sets dst = 1 where x differs from y or one is NaN, else 0.
func NotEqual(dst, x, y []float32) { binary(active.Load().vector.notEqual, dst, x, y) }

// Scale sets dst = s·x.
func Scale(dst, x []float32, s float32) { withScalar(active.Load().vector.scale, dst, x, s) }

// AddScalar sets dst = x + s.
func AddScalar(dst, x []float32, s float32) { withScalar(active.Load().vector.addScalar, dst, x, s) }

// MaxScalar sets dst = max(x, s); a NaN in x stays.
func MaxScalar(dst, x []float32, s float32) { withScalar(active.Load().vector.maxScalar, dst, x, s) }

// MinScalar sets dst = min(x, s); a NaN in x stays.
func MinScalar(dst, x []float32, s float32) { withScalar(active.Load().vector.minScalar, dst, x, s) }

// Axpy adds s·x to dst.
func Axpy(dst []float32, s float32, x []float32) {
	if n := len(dst); n > 0 {
		active.Load().vector.axpy(&dst[0], &dst[0], &x[:n][0], s, n)
	}
}

// MulAdd adds x·y to dst.
func MulAdd(dst, x, y []float32) {
	if n := len(dst); n > 0 {
		active.Load().vector.mulAdd(&dst[0], &dst[0], &x[:n][0], &y[:n][0], n)
	}
}

// Where sets dst to x where condition is not 0 and to y elsewhere.
func Where(dst, condition, x, y []float32) {
	if n := len(dst); n > 0 {
		active.Load().vector.where(&dst[0], &condition[:n][0], &x[:n][0], &y[:n][0], n)
	}
}

// sumBlock is the number of values that are added in float32; the sums of
// blocks are added in float64, so that the error does not grow with the length.
const sumBlock = 4096

// Sum is the sum of x, relative error (to the sum of sizes) below 2e-6.
func Sum(x []float32) float32 {
	return reduceBlocks(active.Load().vector.sum, x)
}

// SumSquares is the sum of squares of x, relative error below 2e-6.
func SumSquares(x []float32) float32 {
	return reduceBlocks(active.Load().vector.sumSquares, x)
}

func reduceBlocks(f func(x *float32, n int) float32, x []float32) float32 {
	sum := 0.0
	for len(x) > 0 {
		n := min(sumBlock, len(x))
		sum += float64(f(&x[0], n))
		x = x[n:]
	}
	return float32(sum)
}

// Dot is the sum of x·y over the length of x, error relative to the sum of
// |x·y| below 2e-6.
func Dot(x, y []float32) float32 {
	y = y[:len(x)]
	f := active.Load().vector.dot
	sum := 0.0
	for len(x) > 0 {
		n := min(sumBlock, len(x))
		sum += float64(f(&x[0], &y[0], n))
		x, y = x[n:], y[n:]
	}
	return float32(sum)
}

// MaxReduce is the largest value of x, NaN if one of them is, and -∞ for none.
func MaxReduce(x []float32) float32 {
	if len(x) == 0 {
		return float32(math.Inf(-1))
	}
	return active.Load().vector.maximum(&x[0], len(x))
}
