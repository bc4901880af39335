package kernel

import "math"

// TokenLossGradient turns a row of logits into the gradient of its loss times
// scale, in place, and returns the loss: with p = softmax(row),
//
//	loss = -log p[target],  row = scale·(p - 1 at the target)
//
// A target outside the row gives 0 and zeros. It runs on the calling worker.
func TokenLossGradient(row []float32, target int, scale float32) float64 {
	if target < 0 || target >= len(row) {
		clear(row)
		return 0
	}
	r := active.Load()
	largest := r.vector.maximum(&row[0], len(row))
	logit := float64(row[target])
	sum := r.expSum(row, row, largest)
	r.vector.scale(&row[0], &row[0], scale/float32(sum), len(row))
	row[target] -= scale
	return float64(largest) + math.Log(sum) - logit
}

// NarrowBFloat16 rounds the values of x to bfloat16, which then lie in the
// front half of its memory.
func NarrowBFloat16(x []float32) []uint16 {
	narrow := BFloat16s(x)[:len(x)]
	// Each store ends before the loads that follow it begin.
	ConvertBFloat16(narrow, x)
	return narrow
}

// BFloat16s is the same memory as bfloat16 values, two for each of x.
func BFloat16s(x []float32) []uint16 {
	if len(x) == 0 {
		return nil
	}
	return halves(words(x))
}
