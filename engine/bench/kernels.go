package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
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

// Shapes are measured without others: squares, layers of small models in training, and few rows by a large weight.
var Shapes = []Shape{{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
	{2048, 256, 128}, {2048, 1024, 256}, {2048, 256, 1024},
	{1, 8192, 2048}, {2, 8192, 2048}, {4, 8192, 2048}, {8, 8192, 2048}, {64, 8192, 2048}}

// narrowRows is up to how many rows a product is compared with the bandwidth of memory instead of the arithmetic.
const narrowRows = 8

// Kernels measures the machine's peaks, then products of the given shapes, of experts, attention and a norm, with one thread and with
// all, each for about the given time, and the peaks again; it takes the best run of each, and shares are those of the better peaks. Keys
// of figures with all threads carry no number of threads, but the peaks do.
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
	results  []result
	figures  []Figure
}

// result is a measured rate that is yet to be compared with a peak.
type result struct {
	key, unit, what string
	value           float64
	peak            *float64
}

func (k *kernels) measure(ctx context.Context, shapes []Shape) error {
	k.peaks, k.results = kernel.MeasurePeaks(k.pool, 2*k.duration), nil
	steps := []func(){k.experts, k.attention, k.norm}
	for _, s := range shapes {
		steps = append(steps, func() { k.float32Product(s) })
		if s.M <= narrowRows {
			steps = append(steps, func() { k.weightProducts(s) })
			continue
		}
		if k.peaks.BF16Dot > 0 {
			steps = append(steps, func() { k.bfloat16Product(s) })
		}
		steps = append(steps, func() { k.scaledProducts(s) })
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		step()
	}
	again := kernel.MeasurePeaks(k.pool, 2*k.duration)
	k.peaks = kernel.Peaks{
		Float32: max(k.peaks.Float32, again.Float32), BF16Dot: max(k.peaks.BF16Dot, again.BF16Dot),
		Int8Dot: max(k.peaks.Int8Dot, again.Int8Dot), Read: max(k.peaks.Read, again.Read),
	}
	k.report()
	return ctx.Err()
}

// add notes a result.
func (k *kernels) add(key, unit string, value float64, peak *float64, what string) {
	k.results = append(k.results, result{key, unit, what, value, peak})
}

var units = map[string]string{"gflops": "GFLOP/s", "gops": "GOP/s", "gbs": "GB/s"}

// report turns peaks and results into figures.
func (k *kernels) report() {
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
	round := func(v, to float64) float64 { return math.Round(v*to) / to }
	for _, r := range k.results {
		k.figures = append(k.figures,
			Figure{r.key + k.infix + "_" + r.unit, round(r.value/1e9, 100),
				fmt.Sprintf("%s, %d threads: %.1f %s, %.0f %% of the peak", r.what, k.threads, r.value/1e9, units[r.unit], 100*r.value / *r.peak)},
			Figure{r.key + k.infix + "_share", round(r.value / *r.peak, 1000), ""})
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
	k.product("f32", "float32", s, 4, t, &k.peaks.Float32)
}

// weightProducts measures products of few rows with weights that are read where they lie. The weights are so many that none is still in
// a cache when its turn comes.
func (k *kernels) weightProducts(s Shape) {
	const beyondCaches = 128 << 20
	x, y := kernel.RowMajor(ramp(s.M*s.K), s.M, s.K), kernel.RowMajor(make([]float32, s.M*s.N), s.M, s.N)
	for _, w := range k.weights(s.N, s.K) {
		copies := max(1, min(16, beyondCaches/max(w.weight.Size(), 1)))
		products := make([]kernel.WeightProduct, copies)
		for i := range products {
			products[i] = kernel.WeightProduct{X: x, W: copied(w.weight), Y: y}
		}
		next := 0
		t := k.fastest(func() {
			kernel.MulWeights(k.pool, products[next:next+1])
			next = (next + 1) % copies
		})
		what := fmt.Sprintf("%v weights %v", w.weight.Format, s)
		if w.weight.ByInput {
			what += " by inputs"
		}
		k.add(w.key+"_"+s.key(), "gbs", float64(w.weight.Size())/t, &k.peaks.Read, what)
	}
}

// copied is the same weight in memory of its own.
func copied(w kernel.Weight) kernel.Weight {
	w.Float32s, w.BFloat16s = slices.Clone(w.Float32s), slices.Clone(w.BFloat16s)
	w.Bytes, w.BlockScales, w.HalfScales = slices.Clone(w.Bytes), slices.Clone(w.BlockScales), slices.Clone(w.HalfScales)
	return w
}

// namedWeight is a weight and what it is called in keys.
type namedWeight struct {
	key    string
	weight kernel.Weight
}

// weights are weights of so many outputs and inputs in every format.
func (k *kernels) weights(outputs, inputs int) []namedWeight {
	values := ramp(outputs * inputs)
	halves := make([]uint16, len(values))
	kernel.ConvertBFloat16(halves, values)
	bytes := make([]uint8, len(values))
	for i := range bytes {
		bytes[i] = uint8(i*31%120 + 1)
	}
	scales := make([]float32, (outputs+127)/128*((inputs+127)/128))
	for i := range scales {
		scales[i] = 0.01
	}
	list := []namedWeight{
		{"f32w", kernel.Weight{Format: kernel.Float32, Stride: inputs, Float32s: values}},
		{"f32t", kernel.Weight{Format: kernel.Float32, Stride: outputs, ByInput: true, Float32s: values}},
		{"bf16", kernel.Weight{Format: kernel.BFloat16, Stride: inputs, BFloat16s: halves}},
		{"bf16t", kernel.Weight{Format: kernel.BFloat16, Stride: outputs, ByInput: true, BFloat16s: halves}},
		{"fp8", kernel.Weight{Format: kernel.Float8, Stride: inputs, Bytes: bytes, BlockScales: scales}},
		{"int8", kernel.QuantizeInt8(k.pool, values, outputs, inputs)},
	}
	for i := range list {
		list[i].weight.Outputs, list[i].weight.Inputs = outputs, inputs
	}
	return list
}

// scaledProducts measures products of many rows with weights that have scales.
func (k *kernels) scaledProducts(s Shape) {
	x, y := kernel.RowMajor(ramp(s.M*s.K), s.M, s.K), kernel.RowMajor(make([]float32, s.M*s.N), s.M, s.N)
	peak := &k.peaks.Float32
	if k.peaks.BF16Dot > 0 {
		peak = &k.peaks.BF16Dot
	}
	for _, w := range k.weights(s.N, s.K) {
		if w.weight.Format != kernel.Float8 && w.weight.Format != kernel.Int8 {
			continue
		}
		products := []kernel.WeightProduct{{X: x, W: w.weight, Y: y}}
		t := k.fastest(func() { kernel.GemmWeights(k.pool, products) })
		k.product(w.key, w.weight.Format.String()+" weights in", s, 1, t, peak)
	}
}

// experts measures the products of 64 experts, each of 192 rows, by 512 × 128 weights.
func (k *kernels) experts() {
	const count, rows, inputs, outputs = 64, 192, 512, 128
	const flops = 2 * count * rows * inputs * outputs
	var plain []kernel.Product
	var mixed []kernel.MixedProduct
	for range count {
		q := kernel.Product{Alpha: 1, A: kernel.RowMajor(ramp(rows*inputs), rows, inputs), B: kernel.RowMajor(ramp(inputs*outputs), inputs, outputs),
			C: kernel.RowMajor(make([]float32, rows*outputs), rows, outputs)}
		plain = append(plain, q)
		mixed = append(mixed, kernel.MixedProduct{A: q.A.Mixed(), B: q.B.Mixed(), C: q.C.Mixed()})
	}
	k.add("f32_experts", "gflops", flops/k.fastest(func() { kernel.GemmGroups(k.pool, plain) }), &k.peaks.Float32, "float32 products of 64 experts")
	if k.peaks.BF16Dot > 0 {
		k.add("bf16_experts", "gflops", flops/k.fastest(func() { kernel.GemmGroupsBF16(k.pool, mixed) }), &k.peaks.BF16Dot,
			"bfloat16 products of 64 experts, stored as float32")
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
	k.product("bf16", "bfloat16", s, 2, t, &k.peaks.BF16Dot)
}

// product adds the figure of a product: against the arithmetic, or, with few rows, against reading the weight.
func (k *kernels) product(key, what string, s Shape, bytes int, t float64, peak *float64) {
	key, what = key+"_"+s.key(), fmt.Sprintf("%s product %v", what, s)
	if s.M <= narrowRows {
		k.add(key, "gbs", float64(bytes)*float64(s.N)*float64(s.K)/t, &k.peaks.Read, what)
		return
	}
	k.add(key, "gflops", 2*float64(s.M)*float64(s.N)*float64(s.K)/t, peak, what)
}

// attention measures causal attention, counting only the scores that are seen: over a long context, over those of the benchmark models in
// training, whose heads share the rotary key, and of one token against a latent cache.
func (k *kernels) attention() {
	for _, c := range []struct {
		key, what                 string
		batch, heads, tokens      int
		width, rotary, valueWidth int
	}{
		{"attention_1024", "attention over 1024 tokens", 1, 8, 1024, 64, 0, 64},
		{"attention_tiny_v3", "attention of tiny-v3, 8 sequences of 256", 8, 8, 256, 32, 16, 32},
		{"attention_small_v3", "attention of small-v3, 4 sequences of 512", 4, 8, 512, 64, 32, 64},
	} {
		tensor := func(width int, shared bool) kernel.AttentionTensor {
			t := kernel.AttentionTensor{Axes: [kernel.AttentionDims]int{2: c.heads * c.tokens * width, 3: width}, Row: c.heads * width, Feature: 1}
			if shared {
				t.Axes, t.Row = [kernel.AttentionDims]int{2: c.tokens * width}, width
			}
			t.Data = ramp(c.batch * c.heads * c.tokens * width)
			return t
		}
		a := kernel.Attention{
			Counts: [kernel.AttentionDims]int{1, 1, c.batch, c.heads}, Queries: c.tokens, Keys: c.tokens,
			Parts: []kernel.AttentionPart{{Q: tensor(c.width, false), K: tensor(c.width, false), Width: c.width}},
			V:     tensor(c.valueWidth, false), ValueWidth: c.valueWidth, Scale: 0.125, Causal: true,
		}
		if c.rotary > 0 {
			a.Parts = append(a.Parts, kernel.AttentionPart{Q: tensor(c.rotary, false), K: tensor(c.rotary, true), Width: c.rotary})
		}
		out, lse, grad := tensor(c.valueWidth, false), tensor(1, false), tensor(c.valueWidth, false)
		gradients := kernel.AttentionGradients{DV: tensor(c.valueWidth, false)}
		for i, part := range a.Parts {
			gradients.DQ = append(gradients.DQ, tensor(part.Width, false))
			gradients.DK = append(gradients.DK, tensor(part.Width, i == 1))
		}
		scores := 2 * float64(c.batch*c.heads) * float64(c.tokens*(c.tokens+1)/2)
		qk, v := float64(c.width+c.rotary), float64(c.valueWidth)
		t := k.fastest(func() { kernel.AttentionForward(k.pool, &a, out, lse) })
		k.add(c.key, "gflops", scores*(qk+v)/t, &k.peaks.Float32, "causal "+c.what+", forward")
		t = k.fastest(func() { kernel.AttentionBackward(k.pool, &a, out, lse, grad, gradients) })
		k.add(c.key+"_backward", "gflops", scores*(3*qk+2*v)/t, &k.peaks.Float32, "causal "+c.what+", backward")
	}
	k.decodeAttention()
}

// decodeAttention measures one token of 16 heads against 4,096 keys of a latent cache, 256 + 32 values each, which is read once.
func (k *kernels) decodeAttention() {
	const heads, keys, latent, rotary = 16, 4096, 256, 32
	cache := ramp(keys * latent)
	shared := func(data []float32, width int) kernel.AttentionTensor {
		return kernel.AttentionTensor{Data: data, Row: width, Feature: 1}
	}
	head := func(width int) kernel.AttentionTensor {
		return kernel.AttentionTensor{Data: ramp(heads * width), Axes: [kernel.AttentionDims]int{3: width}, Row: heads * width, Feature: 1}
	}
	a := kernel.Attention{
		Counts: [kernel.AttentionDims]int{1, 1, 1, heads}, Queries: 1, Keys: keys,
		Parts: []kernel.AttentionPart{{Q: head(latent), K: shared(cache, latent), Width: latent}, {Q: head(rotary), K: shared(ramp(keys*rotary), rotary), Width: rotary}},
		V:     shared(cache, latent), ValueWidth: latent, Scale: 0.06, Causal: true, Offset: keys - 1,
	}
	out := head(latent)
	t := k.fastest(func() { kernel.AttentionForward(k.pool, &a, out, kernel.AttentionTensor{}) })
	k.add("attention_decode", "gflops", 2*heads*keys*(2*latent+rotary)/t, &k.peaks.Float32, "attention of one token to 4096 in a latent cache")
}

// norm measures RMS normalisation of 8,192 rows of 2,048 values, read and written once.
func (k *kernels) norm() {
	const rows, width = 8192, 2048
	x, y := kernel.RowMajor(ramp(rows*width), rows, width), kernel.RowMajor(make([]float32, rows*width), rows, width)
	t := k.fastest(func() { kernel.RMSNorm(k.pool, y, x, nil, 1e-6, nil) })
	k.add("rms_norm", "gbs", 2*4*rows*width/t, &k.peaks.Read, "rms_norm of 8192 rows of 2048")
}
