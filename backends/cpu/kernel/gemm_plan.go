package kernel

import "sort"

// gemmTask is one parallel region of matrix products.
type gemmTask struct {
	routines *routines
	pool     *Pool
	region   uint64 // counts the tasks of the pool
	jobs     []job
	batch    Batch // of the one job
	copies   int   // of the job in the batch; 0 and 1 mean that there is none
	cuts     []cut // how each job is cut into parts

	// With a split of the depth, part s writes its sum to partial s and a
	// second region adds them up.
	adding  bool
	partial []float32
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

	// A product is cut along its depth only into slices of minimalDepth or
	// more.
	minimalDepth = 256
)

// compute runs the jobs of the task; only a single job may be split over its
// depth.
func (t *gemmTask) compute(p *Pool) {
	t.copies = max(t.copies, 1)
	for i := range t.jobs {
		if q := &t.jobs[i]; q.standsOnEnd() {
			*q = q.transposed()
		}
	}
	t.plan(p, len(t.jobs) == 1 && t.copies == 1)
	t.execute(p)
	// The pool outlives the operands: do not keep them.
	clear(t.jobs)
	t.jobs, t.partial = t.jobs[:0], nil
}

// plan cuts the jobs into parts.
func (t *gemmTask) plan(p *Pool, single bool) {
	t.pool = p
	t.routines = active.Load()
	t.region++
	total := 0
	for i := range t.jobs {
		total += t.jobs[i].work() * t.copies
	}
	t.cuts = t.cuts[:0]
	before := 0
	for i := range t.jobs {
		q := &t.jobs[i]
		c := cut{rows: 1, cols: 1, depth: 1, before: before}
		if q.c.Rows == 0 || q.c.Cols == 0 {
			c.rows = 0
		} else if threads := p.Cuts(); threads > 1 {
			// The share of this job in the parts of the whole region.
			wanted := min(q.work()/minimalWork, q.work()*threads*partsPerThread/total)
			c.rows, c.cols, c.depth = t.split(q, wanted, threads, single)
		}
		t.cuts = append(t.cuts, c)
		before += c.parts()
	}
}

// split chooses the grid of about wanted parts.
func (t *gemmTask) split(q *job, wanted, threads int, single bool) (rows, cols, depth int) {
	if wanted < 2 {
		return 1, 1, 1
	}
	m, n, k := q.c.Rows, q.c.Cols, q.a.Cols
	const small = 256
	if single && k >= 4*max(m, n) && max(m, n) <= small && k >= minimalDepth*threads {
		// A gradient of weights: small, and the sum of many rows. Slices of
		// the depth pack nothing twice; two a thread, since each costs a
		// sum of the size of C.
		return 1, 1, min(wanted, 2*threads, k/minimalDepth)
	}
	if m <= narrowRows || n <= narrowRows {
		// Narrow products read the large operand once: cut only that.
		const minimal = 128 // columns that keep reading in long runs
		if n <= narrowRows && m > narrowRows {
			rows, cols = max(1, min(wanted, m/minimal, threads)), 1
		} else {
			rows, cols = 1, max(1, min(wanted, n/minimal, threads))
		}
	} else {
		rows, cols = t.grid(q, wanted, threads)
	}
	depth = 1
	if single && rows*cols < threads && k >= 2*minimalDepth {
		depth = min(threads/(rows*cols), k/minimalDepth)
	}
	return rows, cols, max(depth, 1)
}

// grid chooses the number of groups of columns, and of shares of the rows. A
// worker packs the columns of B of a group once for all shares that it computes,
// and the rows of A for each group. So there are few groups: as many as blocks of
// the second cache need, or, if that packs less, a multiple of the workers, so
// that each has groups of its own.
func (t *gemmTask) grid(q *job, wanted, threads int) (rows, cols int) {
	m, n := q.c.Rows, q.c.Cols
	tile := t.routines.tiles(q.kind)
	cols = (n + blockCols - 1) / blockCols
	if even := roundUp(cols, threads); even != cols && even*2*tile.width <= n {
		// Packing a value of B costs about twice as much as one of A.
		shared := 2*float64(threads)/float64(m) + float64(cols)/float64(n)
		own := 2/float64(m) + float64(even)/float64(n)
		if own < shared {
			cols = even
		}
	}
	rows = min((wanted+cols-1)/cols, m/(4*tile.height))
	return max(rows, 1), cols
}

// execute runs the planned parts.
func (t *gemmTask) execute(p *Pool) {
	if len(t.cuts) == 0 {
		return
	}
	last := &t.cuts[len(t.cuts)-1]
	perCopy := last.before + last.parts()
	q := &t.jobs[0]
	split := len(t.cuts) == 1 && last.depth > 1
	if split {
		t.partial = p.shared.get(last.depth * q.c.Rows * q.c.Cols)
	}
	p.run(perCopy*t.copies, t)
	if split {
		t.adding = true
		p.run(min(p.Cuts(), q.c.Rows), t)
		t.adding = false
	}
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
	q := t.jobs[index]
	part -= c.before
	id := keptPanels{region: t.region, job: index}
	keep := c.rows > 1
	if t.copies > 1 {
		offsetA, offsetB, offsetC := t.batch.offsets(part / c.parts())
		part %= c.parts()
		q.a, q.b, q.c = q.a.moved(offsetA), q.b.moved(offsetB), q.c.moved(offsetC)
		id.offset = offsetB
		keep = keep || t.batch.sharesB()
	}
	// Parts beside each other share columns of B.
	slice := part % c.depth
	part /= c.depth
	row, col := part%c.rows, part/c.rows
	tile := t.routines.tiles(q.kind)
	p := area{
		cutAt(q.c.Rows, c.rows, row, tile.height), cutAt(q.c.Rows, c.rows, row+1, tile.height),
		cutAt(q.c.Cols, c.cols, col, tile.width), cutAt(q.c.Cols, c.cols, col+1, tile.width),
		cutAt(q.a.Cols, c.depth, slice, cacheLine), cutAt(q.a.Cols, c.depth, slice+1, cacheLine),
	}
	if c.depth > 1 {
		size := q.c.Rows * q.c.Cols
		q.c = RowMajor(t.partial[slice*size:(slice+1)*size], q.c.Rows, q.c.Cols).Mixed()
		q.alpha, q.beta = 1, 0
	}
	t.routines.multiplyPart(&t.pool.lanes[worker], &q, p, id, keep)
}

// cutAt is where slice i of count slices of n begins, on a multiple of grain.
func cutAt(n, count, i, grain int) int {
	grains := (n + grain - 1) / grain
	return min(n, grains*i/count*grain)
}

// addPartials adds the sums of all slices of the depth, in order, for one
// share of the rows of C.
func (t *gemmTask) addPartials(part int) {
	q := &t.jobs[0]
	depth, cols := t.cuts[0].depth, q.c.Cols
	size := q.c.Rows * cols
	vector := &t.routines.vector
	shares := min(t.pool.Cuts(), q.c.Rows)
	for i := q.c.Rows * part / shares; i < q.c.Rows*(part+1)/shares; i++ {
		row := t.partial[i*cols : (i+1)*cols]
		for s := 1; s < depth; s++ {
			vector.add(&row[0], &row[0], &t.partial[s*size+i*cols], cols)
		}
		if q.alpha != 1 {
			vector.scale(&row[0], &row[0], q.alpha, cols)
		}
		c := q.c.block(i, 1, 0, cols)
		c.set(row, cols, q.beta)
	}
}
