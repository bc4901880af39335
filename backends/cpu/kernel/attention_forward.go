package kernel

import "math"

// Sizes of the tiles of scores: the keys and values of a tile, packed, its
// scores and the queries with their results stay in the second cache.
const (
	attentionQueries = 192
	attentionKeys    = 128

	// attentionKeysNarrow is the tile for a few queries, whose keys are read
	// where they lie.
	attentionKeysNarrow = 512
)

// attentionTask is one call of AttentionForward.
type attentionTask struct {
	pool     *Pool
	routines *routines
	a        Attention
	out, lse AttentionTensor

	// Indices of the outer axes whose keys and values are all shared are
	// further rows of one set of queries: row r is query r%Queries of the
	// merged index r/Queries. The other axes are left in counts.
	counts, merged [AttentionDims]int
	rows           int // queries times merged indices
	block, blocks  int // rows of a part, parts of a set of rows

	slices  int       // of the keys of each part; see attention_slices.go
	partial []float32 // what the slices leave, if there are several
}

// AttentionForward computes out, and the logarithm of the sum of the
// exponentials of each query's scores in lse if that has data (its Feature is
// not used). Both are overwritten.
func AttentionForward(p *Pool, a *Attention, out, lse AttentionTensor) {
	a.check()
	out.mustHold("output", a, a.Queries, a.ValueWidth)
	if lse.Data != nil {
		lse.mustHold("log-sum-exp", a, a.Queries, 1)
	}
	if a.outer() == 0 || a.Queries == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.Rounded {
		p.attentionRounded.start(p, a, out, lse)
		return
	}
	t := &p.attention
	*t = attentionTask{pool: p, routines: active.Load(), a: *a, out: out, lse: lse}
	t.plan(p.Cuts())
	outer := 1
	for _, count := range t.counts {
		outer *= count
	}
	t.cutKeys(p.Cuts(), outer*t.blocks)
	p.run(outer*t.blocks*t.slices, t)
	if t.slices > 1 {
		t.addSlices(outer * t.blocks)
	}
	*t = attentionTask{}
}

// plan merges shared axes if there are few queries, and cuts the rows.
func (t *attentionTask) plan(threads int) {
	a := &t.a
	t.counts = a.Counts
	t.merged = [AttentionDims]int{1, 1, 1, 1}
	t.rows = a.Queries
	outer := a.outer()
	for d, count := range a.Counts {
		shared := a.V.Axes[d] == 0
		for i := range a.Parts {
			shared = shared && a.Parts[i].K.Axes[d] == 0
		}
		if shared && count > 1 && t.rows*count <= attentionQueries {
			t.counts[d], t.merged[d] = 1, count
			t.rows *= count
			outer /= count
		}
	}
	// Blocks of rows, more and smaller ones if there are few other parts.
	const smallest = 8
	t.blocks = (t.rows + attentionQueries - 1) / attentionQueries
	if wanted := (2*threads + outer - 1) / outer; threads > 1 && outer < 2*threads && t.blocks < wanted {
		t.blocks = max(t.blocks, min(wanted, t.rows/smallest))
	}
	t.block = (t.rows + t.blocks - 1) / t.blocks
	if t.block > smallest {
		t.block = roundUp(t.block, t.routines.gemm.tileRows)
	}
	t.blocks = (t.rows + t.block - 1) / t.block
}

// Do computes one block of rows of one index of the outer axes, for one slice
// of the keys.
func (t *attentionTask) Do(part, worker int) {
	a := &t.a
	whole := part
	part /= t.slices
	index := part / t.blocks
	first := part % t.blocks * t.block
	rows := min(t.block, t.rows-first)
	depth, values := a.width(), a.ValueWidth
	gemm := &t.routines.gemm

	narrow := rows <= narrowRows && a.V.Feature == 1
	for i := range a.Parts {
		narrow = narrow && a.Parts[i].K.Feature == 1
	}
	keys := attentionKeys
	packed := 0
	if narrow {
		keys = attentionKeysNarrow
	} else {
		packed = keys * (depth + roundUp(values, gemm.tileCols))
	}
	stride := keys + cacheLine // an odd number of cache lines
	memory := t.pool.Scratch(worker, rows*(depth+stride+values+2)+packed)
	s := attentionTile{
		queries: carve(&memory, rows*depth),
		scores:  carve(&memory, rows*stride),
		sums:    carve(&memory, rows*values),
		largest: carve(&memory, rows),
		total:   carve(&memory, rows),
		packed:  memory,
		stride:  stride, rows: rows, first: first, depth: depth,
	}
	t.readQueries(&s, index)
	low, high := t.limitsOf(first, first+rows)
	if t.slices > 1 {
		t.carvePartial(&s, whole)
		low, high = t.slice(whole%t.slices, low, high)
	}
	s.clear()
	for key := low; key < high; key += keys {
		count := min(keys, high-key)
		if narrow {
			t.narrowTile(&s, index, key, count)
		} else {
			t.tile(&s, index, key, count)
		}
	}
	if t.slices == 1 {
		t.writeRows(&s, index)
	}
}

// attentionTile is the scratch memory of one part.
type attentionTile struct {
	queries        []float32 // rows × depth
	scores         []float32 // rows × stride
	sums           []float32 // rows × value width: Σ weight·v so far
	largest, total []float32 // a row: largest score, Σ weights so far
	packed         []float32 // keys and values in panels
	stride         int
	rows, first    int
	depth          int
}

// limitsOf are the keys that some of the rows [from, to) see.
func (t *attentionTask) limitsOf(from, to int) (low, high int) {
	low, high = t.a.Keys, 0
	if (to-1)/t.a.Queries != from/t.a.Queries {
		// Rows of several merged indices: every query occurs at the ends.
		for r := from; r < to; r++ {
			l, h := t.a.limits(r % t.a.Queries)
			low, high = min(low, l), max(high, h)
		}
		return low, high
	}
	low, _ = t.a.limits(from % t.a.Queries)
	_, high = t.a.limits((to - 1) % t.a.Queries)
	return low, high
}

// rowStart is where row r of the tensor begins, for an index of the other
// outer axes that begins at base.
func (t *attentionTask) rowStart(x *AttentionTensor, base, r int) int {
	if t.rows == t.a.Queries {
		return base + r*x.Row
	}
	return base + offset(r/t.a.Queries, &t.merged, &x.Axes) + r%t.a.Queries*x.Row
}

func (t *attentionTask) readQueries(s *attentionTile, index int) {
	at := 0
	for i := range t.a.Parts {
		part := &t.a.Parts[i]
		base := offset(index, &t.counts, &part.Q.Axes)
		for r := range s.rows {
			part.Q.readRow(s.queries[r*s.depth+at:], t.rowStart(&part.Q, base, s.first+r), part.Width)
		}
		at += part.Width
	}
}

func (t *attentionTask) writeRows(s *attentionTile, index int) {
	values := t.a.ValueWidth
	base := offset(index, &t.counts, &t.out.Axes)
	for r := range s.rows {
		row := s.sums[r*values : (r+1)*values]
		if s.total[r] != 0 && values > 0 {
			t.routines.vector.scale(&row[0], &row[0], 1/s.total[r], values)
		}
		if values > 0 {
			t.out.writeRow(t.rowStart(&t.out, base, s.first+r), row)
		}
	}
	if t.lse.Data == nil {
		return
	}
	base = offset(index, &t.counts, &t.lse.Axes)
	for r := range s.rows {
		t.lse.Data[t.rowStart(&t.lse, base, s.first+r)] = s.largest[r] + log32(s.total[r])
	}
}

// tile adds the keys [key, key+count) to all rows.
func (t *attentionTask) tile(s *attentionTile, index, key, count int) {
	gemm := &t.routines.gemm
	values := t.a.ValueWidth
	packedKeys := s.packed[:attentionKeys*s.depth]
	packedValues := s.packed[attentionKeys*s.depth:]
	at := 0
	for i := range t.a.Parts {
		part := &t.a.Parts[i]
		k := part.K.rows(offset(index, &t.counts, &part.K.Axes), key, count, part.Width)
		gemm.packColumns(packedKeys, s.depth, at, k.T())
		at += part.Width
	}
	v := t.a.V.rows(offset(index, &t.counts, &t.a.V.Axes), key, count, values)
	gemm.packB(packedValues, v)

	height := gemm.tileRows
	for j := 0; j < count; j += gemm.tileCols {
		width := min(gemm.tileCols, count-j)
		for r := 0; r < s.rows; r += height {
			h := min(height, s.rows-r)
			if low, high := t.limitsOf(s.first+r, s.first+r+h); high <= key+j || low >= key+j+width {
				continue
			}
			gemm.multiply(h, s.depth, s.queries, r*s.depth, s.depth, packedKeys, j*s.depth,
				s.scores, r*s.stride+j, s.stride, width, t.a.Scale, 0)
		}
	}
	for r := range s.rows {
		// The weights of a row are read as far as those of its tile.
		from := r / height * height
		low, high := t.limitsOf(s.first+from, s.first+min(from+height, s.rows))
		t.weigh(s, r, key, max(low-key, 0), min(high-key, count))
	}
	for j := 0; j < values; j += gemm.tileCols {
		for r := 0; r < s.rows; r += height {
			h := min(height, s.rows-r)
			low, high := t.limitsOf(s.first+r, s.first+r+h)
			low, high = max(low-key, 0), min(high-key, count)
			if low >= high {
				continue
			}
			gemm.tile[h](high-low, &s.scores[r*s.stride+low], s.stride, 1, &packedValues[j*count+low*gemm.tileCols], gemm.tileCols,
				&s.sums[r*values+j], values, min(gemm.tileCols, values-j), 1, 1)
		}
	}
}

// narrowTile is tile for a few rows, without packing.
func (t *attentionTask) narrowTile(s *attentionTile, index, key, count int) {
	gemm := &t.routines.gemm
	scores := Matrix{s.scores, s.rows, count, s.stride, 1}
	at, beta := 0, float32(0)
	for i := range t.a.Parts {
		part := &t.a.Parts[i]
		if part.Width == 0 {
			continue
		}
		k := part.K.rows(offset(index, &t.counts, &part.K.Axes), key, count, part.Width)
		q := Matrix{s.queries[at:], s.rows, part.Width, s.depth, 1}
		gemm.narrowDots(Product{t.a.Scale, q, k.T(), beta, scores})
		at, beta = at+part.Width, 1
	}
	if beta == 0 {
		scaleMatrix(scores, 0)
	}
	for r := range s.rows {
		t.weigh(s, r, key, 0, count)
	}
	if values := t.a.ValueWidth; values > 0 {
		v := t.a.V.rows(offset(index, &t.counts, &t.a.V.Axes), key, count, values)
		gemm.narrowRows(Product{1, scores, v, 1, RowMajor(s.sums, s.rows, values)})
	}
}

// weigh turns the scores of row r against the keys from key on into weights
// e^(score-largest), in place, and 0 where a score of columns [from, to) is not
// seen. What was summed up under a smaller largest score is scaled down.
func (t *attentionTask) weigh(s *attentionTile, r, key, from, to int) {
	if from >= to {
		return
	}
	row := s.scores[r*s.stride : (r+1)*s.stride]
	low, high := t.a.limits((s.first + r) % t.a.Queries)
	low, high = max(low-key, from), min(high-key, to)
	if low >= high {
		clear(row[from:to])
		return
	}
	clear(row[from:low])
	clear(row[high:to])
	n := high - low
	old := s.largest[r]
	largest := max(old, t.routines.vector.maximum(&row[low], n))
	if math.IsInf(float64(largest), -1) {
		clear(row[low:high])
		return
	}
	sum := t.routines.rows.expSum(&row[low], &row[low], largest, n)
	s.largest[r] = largest
	if largest != old && !math.IsInf(float64(old), -1) {
		scale := exp32(old - largest)
		s.total[r] *= scale
		if values := t.a.ValueWidth; values > 0 {
			t.routines.vector.scale(&s.sums[r*values], &s.sums[r*values], scale, values)
		}
	}
	s.total[r] += sum
}
