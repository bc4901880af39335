package kernel

import "math"

// A few queries against many keys, as when a token is decoded, give too few
// parts for the workers: the keys are then cut into slices. Each slice leaves
// its sums with the largest score and the total that they are relative to, and
// the caller adds up the slices of each row, in order (as in Flash-Decoding,
// Dao et al., 2023).

// leastSlice is the number of keys that make a slice worth the wait for
// another worker.
const leastSlice = 64

// cutKeys decides into how many slices the keys are cut.
func (t *attentionTask) cutKeys(threads, sets int) {
	t.slices = 1
	if t.rows > narrowRows || sets >= threads {
		return
	}
	low, high := t.limitsOf(0, t.rows)
	t.slices = max(1, min((2*threads+sets-1)/sets, (high-low)/leastSlice))
	if t.slices > 1 {
		t.partial = t.pool.shared.get(sets * t.slices * t.partialSize())
	}
}

// partialSize is the number of values that a slice leaves: a sum of values, a
// largest score and a total for each row.
func (t *attentionTask) partialSize() int { return t.block * (t.a.ValueWidth + 2) }

// slice is the i-th of the slices of the keys [low, high).
func (t *attentionTask) slice(i, low, high int) (from, to int) {
	n := max(high-low, 0)
	return low + cutAt(n, t.slices, i, cacheLine), low + cutAt(n, t.slices, i+1, cacheLine)
}

// carvePartial gives a tile the place of its slice for what it leaves.
func (t *attentionTask) carvePartial(s *attentionTile, part int) {
	size := t.partialSize()
	memory := t.partial[part*size : (part+1)*size]
	s.sums = carve(&memory, s.rows*t.a.ValueWidth)
	s.largest = carve(&memory, s.rows)
	s.total = carve(&memory, s.rows)
}

// addSlices adds up the slices of every row and writes the results.
func (t *attentionTask) addSlices(sets int) {
	vector := &t.routines.vector
	values := t.a.ValueWidth
	for set := range sets {
		first := set % t.blocks * t.block
		whole := attentionTile{first: first, rows: min(t.block, t.rows-first)}
		t.carvePartial(&whole, set*t.slices)
		for i := 1; i < t.slices; i++ {
			s := attentionTile{rows: whole.rows}
			t.carvePartial(&s, set*t.slices+i)
			for r := range s.rows {
				if s.total[r] == 0 {
					continue
				}
				largest := max(whole.largest[r], s.largest[r])
				if whole.total[r] != 0 && largest != whole.largest[r] {
					scale := exp32(whole.largest[r] - largest)
					whole.total[r] *= scale
					if values > 0 {
						vector.scale(&whole.sums[r*values], &whole.sums[r*values], scale, values)
					}
				}
				scale := exp32(s.largest[r] - largest)
				whole.largest[r] = largest
				whole.total[r] += scale * s.total[r]
				if values > 0 {
					vector.axpy(&whole.sums[r*values], &whole.sums[r*values], &s.sums[r*values], scale, values)
				}
			}
		}
		t.writeRows(&whole, set/t.blocks)
	}
}

// clear empties the sums of a tile before its first key.
func (s *attentionTile) clear() {
	clear(s.sums)
	clear(s.total)
	for r := range s.largest {
		s.largest[r] = float32(math.Inf(-1))
	}
}
