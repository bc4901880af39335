package bench

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"forge/backends/cpu/kernel"
)

// Figure is one measured number. Key is its name in JSON.
type Figure struct {
	Key   string
	Value float64
	Text  string // what it is, for people; "" for figures that stand beside another
}

// Shape is a matrix product C[M, N] = A[M, K] · B[K, N].
type Shape struct{ M, N, K int }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.M, s.N, s.K) }

// key is the short name of a square product.
func (s Shape) key() string {
	if s.M == s.N && s.N == s.K {
		return fmt.Sprint(s.M)
	}
	return s.String()
}

// ParseShape reads MxNxK.
func ParseShape(text string) (Shape, error) {
	var s Shape
	var rest string
	n, _ := fmt.Sscanf(strings.ReplaceAll(text, "x", " ")+" end", "%d %d %d %s", &s.M, &s.N, &s.K, &rest)
	if n != 4 || rest != "end" || s.M < 1 || s.N < 1 || s.K < 1 {
		return s, fmt.Errorf("%q is no shape: write MxNxK, such as 512x512x512", text)
	}
	if most := 1 << 31; float64(s.M)*float64(s.K)+float64(s.K)*float64(s.N)+float64(s.M)*float64(s.N) > float64(most) {
		return s, fmt.Errorf("%s is too large: at most 2^31 values in all", text)
	}
	return s, nil
}

// Shapes are measured without others: squares, and few rows by a large weight.
var Shapes = []Shape{{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
	{1, 8192, 2048}, {4, 8192, 2048}, {8, 8192, 2048}, {64, 8192, 2048}}

// narrowRows is up to how many rows a product is compared with the bandwidth of memory instead of the arithmetic.
const narrowRows = 8

// Kernels measures the machine's peaks, then products of the given shapes, attention and a norm, with one thread and with all, each
// for about the given time; it takes the best run. Keys of figures with all threads carry no number of threads, but the peaks do.
func Kernels(ctx context.Context, threads int, shapes []Shape, duration time.Duration) ([]Figure, error) {
	k := &kernels{duration: duration}
	counts := []int{1}
	if threads > 1 {
		counts = append(counts, threads)
	}
	for i, n := range counts {
		k.pool, k.threads, k.infix = kernel.NewPool(n), n, ""
		if i < len(counts)-1 {
			k.infix = fmt.Sprintf("_%dt", n)
		}
		err := k.measure(ctx, shapes)
		k.pool.Close()
		if err != nil {
			return nil, err
		}
	}
	return k.figures, nil
}

// kernels is a measurement in progress.
type kernels struct {
	pool     *kernel.Pool
	threads  int
	infix    string // after the name of a figure: "" or the number of threads
	duration time.Duration
	peaks    kernel.Peaks
	figures  []Figure
}

func (k *kernels) measure(ctx context.Context, shapes []Shape) error {
	k.measurePeaks()
	for _, s := range shapes {
		if err := ctx.Err(); err != nil {
			return err
		}
		k.float32Product(s)
		if s.M <= narrowRows {
			k.weightProducts(s)
		} else if k.peaks.BF16Dot > 0 {
			k.bfloat16Product(s)
		}
	}
	k.attention()
	k.norm()
	return ctx.Err()
}

// add notes a figure and its share of a peak.
func (k *kernels) add(key, unit string, value, peak float64, what string) {
	round := func(v, to float64) float64 { return math.Round(v*to) / to }
	k.figures = append(k.figures,
		Figure{key + k.infix + "_" + unit, round(value/1e9, 100),
			fmt.Sprintf("%s, %d threads: %.1f %s, %.0f %% of the peak", what, k.threads, value/1e9, units[unit], 100*value/peak)},
		Figure{key + k.infix + "_share", round(value/peak, 1000), ""})
}

var units = map[string]string{"gflops": "GFLOP/s", "gops": "GOP/s", "gbs": "GB/s"}

func (k *kernels) measurePeaks() {
	k.peaks = kernel.MeasurePeaks(k.pool, 4*k.duration)
	for _, p := range []struct {
		key, unit, what string
		value           float64
	}{
		{"fp32", "gflops", "float32 multiply-adds", k.peaks.Float32},
		{"bf16", "gflops", "bfloat16 dot products", k.peaks.BF16Dot},
		{"int8", "gops", "int8 dot products", k.peaks.Int8Dot},
		{"read", "gbs", "reading memory", k.peaks.Read},
	} {
		if p.value > 0 {
			k.figures = append(k.figures, Figure{fmt.Sprintf("%s_%dt_%s", p.key, k.threads, p.unit), math.Round(p.value/1e7) / 100,
				fmt.Sprintf("peak: %s, %d threads: %.1f %s", p.what, k.threads, p.value/1e9, units[p.unit])})
		}
	}
}

// fastest is the time of the fastest run within the duration, after one to warm up.
func (k *kernels) fastest(f func()) float64 {
	f()
	best := math.Inf(1)
	for start, n := time.Now(), 0; n < 3 || time.Since(start) < k.duration; n++ {
		before := time.Now()
		f()
		best = min(best, time.Since(before).Seconds())
	}
	return best
}

// ramp are n values in [−1, 1).
func ramp(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i*7919%2048)/1024 - 1
	}
	return values
}

// float32Product measures a product with the weight as checkpoints have it, a row an output.
func (k *kernels) float32Product(s Shape) {
	a, b, c := kernel.RowMajor(ramp(s.M*s.K), s.M, s.K), kernel.RowMajor(ramp(s.N*s.K), s.N, s.K).T(), kernel.RowMajor(make([]float32, s.M*s.N), s.M, s.N)
	t := k.fastest(func() { kernel.Gemm(k.pool, 1, a, b, 0, c) })
	k.product("f32", "float32", s, 4, t, k.peaks.Float32)
}

// weightProducts measures a product of few rows with weights that are read where they lie.
func (k *kernels) weightProducts(s Shape) {
	values := ramp(s.N * s.K)
	x, y := kernel.RowMajor(ramp(s.M*s.K), s.M, s.K), kernel.RowMajor(make([]float32, s.M*s.N), s.M, s.N)
	halves := make([]uint16, len(values))
	kernel.ConvertBFloat16(halves, values)
	bytes := make([]uint8, len(values))
	for i := range bytes {
		bytes[i] = uint8(i*31%120 + 1)
	}
	scales := make([]float32, (s.N+127)/128*((s.K+127)/128))
	for i := range scales {
		scales[i] = 0.01
	}
	for _, w := range []struct {
		key    string
		weight kernel.Weight
	}{
		{"f32w", kernel.Weight{Format: kernel.Float32, Stride: s.K, Float32s: values}},
		{"bf16", kernel.Weight{Format: kernel.BFloat16, Stride: s.K, BFloat16s: halves}},
		{"bf16t", kernel.Weight{Format: kernel.BFloat16, Stride: s.N, ByInput: true, BFloat16s: halves}},
		{"fp8", kernel.Weight{Format: kernel.Float8, Stride: s.K, Bytes: bytes, BlockScales: scales}},
		{"int8", kernel.QuantizeInt8(k.pool, values, s.N, s.K)},
	} {
		w.weight.Outputs, w.weight.Inputs = s.N, s.K
		products := []kernel.WeightProduct{{X: x, W: w.weight, Y: y}}
		t := k.fastest(func() { kernel.MulWeights(k.pool, products) })
		what := fmt.Sprintf("%v weights %v", w.weight.Format, s)
		if w.weight.ByInput {
			what += " by inputs"
		}
		k.add(w.key+"_"+s.key(), "gbs", float64(w.weight.Size())/t, k.peaks.Read, what)
	}
}

// bfloat16Product measures a product of operands stored as bfloat16.
func (k *kernels) bfloat16Product(s Shape) {
	stored := func(n int) []uint16 {
		values := make([]uint16, n)
		kernel.ConvertBFloat16(values, ramp(n))
		return values
	}
	a := kernel.MixedMatrix{BFloat16s: stored(s.M * s.K), Rows: s.M, Cols: s.K, RowStride: s.K, ColStride: 1}
	b := kernel.MixedMatrix{BFloat16s: stored(s.N * s.K), Rows: s.K, Cols: s.N, RowStride: 1, ColStride: s.K}
	c := kernel.RowMajor(make([]float32, s.M*s.N), s.M, s.N)
	t := k.fastest(func() { kernel.GemmBF16(k.pool, a, b, false, c) })
	k.product("bf16", "bfloat16", s, 2, t, k.peaks.BF16Dot)
}

// product adds the figure of a product: against the arithmetic, or, with few rows, against reading the weight.
func (k *kernels) product(key, what string, s Shape, bytes int, t, peak float64) {
	key, what = key+"_"+s.key(), fmt.Sprintf("%s product %v", what, s)
	if s.M <= narrowRows {
		k.add(key, "gbs", float64(bytes)*float64(s.N)*float64(s.K)/t, k.peaks.Read, what)
		return
	}
	k.add(key, "gflops", 2*float64(s.M)*float64(s.N)*float64(s.K)/t, peak, what)
}

// attention measures eight causal heads of 64 features over 1,024 tokens, counting only the scores that are seen.
func (k *kernels) attention() {
	const tokens, heads, width = 1024, 8, 64
	tensor := func(width int) kernel.AttentionTensor {
		return kernel.AttentionTensor{Data: ramp(heads * tokens * width), Axes: [kernel.AttentionDims]int{3: tokens * width}, Row: width, Feature: 1}
	}
	a := kernel.Attention{
		Counts: [kernel.AttentionDims]int{1, 1, 1, heads}, Queries: tokens, Keys: tokens,
		Parts: []kernel.AttentionPart{{Q: tensor(width), K: tensor(width), Width: width}},
		V:     tensor(width), ValueWidth: width, Scale: 0.125, Causal: true,
	}
	out, lse := tensor(width), tensor(1)
	t := k.fastest(func() { kernel.AttentionForward(k.pool, &a, out, lse) })
	k.add("attention_1024", "gflops", 2*heads*tokens*(tokens+1)/2*2*width/t, k.peaks.Float32, "causal attention over 1024 tokens, forward")
}

// norm measures RMS normalisation of 8,192 rows of 2,048 values, read and written once.
func (k *kernels) norm() {
	const rows, width = 8192, 2048
	x, y := kernel.RowMajor(ramp(rows*width), rows, width), kernel.RowMajor(make([]float32, rows*width), rows, width)
	t := k.fastest(func() { kernel.RMSNorm(k.pool, y, x, nil, 1e-6, nil) })
	k.add("rms_norm", "gbs", 2*4*rows*width/t, k.peaks.Read, "rms_norm of 8192 rows of 2048")
}
