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
	return fmt.Sprintf("%s %-40s %.3g of %.3g", word, j.Name, j.Worst, j.Of)
}

type judge struct{ list []Judgement }

func (j *judge) add(name string, worst, of float64) {
	if math.IsNaN(worst) {
		worst = math.Inf(1)
	}
	j.list = append(j.list, Judgement{name, worst, of})
}

// absolute judges the largest difference of two tensors; one that is missing or of another size fails.
func (j *judge) absolute(name string, want, got []float32, tolerance float64) {
	if len(want) != len(got) || len(want) == 0 {
		j.add(name, math.Inf(1), tolerance)
		return
	}
	worst := 0.0
	for i := range want {
		d := math.Abs(float64(want[i]) - float64(got[i]))
		if !(d <= worst) {
			worst = d
		}
	}
	j.add(name, worst, tolerance)
}

// exact judges whole numbers.
func (j *judge) exact(name string, want, got []float32) {
	j.absolute(name, want, got, 0)
}

// norm judges the norm of the difference by relative times the norm wanted, plus absolute.
func (j *judge) norm(name string, want, got []float32, relative, absolute float64) {
	if len(want) != len(got) || len(want) == 0 {
		j.add(name, math.Inf(1), absolute)
		return
	}
	var difference, length float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		difference += d * d
		length += float64(want[i]) * float64(want[i])
	}
	j.add(name, math.Sqrt(difference), relative*math.Sqrt(length)+absolute)
}

func (j *judge) number(name string, want, got, tolerance float64) {
	j.add(name, math.Abs(want-got), tolerance)
}
