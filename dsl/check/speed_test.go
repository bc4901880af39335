package check

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// largeRecipe is a recipe file of at least 2,000 lines as a project may grow to: 54 blocks of its own with parts in parts, models,
// stages and recipes that differ from each other by a few cells.
func largeRecipe() string {
	var b strings.Builder
	b.WriteString("forge 1\nuse \"tiny\"\n")
	for i := range 27 {
		fmt.Fprintf(&b, `
## Attention number %[1]d: a low rank for the queries, or none, and a norm of its own.
block attention_%[1]d(
  heads: axis,
  head: axis = %[2]d,
  rank: axis | none = %[3]d,
  gated: bool = true,
  norm: block = rms_norm(),
)(x[batch, seq, d]) -> [batch, seq, d] {
  require head %% 2 == 0, "positions turn pairs"

  weight wq[d, heads, head] if rank == none
  weight wq_a[d, rank] if rank != none
  weight wq_b[rank, heads, head] if rank != none
  weight wk[d, heads, head]
  weight wv[d, heads, head]
  weight wg[d, heads, head] if gated
  weight wo[heads, head, d]
  part q_norm = norm if rank != none else none
  part k_norm = norm
  rot = rotary(theta = 1e%[4]d)

  # Only these two are kept for each token.
  k = cache(rot[head](k_norm(dot[d](x, wk))))
  v = cache(dot[d](x, wv))

  q = dot[rank](q_norm(dot[d](x, wq_a)), wq_b) if rank != none else dot[d](x, wq)
  s = dot[head](rot[head](q), k) / sqrt(head)
  p: [batch, seq, heads, key] = softmax[key](causal(s, window = %[2]d * 4))
  y = dot[key](p, v)
  out = y * sigmoid(dot[d](x, wg)) if gated else y
  return dot[heads, head](out, wo)
}

block ffn_%[1]d(hidden: axis, cap: float = %[5]d)(x[.., d]) -> [.., d] {
  weight gate[d, hidden]
  weight up[d, hidden]
  weight down[hidden, d] ~ normal(0.01)
  state seen[hidden] = 1

  h = silu(dot[d](x, gate)) * dot[d](x, up)
  low = cap * tanh(h / cap)
  load = mean[..](abs(low))
  update seen = 0.99 * seen + 0.01 * load
  metric ffn_load_%[1]d = max[hidden](load)
  return dot[hidden](low / (1 + seen), down)
}

model model_%[1]d from tiny.tiny_v3 {
  dim = %[6]d
  let width = dim * 3
  depth = %[7]d
  attn = attention_%[1]d(heads = 4, rank = none if first_dense == 0 else %[3]d, norm = norm)
  dense = ffn_%[1]d(width)
  expert = swiglu(width / 2)
  gate.top_k = 3
  layers = [layer(attn, dense if i < first_dense else sparse, norm = norm) for i in 0..depth]
  mtp.layer.attn = attn
}

train stage_%[1]d from tiny.quick {
  total = %[8]dk steps
  batch = ramp(8, 32, over = 100 steps, multiple = 8) then hold(until = 500 steps) then 32
  peak = %[1]de-4 + 1e-4
  lr = ramp(0, peak, over = 50 steps)
    then hold(until = 400 steps)
    then cosine(to = peak / 10, over = 500 steps)
    then peak / 10
  optim = adamw(groups = [group("**.gain", decay = 0), group("embed", lr_scale = 0.1)])
}

recipe recipe_%[1]d from tiny.tiny {
  model = model_%[1]d
  stages = [stage_%[1]d, stage_%[1]d(seq = 256)]
  model.layers[0].ffn.cap = 15
}
`, i, 16+2*(i%8), 32+i, 4+i%2, 30+i, 64+8*(i%4), 4+i%3, 1+i%3)
	}
	return b.String()
}

// A recipe of 2,000 lines is checked in 100 ms on one core of a laptop (the benchmark says how fast); here it must only not take ages.
func TestLargeRecipe(t *testing.T) {
	source := largeRecipe()
	if n := strings.Count(source, "\n"); n < 2000 {
		t.Fatalf("%d lines", n)
	}
	start := time.Now()
	if got := rendered(memory{"large.forge": source}, "large.forge"); got != "" {
		t.Errorf("%.3000s", got)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func BenchmarkLargeRecipe(b *testing.B) {
	files := memory{"large.forge": largeRecipe()}
	b.ReportAllocs()
	for b.Loop() {
		if _, list := File(files, "large.forge"); len(list) > 0 {
			b.Fatal(list)
		}
	}
}
