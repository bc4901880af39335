package kernel

// GemmWeight computes q for an X of many rows. Float32 weights make a product in
// float32; the others make one of bfloat16 values, to which X is rounded while it
// is packed. A Float8 or Int8 weight is rounded to bfloat16 in blocks that stay
// in the caches; where the processor has no bfloat16 products, every weight is
// widened so, and X is not rounded.
func GemmWeight(p *Pool, q WeightProduct) {
	q.check()
	w := &q.W
	if w.Outputs == 0 || q.X.Rows == 0 {
		return
	}
	if w.Format == Float32 {
		f := q.Product()
		Gemm(p, f.Alpha, f.A, f.B, f.Beta, f.C)
		return
	}
	rowStride, colStride := w.strides()
	narrow := active.Load().bf16.tile != nil
	x := MixedMatrix{Float32s: q.X.Data, Rows: q.X.Rows, Cols: q.X.Cols, RowStride: q.X.RowStride, ColStride: q.X.ColStride}
	if narrow && w.Format == BFloat16 {
		GemmBF16(p, x, MixedMatrix{BFloat16s: w.BFloat16s, Rows: w.Inputs, Cols: w.Outputs, RowStride: rowStride, ColStride: colStride}, q.Accumulate, q.Y)
		return
	}
	block := max(widenedBlock/max(w.Inputs, 1)/weightGrain, 1) * weightGrain
	for o := 0; o < w.Outputs; o += block {
		n := min(block, w.Outputs-o)
		y := q.Y.block(0, q.Y.Rows, o, n)
		t := p.widen(w, o, n, narrow)
		if narrow {
			b := MixedMatrix{BFloat16s: halves(words(t.values))[:n*w.Inputs], Rows: w.Inputs, Cols: n, RowStride: 1, ColStride: w.Inputs}
			if w.ByInput {
				b.RowStride, b.ColStride = n, 1
			}
			GemmBF16(p, x, b, q.Accumulate, y)
			continue
		}
		b := RowMajor(t.values, w.Inputs, n)
		if !w.ByInput {
			b = RowMajor(t.values, n, w.Inputs).T()
		}
		beta := float32(0)
		if q.Accumulate {
			beta = 1
		}
		Gemm(p, 1, q.X, b, beta, y)
	}
}

// Product is the same product of a Float32 weight, for Gemm and GemmGroups.
func (q *WeightProduct) Product() Product {
	rowStride, colStride := q.W.strides()
	f := Product{1, q.X, Matrix{q.W.Float32s, q.W.Inputs, q.W.Outputs, rowStride, colStride}, 0, q.Y}
	if q.Accumulate {
		f.Beta = 1
	}
	return f
}

// strides are those of the weight as a matrix of Inputs × Outputs.
func (w *Weight) strides() (row, col int) {
	if w.ByInput {
		return w.Stride, 1
	}
	return 1, w.Stride
}

// widenedBlock is how many values of a weight are widened at a time.
const widenedBlock = 256 << 10

// widenTask widens some outputs of a weight, as its matrix lies.
type widenTask struct {
	pool    *Pool
	weight  *Weight
	from, n int
	narrow  bool // to bfloat16
	values  []float32
	memory  scratch
}

// widen fills the memory of the pool's task with n outputs from one on.
func (p *Pool) widen(w *Weight, from, n int, narrow bool) *widenTask {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.widening
	t.pool, t.weight, t.from, t.n, t.narrow = p, w, from, n, narrow
	size := n * w.Inputs
	if narrow {
		size = (size + 1) / 2
	}
	t.values = t.memory.get(max(size, 1))
	rows := n
	if w.ByInput {
		rows = w.Inputs
	}
	p.run(min(rows, 4*p.Cuts()), t)
	t.weight = nil
	return t
}

// Do widens some rows of the matrix.
func (t *widenTask) Do(part, worker int) {
	w := t.weight
	rows, columns, row, column := t.n, w.Inputs, t.from, 0
	if w.ByInput {
		rows, columns, row, column = w.Inputs, t.n, 0, t.from
	}
	parts := min(rows, 4*t.pool.Cuts())
	for i := rows * part / parts; i < rows*(part+1)/parts; i++ {
		if !t.narrow {
			w.widenRow(t.values[i*columns:(i+1)*columns], row+i, column)
			continue
		}
		wide := t.pool.lanes[worker].own.get(columns)
		w.widenRow(wide, row+i, column)
		ConvertBFloat16(halves(words(t.values))[i*columns:(i+1)*columns], wide)
	}
}
