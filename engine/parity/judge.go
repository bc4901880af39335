package parity

import (
	"fmt"
	"math"
)

// Judgement is one quantity: its error in units of its tolerance, so that at most 1 passes.
type Judgement struct {
	Name  string
	Worst float64 // largest difference, in the quantity's own measure
	Of    float64 // the tolerance in that measure
}

// OK reports whether the quantity is within its tolerance.
func (j Judgement) OK() bool { return j.Worst <= j.Of }

func (j Judgement) String() string {
	word := "ok  "
	if !j.OK() {
		word = "FAIL"
	}
	return fmt.Sprintf("%s %-64s %.3g of %.3g", word, j.Name, j.Worst, j.Of)
}

// absolute judges the largest difference of two tensors; of another size fails.
func (r *Report) absolute(name string, want, got []float32, tolerance float64) {
	if len(want) != len(got) {
		r.add(name, math.Inf(1), tolerance)
		return
	}
	worst := 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(want[i])-float64(got[i]))) // a NaN stays
	}
	r.add(name, worst, tolerance)
}

// exact judges whole numbers.
func (r *Report) exact(name string, want, got []float32) { r.absolute(name, want, got, 0) }

// norm judges the norm of the difference by relative times the norm wanted, plus absolute.
func (r *Report) norm(name string, want, got []float32, relative, absolute float64) {
	if len(want) != len(got) {
		r.add(name, math.Inf(1), absolute)
		return
	}
	var difference, length float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		difference += d * d
		length += float64(want[i]) * float64(want[i])
	}
	r.add(name, math.Sqrt(difference), relative*math.Sqrt(length)+absolute)
}
