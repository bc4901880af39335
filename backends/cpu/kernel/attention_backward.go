package kernel

import (
	"fmt"
	"math"
)

// Sizes of the tiles of the backward pass.
const (
	backwardQueries = 96
	backwardKeys    = 128
)

// AttentionGradients are the destinations of AttentionBackward. DQ and DK have
// an entry a part of the attention; an entry without data is not computed, and
// so is a DV without. A stride of 0 on an outer axis of size above 1 sums over
// that axis; DQ must not have one.
type AttentionGradients struct {
	DQ, DK []AttentionTensor
	DV     AttentionTensor
}

// attentionGradTask is one call of AttentionBackward. First, parts compute
// for one index of the outer axes and a share of the blocks of keys; second,
// rows that several parts have contributed to are added up.
//
// With weights P = e^(score - lse), gradient dO of the output and D[i] = Σ
// dO[i]·out[i]: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P∘(dP - D), dQ = Scale·dS·K,
// dK = Scale·dSᵀ·Q (FlashAttention-2, algorithm 2). If Rounded, it is Scale·dS
// that is rounded, and D is made of dO as it was.
type attentionGradTask struct {
	pool *Pool
	packer
	tiles
	a              Attention
	out, lse, dout AttentionTensor
	to             AttentionGradients
	chunks         int // shares of the blocks of keys of one index
	adding         bool
	depth          int

	// Partial sums, where several parts contribute to a row: queries × depth
	// for each index and chunk; keys × width for each index, one tensor after
	// the other.
	partialQ  []float32
	partialKV []float32
}

// AttentionBackward computes the gradients of the queries, keys and values
// for the gradient dout of the output, from the output and log-sum-exp of
// AttentionForward. The destinations are overwritten.
func AttentionBackward(p *Pool, a *Attention, out, lse, dout AttentionTensor, to AttentionGradients) {
	a.check()
	out.mustHold("output", a, a.Queries, a.ValueWidth)
	lse.mustHold("log-sum-exp", a, a.Queries, 1)
	dout.mustHold("gradient of the output", a, a.Queries, a.ValueWidth)
	if len(to.DQ) != len(a.Parts) || len(to.DK) != len(a.Parts) {
		panic(fmt.Sprintf("kernel: gradients of %d queries and %d keys for attention of %d parts", len(to.DQ), len(to.DK), len(a.Parts)))
	}
	for i := range a.Parts {
		if to.DQ[i].Data != nil {
			to.DQ[i].mustHold("gradient of the queries", a, a.Queries, a.Parts[i].Width)
			if a.Queries*a.Parts[i].Width > 0 && to.DQ[i].shared(a) {
				panic("kernel: the gradient of the queries has a stride of 0")
			}
		}
		if to.DK[i].Data != nil {
			to.DK[i].mustHold("gradient of the keys", a, a.Keys, a.Parts[i].Width)
		}
	}
	if to.DV.Data != nil {
		to.DV.mustHold("gradient of the values", a, a.Keys, a.ValueWidth)
	}
	outer := a.outer()
	if outer == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.attentionGrad
	r, kind := active.Load(), a.words()
	*t = attentionGradTask{pool: p, packer: packer{routines: r, kind: kind}, tiles: r.tiles(kind), a: *a, out: out, lse: lse, dout: dout, to: to, depth: a.width()}
	t.plan(p)
	p.run(outer*t.chunks, t)
	if len(t.partialQ)+len(t.partialKV) > 0 {
		t.adding = true
		p.run(p.Cuts(), t)
	}
	*t = attentionGradTask{}
}

// shared reports whether several indices of the outer axes meet in a row.
func (t *AttentionTensor) shared(a *Attention) bool {
	for d, count := range a.Counts {
		if count > 1 && t.Axes[d] == 0 {
			return true
		}
	}
	return false
}

// gradient is the destination of keys part i, or of the values for i =
// len(Parts), and its width.
func (t *attentionGradTask) gradient(i int) (*AttentionTensor, int) {
	if i < len(t.a.Parts) {
		return &t.to.DK[i], t.a.Parts[i].Width
	}
	return &t.to.DV, t.a.ValueWidth
}

// plan decides how many chunks of keys there are, and takes memory for sums.
func (t *attentionGradTask) plan(p *Pool) {
	outer, threads := t.a.outer(), p.Cuts()
	blocks := max(1, (t.a.Keys+backwardKeys-1)/backwardKeys)
	t.chunks = 1
	for t.chunks < blocks && outer*t.chunks < 4*threads && outer*t.chunks%threads != 0 {
		t.chunks++
	}
	sizeQ, sizeKV := 0, 0
	if t.chunks > 1 {
		sizeQ = outer * t.chunks * t.a.Queries * t.depth
	}
	for i := range len(t.a.Parts) + 1 {
		if x, width := t.gradient(i); x.Data != nil && x.shared(&t.a) {
			sizeKV += outer * t.a.Keys * width
		}
	}
	memory := p.shared.get(sizeQ + sizeKV)
	t.partialQ, t.partialKV = memory[:sizeQ], memory[sizeQ:]
}

// gradTile is the scratch memory of one part. Operands are in words, of which
// a row of queries or keys has depthWords and one of values valueWords.
type gradTile struct {
	// Over all queries.
	queries, douts, dq     []float32 // rows × depth, rows × values, rows × depth
	queryWords, doutWords  []float32 // the same in words; the same memory if values are words
	queryPanels, outPanels []float32 // packed for dK, for dV, a block of queries after the other
	lse, delta             []float32 // log-sum-exp and D of each query
	out                    []float32 // the output of one query

	// Over one block of keys.
	keys, dk, dv               []float32 // keys × depth, keys × depth, keys × values
	keyColumns, keyRows, value []float32 // packed for scores, for dQ, for dP

	// Over one block of queries and of keys.
	weights, dscores       []float32 // rows × stride
	weightPairs, scorePair []float32 // the same in pairs of queries, where words are pairs
	lines                  []float32 // for packing
	stride                 int
	depthWords, valueWords int
}

// Do computes a share of the keys of one index, or adds up shares.
func (t *attentionGradTask) Do(part, worker int) {
	if t.adding {
		t.addShare(part)
		return
	}
	a := &t.a
	index, chunk := part/t.chunks, part%t.chunks
	depth, values := t.depth, a.ValueWidth
	s := gradTile{stride: backwardKeys + cacheLine, depthWords: t.kind.count(depth), valueWords: t.kind.count(values)}
	t.carve(&s, &t.pool.lanes[worker].own)
	t.readQueries(&s, index)
	clear(s.dq)
	for key := chunk * backwardKeys; key < a.Keys; key += t.chunks * backwardKeys {
		count := min(backwardKeys, a.Keys-key)
		t.readKeys(&s, index, key, count)
		clear(s.dk[:count*depth])
		clear(s.dv[:count*values])
		for query := 0; query < a.Queries; query += backwardQueries {
			rows := min(backwardQueries, a.Queries-query)
			if low, high := t.limitsOf(query, query+rows); low < key+count && high > key {
				t.tile(&s, key, count, query, rows)
			}
		}
		t.writeKeys(&s, index, key, count)
	}
	if t.chunks > 1 {
		copy(t.partialQ[part*len(s.dq):], s.dq)
		return
	}
	for r := range a.Queries {
		t.writeQuery(index, r, s.dq[r*depth:(r+1)*depth])
	}
}

// carve takes the memory of a part.
func (t *attentionGradTask) carve(s *gradTile, memory *scratch) {
	queries, depth, values := t.a.Queries, t.depth, t.a.ValueWidth
	wideDepth, wideValues := roundUp(depth, t.width), roundUp(values, t.width)
	tile := backwardQueries * s.stride
	pairs, words := 0, 0 // what only pairs and what only rounded values need
	if t.kind == pairWords {
		pairs = tile / 2
	}
	if t.kind != plainWords {
		words = queries
	}
	parts := []struct {
		to   *[]float32
		size int
	}{
		{&s.queries, queries * depth}, {&s.douts, queries * values}, {&s.dq, queries * depth},
		{&s.queryWords, words * s.depthWords}, {&s.doutWords, words * s.valueWords},
		{&s.queryPanels, queries * wideDepth}, {&s.outPanels, queries * wideValues},
		{&s.lse, queries}, {&s.delta, queries}, {&s.out, values},
		{&s.keys, backwardKeys * depth}, {&s.dk, backwardKeys * depth}, {&s.dv, backwardKeys * values},
		{&s.keyColumns, backwardKeys * s.depthWords}, {&s.keyRows, backwardKeys * wideDepth}, {&s.value, backwardKeys * s.valueWords},
		{&s.weights, tile}, {&s.dscores, tile}, {&s.weightPairs, pairs}, {&s.scorePair, pairs},
		{&s.lines, 8 * lineSize(max(backwardKeys, s.depthWords, s.valueWords))},
	}
	total := 0
	for _, p := range parts {
		total += p.size
	}
	rest := memory.get(total)
	for _, p := range parts {
		*p.to = carve(&rest, p.size)
	}
	if words == 0 {
		s.queryWords, s.doutWords = s.queries, s.douts
	}
}

// limitsOf are the keys that some of the queries [from, to) see.
func (t *attentionGradTask) limitsOf(from, to int) (low, high int) {
	low, _ = t.a.limits(from)
	_, high = t.a.limits(to - 1)
	return low, high
}

func (t *attentionGradTask) readQueries(s *gradTile, index int) {
	a := &t.a
	at := 0
	for i := range a.Parts {
		part := &a.Parts[i]
		start := offset(index, &a.Counts, &part.Q.Axes)
		for r := range a.Queries {
			part.Q.readRow(s.queries[r*t.depth+at:], start+r*part.Q.Row, part.Width)
		}
		at += part.Width
	}
	values := a.ValueWidth
	start := offset(index, &a.Counts, &t.out.Axes)
	dstart := offset(index, &a.Counts, &t.dout.Axes)
	lstart := offset(index, &a.Counts, &t.lse.Axes)
	for r := range a.Queries {
		s.lse[r] = t.lse.Data[lstart+r*t.lse.Row]
		s.delta[r] = 0
		if values == 0 {
			continue
		}
		dout := s.douts[r*values : (r+1)*values]
		t.dout.readRow(dout, dstart+r*t.dout.Row, values)
		out := s.out
		if at := start + r*t.out.Row; t.out.Feature == 1 {
			out = t.out.Data[at:]
		} else {
			t.out.readRow(out, at, values)
		}
		s.delta[r] = t.routines.vector.dot(&out[0], &dout[0], values)
	}
	queries, douts := RowMajor(s.queries, a.Queries, t.depth).Mixed(), RowMajor(s.douts, a.Queries, values).Mixed()
	if t.kind != plainWords {
		for r := range a.Queries {
			if t.depth > 0 {
				t.line(s.queryWords[r*s.depthWords:], &queries, r, 0, t.depth)
			}
			if values > 0 {
				t.line(s.doutWords[r*s.valueWords:], &douts, r, 0, values)
			}
		}
	}
	for query := 0; query < a.Queries; query += backwardQueries {
		rows := min(backwardQueries, a.Queries-query)
		t.packPanels(s.queryPanels[query*roundUp(t.depth, t.width):], t.width, &queries, query, rows, 0, t.depth, s.lines)
		t.packPanels(s.outPanels[query*roundUp(values, t.width):], t.width, &douts, query, rows, 0, values, s.lines)
	}
}

// readKeys copies and packs the keys and values of a block.
func (t *attentionGradTask) readKeys(s *gradTile, index, key, count int) {
	a := &t.a
	at := 0
	for i := range a.Parts {
		part := &a.Parts[i]
		start := offset(index, &a.Counts, &part.K.Axes)
		for j := range count {
			part.K.readRow(s.keys[j*t.depth+at:], start+(key+j)*part.K.Row, part.Width)
		}
		at += part.Width
	}
	keys := RowMajor(s.keys, count, t.depth).Mixed()
	columns := keys.T()
	t.packPanels(s.keyColumns, t.width, &columns, 0, t.depth, 0, count, s.lines)
	t.packPanels(s.keyRows, t.width, &keys, 0, count, 0, t.depth, s.lines)
	v := a.V.rows(offset(index, &a.Counts, &a.V.Axes), key, count, a.ValueWidth).T().Mixed()
	t.packPanels(s.value, t.width, &v, 0, a.ValueWidth, 0, count, s.lines)
}

// multiply is the tile routine on slices, for any number of words.
func (t *attentionGradTask) multiply(height, words int, a []float32, aAt int, b []float32, bAt int, c []float32, cAt, cRow, width int, alpha float32) {
	if words > 0 {
		t.run[height](words, &a[aAt], words, 1, &b[bAt], t.width, &c[cAt], cRow, width, alpha, 0)
		return
	}
	scaleMatrix(Matrix{c[cAt:], height, width, cRow, 1}, 0)
}

// tile adds what one block of queries and one block of keys contribute.
func (t *attentionGradTask) tile(s *gradTile, key, count, query, rows int) {
	a, height, width := &t.a, t.height, t.width

	// Scores and dP.
	for j := 0; j < count; j += width {
		w := min(width, count-j)
		for r := 0; r < rows; r += height {
			h := min(height, rows-r)
			if low, high := t.limitsOf(query+r, query+r+h); high <= key+j || low >= key+j+w {
				continue
			}
			t.multiply(h, s.depthWords, s.queryWords, (query+r)*s.depthWords, s.keyColumns, j*s.depthWords, s.weights, r*s.stride+j, s.stride, w, a.Scale)
			t.multiply(h, s.valueWords, s.doutWords, (query+r)*s.valueWords, s.value, j*s.valueWords, s.dscores, r*s.stride+j, s.stride, w, 1)
		}
	}
	// P and dS, 0 where a key is not seen.
	for r := range rows {
		weights := s.weights[r*s.stride : r*s.stride+count]
		dscores := s.dscores[r*s.stride : r*s.stride+count]
		low, high := a.limits(query + r)
		low, high = min(max(low-key, 0), count), min(max(high-key, 0), count)
		if low >= high || math.IsInf(float64(s.lse[query+r]), -1) {
			clear(weights)
			clear(dscores)
			continue
		}
		n := high - low
		t.routines.rows.expSum(&weights[low], &weights[low], s.lse[query+r], n)
		t.routines.rows.mulSubScalar(&dscores[low], &weights[low], &dscores[low], s.delta[query+r], n)
		clear(weights[:low])
		clear(weights[high:])
		clear(dscores[:low])
		clear(dscores[high:])
	}
	weights, dscores, alpha := t.operands(s, count, rows)
	t.addQueries(s, alpha, key, count, query, rows)
	t.addKeys(s, s.dv, weights, s.outPanels, a.ValueWidth, 1, key, count, query, rows)
	t.addKeys(s, s.dk, dscores, s.queryPanels, t.depth, alpha, key, count, query, rows)
}

// operands makes P and dS what the products read: as they are, or rounded, dS
// times Scale; as pairs of queries where words are pairs, and then dS is left as
// pairs of keys. alpha is what is left to multiply with.
func (t *attentionGradTask) operands(s *gradTile, count, rows int) (weights, dscores []float32, alpha float32) {
	if t.kind == plainWords {
		return s.weights, s.dscores, t.a.Scale
	}
	wide := roundUp(count, cacheLine) // zeros behind count, for the last pair
	for r := range rows {
		row := s.dscores[r*s.stride : r*s.stride+wide]
		clear(row[count:])
		t.routines.vector.scale(&row[0], &row[0], t.a.Scale, count)
	}
	if t.kind == roundedWords {
		for r := range rows {
			roundAll(s.weights[r*s.stride : r*s.stride+count])
			roundAll(s.dscores[r*s.stride : r*s.stride+count])
		}
		return s.weights, s.dscores, 1
	}
	m := MixedMatrix{Float32s: s.weights, Rows: rows, Cols: count, RowStride: s.stride, ColStride: 1}
	t.rows(s.weightPairs, s.stride, &m, 0, rows, 0, count)
	m.Float32s = s.dscores
	t.rows(s.scorePair, s.stride, &m, 0, rows, 0, count)
	for r := range rows {
		NarrowBFloat16(s.dscores[r*s.stride : r*s.stride+wide])
	}
	return s.weightPairs, s.scorePair, 1
}

// roundAll rounds values to those of bfloat16.
func roundAll(x []float32) {
	for i, v := range x {
		x[i] = FromBFloat16(ToBFloat16(v))
	}
}

// addQueries adds alpha·dS·K to the gradients of the queries.
func (t *attentionGradTask) addQueries(s *gradTile, alpha float32, key, count, query, rows int) {
	depth, height, width, unit := t.depth, t.height, t.width, t.kind.unit()
	words := t.kind.count(count)
	for j := 0; j < depth; j += width {
		for r := 0; r < rows; r += height {
			h := min(height, rows-r)
			low, high := t.limitsOf(query+r, query+r+h)
			low, high = max(low-key, 0)/unit, t.kind.count(min(high-key, count))
			if low < high {
				t.run[h](high-low, &s.dscores[r*s.stride+low], s.stride, 1, &s.keyRows[j*words+low*width], width,
					&s.dq[(query+r)*depth+j], depth, min(width, depth-j), alpha, 1)
			}
		}
	}
}

// addKeys adds alpha·leftᵀ·right, where left is rows × count and right the
// panels of all queries for n columns, to the count rows of dst.
func (t *attentionGradTask) addKeys(s *gradTile, dst, left, right []float32, n int, alpha float32, key, count, query, rows int) {
	right = right[query*roundUp(n, t.width):]
	words := t.kind.count(rows)
	for j := 0; j < n; j += t.width {
		for k := 0; k < count; k += t.height {
			h := min(t.height, count-k)
			from, to := t.queriesOf(key+k, key+k+h)
			from, to = max(from-query, 0)/t.kind.unit(), t.kind.count(min(to-query, rows))
			if from < to {
				t.run[h](to-from, &left[from*s.stride+k], 1, s.stride, &right[j*words+from*t.width], t.width,
					&dst[k*n+j], n, min(t.width, n-j), alpha, 1)
			}
		}
	}
}

// queriesOf are the queries that see some of the keys [from, to).
func (t *attentionGradTask) queriesOf(from, to int) (low, high int) {
	if !t.a.Causal {
		return 0, t.a.Queries
	}
	low, high = max(from-t.a.Offset, 0), t.a.Queries
	if t.a.Window > 0 {
		high = min(high, to-1-t.a.Offset+t.a.Window)
	}
	return low, high
}

// writeKeys stores the gradients of a block of keys: in their place, or where
// addShare will find them.
func (t *attentionGradTask) writeKeys(s *gradTile, index, key, count int) {
	outer := t.a.outer()
	partial := t.partialKV
	at := 0
	for i := range len(t.a.Parts) + 1 {
		x, width := t.gradient(i)
		from, stride := s.dk[at:], t.depth
		if i == len(t.a.Parts) {
			from, stride = s.dv, width
		}
		at += width
		if x.Data == nil || width == 0 {
			continue
		}
		if x.shared(&t.a) {
			to := partial[(index*t.a.Keys+key)*width:]
			for j := range count {
				copy(to[j*width:(j+1)*width], from[j*stride:])
			}
			partial = partial[outer*t.a.Keys*width:]
			continue
		}
		start := offset(index, &t.a.Counts, &x.Axes)
		for j := range count {
			x.writeRow(start+(key+j)*x.Row, from[j*stride:j*stride+width])
		}
	}
}

// writeQuery stores the gradient of query r of all parts.
func (t *attentionGradTask) writeQuery(index, r int, dq []float32) {
	for i := range t.to.DQ {
		x, width := &t.to.DQ[i], t.a.Parts[i].Width
		if x.Data != nil && width > 0 {
			x.writeRow(offset(index, &t.a.Counts, &x.Axes)+r*x.Row, dq[:width])
		}
		dq = dq[width:]
	}
}

// addShare adds up one share of the rows that several parts have contributed
// to, in the order of the parts.
func (t *attentionGradTask) addShare(share int) {
	a := &t.a
	outer, shares := a.outer(), t.pool.Cuts()
	from, to := rowRange(a.Keys, shares, share)
	partial := t.partialKV
	for i := range len(a.Parts) + 1 {
		x, width := t.gradient(i)
		if x.Data == nil || !x.shared(a) || width == 0 {
			continue
		}
		for index := range outer {
			start := offset(index, &a.Counts, &x.Axes)
			first := x.firstOf(index, &a.Counts)
			for j := from; j < to; j++ {
				row := partial[(index*a.Keys+j)*width:][:width]
				if first {
					x.writeRow(start+j*x.Row, row)
				} else {
					x.addRow(start+j*x.Row, row)
				}
			}
		}
		partial = partial[outer*a.Keys*width:]
	}
	if t.chunks == 1 {
		return
	}
	from, to = rowRange(a.Queries, shares, share)
	size := a.Queries * t.depth
	for index := range outer {
		first := t.partialQ[index*t.chunks*size:][:size]
		for r := from; r < to; r++ {
			sum := first[r*t.depth : (r+1)*t.depth]
			for chunk := 1; chunk < t.chunks; chunk++ {
				Add(sum, sum, t.partialQ[(index*t.chunks+chunk)*size+r*t.depth:])
			}
			t.writeQuery(index, r, sum)
		}
	}
}

// firstOf reports whether index is the first of those that meet in its row.
func (t *AttentionTensor) firstOf(index int, counts *[AttentionDims]int) bool {
	for d := AttentionDims - 1; d >= 0; d-- {
		if t.Axes[d] == 0 && index%counts[d] != 0 {
			return false
		}
		index /= counts[d]
	}
	return true
}
