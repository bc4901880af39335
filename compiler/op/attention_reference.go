package op

import "math"

// The loops that the references of attention and its gradient share.

func attentionReference(a Attrs, in, out []Tensor) {
	t := a.(AttentionAttrs)
	in = append(t.rounded(in[:2*len(t.Q)+1]), in[2*len(t.Q)+1:]...)
	n := t.nest(in, out[0].Shape)
	scores := make([]float64, n.keys)
	values := in[2*len(t.Q)].Data
	n.each(func(r attentionRow) {
		highest, total := negativeInfinity, 0.0
		for k := range n.keys {
			scores[k] = n.score(in, r, k)
			highest = math.Max(highest, scores[k])
		}
		out[1].Data[r.lse] = highest
		if math.IsInf(highest, -1) {
			return // zeros
		}
		for k := range n.keys {
			scores[k] = math.Exp(scores[k] - highest)
			total += scores[k]
		}
		out[1].Data[r.lse] = highest + math.Log(total)
		for k, e := range scores {
			weight := roundTo(t.Format, e/total)
			for i := range n.values {
				out[0].Data[r.out+i*n.outStep] += weight * values[r.v+k*n.vKey+i*n.vStep]
			}
		}
	})
}

// rounded are tensors in the format of attention's products.
func (a AttentionAttrs) rounded(in []Tensor) []Tensor {
	out := make([]Tensor, len(in))
	for i, t := range in {
		out[i] = Rounding{Format: a.Format}.tensor(t, positional(len(t.Shape)), "", "")
	}
	return out
}

// attentionNest holds sizes and strides.
type attentionNest struct {
	attrs                AttentionAttrs
	keys, values, offset int
	features             []int
	qStep, kStep, kKey   []int // along the feature axis, and along Key
	vStep, vKey, outStep int
	rows                 Shape // outer axes, then Seq
	qRow, kRow           [][]int
	vRow, outRow, lseRow []int
}

// attentionRow is one query: where its vectors start. Keys and values start at key 0.
type attentionRow struct {
	position    int
	q, k        []int
	v, out, lse int
}

func (a AttentionAttrs) nest(in []Tensor, out Shape) *attentionNest {
	x, _ := a.Axes()
	n := &attentionNest{attrs: a, offset: int(offsetOf(in[2*len(a.Q)+1:]))}
	order := x.Outer + string(a.Seq)
	for p := range a.Q {
		q, k := in[2*p].Shape, in[2*p+1].Shape
		f, key := string(x.Feature[p]), string(a.Key)
		n.qRow = append(n.qRow, along(order, a.Q[p], q))
		n.kRow = append(n.kRow, along(order, a.K[p], k))
		n.qStep = append(n.qStep, along(f, a.Q[p], q)[0])
		n.kStep = append(n.kStep, along(f, a.K[p], k)[0])
		n.kKey = append(n.kKey, along(key, a.K[p], k)[0])
		n.features = append(n.features, sizeOf(x.Feature[p], a.Q[p], q))
	}
	v := in[2*len(a.Q)].Shape
	n.keys, n.values = sizeOf(a.Key, a.V, v), sizeOf(x.Value, a.V, v)
	n.vRow, n.outRow = along(order, a.V, v), along(order, a.Out, out)
	n.vStep, n.vKey = along(string(x.Value), a.V, v)[0], along(string(a.Key), a.V, v)[0]
	n.outStep = along(string(x.Value), a.Out, out)[0]
	lse := make(Shape, len(x.LSE))
	for i := range len(x.LSE) {
		lse[i] = sizeOf(x.LSE[i], a.Out, out)
	}
	n.lseRow = along(order, x.LSE, lse)
	for i := range len(order) {
		n.rows = append(n.rows, sizeOf(order[i], a.Out, out))
	}
	return n
}

func sizeOf(label byte, labels string, s Shape) int {
	for i := range len(labels) {
		if labels[i] == label {
			return s[i]
		}
	}
	return 1
}

// each calls body for every query of every batch and head.
func (n *attentionNest) each(body func(r attentionRow)) {
	parts := len(n.qRow)
	steps := append(append([][]int{}, n.qRow...), n.kRow...)
	position := make([]int, len(n.rows))
	position[len(position)-1] = 1
	steps = append(steps, n.vRow, n.outRow, n.lseRow, position)
	walk(n.rows, func(at []int) {
		rest := at[2*parts:]
		body(attentionRow{position: rest[3] + n.offset, q: at[:parts], k: at[parts : 2*parts], v: rest[0], out: rest[1], lse: rest[2]})
	}, steps...)
}

// score is the scaled score of a query with key k, −∞ where the mask hides it.
func (n *attentionNest) score(in []Tensor, r attentionRow, k int) float64 {
	if !visible(r.position, k, n.attrs.Window) {
		return negativeInfinity
	}
	total := 0.0
	for p := range n.features {
		q, key := in[2*p].Data, in[2*p+1].Data
		for f := range n.features[p] {
			total += q[r.q[p]+f*n.qStep[p]] * key[r.k[p]+k*n.kKey[p]+f*n.kStep[p]]
		}
	}
	return total * n.attrs.Scale
}
