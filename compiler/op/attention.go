package op

import (
	"fmt"
	"math"
	"strings"
)

// AttentionAttrs label the axes of attention with one or more parts of queries and keys, whose scores are added:
//
//	score[query, key] = Scale · Σ_p Σ_feature q_p·k_p
//
// then the causal mask (see CausalMask), softmax over keys, and the average of v. Letters say which axes are aligned. Axes of the
// result that every query has (batch, heads) are outer axes; keys and values may lack an outer axis, which is then shared (grouped
// heads, one latent for all heads). Besides those and Seq, a query has one feature axis, which its keys have too; values have one
// value axis, which the result has too. A part's feature letter may be the value letter again, as in absorbed latent attention.
type AttentionAttrs struct {
	Q, K     []string
	V, Out   string
	Seq, Key byte
	Scale    float64
	Window   int // 0: no limit
	// Format is what the operands of every product are rounded to, forward and backward: queries, keys, values and the result's
	// gradient, and the weights and the scores' gradient after they are computed. It has no tiles.
	Format Format
}

func (a AttentionAttrs) String() string {
	text := fmt.Sprintf("q=%s k=%s v=%s out=%s seq=%c key=%c scale=%v window=%d",
		strings.Join(a.Q, ","), strings.Join(a.K, ","), a.V, a.Out, a.Seq, a.Key, a.Scale, a.Window)
	if a.Format != Float32 {
		text += " " + a.Format.String()
	}
	return text
}

// product is a product of attention.
func (a AttentionAttrs) product(x, y, out string) DotAttrs {
	return DotAttrs{A: x, B: y, Out: out, Precision: InFormat(a.Format)}
}

// AttentionAxes is what the labels of AttentionAttrs come to.
type AttentionAxes struct {
	Outer   string // batch and heads, in the order of the result
	Feature []byte // a part each
	Value   byte
	LSE     string // the labels of lse: the result's less Value
}

// Axes sorts the labels into kinds, or says what is wrong with them.
func (a AttentionAttrs) Axes() (AttentionAxes, error) {
	var x AttentionAxes
	if len(a.Q) == 0 || len(a.Q) != len(a.K) {
		return x, fmt.Errorf("%d queries and %d keys", len(a.Q), len(a.K))
	}
	for _, labels := range append(append([]string{a.V, a.Out}, a.Q...), a.K...) {
		if err := checkLabels("labels", labels); err != nil {
			return x, err
		}
	}
	seq, key := string(a.Seq), string(a.Key)
	if a.Seq == a.Key || !has(a.Out, a.Seq) || has(a.V, a.Seq) || !has(a.V, a.Key) || has(a.Out, a.Key) {
		return x, fmt.Errorf("axis %q must be in the result %q and not in the values %q, axis %q the other way round", seq, a.Out, a.V, key)
	}
	x.Outer = without(a.Out, seq)
	for _, q := range a.Q {
		x.Outer = without(x.Outer, without(a.Out, q))
	}
	only := func(what, labels string) (byte, error) {
		if len(labels) != 1 {
			return 0, fmt.Errorf("%s has %q besides the outer axes %q, want one axis", what, labels, x.Outer)
		}
		return labels[0], nil
	}
	for p, q := range a.Q {
		k := a.K[p]
		if !has(q, a.Seq) || has(q, a.Key) || !has(k, a.Key) || has(k, a.Seq) {
			return x, fmt.Errorf("part %d: axis %q must be in the queries %q and not in the keys %q, axis %q the other way round", p, seq, q, k, key)
		}
		f, err := only(fmt.Sprintf("query %d %q", p, q), without(q, x.Outer+seq))
		if err != nil {
			return x, err
		}
		kf, err := only(fmt.Sprintf("key %d %q", p, k), without(k, x.Outer+key))
		if err != nil {
			return x, err
		}
		if f != kf {
			return x, fmt.Errorf("part %d: the query's feature axis is %q, the key's %q", p, f, kf)
		}
		x.Feature = append(x.Feature, f)
	}
	var err error
	if x.Value, err = only(fmt.Sprintf("the values %q", a.V), without(a.V, x.Outer+key)); err != nil {
		return x, err
	}
	if want := x.Outer + seq + string(x.Value); without(a.Out, want) != "" || without(want, a.Out) != "" {
		return x, fmt.Errorf("the result %q must have the axes %q", a.Out, want)
	}
	x.LSE = without(a.Out, string(x.Value))
	return x, nil
}

// Attention is causal attention with the logarithm of each row's sum of exponentials beside it, which its gradient needs. A query
// that sees no key gives zeros and an lse of −∞.
var Attention = Define(Op{
	Name:    "attention",
	Doc:     "softmax over keys of causally masked scores, times values",
	Inputs:  []string{"q", "k", "more...", "offset?"},
	Outputs: []string{"out", "lse"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		t, err := attrsAs[AttentionAttrs](a)
		if err != nil {
			return nil, err
		}
		if n := len(in) - 2*len(t.Q); n != 1 && n != 2 {
			return nil, fmt.Errorf("%d inputs for %d parts, want q and k of each, v and perhaps an offset", len(in), len(t.Q))
		}
		return t.infer(in)
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, out, grad []Value) []Value {
		if grad[0] == nil || grad[1] != nil {
			panic("op: attention: lse has no gradient")
		}
		d := b.Apply(AttentionGrad, a, append(append([]Value{}, in...), out[0], out[1], grad[0])...)
		return append(d, make([]Value, len(in)-len(d))...)
	}},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		t := a.(AttentionAttrs)
		x, _ := t.Axes()
		scores, labels := t.scores(b, x, in)
		highest := One(b, Reduce, ReduceAttrs{"max", labels, without(labels, string(t.Key))}, scores)
		row := without(labels, string(t.Key))
		// exp(score − highest), and 0 in a row that is all −∞
		shifted := Call(FnWhere, Call(FnEqual, In(1), Const(negativeInfinity)), Const(0), Call(FnExp, Call(FnSub, In(0), In(1))))
		exps := One(b, Map, MapAttrs{shifted, []string{labels, row}, labels}, scores, highest)
		total := One(b, Reduce, ReduceAttrs{"sum", labels, row}, exps)
		weights := One(b, Softmax, SoftmaxAttrs{len(labels) - 1}, scores)
		lse := Call(FnWhere, Call(FnEqual, In(1), Const(negativeInfinity)), Const(negativeInfinity), Call(FnAdd, In(1), Call(FnLog, In(0))))
		return []Value{
			One(b, Dot, t.product(labels, t.V, t.Out), weights, in[2*len(t.Q)]),
			One(b, Map, MapAttrs{lse, []string{row, row}, x.LSE}, total, highest),
		}
	},
	Reference: attentionReference,
	Cost: func(a Attrs, in, out []Type) Cost {
		return Cost{FLOPs: a.(AttentionAttrs).flops(in, 1), Bytes: moved(in, out)}
	},
	Samples: attentionSamples(),
})

// AttentionGrad is the gradient of attention by recomputed scores: with P = exp(score − lse), dP = g·v and δ = Σ g·out,
// dscore = Scale·P·(dP − δ) (Dao et al. 2022, appendix B.2). Its inputs are those of Attention, then out, lse and g.
var AttentionGrad = Define(Op{
	Name:    "attention_grad",
	Doc:     "the gradients of attention's queries, keys and values",
	Inputs:  []string{"q", "k", "more...", "out", "lse", "g"},
	Outputs: []string{"dq", "dk", "more..."},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		t, err := attrsAs[AttentionAttrs](a)
		if err != nil {
			return nil, err
		}
		if n := len(in) - 2*len(t.Q); n != 4 && n != 5 {
			return nil, fmt.Errorf("%d inputs for %d parts, want attention's inputs, out, lse and g", len(in), len(t.Q))
		}
		own := len(in) - 3
		out, err := t.infer(in[:own])
		if err != nil {
			return nil, err
		}
		for i, want := range []Type{out[0], out[1], out[0]} {
			if err := wantType([]string{"out", "lse", "g"}[i], in[own+i], want); err != nil {
				return nil, err
			}
		}
		n := 2*len(t.Q) + 1
		return in[:n:n], nil
	},
	Gradient: Gradient{None: secondDerivative},
	Decompose: func(b Builder, a Attrs, in []Value) []Value {
		t, own := a.(AttentionAttrs), len(in)-3
		x, _ := t.Axes()
		v, out, lse, g := in[2*len(t.Q)], in[own], in[own+1], in[own+2]
		scores, labels := t.scores(b, x, in[:own])
		// a row that sees nothing has an lse of −∞
		p := Call(FnWhere, Call(FnEqual, In(1), Const(negativeInfinity)), Const(0), Call(FnExp, Call(FnSub, In(0), In(1))))
		weights := One(b, Map, MapAttrs{p, []string{labels, x.LSE}, labels}, scores, lse)
		dweights := One(b, Dot, t.product(t.Out, t.V, labels), g, v)
		delta := One(b, Reduce, ReduceAttrs{"sum", t.Out, x.LSE},
			One(b, Map, MapAttrs{Call(FnMul, In(0), In(1)), []string{t.Out, t.Out}, t.Out}, g, out))
		d := Call(FnMul, Const(t.Scale), Call(FnMul, In(0), Call(FnSub, In(1), In(2))))
		dscores := One(b, Map, MapAttrs{d, []string{labels, labels, x.LSE}, labels}, weights, dweights, delta)
		var result []Value
		for p := range t.Q {
			result = append(result,
				One(b, Dot, t.product(labels, t.K[p], t.Q[p]), dscores, in[2*p+1]),
				One(b, Dot, t.product(labels, t.Q[p], t.K[p]), dscores, in[2*p]))
		}
		return append(result, One(b, Dot, t.product(labels, t.Out, t.V), weights, g))
	},
	Reference: func(a Attrs, in, out []Tensor) {
		t, own := a.(AttentionAttrs), len(in)-3
		parts := len(t.Q)
		given := in[own+2].Data // the result's gradient before it is rounded
		in = append(append(t.rounded(in[:2*parts+1]), in[2*parts+1:own+2]...), t.rounded(in[own+2:])...)
		o, lse, g, v, dv := in[own].Data, in[own+1].Data, in[own+2].Data, in[2*parts].Data, out[2*parts].Data
		n := t.nest(in[:own], in[own].Shape)
		n.each(func(r attentionRow) {
			if math.IsInf(lse[r.lse], -1) {
				return
			}
			delta := 0.0
			for i := range n.values {
				delta += given[r.out+i*n.outStep] * o[r.out+i*n.outStep]
			}
			for k := range n.keys {
				weight := math.Exp(n.score(in, r, k) - lse[r.lse])
				dweight := 0.0
				for i := range n.values {
					up, at := g[r.out+i*n.outStep], r.v+k*n.vKey+i*n.vStep
					dweight += up * v[at]
					dv[at] += roundTo(t.Format, weight) * up
				}
				d := roundTo(t.Format, t.Scale*weight*(dweight-delta))
				for p := range parts {
					for f := range n.features[p] {
						q, key := r.q[p]+f*n.qStep[p], r.k[p]+k*n.kKey[p]+f*n.kStep[p]
						out[2*p].Data[q] += d * in[2*p+1].Data[key]
						out[2*p+1].Data[key] += d * in[2*p].Data[q]
					}
				}
			}
		})
	},
	Cost: func(a Attrs, in, out []Type) Cost {
		return Cost{FLOPs: a.(AttentionAttrs).flops(in, 2.5), Bytes: moved(in, out)}
	},
	Samples: attentionGradSamples(),
})

// infer checks attention's own inputs and gives the types of out and lse.
func (a AttentionAttrs) infer(in []Type) ([]Type, error) {
	x, err := a.Axes()
	if err != nil {
		return nil, err
	}
	if a.Window < 0 {
		return nil, fmt.Errorf("a window of %d", a.Window)
	}
	if a.Format > BFloat16 {
		return nil, fmt.Errorf("attention in %v needs scales", a.Format)
	}
	s := sizes{}
	for p := range a.Q {
		if err := s.bind(fmt.Sprintf("query %d", p), a.Q[p], in[2*p]); err != nil {
			return nil, err
		}
		if err := s.bind(fmt.Sprintf("key %d", p), a.K[p], in[2*p+1]); err != nil {
			return nil, err
		}
	}
	n := 2 * len(a.Q)
	if err := s.bind("v", a.V, in[n]); err != nil {
		return nil, err
	}
	if err := checkOffset(in[n+1:]); err != nil {
		return nil, err
	}
	out, err := s.shape("the result", a.Out)
	if err != nil {
		return nil, err
	}
	lse, err := s.shape("lse", x.LSE)
	return []Type{{out, Float}, {lse, Float}}, err
}

// scores builds the masked scores, with labels outer, Seq, Key.
func (a AttentionAttrs) scores(b Builder, x AttentionAxes, in []Value) (Value, string) {
	labels := x.Outer + string(a.Seq) + string(a.Key)
	parts := make([]Value, len(a.Q))
	for p := range a.Q {
		parts[p] = One(b, Dot, a.product(a.Q[p], a.K[p], labels), in[2*p], in[2*p+1])
	}
	sum := parts[0]
	if len(parts) > 1 {
		sum = One(b, Add, nil, parts...)
	}
	scaled := One(b, Map, MapAttrs{Call(FnMul, Const(a.Scale), In(0)), []string{labels}, labels}, sum)
	mask := CausalMaskAttrs{Seq: len(labels) - 2, Key: len(labels) - 1, Window: a.Window, Fill: negativeInfinity}
	return One(b, CausalMask, mask, append([]Value{scaled}, in[2*len(a.Q)+1:]...)...), labels
}

// flops counts the products of scores and values that the mask leaves, times a factor (the gradient has five products to the
// forward's two). With an offset every key counts, as it may.
func (a AttentionAttrs) flops(in []Type, factor float64) float64 {
	s := sizes{}
	features := 0
	for p := range a.Q {
		_ = s.bind("q", a.Q[p], in[2*p]) // checked by Infer
		_ = s.bind("k", a.K[p], in[2*p+1])
	}
	_ = s.bind("v", a.V, in[2*len(a.Q)])
	x, err := a.Axes()
	if err != nil {
		return 0
	}
	for _, f := range x.Feature {
		features += s[f]
	}
	queries, keys := s[a.Seq], s[a.Key]
	pairs := float64(queries) * float64(keys)
	if offset := len(in) - 2*len(a.Q); queries == keys && (offset == 1 || offset == 4) {
		pairs = 0
		for i := range queries {
			seen := i + 1
			if a.Window > 0 {
				seen = min(seen, a.Window)
			}
			pairs += float64(seen)
		}
	}
	for i := range len(x.Outer) {
		pairs *= float64(s[x.Outer[i]])
	}
	return factor * 2 * pairs * float64(features+s[x.Value])
}
