package kernel

// Products with few rows, as in decoding one token: every value of B is used
// once a row, so B is read where it lies, once, at the speed of the memory.

// narrowColumns is how many columns of C stay in the first cache while B
// passes by in several streams.
const narrowColumns = 1024

// narrowPart computes a part of a job of float32 values if it has few rows or few
// columns and is laid out for it; otherwise it returns false.
func (r *routines) narrowPart(l *lane, q *job, p area) bool {
	a, b, c := q.a.matrix(), q.b.matrix(), q.c.matrix()
	product := Product{q.alpha, a.block(p.i0, p.i1-p.i0, p.k0, p.k1-p.k0), b.block(p.k0, p.k1-p.k0, p.j0, p.j1-p.j0),
		q.beta, c.block(p.i0, p.i1-p.i0, p.j0, p.j1-p.j0)}
	return r.asWeight(l, product) || r.gemm.narrow(&l.own, product)
}

// asWeight computes a product of few rows like one with a weight, if its operands
// lie like that.
func (r *routines) asWeight(l *lane, q Product) bool {
	byInput := q.B.ColStride == 1
	// The routines of weights leave a rest of the inputs to a plain loop.
	byOutput := q.B.RowStride == 1 && q.B.Rows%weightStep == 0
	if q.C.Rows > narrowRows || q.Alpha != 1 || q.A.ColStride != 1 || q.C.ColStride != 1 || !byInput && !byOutput {
		return false
	}
	x := WeightProduct{X: q.A, Y: q.C, W: Weight{Outputs: q.B.Cols, Inputs: q.B.Rows, Stride: q.B.ColStride, Float32s: q.B.Data}}
	if byInput {
		x.W.ByInput, x.W.Stride = true, q.B.RowStride
	}
	scaleMatrix(q.C, q.Beta)
	t := weightTask{routines: r}
	t.add(&x, 0, x.W.Outputs, 0, l)
	return true
}

// narrow computes the product if it has few rows or few columns and B (or, for
// few columns, A) is contiguous along one axis; otherwise it returns false.
func (r *gemmRoutines) narrow(s *scratch, q Product) bool {
	if q.C.Rows > narrowRows {
		if q.C.Cols > narrowRows {
			return false
		}
		q = Product{q.Alpha, q.B.T(), q.A.T(), q.Beta, q.C.T()}
	}
	k := q.A.Cols
	switch {
	case q.B.RowStride == 1 && (q.B.ColStride != 1 || q.B.Cols == 1):
		if q.A.ColStride != 1 {
			packed := RowMajor(s.get(q.A.Rows*k), q.A.Rows, k)
			for i := range q.A.Rows {
				for p := range k {
					packed.Data[i*k+p] = *q.A.at(i, p)
				}
			}
			q.A = packed
		}
		r.narrowDots(q)
	case q.B.ColStride == 1 && q.C.ColStride == 1:
		r.narrowRows(q)
	default:
		return false
	}
	return true
}

// narrowStep is how many columns (or rows) of B all rows of A meet before the
// next ones are read.
const narrowStep = 8

// narrowDots computes C from contiguous rows of A and columns of B.
func (r *gemmRoutines) narrowDots(q Product) {
	for j0 := 0; j0 < q.C.Cols; j0 += narrowStep {
		j1 := min(j0+narrowStep, q.C.Cols)
		for i, rows := 0, 0; i < q.C.Rows; i += rows {
			for j := j0; j < j1; {
				d := r.dotFor(q.C.Rows-i, j1-j)
				d.run(q.A.Cols, q.A.at(i, 0), q.A.RowStride, q.B.at(0, j), q.B.ColStride,
					q.C.at(i, j), q.C.RowStride, q.C.ColStride, q.Alpha, q.Beta)
				rows = d.rows
				j += d.cols
			}
		}
	}
}

// dotFor is the first routine that fits into rows × cols.
func (r *gemmRoutines) dotFor(rows, cols int) *dotRoutine {
	for i := range r.dot {
		if d := &r.dot[i]; d.rows <= rows && d.cols <= cols {
			return d
		}
	}
	return &r.dot[len(r.dot)-1]
}

// narrowRows computes contiguous rows of C from contiguous rows of B.
func (r *gemmRoutines) narrowRows(q Product) {
	scaleMatrix(q.C, q.Beta)
	for j := 0; j < q.C.Cols; j += narrowColumns {
		cols := min(narrowColumns, q.C.Cols-j)
		for p0 := 0; p0 < q.A.Cols; p0 += narrowStep {
			p1 := min(p0+narrowStep, q.A.Cols)
			for i, rows := 0, 0; i < q.C.Rows; i += rows {
				for p := p0; p < p1; {
					x := r.axpyFor(q.C.Rows-i, p1-p)
					x.run(cols, q.Alpha, q.A.at(i, p), q.A.RowStride, q.A.ColStride, q.B.at(p, j), q.B.RowStride,
						q.C.at(i, j), q.C.RowStride)
					rows = x.rows
					p += x.depth
				}
			}
		}
	}
}

// axpyFor is the first routine that fits into rows × depth.
func (r *gemmRoutines) axpyFor(rows, depth int) *axpyRoutine {
	for i := range r.axpy {
		if x := &r.axpy[i]; x.rows <= rows && x.depth <= depth {
			return x
		}
	}
	return &r.axpy[len(r.axpy)-1]
}
