package check

import (
	"strings"
	"testing"
)

// Each line is the body of a block on x[batch, seq, d] after these lines, and whether a token could see what it may not.
const peekStart = `forge 1
block f(a: float = 1, window: int = 4, heads: axis = 4, head: axis = 4)(x[batch, seq, d]) -> [batch, seq, d] {
  k = cache(x)
  open = dot[d](x, k)
  masked = causal(open)
  p = softmax[key](masked)
  weight w[d]
  near = causal(open, window = window)
  part norm = rms_norm()
  weight z[d, heads, head]
  weight u[heads]
  q = dot[d](x, z)
  many = softmax[key](causal(dot[head](q, cache(q))))
  loss used = sum[key](open + exp(near) + p + dot[heads](many, u)) * a * dot[d](norm(x), w)
`

var peekCases = []struct{ result, taint string }{
	// Reductions over seq and batch.
	{"x * sum[seq](x)", "all tokens"},
	{"dot[seq](x, x) * x", "all tokens"},
	{"softmax[seq](x)", "all tokens"},
	{"top[seq](x, 1) * x", "all tokens"},
	{"x * max[batch](x)", "sequences"},
	{"cumsum[batch](x)", "sequences"},
	{"cumsum[seq](x)", ""},
	{"prev[seq](x, 1)", ""},

	// Over key, each reduction asks for its neutral mask.
	{"dot[key](p, k)", ""},
	{"dot[key](k, p)", ""},
	{"dot[key](open, k)", "not 0"},
	{"dot[key](masked, k)", "not 0"},
	{"x * sum[key](p)", ""},
	{"x * sum[key](open)", "not 0"},
	{"x * max[key](masked)", ""},
	{"x * max[key](open)", "not masked"},
	{"x * max[key](p)", "not masked"},
	{"x * mean[key](p)", "later keys"},
	{"x * min[key](masked)", "later keys"},
	{"dot[key](softmax[key](open), k)", "not masked"},
	{"dot[key](softmax[key](near), k)", ""},
	{"dot[key](top[key](masked, 1), k)", "later keys"},

	// −∞ stays −∞ …
	{"dot[key](softmax[key](masked + open), k)", ""},
	{"dot[key](softmax[key](open + masked), k)", ""},
	{"dot[key](softmax[key](masked - open), k)", ""},
	{"dot[key](softmax[key](open - masked), k)", "not masked"},
	{"dot[key](softmax[key](masked - masked), k)", "not masked"},
	{"dot[key](softmax[key](masked * 2), k)", ""},
	{"dot[key](softmax[key](2 * masked / sqrt(d)), k)", ""},
	{"dot[key](softmax[key](masked * (-2)), k)", "not masked"},
	{"dot[key](softmax[key](masked * a), k)", "not masked"},
	{"dot[key](softmax[key](masked * dot[d](x, w)), k)", "not masked"},
	{"dot[key](softmax[key](-masked), k)", "not masked"},
	{"dot[key](softmax[key](where(sign(open), masked, -inf)), k)", ""},
	{"dot[key](softmax[key](where(sign(open), masked, open)), k)", "not masked"},
	{"dot[key](softmax[key](stop_grad(masked)), k)", ""},
	{"dot[key](softmax[key](silu(masked)), k)", "not masked"},

	// … and becomes 0.
	{"dot[key](exp(masked), k)", ""},
	{"dot[key](sigmoid(masked), k)", ""},
	{"dot[key](relu(masked), k)", ""},
	{"dot[key](tanh(masked), k)", "not 0"},

	// 0 stays 0.
	{"dot[key](p * open, k)", ""},
	{"dot[key](p / dot[d](x, w), k)", ""},
	{"dot[key](p / open, k)", "not 0"},
	{"dot[key](p + p, k)", ""},
	{"dot[key](p + 1, k)", "not 0"},
	{"dot[key](p - p * p, k)", ""},
	{"dot[key](square(p), k)", ""},
	{"dot[key](exp(p), k)", "not 0"},
	{"dot[key](sigmoid(p), k)", "not 0"},
	{"dot[key](gelu(silu(abs(p))), k)", ""},
	{"dot[key](dot[heads](many, u), k)", ""},
	{"dot[key](sum[heads](many), k)", ""},
	{"dot[key](mean[heads](many), k)", ""},
	{"dot[key](p ^ 2, k)", "not 0"},

	// Taint spreads through everything computed from it, parts included.
	{"norm(x * mean[seq](x))", "all tokens"},
	{"dot[key](p, cache(x * mean[seq](x)))", "all tokens"},
	{"x * stop_grad(mean[seq](x))", "all tokens"},
}

func TestPeeking(t *testing.T) {
	for _, k := range peekCases {
		source := peekStart + "  return " + k.result + "\n}\n"
		got := rendered(memory{"f.forge": source}, "f.forge")
		switch {
		case k.taint == "" && got != "":
			t.Errorf("%s should be accepted:\n%s", k.result, got)
		case k.taint != "" && (!strings.Contains(got, "error[E208]") || !strings.Contains(got, k.taint) || strings.Count(got, "error[") != 1):
			t.Errorf("%s should be refused (E208, %s):\n%s", k.result, k.taint, got)
		}
	}
}

// Without sequence or keys in what is returned there is nothing to see: effects may mix everything.
func TestEffectsMayMix(t *testing.T) {
	source := `forge 1
block f()(x[.., d]) -> [.., d] {
  weight w[d]
  state mean_x[d] = 0
  update mean_x = mean[..](x)
  loss spread = mean[batch, seq](square(x - mean_x))
  metric largest = max[..](x)
  return x * w
}
`
	if got := rendered(memory{"f.forge": source}, "f.forge"); got != "" {
		t.Error(got)
	}
}
