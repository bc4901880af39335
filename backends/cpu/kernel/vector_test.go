package kernel

import (
	"math"
	"testing"
)

// elementwiseCase is a function of one, two or three slices and a number, and
// the same in float64. relative is the allowed relative error.
type elementwiseCase struct {
	name     string
	operands int
	run      func(dst []float32, x [3][]float32, s float32)
	want     func(x [3]float64, s float64) float64
	relative float64
}

func one(f func(dst, x []float32)) func([]float32, [3][]float32, float32) {
	return func(dst []float32, x [3][]float32, _ float32) { f(dst, x[0]) }
}

func two(f func(dst, x, y []float32)) func([]float32, [3][]float32, float32) {
	return func(dst []float32, x [3][]float32, _ float32) { f(dst, x[0], x[1]) }
}

func numbered(f func(dst, x []float32, s float32)) func([]float32, [3][]float32, float32) {
	return func(dst []float32, x [3][]float32, s float32) { f(dst, x[0], s) }
}

func of1(f func(float64) float64) func([3]float64, float64) float64 {
	return func(x [3]float64, _ float64) float64 { return f(x[0]) }
}

func of2(f func(x, y float64) float64) func([3]float64, float64) float64 {
	return func(x [3]float64, _ float64) float64 { return f(x[0], x[1]) }
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// ulp is the spacing of float32 values relative to their size, at most.
const ulp = 1.0 / (1 << 23)

func normalCDF64(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

var elementwiseCases = []elementwiseCase{
	{"Neg", 1, one(Neg), of1(func(x float64) float64 { return -x }), 0},
	{"Abs", 1, one(Abs), of1(math.Abs), 0},
	{"Square", 1, one(Square), of1(func(x float64) float64 { return x * x }), ulp / 2},
	{"Sqrt", 1, one(Sqrt), of1(math.Sqrt), ulp / 2},
	{"Reciprocal", 1, one(Reciprocal), of1(func(x float64) float64 { return 1 / x }), ulp / 2},
	{"Rsqrt", 1, one(Rsqrt), of1(func(x float64) float64 { return 1 / math.Sqrt(x) }), ulp},
	{"Relu", 1, one(Relu), of1(func(x float64) float64 { return math.Max(x, 0) }), 0},
	{"Sign", 1, one(Sign), of1(func(x float64) float64 {
		if x != x {
			return x
		}
		return truth(x > 0) - truth(x < 0)
	}), 0},
	{"Exp", 1, one(Exp), of1(math.Exp), 2 * ulp},
	{"Log", 1, one(Log), of1(math.Log), 2 * ulp},
	{"Sigmoid", 1, one(Sigmoid), of1(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }), 4e-7},
	{"Silu", 1, one(Silu), of1(func(x float64) float64 { return x / (1 + math.Exp(-x)) }), 4e-7},
	{"Tanh", 1, one(Tanh), of1(math.Tanh), 4e-7},
	{"NormalCDF", 1, one(NormalCDF), of1(normalCDF64), 8e-6},
	{"Gelu", 1, one(Gelu), of1(func(x float64) float64 { return x * normalCDF64(x) }), 8e-6},
	{"Add", 2, two(Add), of2(func(x, y float64) float64 { return x + y }), ulp / 2},
	{"Sub", 2, two(Sub), of2(func(x, y float64) float64 { return x - y }), ulp / 2},
	{"Mul", 2, two(Mul), of2(func(x, y float64) float64 { return x * y }), ulp / 2},
	{"Div", 2, two(Div), of2(func(x, y float64) float64 { return x / y }), ulp / 2},
	{"Max", 2, two(Max), of2(math.Max), 0},
	{"Min", 2, two(Min), of2(math.Min), 0},
	{"Greater", 2, two(Greater), of2(func(x, y float64) float64 { return truth(x > y) }), 0},
	{"GreaterEqual", 2, two(GreaterEqual), of2(func(x, y float64) float64 { return truth(x >= y) }), 0},
	{"Less", 2, two(Less), of2(func(x, y float64) float64 { return truth(x < y) }), 0},
	{"LessEqual", 2, two(LessEqual), of2(func(x, y float64) float64 { return truth(x <= y) }), 0},
	{"Equal", 2, two(Equal), of2(func(x, y float64) float64 { return truth(x == y) }), 0},
	{"NotEqual", 2, two(NotEqual), of2(func(x, y float64) float64 { return truth(x != y) }), 0},
	{"Scale", 1, numbered(Scale), func(x [3]float64, s float64) float64 { return x[0] * s }, ulp / 2},
	{"AddScalar", 1, numbered(AddScalar), func(x [3]float64, s float64) float64 { return x[0] + s }, ulp / 2},
	{"MaxScalar", 1, numbered(MaxScalar), func(x [3]float64, s float64) float64 { return math.Max(x[0], s) }, 0},
	{"MinScalar", 1, numbered(MinScalar), func(x [3]float64, s float64) float64 { return math.Min(x[0], s) }, 0},
	{"Where", 3, func(dst []float32, x [3][]float32, _ float32) { Where(dst, x[0], x[1], x[2]) },
		func(x [3]float64, _ float64) float64 {
			if x[0] != 0 {
				return x[1]
			}
			return x[2]
		}, 0},
}

// specialValues are numbers at which functions break.
var specialValues = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 0.5, 2, 1e-45, -1e-45, 1e-39, 1.1754944e-38, 3.4028235e38, -3.4028235e38,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 88.7, 88.8, -87.4, -103.9, -104.1, 0.70710677,
	0.999999, 1.000001, 0.624, 0.625, -0.626, 9, -9, 5, -5, 1e-8,
}

// TestElementwise compares every function on special and random values, in
// every length up to three registers and a rest, and in place.
func TestElementwise(t *testing.T) {
	var points []float32
	points = append(points, specialValues...)
	for _, v := range randoms(7, 1500) {
		points = append(points, v, 12*v, 80*v)
	}
	onLevels(t, func(t *testing.T) {
		for _, c := range elementwiseCases {
			var x [3][]float32
			for d := range x {
				x[d] = make([]float32, len(points))
				for i := range points {
					// The second and third operand meet the special values
					// of the first in all combinations.
					x[d][i] = points[(i*(d+1)+5*d*(i/len(specialValues)))%len(points)]
				}
			}
			dst := nans(len(points))
			const s = 0.75
			c.run(dst, x, s)
			for i, got := range dst {
				arguments := [3]float64{float64(x[0][i]), float64(x[1][i]), float64(x[2][i])}
				want := c.want(arguments, s)
				if c.operands == 1 && math.Abs(want) < 1e-37 && c.relative > ulp {
					// Products of subnormal parts, and 1/∞ for 1e-39.
					if !closeTo(got, want, 1e-37) {
						t.Errorf("%s(%g) = %g, want %g", c.name, arguments[0], got, want)
					}
					continue
				}
				if c.name == "Silu" && math.IsInf(arguments[0], -1) {
					want = math.NaN()
				}
				if rounded := float64(float32(want)); math.IsInf(rounded, 0) {
					want = rounded
				}
				if !closeTo(got, want, math.Abs(want)*c.relative+7.1e-46) {
					t.Errorf("%s(%v)[:%d] = %g, want %g: relative error %.3g",
						c.name, arguments, c.operands, got, want, math.Abs(float64(got)-want)/math.Abs(want))
				}
			}
			for n := range 75 {
				short := nans(n + 1)
				c.run(short[:n], x, s)
				for i := range n {
					if short[i] != dst[i] && short[i] == short[i] {
						t.Fatalf("%s of %d values: value %d is %g, in a longer slice %g", c.name, n, i, short[i], dst[i])
					}
				}
				if short[n] == short[n] {
					t.Fatalf("%s of %d values wrote one more", c.name, n)
				}
				for d := range c.operands {
					in := x
					in[d] = append([]float32(nil), x[d][:n]...)
					c.run(in[d], in, s)
					for i := range n {
						if in[d][i] != dst[i] && dst[i] == dst[i] {
							t.Fatalf("%s of %d values in place of operand %d: value %d is %g, want %g", c.name, n, d, i, in[d][i], dst[i])
						}
					}
				}
			}
		}
	})
}

// TestNormalCDFError states the absolute error, which the relative tolerance
// of the far tail hides.
func TestNormalCDFError(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		x := make([]float32, 20001)
		for i := range x {
			x[i] = float32(i-10000) / 1000
		}
		dst := make([]float32, len(x))
		NormalCDF(dst, x)
		for i, got := range dst {
			if want := normalCDF64(float64(x[i])); !closeTo(got, want, 2e-7) {
				t.Fatalf("NormalCDF(%g) = %g, want %g", x[i], got, want)
			}
		}
	})
}

func TestAccumulating(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for n := range 75 {
			x, y, old := randoms(1, n), randoms(2, n), randoms(3, n+1)
			added := append([]float32(nil), old...)
			Axpy(added[:n], -1.5, x)
			multiplied := append([]float32(nil), old...)
			MulAdd(multiplied[:n], x, y)
			for i := range n {
				if want := float64(old[i]) - 1.5*float64(x[i]); !closeTo(added[i], want, 2e-7) {
					t.Fatalf("Axpy of %d: value %d is %g, want %g", n, i, added[i], want)
				}
				if want := float64(old[i]) + float64(x[i])*float64(y[i]); !closeTo(multiplied[i], want, 2e-7) {
					t.Fatalf("MulAdd of %d: value %d is %g, want %g", n, i, multiplied[i], want)
				}
			}
			if added[n] != old[n] || multiplied[n] != old[n] {
				t.Fatalf("%d values: wrote one more", n)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 7, 8, 9, 31, 63, 64, 65, 100, 4096, 4097, 100003} {
			x, y := randoms(1, n), randoms(2, n)
			var sum, squares, dot, size float64
			largest := math.Inf(-1)
			for i := range x {
				a, b := float64(x[i]), float64(y[i])
				sum += a
				squares += a * a
				dot += a * b
				size += math.Abs(a)
				largest = math.Max(largest, a)
			}
			for _, c := range []struct {
				name string
				got  float32
				want float64
			}{{"Sum", Sum(x), sum}, {"SumSquares", SumSquares(x), squares}, {"Dot", Dot(x, y), dot}} {
				if !closeTo(c.got, c.want, 2e-6*size) {
					t.Errorf("%s of %d values is %g, want %g", c.name, n, c.got, c.want)
				}
			}
			if got := MaxReduce(x); float64(got) != largest {
				t.Errorf("MaxReduce of %d values is %g, want %g", n, got, largest)
			}
			// The largest value and a NaN are found wherever they are.
			for i := 0; i < n; i += 1 + n/100 {
				old := x[i]
				x[i] = 3
				if got := MaxReduce(x); got != 3 {
					t.Errorf("MaxReduce of %d values with 3 at %d is %g", n, i, got)
				}
				x[i] = float32(math.NaN())
				if got := MaxReduce(x); got == got {
					t.Errorf("MaxReduce of %d values with a NaN at %d is %g", n, i, got)
				}
				x[i] = old
			}
		}
	})
}

func BenchmarkElementwise(b *testing.B) {
	const n = 4096
	x := [3][]float32{randoms(1, n), randoms(2, n), randoms(3, n)}
	dst := make([]float32, n)
	for _, c := range elementwiseCases {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				c.run(dst, x, 0.75)
			}
		})
	}
}
