package kernel

// The blocked product on one worker. C is computed in blocks: columns blockCols
// at a time, depth blockDepth at a time, rows blockRows at a time, and inside a
// block in tiles that stay in registers. The packed block of B stays in the
// second cache while the rows of A pass by; a tile reads its rows of A from the
// first and streams panels of B from the second. (Goto and van de Geijn,
// Anatomy of High-Performance Matrix Multiplication, 2008.)
const (
	blockDepth = 384 // words
	blockRows  = 96
	blockCols  = 384

	// keptWords is the most that a worker keeps of B in words for the parts that
	// follow: for all of the depth, beyond the second cache, in the third.
	keptWords  = 1 << 20
	keptBlocks = 64

	// narrowRows is the largest number of rows of C that the loops without
	// packing (gemm_narrow.go) are used for.
	narrowRows = 8
)

// job is one product of a region: c = alpha·a·b + beta·c.
type job struct {
	a, b, c     MixedMatrix
	alpha, beta float32
	kind        wordKind // of the operands as they are multiplied
}

// transposed is the same product written as cᵀ = alpha·bᵀ·aᵀ + beta·cᵀ.
func (q *job) transposed() job {
	return job{q.b.T(), q.a.T(), q.c.T(), q.alpha, q.beta, q.kind}
}

// standsOnEnd reports whether the columns of C are contiguous and its rows are
// not: the transposed product is the one to compute.
func (q *job) standsOnEnd() bool { return q.c.ColStride != 1 && q.c.RowStride == 1 }

// work estimates the multiply-adds of the product; never 0, so that a product of
// depth 0 is still carried out.
func (q *job) work() int { return q.c.Rows * q.c.Cols * max(q.a.Cols, 1) }

// area is a part of a job: rows and columns of C, and a slice of the depth.
type area struct{ i0, i1, j0, j1, k0, k1 int }

// tiles are the innermost loops of one kind of words.
type tiles struct {
	height, width int
	run           []tileRoutine
}

func (r *routines) tiles(kind wordKind) tiles {
	if kind == pairWords {
		return tiles{bf16TileRows, bf16TileCols, r.bf16.tile}
	}
	return tiles{r.gemm.tileRows, r.gemm.tileCols, r.gemm.tile[:]}
}

// keptPanels says what the packed panels of a worker are: blocks of the depth of
// some columns of the B of a product.
type keptPanels struct {
	region uint64 // counts the regions of the pool
	job    int
	offset int // of B in a batch
	j0, j1 int
	k0, k1 int
	blocks uint64 // bit i: block i is there
}

// blockTask is one part of a blocked product, on one worker.
type blockTask struct {
	packer
	tiles
	q     *job
	lane  *lane
	kept  keptPanels // what this part needs
	keep  bool       // panels for parts that follow
	depth int        // values of a block of the depth
	ahead ahead
}

// multiplyPart computes one part. id says which product it is of; keep, whether
// parts with the same columns follow.
func (r *routines) multiplyPart(l *lane, q *job, p area, id keptPanels, keep bool) {
	if p.i0 == p.i1 || p.j0 == p.j1 {
		return
	}
	if q.a.Cols == 0 || q.alpha == 0 {
		c := q.c.block(p.i0, p.i1-p.i0, p.j0, p.j1-p.j0)
		c.scale(q.beta)
		return
	}
	if q.kind == plainWords && q.a.plain() && q.b.plain() && q.c.plain() && r.narrowPart(l, q, p) {
		return
	}
	id.k0, id.k1 = p.k0, p.k1
	t := blockTask{packer: packer{r, q.kind, &l.turn}, tiles: r.tiles(q.kind), q: q, lane: l, kept: id}
	unit := q.kind.unit()
	words := q.kind.count(p.k1 - p.k0)
	blocks := (words + blockDepth - 1) / blockDepth
	t.depth = (words + blocks - 1) / blocks * unit
	direct := q.c.ColStride == 1 && !q.c.narrow()
	most := min(blockCols, p.j1-p.j0)
	t.keep = (keep && p.j1-p.j0 <= blockCols || !direct) && blocks <= keptBlocks && blocks*(t.depth/unit)*roundUp(most, t.width) <= keptWords
	for j := p.j0; j < p.j1; j += blockCols {
		end := min(j+blockCols, p.j1)
		if direct {
			t.columnsDirect(p, j, end)
		} else {
			t.columnsThrough(p, j, end)
		}
	}
}

// columnsDirect computes columns [j, end) where they lie.
func (t *blockTask) columnsDirect(p area, j, end int) {
	beta := t.q.beta
	for k := p.k0; k < p.k1; k += t.depth {
		depth := min(t.depth, p.k1-k)
		panels := t.panels(p, j, end, k, depth)
		for i := p.i0; i < p.i1; i += blockRows {
			rows := min(blockRows, p.i1-i)
			t.lookAhead(p, i, j, end, k)
			t.block(panels, i, rows, k, depth, end-j, t.q.c.Float32s[i*t.q.c.RowStride+j:], t.q.c.RowStride, beta)
		}
		beta = 1
	}
}

// columnsThrough computes columns [j, end) in memory of the worker and stores them
// from there, for a C that is not float32 in contiguous rows.
func (t *blockTask) columnsThrough(p area, j, end int) {
	width := end - j
	result := t.lane.result.get(blockRows * width)
	for i := p.i0; i < p.i1; i += blockRows {
		rows := min(blockRows, p.i1-i)
		beta := float32(0)
		for k := p.k0; k < p.k1; k += t.depth {
			depth := min(t.depth, p.k1-k)
			panels := t.panels(p, j, end, k, depth)
			t.ahead = ahead{}
			t.block(panels, i, rows, k, depth, width, result, width, beta)
			beta = 1
		}
		c := t.q.c.block(i, rows, j, width)
		c.set(result, width, t.q.beta)
	}
}

// panels are rows [k, k+depth) and columns [j, end) of B in panels.
func (t *blockTask) panels(p area, j, end, k, depth int) []float32 {
	count, wide := t.kind.count(depth), roundUp(end-j, t.width)
	at := 0
	if t.keep {
		id := t.kept
		id.j0, id.j1, id.blocks = j, end, t.lane.kept.blocks
		if id != t.lane.kept {
			id.blocks = 0
			t.lane.kept = id
			t.lane.panels.get(t.kind.count(p.k1-p.k0)*wide + wide)
		}
		index := (k - p.k0) / t.depth
		at = index * t.kind.count(t.depth) * wide
		memory := t.lane.panels.get(at + count*wide)[at:]
		if t.lane.kept.blocks&(1<<index) != 0 {
			return memory
		}
		t.lane.kept.blocks |= 1 << index
	} else {
		t.lane.kept = keptPanels{}
	}
	memory := t.lane.panels.get(at + count*wide)[at:]
	lines := t.lane.own.get(8 * lineSize(count))
	t.packPanels(memory, t.width, &t.q.b, k, depth, j, end-j, lines)
	return memory
}

// block computes rows [i, i+rows) of C, at c, from depth values from k on and the
// panels of cols columns.
func (t *blockTask) block(panels []float32, i, rows, k, depth, cols int, c []float32, cRow int, beta float32) {
	count := t.kind.count(depth)
	a, at := packed{}, 0
	if t.readsInPlace(cols) {
		m := &t.q.a
		a, at = packed{m.Float32s, m.RowStride, m.ColStride}, i*m.RowStride+k*m.ColStride
	} else {
		a = t.packBlock(t.lane.own.get(blockSize(rows, count)), &t.q.a, i, rows, k, depth)
	}
	for m := 0; m < rows; m += t.height {
		t.fetch(m/t.height, (rows+t.height-1)/t.height)
		height := min(t.height, rows-m)
		for n := 0; n < cols; n += t.width {
			t.tiles.run[height](count, &a.at[at+m*a.row], a.row, a.col, &panels[n*count], t.width, &c[m*cRow+n], cRow, min(t.width, cols-n), t.q.alpha, beta)
		}
	}
}

// readsInPlace reports whether tiles read A where it lies: where a copy would
// not be read often, and where rows of a tile do not share places of the first
// cache.
func (t *blockTask) readsInPlace(cols int) bool {
	const contiguous = 512 // values from row to row that a tile of rows fits the first cache with
	m := &t.q.a
	return t.kind == plainWords && m.plain() && (cols <= t.width || m.ColStride == 1 && m.RowStride <= contiguous)
}

// multiply is the tile routine on slices, for any depth: C[height×width] =
// alpha·A·B + beta·C with contiguous rows of A, aRow apart, at a[aAt], a packed
// panel of B at b[bAt], and C at c[cAt].
func (r *gemmRoutines) multiply(height, depth int, a []float32, aAt, aRow int, b []float32, bAt int, c []float32, cAt, cRow, width int, alpha, beta float32) {
	if depth > 0 {
		r.tile[height](depth, &a[aAt], aRow, 1, &b[bAt], r.tileCols, &c[cAt], cRow, width, alpha, beta)
		return
	}
	scaleMatrix(Matrix{c[cAt:], height, width, cRow, 1}, beta)
}

// scaleMatrix sets c = beta·c; beta = 0 clears it whatever it held.
func scaleMatrix(c Matrix, beta float32) {
	m := c.Mixed()
	m.scale(beta)
}
