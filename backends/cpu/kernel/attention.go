package kernel

import "fmt"

// AttentionDims is the number of outer axes (batch, heads) of attention.
const AttentionDims = 4

// AttentionTensor is a view with outer axes, a position and a feature: strides
// in values. A stride of 0 on an outer axis says that all its indices share the
// tensor: the keys of grouped query heads, or one rotary key for all heads.
type AttentionTensor struct {
	Data    []float32
	Axes    [AttentionDims]int
	Row     int // from one position to the next
	Feature int // from one feature to the next
}

// AttentionPart is a pair of queries and keys whose products are added to the
// scores.
type AttentionPart struct {
	Q, K  AttentionTensor
	Width int // features
}

// Attention describes
//
//	score[i, j] = Scale · Σ over the parts of Σ over the features of q[i]·k[j]
//	out[i]      = Σ over j of softmax over j (score[i, j]) · v[j]
//
// for every index of the outer axes. If Causal, query i sees the keys j with
// j <= i+Offset, and of those, if Window > 0, the ones with j > i+Offset-Window.
// A query that sees no key gives 0. Scores are made in tiles and never stored
// (Dao, FlashAttention-2, 2023), but for those of a few rows, if Rounded.
type Attention struct {
	Counts        [AttentionDims]int // sizes of the outer axes; 1 where unused
	Queries, Keys int
	Parts         []AttentionPart
	V             AttentionTensor
	ValueWidth    int
	Scale         float32
	Causal        bool
	Offset        int
	Window        int
	// Rounded says that the operands of all products are rounded to bfloat16:
	// queries, keys, values, the weights of the softmax, and what comes back.
	Rounded bool
}

// words says what the operands of the products are brought into.
func (a *Attention) words() wordKind {
	switch {
	case !a.Rounded:
		return plainWords
	case active.Load().bf16.tile != nil:
		return pairWords
	}
	return roundedWords
}

// outer is the number of indices of the outer axes.
func (a *Attention) outer() int {
	n := 1
	for _, count := range a.Counts {
		n *= count
	}
	return n
}

// width is the number of features of all parts.
func (a *Attention) width() int {
	n := 0
	for i := range a.Parts {
		n += a.Parts[i].Width
	}
	return n
}

// limits are the keys [low, high) that query i sees.
func (a *Attention) limits(i int) (low, high int) {
	if !a.Causal {
		return 0, a.Keys
	}
	high = min(max(i+a.Offset+1, 0), a.Keys)
	if a.Window > 0 {
		low = min(max(i+a.Offset-a.Window+1, 0), high)
	}
	return low, high
}

// offset is where an index of the outer axes begins; the last axis is the
// fastest.
func offset(index int, counts, strides *[AttentionDims]int) int {
	sum := 0
	for d := AttentionDims - 1; d >= 0; d-- {
		sum += index % counts[d] * strides[d]
		index /= counts[d]
	}
	return sum
}

// mustHold panics when the view reaches beyond its slice.
func (t *AttentionTensor) mustHold(name string, a *Attention, rows, width int) {
	if rows == 0 || width == 0 || a.outer() == 0 {
		return
	}
	last := (rows-1)*t.Row + (width-1)*t.Feature
	for d, count := range a.Counts {
		last += (count - 1) * t.Axes[d]
	}
	if last >= len(t.Data) {
		panic(fmt.Sprintf("kernel: attention %s of %v × %d × %d with strides %v, %d, %d needs %d values, the slice has %d",
			name, a.Counts, rows, width, t.Axes, t.Row, t.Feature, last+1, len(t.Data)))
	}
}

func (a *Attention) check() {
	for _, count := range a.Counts {
		if count < 0 {
			panic(fmt.Sprintf("kernel: attention over axes of sizes %v", a.Counts))
		}
	}
	for i := range a.Parts {
		a.Parts[i].Q.mustHold("queries", a, a.Queries, a.Parts[i].Width)
		a.Parts[i].K.mustHold("keys", a, a.Keys, a.Parts[i].Width)
	}
	a.V.mustHold("values", a, a.Keys, a.ValueWidth)
}

// readRow copies width features of the row at start into dst.
func (t *AttentionTensor) readRow(dst []float32, start, width int) {
	if t.Feature == 1 {
		copy(dst[:width], t.Data[start:start+width])
		return
	}
	for f := range width {
		dst[f] = t.Data[start+f*t.Feature]
	}
}

// writeRow copies the features src to the row at start.
func (t *AttentionTensor) writeRow(start int, src []float32) {
	if t.Feature == 1 {
		copy(t.Data[start:start+len(src)], src)
		return
	}
	for f, v := range src {
		t.Data[start+f*t.Feature] = v
	}
}

// addRow adds the features src to the row at start.
func (t *AttentionTensor) addRow(start int, src []float32) {
	if t.Feature == 1 {
		row := t.Data[start : start+len(src)]
		Add(row, row, src)
		return
	}
	for f, v := range src {
		t.Data[start+f*t.Feature] += v
	}
}

// rows is the view of positions [from, from+count) behind start.
func (t *AttentionTensor) rows(start, from, count, width int) Matrix {
	m := Matrix{Rows: count, Cols: width, RowStride: t.Row, ColStride: t.Feature}
	if count > 0 && width > 0 {
		m.Data = t.Data[start+from*t.Row:]
	}
	return m
}

// carve takes n values from the front of a scratch slice.
func carve(memory *[]float32, n int) []float32 {
	taken := (*memory)[:n:n]
	*memory = (*memory)[n:]
	return taken
}

// roundUp is the smallest multiple of grain that is at least n.
func roundUp(n, grain int) int { return (n + grain - 1) / grain * grain }
