package check

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"forge/dsl/diag"
)

// The proof of peek.go: whatever block is accepted, changing later tokens, or other sequences, leaves what it returns for earlier
// tokens as it is, bit for bit. Blocks are drawn at random and computed by the small interpreter below.

const (
	leakBatch = 2
	leakSeq   = 4
	leakDim   = 3
)

// drawn writes a random expression: "x" [batch, seq, d], "s" [batch, seq, key], "r" [batch, seq], "k" [batch, key, d].
func drawn(t *rapid.T, kind string, depth int) string {
	sub := func(kind string) string { return drawn(t, kind, depth-1) }
	one := func(forms ...func() string) string { return rapid.SampledFrom(forms).Draw(t, kind)() }
	text := func(format string, kinds ...string) func() string {
		return func() string {
			args := make([]any, len(kinds))
			for i, k := range kinds {
				args[i] = sub(k)
			}
			return fmt.Sprintf(format, args...)
		}
	}
	if depth == 0 {
		return map[string]string{"x": "x", "s": "softmax[key](causal(dot[d](x, cache(x))))", "r": "mean[d](x)", "k": "cache(x)"}[kind]
	}
	switch kind {
	case "x":
		return one(text("dot[key](%s, %s)", "s", "k"), text("dot[key](%s, %s)", "s", "k"), text("dot[key](%s, %s)", "k", "s"),
			text("(%s + %s)", "x", "x"), text("(%s * %s)", "x", "x"), text("silu(%s)", "x"), text("prev[seq](%s, 1)", "x"),
			text("cumsum[seq](%s)", "x"), text("cumsum[batch](%s)", "x"), text("(%s * %s)", "x", "r"), text("(%s + %s)", "x", "r"), text("norm[d](%s)", "x"),
			text("softmax[d](%s)", "x"), text("softmax[seq](%s)", "x"), text("(%s - mean[seq](%s))", "x", "x"),
			text("conv[seq, tap](%s, w)", "x"), text("scan[seq](step, 0)(%s)", "x"))
	case "r":
		return one(text("sum[key](%s)", "s"), text("max[key](%s)", "s"), text("mean[key](%s)", "s"), text("min[key](%s)", "s"),
			text("dot[d](%s, %s)", "x", "x"), text("max[d](%s)", "x"))
	case "k":
		return one(text("cache(%s)", "x"), text("cache(%s)", "x"), text("(%s * %s)", "k", "k"), text("tanh(%s)", "k"), text("cumsum[key](%s)", "k"))
	}
	return one(text("dot[d](%s, %s)", "x", "k"), text("causal(%s)", "s"), text("causal(%s)", "s"), text("causal(%s, window = 2)", "s"),
		text("softmax[key](causal(%s))", "s"), text("softmax[key](%s)", "s"), text("(%s + %s)", "s", "s"), text("(%s - %s)", "s", "s"),
		text("(%s * %s)", "s", "s"), text("(%s / %s)", "s", "s"), text("(%s * 0.5)", "s"), text("(-1 * %s)", "s"), text("(%s / %s)", "s", "r"),
		text("(%s + %s)", "s", "r"), text("exp(%s)", "s"), text("relu(%s)", "s"), text("sigmoid(%s)", "s"), text("tanh(%s)", "s"),
		text("silu(%s)", "s"), text("abs(%s)", "s"), text("square(%s)", "s"), text("sign(%s)", "s"), text("stop_grad(%s)", "s"),
		text("where(sign(relu(%s)), %s, -inf)", "s", "s"), text("where(sign(relu(%s)), %s, %s)", "s", "s", "s"),
		text("top[key](%s, 2)", "s"), text("cumsum[key](%s)", "s"), text("cumsum[seq](%s)", "s"), text("prev[seq](%s, 1)", "s"))
}

func TestAcceptedNeverPeeks(t *testing.T) {
	accepted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 8 {
			if neverPeeks(t) {
				accepted++
			} else {
				refused++
			}
		}
	})
	if t.Logf("%d accepted, %d refused", accepted, refused); accepted < 100 || refused < 100 {
		t.Error("nothing was tried")
	}
}

// neverPeeks draws a block and, if it is accepted, computes it with different later tokens.
func neverPeeks(t *rapid.T) bool {
	source := `forge 1

block decay()(h[batch, e], x[batch, e]) -> [batch, e] {
  return h * 0.5 + x
}

block f()(x[batch, seq, d]) -> [batch, seq, d] {
  part norm = rms_norm()
  part step = decay()
  tap = 2
  weight w[tap, d]
  loss used = mean[..](norm(x) * scan[seq](step, 0)(conv[seq, tap](x, w)))
  return ` + drawn(t, "x", rapid.IntRange(1, 4).Draw(t, "depth")) + ` + 0 * dot[tap](w, w)
}
`
	c := newChecker(memory{"f.forge": source})
	c.loadPrelude()
	def := c.open("f.forge", false, diag.Span{}).decls["f"].block
	c.checkBlock(def)
	for _, d := range c.diags {
		switch d.Code {
		case "E208", "E222", "E223", "E224", "E225", "E226": // it peeks, or what was drawn can't be meant
		default:
			t.Fatalf("%s\n%s", d.Error(), source)
		}
	}
	if def.bad {
		return false
	}
	axes := []*Axis{Batch, SeqAxis, {Name: "dim", Size: leakDim}}
	body := c.build(def, map[string]Value{}, nil, def.Decl.Span).Apply(c, [][]*Axis{axes}, def.Decl.Span)

	// In each sequence the tokens from some place on change; the results before it must not.
	at := []int{rapid.IntRange(0, leakSeq-1).Draw(t, "first"), rapid.IntRange(0, leakSeq-1).Draw(t, "second")}
	x := newArray(axes)
	for i := range x.v {
		x.v[i] = math.Sin(float64(i*i + 1))
	}
	changed := x.clone()
	for b := range leakBatch {
		for s := at[b]; s < leakSeq; s++ {
			for d := range leakDim {
				changed.v[(b*leakSeq+s)*leakDim+d] = 3 * math.Cos(float64(7*d+s))
			}
		}
	}
	y, z := compute(body, []*array{x}), compute(body, []*array{changed})
	y.each(func(i map[*Axis]int) {
		p, q := y.at(i), z.at(i)
		if i[SeqAxis] < at[i[Batch]] && p != q && !math.IsNaN(p) && !math.IsNaN(q) {
			t.Fatalf("token %d of sequence %d sees later ones: %v, %v in\n%s", i[SeqAxis], i[Batch], p, q, source)
		}
	})
	return true
}

// array is a tensor with named axes.
type array struct {
	axes []*Axis
	v    []float64
}

func length(a *Axis) int {
	switch a {
	case Batch:
		return leakBatch
	case SeqAxis, Key:
		return leakSeq
	}
	return a.Size
}

func newArray(axes []*Axis) *array {
	n := 1
	for _, a := range axes {
		n *= length(a)
	}
	return &array{axes, make([]float64, n)}
}

func (a *array) clone() *array { return &array{a.axes, slices.Clone(a.v)} }

func (a *array) offset(i map[*Axis]int) int {
	o := 0
	for _, x := range a.axes {
		o = o*length(x) + i[x]
	}
	return o
}

func (a *array) at(i map[*Axis]int) float64 { return a.v[a.offset(i)] }

// each calls f with every index of the array, in order.
func (a *array) each(f func(i map[*Axis]int)) { eachIndex(a.axes, map[*Axis]int{}, f) }

func eachIndex(axes []*Axis, i map[*Axis]int, f func(i map[*Axis]int)) {
	if len(axes) == 0 {
		f(i)
		return
	}
	for k := range length(axes[0]) {
		i[axes[0]] = k
		eachIndex(axes[1:], i, f)
	}
}

// compute evaluates what a body returns.
func compute(body *Body, in []*array) *array {
	known := map[*Node]*array{}
	for k, n := range body.In {
		known[n] = in[k]
	}
	for _, n := range body.Nodes {
		if known[n] == nil {
			args := make([]*array, len(n.Args))
			for i, a := range n.Args {
				args[i] = known[a]
			}
			known[n] = computeNode(n, args)
		}
	}
	return known[body.Out]
}

func computeNode(n *Node, in []*array) *array {
	r := newArray(n.Axes)
	set := func(f func(i map[*Axis]int) float64) *array {
		r.each(func(i map[*Axis]int) { r.v[r.offset(i)] = f(i) })
		return r
	}
	reduce := func(i map[*Axis]int, start float64, f func(sum, x float64) float64, at func(map[*Axis]int) float64) float64 {
		eachIndex(n.On, i, func(i map[*Axis]int) { start = f(start, at(i)) })
		return start
	}
	add := func(a, b float64) float64 { return a + b }
	// along gives the entries of the first operand along an axis.
	along := func(i map[*Axis]int, a *Axis) []float64 {
		old := i[a]
		list := make([]float64, length(a))
		for k := range list {
			i[a] = k
			list[k] = in[0].at(i)
		}
		i[a] = old
		return list
	}
	sum := func(list []float64) float64 {
		s := 0.0
		for _, x := range list {
			s += x
		}
		return s
	}
	switch n.Op {
	case "weight":
		return set(func(i map[*Axis]int) float64 { return math.Cos(float64(r.offset(i))) })
	case "number":
		return set(func(map[*Axis]int) float64 { return n.Num })
	case "dot":
		return set(func(i map[*Axis]int) float64 {
			return reduce(i, 0, add, func(i map[*Axis]int) float64 { return in[0].at(i) * in[1].at(i) })
		})
	case "sum":
		return set(func(i map[*Axis]int) float64 { return reduce(i, 0, add, in[0].at) })
	case "mean":
		return set(func(i map[*Axis]int) float64 {
			count := reduce(i, 0, add, func(map[*Axis]int) float64 { return 1 })
			return reduce(i, 0, add, in[0].at) / count
		})
	case "max":
		return set(func(i map[*Axis]int) float64 { return reduce(i, math.Inf(-1), math.Max, in[0].at) })
	case "min":
		return set(func(i map[*Axis]int) float64 { return reduce(i, math.Inf(1), math.Min, in[0].at) })
	case "softmax":
		return set(func(i map[*Axis]int) float64 {
			list := along(i, n.On[0])
			top := slices.Max(list)
			x := math.Exp(in[0].at(i) - top)
			for k := range list {
				list[k] = math.Exp(list[k] - top)
			}
			return x / sum(list)
		})
	case "top":
		return set(func(i map[*Axis]int) float64 {
			list, larger := along(i, n.On[0]), 0
			for k, x := range list {
				if x > list[i[n.On[0]]] || x == list[i[n.On[0]]] && k < i[n.On[0]] {
					larger++
				}
			}
			return truth(larger < n.N)
		})
	case "cumsum":
		return set(func(i map[*Axis]int) float64 { return sum(along(i, n.On[0])[:i[n.On[0]]+1]) })
	case "prev":
		return set(func(i map[*Axis]int) float64 {
			if i[SeqAxis] < n.N {
				return 0
			}
			return along(i, SeqAxis)[i[SeqAxis]-n.N]
		})
	case "conv":
		tap := n.On[1]
		return set(func(i map[*Axis]int) float64 {
			s, list := 0.0, along(i, SeqAxis)
			for k := range length(tap) {
				i[tap] = k
				if at := i[SeqAxis] - (length(tap) - 1 - k); at >= 0 {
					s += list[at] * in[1].at(i)
				}
			}
			return s
		})
	case "scan":
		h := newArray(without(n.Axes, SeqAxis))
		for s := range leakSeq {
			x := newArray(h.axes)
			x.each(func(i map[*Axis]int) {
				i[SeqAxis] = s
				x.v[x.offset(i)] = in[1].at(i)
			})
			h = compute(n.Body, []*array{h, x})
			h.each(func(i map[*Axis]int) {
				i[SeqAxis] = s
				r.v[r.offset(i)] = h.at(i)
			})
		}
		return r
	case "cache":
		return set(func(i map[*Axis]int) float64 {
			i[SeqAxis] = i[Key]
			return in[0].at(i)
		})
	case "causal":
		return set(func(i map[*Axis]int) float64 {
			if i[Key] > i[SeqAxis] || n.N > 0 && i[Key] <= i[SeqAxis]-n.N {
				return math.Inf(-1)
			}
			return in[0].at(i)
		})
	case "where":
		return set(func(i map[*Axis]int) float64 {
			if in[0].at(i) != 0 {
				return in[1].at(i)
			}
			return in[2].at(i)
		})
	case "apply":
		return compute(n.Body, in)
	}
	if f := binaryFunctions[n.Op]; f != nil {
		return set(func(i map[*Axis]int) float64 { return f(in[0].at(i), in[1].at(i)) })
	}
	f := unaryFunctions[n.Op]
	return set(func(i map[*Axis]int) float64 { return f(in[0].at(i)) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var binaryFunctions = map[string]func(a, b float64) float64{
	"add": func(a, b float64) float64 { return a + b }, "sub": func(a, b float64) float64 { return a - b },
	"mul": func(a, b float64) float64 { return a * b }, "div": func(a, b float64) float64 { return a / b }, "pow": math.Pow,
}

var unaryFunctions = map[string]func(a float64) float64{
	"neg": func(a float64) float64 { return -a }, "exp": math.Exp, "tanh": math.Tanh, "abs": math.Abs, "sqrt": math.Sqrt,
	"silu":      func(a float64) float64 { return a / (1 + math.Exp(-a)) },
	"sigmoid":   func(a float64) float64 { return 1 / (1 + math.Exp(-a)) },
	"relu":      func(a float64) float64 { return math.Max(a, 0) },
	"square":    func(a float64) float64 { return a * a },
	"sign":      func(a float64) float64 { return truth(a > 0) - truth(a < 0) },
	"stop_grad": func(a float64) float64 { return a },
}
