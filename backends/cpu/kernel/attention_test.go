package kernel

import (
	"fmt"
	"math"
	"testing"
)

// attentionCase is a shape of attention. Sharing has a letter an outer axis:
// which tensors (k: all keys, r: the keys of the second part, v: the values)
// have one copy for all indices of that axis.
type attentionCase struct {
	name          string
	counts        [AttentionDims]int
	sharing       [AttentionDims]string
	queries, keys int
	widths        []int
	values        int
	causal        bool
	offset        int
	window        int
	features      bool // features are not contiguous
	rounded       bool
}

var attentionCases = []attentionCase{
	{name: "one score", counts: [4]int{1, 1, 1, 1}, queries: 1, keys: 1, widths: []int{1}, values: 1},
	{name: "no keys", counts: [4]int{1, 1, 1, 2}, queries: 3, keys: 0, widths: []int{4}, values: 5},
	{name: "no queries", counts: [4]int{1, 1, 1, 2}, queries: 0, keys: 3, widths: []int{4}, values: 5},
	{name: "heads", counts: [4]int{1, 2, 1, 3}, queries: 37, keys: 37, widths: []int{24}, values: 20, causal: true},
	{name: "full", counts: [4]int{1, 1, 1, 2}, queries: 50, keys: 70, widths: []int{16}, values: 16},
	{name: "grouped", counts: [4]int{1, 2, 2, 3}, sharing: [4]string{"", "", "", "krv"}, queries: 40, keys: 40, widths: []int{9}, values: 7, causal: true},
	{name: "latent", counts: [4]int{1, 2, 1, 3}, sharing: [4]string{"", "", "", "r"}, queries: 29, keys: 29, widths: []int{12, 6}, values: 10, causal: true},
	{name: "many tiles", counts: [4]int{1, 1, 1, 2}, sharing: [4]string{"", "", "", "r"}, queries: 270, keys: 300, widths: []int{10, 3}, values: 18, causal: true, offset: 30},
	{name: "window", counts: [4]int{1, 1, 1, 2}, queries: 300, keys: 300, widths: []int{8}, values: 8, causal: true, window: 40},
	{name: "narrow window", counts: [4]int{1, 1, 1, 1}, queries: 20, keys: 20, widths: []int{8}, values: 8, causal: true, window: 1},
	{name: "some see nothing", counts: [4]int{1, 1, 1, 2}, queries: 30, keys: 25, widths: []int{5}, values: 4, causal: true, offset: -7},
	{name: "offset beyond keys", counts: [4]int{1, 1, 1, 2}, queries: 10, keys: 12, widths: []int{5}, values: 4, causal: true, offset: 9, window: 6},
	{name: "decode", counts: [4]int{1, 2, 1, 4}, queries: 1, keys: 700, widths: []int{16}, values: 16, causal: true, offset: 699},
	{name: "decode grouped", counts: [4]int{1, 2, 2, 5}, sharing: [4]string{"", "", "", "krv"}, queries: 1, keys: 600, widths: []int{16}, values: 12, causal: true, offset: 540},
	{name: "decode absorbed", counts: [4]int{1, 1, 1, 40}, sharing: [4]string{"", "", "", "krv"}, queries: 2, keys: 300, widths: []int{32, 8}, values: 32, causal: true, offset: 298},
	{name: "decode one latent for all", counts: [4]int{1, 1, 1, 8}, sharing: [4]string{"", "", "", "krv"}, queries: 1, keys: 1300, widths: []int{32, 8}, values: 32, causal: true, offset: 1250},
	{name: "decode one head in a window", counts: [4]int{1, 1, 1, 1}, queries: 1, keys: 700, widths: []int{24}, values: 20, causal: true, offset: 690, window: 300},
	{name: "decode where some see nothing", counts: [4]int{1, 1, 1, 2}, sharing: [4]string{"", "", "", "krv"}, queries: 4, keys: 400, widths: []int{16}, values: 0, causal: true, offset: -2},
	{name: "strided features", counts: [4]int{1, 1, 1, 2}, sharing: [4]string{"", "", "", "r"}, queries: 21, keys: 19, widths: []int{7, 4}, values: 9, causal: true, features: true},
	{name: "decode with strided features", counts: [4]int{1, 1, 1, 2}, queries: 1, keys: 90, widths: []int{7}, values: 9, features: true},
	{name: "no features", counts: [4]int{1, 1, 1, 2}, queries: 9, keys: 11, widths: []int{0}, values: 3},
}

// tensor makes a tensor of the case: positions outside the outer axes, or
// features outermost.
func (c *attentionCase) tensor(seed uint64, kind string, rows, width int) AttentionTensor {
	t := AttentionTensor{Row: width, Feature: 1}
	size := rows * width
	if c.features {
		t.Row, t.Feature = 1, rows
	}
	for d := AttentionDims - 1; d >= 0; d-- {
		shared := false
		for _, letter := range c.sharing[d] {
			shared = shared || string(letter) == kind
		}
		if !shared && c.counts[d] > 1 {
			t.Axes[d] = size
			size *= c.counts[d]
		}
	}
	if !c.features && c.counts[3] > 1 && t.Axes[3] != 0 {
		// [position, head, feature]
		t.Axes[3], t.Row = width, width*c.counts[3]
	}
	t.Data = randoms(seed, size)
	return t
}

// blank is a tensor of the same layout to be overwritten.
func blank(t AttentionTensor) AttentionTensor {
	t.Data = nans(len(t.Data))
	return t
}

func (c *attentionCase) attention() *Attention {
	a := &Attention{Counts: c.counts, Queries: c.queries, Keys: c.keys, ValueWidth: c.values, Scale: 0.7,
		Causal: c.causal, Offset: c.offset, Window: c.window, Rounded: c.rounded, V: c.tensor(3, "v", c.keys, c.values)}
	for i, width := range c.widths {
		kind := "k"
		if i == 1 {
			kind = "r"
		}
		a.Parts = append(a.Parts, AttentionPart{Width: width,
			Q: c.tensor(uint64(10+i), "q", c.queries, width), K: c.tensor(uint64(20+i), kind, c.keys, width)})
	}
	return a
}

// attention64 computes output, log-sum-exp and gradients by the definition, in
// tensors of the layouts of the arguments.
type attention64 struct {
	out, lse, dv []float64
	dq, dk       [][]float64
}

func reference(a *Attention, out, lse, dout AttentionTensor) attention64 {
	r := attention64{out: make([]float64, len(out.Data)), lse: make([]float64, len(lse.Data)), dv: make([]float64, len(a.V.Data))}
	for _, part := range a.Parts {
		r.dq = append(r.dq, make([]float64, len(part.Q.Data)))
		r.dk = append(r.dk, make([]float64, len(part.K.Data)))
	}
	read := func(t AttentionTensor, at int) float64 { return float64(t.Data[at]) }
	round := func(v float64) float64 { return v }
	if a.Rounded {
		round = func(v float64) float64 { return float64(FromBFloat16(ToBFloat16(float32(v)))) }
		read = func(t AttentionTensor, at int) float64 { return round(float64(t.Data[at])) }
	}
	for index := range a.outer() {
		start := func(t AttentionTensor) int { return offset(index, &a.Counts, &t.Axes) }
		for i := range a.Queries {
			scores := make([]float64, a.Keys)
			for j := range scores {
				seen := !a.Causal || j <= i+a.Offset && (a.Window == 0 || j > i+a.Offset-a.Window)
				for _, part := range a.Parts {
					for f := range part.Width {
						scores[j] += float64(a.Scale) * read(part.Q, start(part.Q)+i*part.Q.Row+f*part.Q.Feature) *
							read(part.K, start(part.K)+j*part.K.Row+f*part.K.Feature)
					}
				}
				if !seen {
					scores[j] = math.Inf(-1)
				}
			}
			weights := softmax64(scores)
			sum := 0.0
			for _, score := range scores {
				sum += math.Exp(score)
			}
			r.lse[start(lse)+i*lse.Row] = math.Log(sum)
			// dP and D
			dweights, mean := make([]float64, a.Keys), 0.0
			for j, w := range weights {
				for f := range a.ValueWidth {
					v := start(a.V) + j*a.V.Row + f*a.V.Feature
					g := read(dout, start(dout)+i*dout.Row+f*dout.Feature)
					r.out[start(out)+i*out.Row+f*out.Feature] += round(w) * read(a.V, v)
					r.dv[v] += round(w) * g
					dweights[j] += g * read(a.V, v)
				}
			}
			for f := range a.ValueWidth {
				mean += float64(dout.Data[start(dout)+i*dout.Row+f*dout.Feature]) * r.out[start(out)+i*out.Row+f*out.Feature]
			}
			for j, w := range weights {
				ds := round(float64(a.Scale) * w * (dweights[j] - mean))
				for p, part := range a.Parts {
					for f := range part.Width {
						q, k := start(part.Q)+i*part.Q.Row+f*part.Q.Feature, start(part.K)+j*part.K.Row+f*part.K.Feature
						r.dq[p][q] += ds * read(part.K, k)
						r.dk[p][k] += ds * read(part.Q, q)
					}
				}
			}
		}
	}
	return r
}

func compareSlices(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i, w := range want {
		if !closeTo(got[i], w, tolerance) {
			t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(want), got[i], w)
		}
	}
}

func TestAttention(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		for _, c := range attentionCases {
			t.Run(c.name, func(t *testing.T) {
				a := c.attention()
				out := blank(c.tensor(0, "o", c.queries, c.values))
				lse := blank(c.tensor(0, "l", c.queries, 1))
				dout := c.tensor(5, "o", c.queries, c.values)
				want := reference(a, out, lse, dout)
				for _, threads := range []int{1, 2, 5} {
					p := newPool(t, threads)
					AttentionForward(p, a, out, lse)
					compareSlices(t, fmt.Sprint("output, threads ", threads), out.Data, want.out, 2e-6)
					compareSlices(t, fmt.Sprint("log-sum-exp, threads ", threads), lse.Data, want.lse, 2e-6)

					to := AttentionGradients{DV: blank(a.V)}
					for _, part := range a.Parts {
						to.DQ = append(to.DQ, blank(part.Q))
						to.DK = append(to.DK, blank(part.K))
					}
					AttentionBackward(p, a, out, lse, dout, to)
					for i := range a.Parts {
						compareSlices(t, fmt.Sprint("gradient of queries ", i, ", threads ", threads), to.DQ[i].Data, want.dq[i], 5e-6)
						compareSlices(t, fmt.Sprint("gradient of keys ", i, ", threads ", threads), to.DK[i].Data, want.dk[i], 3e-5)
					}
					compareSlices(t, fmt.Sprint("gradient of values, threads ", threads), to.DV.Data, want.dv, 3e-5)

					// Without log-sum-exp, and with some gradients only.
					AttentionForward(p, a, out, AttentionTensor{})
					compareSlices(t, "output alone", out.Data, want.out, 2e-6)
					dv := to.DV
					to.DV = AttentionTensor{}
					to.DQ[0] = AttentionTensor{}
					AttentionBackward(p, a, out, lse, dout, to)
					compareSlices(t, "gradient of keys without others", to.DK[0].Data, want.dk[0], 3e-5)
					to.DK[0], to.DV = AttentionTensor{}, dv
					AttentionBackward(p, a, out, lse, dout, to)
					compareSlices(t, "gradient of values without others", to.DV.Data, want.dv, 3e-5)
				}
			})
		}
	})
}

// TestRoundedAttention compares with the definition in bfloat16. A sum that differs
// in its last bits may round to another number, which moves a result a little.
func TestRoundedAttention(t *testing.T) {
	var cases []attentionCase
	for _, c := range attentionCases {
		if c.queries != 1 { // which is for generation, in float32
			cases = append(cases, c)
		}
	}
	cases = append(cases,
		attentionCase{name: "many keys", counts: [4]int{1, 1, 1, 1}, queries: 14, keys: 9000, widths: []int{5}, values: 3, causal: true, offset: 8986},
		attentionCase{name: "window in the middle", counts: [4]int{1, 1, 1, 2}, queries: 210, keys: 500, widths: []int{33}, values: 35, causal: true, offset: 301, window: 61})
	onLevels(t, func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				a := c.attention()
				a.Rounded = true
				out, lse := blank(c.tensor(0, "o", c.queries, c.values)), blank(c.tensor(0, "l", c.queries, 1))
				dout := c.tensor(5, "o", c.queries, c.values)
				want := reference(a, out, lse, dout)
				p := newPool(t, 3)
				AttentionForward(p, a, out, lse)
				compareSlices(t, "output", out.Data, want.out, 1e-3)
				compareSlices(t, "log-sum-exp", lse.Data, want.lse, 2e-6)
				to := AttentionGradients{DV: blank(a.V)}
				for _, part := range a.Parts {
					to.DQ, to.DK = append(to.DQ, blank(part.Q)), append(to.DK, blank(part.K))
				}
				AttentionBackward(p, a, out, lse, dout, to)
				for i := range a.Parts {
					compareSlices(t, fmt.Sprint("gradient of queries ", i), to.DQ[i].Data, want.dq[i], 3e-3)
					compareSlices(t, fmt.Sprint("gradient of keys ", i), to.DK[i].Data, want.dk[i], 3e-3)
				}
				compareSlices(t, "gradient of values", to.DV.Data, want.dv, 3e-3)
			})
		}
	})
}

// TestAttentionIsDeterministic runs the case with the most partial sums.
func TestAttentionIsDeterministic(t *testing.T) {
	for _, rounded := range []bool{false, true} {
		testAttentionIsDeterministic(t, rounded)
	}
}

func testAttentionIsDeterministic(t *testing.T, rounded bool) {
	c := attentionCases[7]
	a := c.attention()
	a.Rounded = rounded
	p := newPool(t, 3)
	out, lse := c.tensor(0, "o", c.queries, c.values), c.tensor(0, "l", c.queries, 1)
	dout := c.tensor(5, "o", c.queries, c.values)
	to := AttentionGradients{DV: blank(a.V), DQ: []AttentionTensor{blank(a.Parts[0].Q), blank(a.Parts[1].Q)},
		DK: []AttentionTensor{blank(a.Parts[0].K), blank(a.Parts[1].K)}}
	var first []float32
	for range 10 {
		AttentionForward(p, a, out, lse)
		AttentionBackward(p, a, out, lse, dout, to)
		var all []float32
		for _, x := range []AttentionTensor{out, lse, to.DV, to.DQ[0], to.DQ[1], to.DK[0], to.DK[1]} {
			all = append(all, x.Data...)
		}
		if first == nil {
			first = all
		}
		for i, v := range all {
			if v != first[i] {
				t.Fatalf("value %d is %g, was %g", i, v, first[i])
			}
		}
	}
	if n := testing.AllocsPerRun(5, func() {
		AttentionForward(p, a, out, lse)
		AttentionBackward(p, a, out, lse, dout, to)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, c := range []attentionCase{
		{name: "latent", counts: [4]int{1, 2, 1, 8}, sharing: [4]string{"", "", "", "r"}, queries: 1024, keys: 1024, widths: []int{32, 16}, values: 32, causal: true},
		{name: "tiny_v3", counts: [4]int{1, 8, 1, 8}, sharing: [4]string{"", "", "", "r"}, queries: 256, keys: 256, widths: []int{32, 16}, values: 32, causal: true},
		{name: "small_v3", counts: [4]int{1, 4, 1, 8}, sharing: [4]string{"", "", "", "r"}, queries: 512, keys: 512, widths: []int{64, 32}, values: 64, causal: true},
		{name: "tiny_v3", rounded: true, counts: [4]int{1, 8, 1, 8}, sharing: [4]string{"", "", "", "r"}, queries: 256, keys: 256, widths: []int{32, 16}, values: 32, causal: true},
		{name: "small_v3", rounded: true, counts: [4]int{1, 4, 1, 8}, sharing: [4]string{"", "", "", "r"}, queries: 512, keys: 512, widths: []int{64, 32}, values: 64, causal: true},
		{name: "heads", counts: [4]int{1, 1, 1, 8}, queries: 2048, keys: 2048, widths: []int{64}, values: 64, causal: true},
		{name: "short", counts: [4]int{1, 16, 1, 4}, queries: 128, keys: 128, widths: []int{32}, values: 32, causal: true},
		{name: "wide", counts: [4]int{1, 1, 1, 2}, queries: 2048, keys: 2048, widths: []int{128, 64}, values: 128, causal: true},
		{name: "decode", counts: [4]int{1, 1, 2, 8}, sharing: [4]string{"", "", "", "kv"}, queries: 1, keys: 4096, widths: []int{128}, values: 128, causal: true, offset: 4095},
		{name: "decode latent 192", counts: [4]int{1, 1, 1, 8}, sharing: [4]string{"", "", "", "krv"}, queries: 1, keys: 192, widths: []int{128, 32}, values: 128, causal: true, offset: 191},
		{name: "decode latent 4096", counts: [4]int{1, 1, 1, 8}, sharing: [4]string{"", "", "", "krv"}, queries: 1, keys: 4096, widths: []int{128, 32}, values: 128, causal: true, offset: 4095},
	} {
		a := c.attention()
		p := newPool(b, 0)
		out, lse := c.tensor(0, "o", c.queries, c.values), c.tensor(0, "l", c.queries, 1)
		scores := 0
		for i := range a.Queries {
			low, high := a.limits(i)
			scores += high - low
		}
		flops := 2 * float64(scores*a.outer())
		if c.rounded {
			c.name += " in bfloat16"
		}
		b.Run(c.name+"/forward", func(b *testing.B) {
			for b.Loop() {
				AttentionForward(p, a, out, lse)
			}
			b.ReportMetric(flops*float64(a.width()+a.ValueWidth)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
		if c.queries == 1 {
			continue
		}
		to := AttentionGradients{DV: blank(a.V)}
		for _, part := range a.Parts {
			to.DQ = append(to.DQ, blank(part.Q))
			to.DK = append(to.DK, blank(part.K))
		}
		b.Run(c.name+"/backward", func(b *testing.B) {
			for b.Loop() {
				AttentionBackward(p, a, out, lse, out, to)
			}
			b.ReportMetric(flops*float64(3*a.width()+2*a.ValueWidth)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
	}
}
