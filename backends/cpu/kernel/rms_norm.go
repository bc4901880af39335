package kernel

import "math"

// Root-mean-square normalisation (Zhang and Sennrich, 2019):
// y = gain · x · r with r = 1/√(mean(x²) + eps), over the columns of x.

// normTask is RMSNorm or RMSNormGrad.
type normTask struct {
	pool      *Pool
	routines  *routines
	parts     int
	dst, x, g Matrix
	gain      []float32
	eps       float32
	inverse   []float32 // 1/rms a row, or nil
	partial   []float32 // the sum for the gain of each part, in order
	wantGain  bool
	wantX     bool
	backward  bool
}

// RMSNorm sets every row of dst to gain·x·r. gain has a value a column, or is
// nil for 1. Where inverse is not nil, it receives r of every row. dst may be x.
func RMSNorm(p *Pool, dst, x Matrix, gain []float32, eps float32, inverse []float32) {
	mustMatch("x", &x, &x)
	mustMatch("dst", &dst, &x)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.norm = normTask{pool: p, routines: active.Load(), parts: rowParts(p, x.Rows, x.Cols), dst: dst, x: x, gain: gain, eps: eps, inverse: inverse}
	p.run(p.norm.parts, &p.norm)
	p.norm = normTask{}
}

// RMSNormGrad sets dx, and dgain where it is not nil, to the gradients for the
// gradient g of RMSNorm's result; r is computed again. A dx without data is
// left out. dgain is the sum over the rows, in an order that depends on the sizes
// and the number of threads only. dx may be x or g.
func RMSNormGrad(p *Pool, dx, x Matrix, gain []float32, g Matrix, eps float32, dgain []float32) {
	mustMatch("x", &x, &x)
	mustMatch("g", &g, &x)
	wantX := dx.Data != nil
	if wantX {
		mustMatch("dx", &dx, &x)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.norm
	*t = normTask{pool: p, routines: active.Load(), parts: rowParts(p, x.Rows, x.Cols), dst: dx, x: x, g: g, gain: gain,
		eps: eps, wantGain: dgain != nil, wantX: wantX, backward: true}
	n := x.Cols
	if t.wantGain {
		dgain = dgain[:n]
		t.partial = p.shared.get(t.parts * n)
		clear(t.partial)
	}
	p.run(t.parts, t)
	if t.wantGain {
		copy(dgain, t.partial)
		for part := 1; part < t.parts; part++ {
			Add(dgain, dgain, t.partial[part*n:])
		}
	}
	*t = normTask{}
}

func (t *normTask) Do(part, worker int) {
	n := t.x.Cols
	if n == 0 {
		return
	}
	vector, rows := &t.routines.vector, &t.routines.rows
	temporary := t.pool.Scratch(worker, 5*n)
	from, to := rowRange(t.x.Rows, t.parts, part)
	for i := from; i < to; i++ {
		x := t.x.row(i, temporary)
		r := float32(1 / math.Sqrt(float64(vector.sumSquares(&x[0], n))/float64(n)+float64(t.eps)))
		if !t.backward {
			dst := t.dst.rowToFill(i, temporary[n:])
			if t.gain != nil {
				rows.scaledMul(&dst[0], &x[0], &t.gain[:n][0], r, n)
			} else {
				vector.scale(&dst[0], &x[0], r, n)
			}
			t.dst.fillRow(i, dst)
			if t.inverse != nil {
				t.inverse[i] = r
			}
			continue
		}
		g := t.g.row(i, temporary[2*n:])
		if t.wantGain {
			// dgain += g·x·r
			product, sum := temporary[3*n:4*n], t.partial[part*n:(part+1)*n]
			rows.scaledMul(&product[0], &x[0], &g[0], r, n)
			vector.add(&sum[0], &sum[0], &product[0], n)
		}
		if !t.wantX {
			continue
		}
		// dx = r·h - x·r³·mean(h·x) with h = gain·g
		h := temporary[4*n : 5*n]
		if t.gain != nil {
			vector.mul(&h[0], &g[0], &t.gain[:n][0], n)
		} else {
			copy(h, g)
		}
		c := r * r * r * vector.dot(&h[0], &x[0], n) / float32(n)
		vector.scale(&h[0], &h[0], r, n)
		dx := t.dst.rowToFill(i, temporary[n:])
		vector.axpy(&dx[0], &h[0], &x[0], -c, n)
		t.dst.fillRow(i, dx)
	}
}
