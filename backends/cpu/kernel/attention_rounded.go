package kernel

import "math"

// Attention whose products read bfloat16. A weight of the softmax is rounded
// when it is what the definition says, e^(score - log-sum-exp), and that is known
// only when all scores of the row are: so all scores of a block of rows are kept,
// and the blocks are as small as that needs.

// roundedScores is how many scores are kept: they stay in the second cache.
const roundedScores = 192 << 10

// roundedAttentionTask is one call of AttentionForward if Rounded. A part
// computes a block of queries of one index of the outer axes.
type roundedAttentionTask struct {
	pool *Pool
	packer
	tiles
	a             Attention
	out, lse      AttentionTensor
	block, blocks int
	depth         int
}

// start computes all parts; p.mu is held.
func (t *roundedAttentionTask) start(p *Pool, a *Attention, out, lse AttentionTensor) {
	r, kind := active.Load(), a.words()
	*t = roundedAttentionTask{pool: p, packer: packer{routines: r, kind: kind}, tiles: r.tiles(kind), a: *a, out: out, lse: lse, depth: a.width()}
	most := min(attentionQueries, roundedScores/max(a.Keys, 1)/t.height*t.height)
	t.block = min(max(most, t.height), a.Queries)
	t.blocks = (a.Queries + t.block - 1) / t.block
	p.run(a.outer()*t.blocks, t)
	*t = roundedAttentionTask{}
}

// roundedTile is the scratch memory of one part.
type roundedTile struct {
	queries     []float32 // rows × depthWords
	scores      []float32 // rows × stride: scores, then weights in words
	sums        []float32 // rows × values
	row         []float32 // depth values
	keys        []float32 // attentionKeys × depth
	panels      []float32 // keys or values of a tile
	lines       []float32 // for packing
	lse         []float32 // of each row
	first, rows int
	base, count int // keys that some row sees, from base on; base is even
	stride      int
	depthWords  int
}

// Do computes one part.
func (t *roundedAttentionTask) Do(part, worker int) {
	a := &t.a
	index, first := part/t.blocks, part%t.blocks*t.block
	rows := min(t.block, a.Queries-first)
	low, _ := a.limits(first)
	_, high := a.limits(first + rows - 1)
	base := low &^ 1
	s := roundedTile{first: first, rows: rows, base: base, count: max(high-base, 0), depthWords: t.kind.count(t.depth)}
	s.stride = oddLines(s.count + 1)
	wide := roundUp(a.ValueWidth, t.width)
	panels := max(attentionKeys*s.depthWords, t.kind.count(attentionKeys)*wide)
	lines := 8 * lineSize(max(attentionKeys, s.depthWords))
	memory := t.pool.Scratch(worker, rows*(s.depthWords+s.stride+a.ValueWidth+1)+t.depth*(1+attentionKeys)+panels+lines)
	s.queries, s.scores = carve(&memory, rows*s.depthWords), carve(&memory, rows*s.stride)
	s.sums, s.lse = carve(&memory, rows*a.ValueWidth), carve(&memory, rows)
	s.row, s.keys = carve(&memory, t.depth), carve(&memory, attentionKeys*t.depth)
	s.panels, s.lines = carve(&memory, panels), memory
	t.readQueries(&s, index)
	for key := 0; key < s.count; key += attentionKeys {
		t.score(&s, index, key, min(attentionKeys, s.count-key))
	}
	for r := range rows {
		s.lse[r] = t.weigh(&s, r)
	}
	clear(s.sums)
	for key := 0; key < s.count; key += attentionKeys {
		t.sum(&s, index, key, min(attentionKeys, s.count-key))
	}
	t.writeRows(&s, index)
}

func (t *roundedAttentionTask) readQueries(s *roundedTile, index int) {
	if t.depth == 0 {
		return
	}
	m := RowMajor(s.row, 1, t.depth).Mixed()
	for r := range s.rows {
		at := 0
		for i := range t.a.Parts {
			q := &t.a.Parts[i]
			q.Q.readRow(s.row[at:], offset(index, &t.a.Counts, &q.Q.Axes)+(s.first+r)*q.Q.Row, q.Width)
			at += q.Width
		}
		t.line(s.queries[r*s.depthWords:(r+1)*s.depthWords], &m, 0, 0, t.depth)
	}
}

// seen are the keys behind base that some of the rows [r, r+n) see.
func (t *roundedAttentionTask) seen(s *roundedTile, r, n int) (low, high int) {
	low, _ = t.a.limits(s.first + r)
	_, high = t.a.limits(s.first + r + n - 1)
	return low - s.base, high - s.base
}

// score fills in the scores of keys [key, key+count) behind base.
func (t *roundedAttentionTask) score(s *roundedTile, index, key, count int) {
	at := 0
	for i := range t.a.Parts {
		k := &t.a.Parts[i]
		start := offset(index, &t.a.Counts, &k.K.Axes) + (s.base+key)*k.K.Row
		for j := range count {
			k.K.readRow(s.keys[j*t.depth+at:], start+j*k.K.Row, k.Width)
		}
		at += k.Width
	}
	columns := RowMajor(s.keys, count, t.depth).T().Mixed()
	t.packPanels(s.panels, t.width, &columns, 0, t.depth, 0, count, s.lines)
	for j := 0; j < count; j += t.width {
		width := min(t.width, count-j)
		for r := 0; r < s.rows; r += t.height {
			h := min(t.height, s.rows-r)
			if low, high := t.seen(s, r, h); high <= key+j || low >= key+j+width {
				continue
			}
			c := s.scores[r*s.stride+key+j:]
			if s.depthWords == 0 {
				scaleMatrix(Matrix{c, h, width, s.stride, 1}, 0)
				continue
			}
			t.run[h](s.depthWords, &s.queries[r*s.depthWords], s.depthWords, 1, &s.panels[j*s.depthWords], t.width, &c[0], s.stride, width, t.a.Scale, 0)
		}
	}
}

// weigh turns the scores of row r into the weights of its softmax, as words, with
// zeros where it sees nothing but other rows of its tile do, and returns the
// logarithm of the sum of their exponentials.
func (t *roundedAttentionTask) weigh(s *roundedTile, r int) float32 {
	from := r / t.height * t.height
	begin, end := t.seen(s, from, min(t.height, s.rows-from))
	begin, end = max(begin, 0)&^(cacheLine-1), roundUp(max(end, 0), cacheLine)
	if begin >= end {
		return float32(math.Inf(-1))
	}
	row := s.scores[r*s.stride+begin : r*s.stride+end]
	low, high := t.seen(s, r, 1)
	low, high = low-begin, high-begin
	lse := float32(math.Inf(-1))
	if low < high {
		seen := row[low:high]
		if largest := t.routines.vector.maximum(&seen[0], len(seen)); !math.IsInf(float64(largest), -1) {
			total := t.routines.expSum(seen, seen, largest)
			t.routines.vector.scale(&seen[0], &seen[0], float32(1/total), len(seen))
			lse = largest + log32(float32(total))
		} else {
			clear(seen)
		}
		clear(row[:low])
		clear(row[high:])
	} else {
		clear(row)
	}
	if t.kind == pairWords {
		ConvertBFloat16(BFloat16s(s.scores[r*s.stride : (r+1)*s.stride])[begin:end], row)
	} else {
		roundAll(row)
	}
	return lse
}

// sum adds the values of keys [key, key+count) behind base, times their weights.
func (t *roundedAttentionTask) sum(s *roundedTile, index, key, count int) {
	values, unit := t.a.ValueWidth, t.kind.unit()
	v := t.a.V.rows(offset(index, &t.a.Counts, &t.a.V.Axes), s.base+key, count, values).Mixed()
	t.packPanels(s.panels, t.width, &v, 0, count, 0, values, s.lines)
	words := t.kind.count(count)
	for j := 0; j < values; j += t.width {
		for r := 0; r < s.rows; r += t.height {
			h := min(t.height, s.rows-r)
			low, high := t.seen(s, r, h)
			low, high = max(low-key, 0)/unit, t.kind.count(min(high-key, count))
			if low < high {
				t.run[h](high-low, &s.scores[r*s.stride+key/unit+low], s.stride, 1, &s.panels[j*words+low*t.width], t.width,
					&s.sums[r*values+j], values, min(t.width, values-j), 1, 1)
			}
		}
	}
}

func (t *roundedAttentionTask) writeRows(s *roundedTile, index int) {
	values := t.a.ValueWidth
	at := offset(index, &t.a.Counts, &t.out.Axes)
	for r := range s.rows {
		t.out.writeRow(at+(s.first+r)*t.out.Row, s.sums[r*values:(r+1)*values])
	}
	if t.lse.Data == nil {
		return
	}
	at = offset(index, &t.a.Counts, &t.lse.Axes)
	for r := range s.rows {
		t.lse.Data[at+(s.first+r)*t.lse.Row] = s.lse[r]
	}
}
