package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// inBFloat16 is the precision of attributes that round every operand to bfloat16.
var inBFloat16 = op.InFormat(op.BFloat16)

// One format for all operands: with scales a tile of gradients reaches over more rows than are at hand.
func inOneFormat(a op.Attrs) bool {
	return a == nil || a == op.Attrs(op.CrossEntropyAttrs{Precision: inBFloat16})
}

var _ = defineIf(inOneFormat, op.HeadLoss, plan.Kernel{In: plan.Strided}, func(c *compilation, s *plan.Step) (call, error) {
	k := &headLoss{
		pool: c.pool, h: c.plane(s.In[0]), w: c.plane(s.In[1]), targets: c.ints(s.In[2]),
		loss: c.floats(s.Out[0]), dh: c.plane(s.Out[1]), dw: c.plane(s.Out[2]),
		logits: c.scratch, mixed: s.Attrs != nil,
	}
	k.losses = make([]float64, k.h.Rows)
	return k, nil
})

// headLoss makes the logits of some rows at a time, and from them all that hangs on them, while they are in the last cache.
type headLoss struct {
	pool    *kernel.Pool
	h, w    kernel.Matrix
	targets []int32
	loss    []float32
	dh, dw  kernel.Matrix
	mixed   bool // operands are rounded to bfloat16
	logits  []float32
	losses  []float64 // of each row

	// Of the rows at hand:
	first, rows, parts int
	scale              float32 // 1 / number of targets
}

// headLogits is how many logits are made at a time, and headRows the smallest number of rows all the same: the head and its gradient
// pass by once for each.
const (
	headLogits = 2 << 20
	headRows   = 128
)

// headLossScratch is how many values the logits need.
func headLossScratch(s *plan.Step) int {
	rows, vocabulary := s.In[0].Shape[0], s.In[1].Shape[0]
	return min(rows, headChunk(vocabulary)) * vocabulary
}

func headChunk(vocabulary int) int { return max(headRows, headLogits/vocabulary) }

func (k *headLoss) run() error {
	count := 0
	for _, t := range k.targets {
		if t >= 0 {
			count++
		}
	}
	k.scale = 0
	if count > 0 {
		k.scale = 1 / float32(count)
	}
	chunk := headChunk(k.w.Rows)
	for k.first = 0; k.first < k.h.Rows; k.first += chunk {
		k.rows = min(chunk, k.h.Rows-k.first)
		k.some()
	}
	total := 0.0
	for _, l := range k.losses {
		total += l
	}
	k.loss[0] = float32(total / float64(max(count, 1)))
	return nil
}

// some is the work on the rows at hand.
func (k *headLoss) some() {
	h, dh := rowsOf(k.h, k.first, k.rows), rowsOf(k.dh, k.first, k.rows)
	logits := kernel.RowMajor(k.logits, k.rows, k.w.Rows)
	k.parts = max(1, min(k.rows, 4*k.pool.Cuts(), k.rows*k.w.Rows/4096))
	beta := float32(0)
	if k.first > 0 {
		beta = 1
	}
	if !k.mixed {
		kernel.Gemm(k.pool, 1, h, k.w.T(), 0, logits)
		k.pool.RunTask(k.parts, k)
		kernel.Gemm(k.pool, 1, logits, k.w, 0, dh)
		kernel.Gemm(k.pool, 1, logits.T(), h, beta, k.dw)
		return
	}
	kernel.GemmBF16(k.pool, h.Mixed(), k.w.T().Mixed(), false, logits)
	k.pool.RunTask(k.parts, k)
	// Do has left each row in the front half of its memory.
	d := kernel.MixedMatrix{BFloat16s: kernel.BFloat16s(k.logits), Rows: k.rows, Cols: k.w.Rows, RowStride: 2 * k.w.Rows, ColStride: 1}
	kernel.GemmBF16(k.pool, d, k.w.Mixed(), false, dh)
	kernel.GemmBF16(k.pool, d.T(), h.Mixed(), beta == 1, k.dw)
}

// Do turns a part of the rows of logits into the gradients of their losses.
func (k *headLoss) Do(part, _ int) {
	from, to := bounds(k.rows, k.parts, part)
	for i := from; i < to; i++ {
		row := k.logits[i*k.w.Rows : (i+1)*k.w.Rows]
		k.losses[k.first+i] = kernel.TokenLossGradient(row, int(k.targets[k.first+i]), k.scale)
		if k.mixed {
			kernel.NarrowBFloat16(row)
		}
	}
}

// rowsOf is the view of some rows.
func rowsOf(m kernel.Matrix, first, n int) kernel.Matrix {
	if n > 0 && m.Cols > 0 {
		m.Data = m.Data[first*m.RowStride:]
	}
	m.Rows = n
	return m
}
