package kernel

import "sort"

// gemmTask is one parallel region of matrix products.
type gemmTask struct {
	routines *gemmRoutines
	pool     *Pool
	products []Product
	copies   int   // of the one product, when it is a batch
	batch    Batch // valid when copies > 1
	cuts     []cut // how each product is cut into parts

	// With a split of the depth, part s writes its sum to partial s and a
	// second region adds them up.
	adding  bool
	partial []float32

	one [1]Product // storage for products of Gemm and GemmBatch
}

// cut is the grid of parts of one product, and the number of parts before it.
type cut struct {
	rows, cols, depth int
	before            int
}

func (c *cut) parts() int { return c.rows * c.cols * c.depth }

const (
	// minimalWork is the number of multiply-adds below which a product is
	// not cut: at 20 to 50 a nanosecond, a few microseconds, the price of
	// waking a worker.
	minimalWork = 64 << 10

	// partsPerThread lets a worker that is late be relieved by the others.
	partsPerThread = 4
)

// plan cuts the products into parts. Only a single product may be split over
// its depth.
func (t *gemmTask) plan(p *Pool, single bool) {
	t.pool = p
	t.routines = &active.Load().gemm
	total := 0
	for i := range t.products {
		total += t.products[i].work() * t.copies
	}
	t.cuts = t.cuts[:0]
	before := 0
	for i := range t.products {
		q := &t.products[i]
		c := cut{rows: 1, cols: 1, depth: 1, before: before}
		if q.C.Rows == 0 || q.C.Cols == 0 {
			c.rows = 0
		} else if threads := p.Threads(); threads > 1 {
			// The share of this product in the parts of the whole region.
			wanted := min(q.work()/minimalWork, q.work()*threads*partsPerThread/total)
			c.rows, c.cols, c.depth = t.split(q, wanted, threads, single)
		}
		t.cuts = append(t.cuts, c)
		before += c.parts()
	}
}

// split chooses the grid of about wanted parts.
func (t *gemmTask) split(q *Product, wanted, threads int, single bool) (rows, cols, depth int) {
	rows, cols, depth = 1, 1, 1
	if wanted < 2 {
		return
	}
	m, n, k := q.C.Rows, q.C.Cols, q.A.Cols
	const minimalDepth = 256
	if single && k >= 4*max(m, n) && k >= minimalDepth*threads {
		// A gradient of weights: small, and the sum of many rows. Slices of
		// the depth pack nothing twice; two a thread, since each costs a
		// sum of the size of C.
		return 1, 1, min(wanted, 2*threads, k/minimalDepth)
	}
	if m <= narrowRows || n <= narrowRows {
		// Narrow products read the large operand once: cut only that.
		const minimal = 128 // columns that keep reading in long runs
		long := &cols
		if n <= narrowRows && m > narrowRows {
			long, n = &rows, m
		}
		*long = max(1, min(wanted, n/minimal, threads))
	} else {
		// Each part packs its columns of B again and reads its rows of A
		// again, so parts should be about square, but not smaller than some
		// tiles each way.
		maxRows := max(1, m/(4*t.routines.tileRows))
		maxCols := max(1, n/(4*t.routines.tileCols))
		for rows*cols < wanted {
			switch {
			case rows < maxRows && (cols >= maxCols || m*cols >= n*rows):
				rows++
			case cols < maxCols:
				cols++
			default:
				wanted = 0
			}
		}
	}
	if single && rows*cols < threads && k >= 2*minimalDepth {
		depth = min(threads/(rows*cols), k/minimalDepth)
	}
	return max(rows, 1), max(cols, 1), max(depth, 1)
}

// execute runs the planned parts.
func (t *gemmTask) execute(p *Pool) {
	if len(t.cuts) == 0 {
		return
	}
	last := &t.cuts[len(t.cuts)-1]
	perCopy := last.before + last.parts()
	q := &t.products[0]
	split := len(t.cuts) == 1 && last.depth > 1
	if split {
		t.partial = p.shared.get(last.depth * q.C.Rows * q.C.Cols)
	}
	p.run(perCopy*t.copies, t)
	if split {
		t.adding = true
		p.run(min(p.Threads(), q.C.Rows), t)
		t.adding = false
	}
	// The pool outlives the operands: do not keep them.
	t.products, t.partial, t.one[0] = nil, nil, Product{}
}

// Do computes one part.
func (t *gemmTask) Do(part, worker int) {
	if t.adding {
		t.addPartials(part)
		return
	}
	index := 0
	if len(t.cuts) > 1 {
		index = sort.Search(len(t.cuts), func(i int) bool { return t.cuts[i].before > part }) - 1
	}
	c := &t.cuts[index]
	q := t.products[index]
	part -= c.before
	if t.copies > 1 {
		offsetA, offsetB, offsetC := t.batch.offsets(part / c.parts())
		part %= c.parts()
		q.A, q.B, q.C = moved(q.A, offsetA), moved(q.B, offsetB), moved(q.C, offsetC)
	}
	// Parts beside each other share columns of B.
	slice := part % c.depth
	part /= c.depth
	row, col := part%c.rows, part/c.rows
	i0, i1 := cutAt(q.C.Rows, c.rows, row, t.routines.tileRows), cutAt(q.C.Rows, c.rows, row+1, t.routines.tileRows)
	j0, j1 := cutAt(q.C.Cols, c.cols, col, t.routines.tileCols), cutAt(q.C.Cols, c.cols, col+1, t.routines.tileCols)
	k0, k1 := cutAt(q.A.Cols, c.depth, slice, cacheLine), cutAt(q.A.Cols, c.depth, slice+1, cacheLine)
	if c.depth > 1 {
		size := q.C.Rows * q.C.Cols
		q.C = RowMajor(t.partial[slice*size:(slice+1)*size], q.C.Rows, q.C.Cols)
		q.Alpha, q.Beta = 1, 0
	}
	q.A = q.A.block(i0, i1-i0, k0, k1-k0)
	q.B = q.B.block(k0, k1-k0, j0, j1-j0)
	q.C = q.C.block(i0, i1-i0, j0, j1-j0)
	t.routines.product(&t.pool.lanes[worker].own, q)
}

// cutAt is where slice i of count slices of n begins, on a multiple of grain.
func cutAt(n, count, i, grain int) int {
	grains := (n + grain - 1) / grain
	return min(n, grains*i/count*grain)
}

// addPartials adds the sums of all slices of the depth, in order, for one
// share of the rows of C.
func (t *gemmTask) addPartials(part int) {
	q := &t.products[0]
	depth := t.cuts[0].depth
	size := q.C.Rows * q.C.Cols
	shares := min(t.pool.Threads(), q.C.Rows)
	for i := q.C.Rows * part / shares; i < q.C.Rows*(part+1)/shares; i++ {
		row := t.partial[i*q.C.Cols : (i+1)*q.C.Cols]
		for s := 1; s < depth; s++ {
			for j, v := range t.partial[s*size+i*q.C.Cols : s*size+(i+1)*q.C.Cols] {
				row[j] += v
			}
		}
		for j, sum := range row {
			c := q.C.at(i, j)
			v := q.Alpha * sum
			if q.Beta != 0 {
				v += q.Beta * *c
			}
			*c = v
		}
	}
}
