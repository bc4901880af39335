package kernel

import (
	"fmt"
	"math"
)

// Cross entropy over a head: loss[i] = log Σ_v e^logits[i, v] -
// logits[i, target[i]] with logits = h·wᵀ. The logits of all rows are never
// stored: rows pass in chunks whose logits stay in the last cache.

const (
	// logitsBudget is the number of logits of a chunk, and logitsRows the
	// smallest number of its rows all the same: the head is read once a chunk.
	logitsBudget = 4 << 20
	logitsRows   = 96
)

// crossEntropyTask is the part of the computation that follows the logits of
// one chunk of rows.
type crossEntropyTask struct {
	pool      *Pool
	routines  *routines
	logits    Matrix
	targets   []int32
	loss, lse []float32 // of the chunk; lse may be nil
	dloss     []float32
	backward  bool
	parts     int
}

// CrossEntropy computes the loss of each of the N rows of h [N, d] under the
// head w [V, d]. A row whose target is negative has loss 0. Where lse is not
// nil, it receives the logarithm of the sum of the exponentials of each row's
// logits. A target of V or more is a fault.
func CrossEntropy(p *Pool, h, w Matrix, targets []int32, loss, lse []float32) {
	checkHead(&h, &w, targets, len(loss))
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.crossEntropy
	for from, to := range chunksOf(h.Rows, w.Rows) {
		*t = crossEntropyTask{pool: p, targets: targets[from:to], loss: loss[from:to]}
		if lse != nil {
			t.lse = lse[from:to]
		}
		t.run(p, h.block(from, to-from, 0, h.Cols), w)
	}
	*t = crossEntropyTask{}
}

// CrossEntropyGrad sets dh [N, d] and dw [V, d] to the gradients for the
// gradient dloss of each row's loss; one without data is not computed. The
// logits are computed again.
func CrossEntropyGrad(p *Pool, h, w Matrix, targets []int32, dloss []float32, dh, dw Matrix) {
	checkHead(&h, &w, targets, len(dloss))
	if dh.Data != nil {
		mustMatch("dh", &dh, &h)
	}
	if dw.Data != nil {
		mustMatch("dw", &dw, &w)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.Rows == 0 && dw.Data != nil {
		scaleMatrix(dw, 0)
	}
	t := &p.crossEntropy
	beta := float32(0)
	for from, to := range chunksOf(h.Rows, w.Rows) {
		rows := h.block(from, to-from, 0, h.Cols)
		*t = crossEntropyTask{pool: p, targets: targets[from:to], dloss: dloss[from:to], backward: true}
		t.run(p, rows, w)
		if dh.Data != nil {
			p.gemm.runOne(p, Product{1, t.logits, w, 0, dh.block(from, to-from, 0, h.Cols)})
		}
		if dw.Data != nil {
			p.gemm.runOne(p, Product{1, t.logits.T(), rows, beta, dw})
			beta = 1
		}
	}
	*t = crossEntropyTask{}
}

func checkHead(h, w *Matrix, targets []int32, losses int) {
	h.mustHold("h")
	w.mustHold("w")
	if h.Cols != w.Cols || len(targets) != h.Rows || losses != h.Rows {
		panic(fmt.Sprintf("kernel: cross entropy of h %d×%d under a head of %d×%d with %d targets and %d losses",
			h.Rows, h.Cols, w.Rows, w.Cols, len(targets), losses))
	}
	for i, target := range targets {
		if int(target) >= w.Rows {
			panic(fmt.Sprintf("kernel: target %d of row %d is beyond the head's %d", target, i, w.Rows))
		}
	}
}

// chunksOf yields the bounds of the chunks of rows.
func chunksOf(rows, vocabulary int) func(yield func(from, to int) bool) {
	count := max(logitsRows, logitsBudget/max(vocabulary, 1))
	return func(yield func(from, to int) bool) {
		for from := 0; from < rows; from += count {
			if !yield(from, min(from+count, rows)) {
				return
			}
		}
	}
}

// run computes the logits of a chunk and what follows from them.
func (t *crossEntropyTask) run(p *Pool, h, w Matrix) {
	t.routines = active.Load()
	t.logits = RowMajor(p.logits.get(h.Rows*w.Rows), h.Rows, w.Rows)
	p.gemm.runOne(p, Product{1, h, w.T(), 0, t.logits})
	t.parts = rowParts(p, h.Rows, w.Rows)
	p.run(t.parts, t)
}

// Do turns rows of logits into losses, or into the gradient of the logits in
// their place.
func (t *crossEntropyTask) Do(part, _ int) {
	from, to := rowRange(t.logits.Rows, t.parts, part)
	for i := from; i < to; i++ {
		row := t.logits.row(i, nil)
		target := int(t.targets[i])
		if t.backward {
			if target < 0 {
				clear(row)
				continue
			}
			t.routines.softmaxRow(row, row)
			row[target]--
			t.routines.vector.scale(&row[0], &row[0], t.dloss[i], len(row))
			continue
		}
		if target < 0 {
			t.loss[i] = 0
			if t.lse == nil {
				continue
			}
		}
		logit := float32(0)
		if target >= 0 {
			logit = row[target]
		}
		lse := float32(math.Inf(-1))
		if len(row) > 0 {
			largest := t.routines.vector.maximum(&row[0], len(row))
			lse = largest + float32(math.Log(t.routines.expSum(row, row, largest)))
		}
		if target >= 0 {
			t.loss[i] = lse - logit
		}
		if t.lse != nil {
			t.lse[i] = lse
		}
	}
}
