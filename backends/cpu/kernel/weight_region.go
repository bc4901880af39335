package kernel

import "sort"

// weightTask is one parallel region of products with weights. The weights of
// all products, one after the other, are cut into parts of as many bytes, since
// it is memory that takes the time. A part is some outputs of one product, or of
// several.
type weightTask struct {
	pool     *Pool
	routines *routines
	products []WeightProduct
	before   []int // the bytes of the products before each
	total    int
	parts    int
}

const (
	weightPart    = 24 << 10 // the least bytes of weights worth a part: a microsecond
	weightGrain   = 16       // outputs that are not cut apart
	weightByInput = 32       // the same by inputs: a run of memory for each input
)

// MulWeights computes products with weights, each of any shape, as one parallel
// region: one product, or those of the experts that a token has picked. The
// destinations must not overlap.
func MulWeights(p *Pool, products []WeightProduct) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.weight
	t.pool, t.routines, t.products = p, active.Load(), products
	t.before, t.total = t.before[:0], 0
	for i := range products {
		q := &products[i]
		q.check()
		t.before = append(t.before, t.total)
		if q.W.Outputs > 0 && q.X.Rows > 0 {
			t.total += max(q.W.Size(), 1)
		}
	}
	t.parts = min(t.total, 1)
	if p.Cuts() > 1 {
		t.parts = max(t.parts, min(t.total/weightPart, 2*p.Cuts()))
	}
	p.run(t.parts, t)
	t.products = nil
}

// Do computes the outputs whose weights lie in one part of the bytes.
func (t *weightTask) Do(part, worker int) {
	from, to := t.total*part/t.parts, t.total*(part+1)/t.parts
	first := sort.Search(len(t.before), func(i int) bool { return t.before[i] > from }) - 1
	for i := first; i < len(t.products) && t.before[i] < to; i++ {
		o, end := t.output(i, from), t.output(i, to)
		if o == end {
			continue
		}
		next := uintptr(0)
		if i+1 < len(t.products) && t.before[i+1] < to && t.products[i+1].W.Size() > 0 {
			next = address(t.products[i+1].W.address(0))
		}
		t.compute(&t.products[i], o, end, next, worker)
	}
}

// output is the first output of a product that lies behind a place in the bytes
// of all. Products that are small beside a part are not cut, but given to the
// part that has the larger half of them.
func (t *weightTask) output(i, at int) int {
	w := &t.products[i].W
	size := t.total - t.before[i]
	if i+1 < len(t.before) {
		size = t.before[i+1] - t.before[i]
	}
	at -= t.before[i]
	switch {
	case at <= 0 || size == 0:
		return 0
	case at >= size:
		return w.Outputs
	case 2*size < t.total/t.parts:
		if 2*at < size {
			return 0
		}
		return w.Outputs
	}
	grain := weightGrain
	if w.ByInput {
		grain = weightByInput
	}
	grains := scalesOf(w.Outputs, grain)
	return min((2*grains*at+size)/(2*size)*grain, w.Outputs)
}

// compute sets or adds outputs [from, to) of a product. What is read after them
// begins at next, 0 if that is not known.
func (t *weightTask) compute(q *WeightProduct, from, to int, next uintptr, worker int) {
	if !q.Accumulate {
		for r := range q.Y.Rows {
			clear(q.Y.Data[r*q.Y.RowStride+from : r*q.Y.RowStride+to])
		}
	}
	t.add(q, from, to, next, &t.pool.lanes[worker])
}
