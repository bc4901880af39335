package train

import (
	"fmt"
	"math"
	"strings"

	"forge/compiler"
)

// Diverged says that a step's loss or gradient is not a number, or infinite.
type Diverged struct {
	Step int64
	Text string
}

func (d *Diverged) Error() string { return d.Text }

// diverged says what is known about a step that went wrong: which numbers are bad, what came before, which weights are hit. The
// model is not saved: the update is already in its weights.
func (t *trainer) diverged(m *Metrics) error {
	var b strings.Builder
	fmt.Fprintf(&b, "step %d: training diverged: loss %g, main loss %g", m.Step, m.Loss, m.Main)
	for k, v := range m.MTP {
		fmt.Fprintf(&b, ", multi-token loss %d %g", k+1, v)
	}
	if !math.IsNaN(m.Balance) || t.compiled.training.Balance {
		fmt.Fprintf(&b, ", balance loss %g", m.Balance)
	}
	fmt.Fprintf(&b, ", gradient norm %g; learning rate %.3g", m.GradNorm, m.LR)
	for _, v := range m.Blocks {
		if !isFinite(v.Value) {
			fmt.Fprintf(&b, "\n%s of %s is %g", v.Name, v.Path, v.Value)
		}
	}
	if hit, all := t.damaged(); len(hit) > 0 {
		fmt.Fprintf(&b, "\nafter it %d of %d weights hold numbers that are none: %s", len(hit), all, strings.Join(hit[:min(len(hit), 3)], ", "))
		if len(hit) > 3 {
			b.WriteString(", …")
		}
	}
	b.WriteString("\na lower learning rate (--set train.peak=…), a longer warm-up or a lower `clip` is the usual cure")
	return &Diverged{m.Step, b.String()}
}

// damaged names the weights that hold what is no number.
func (t *trainer) damaged() (hit []string, all int) {
	var values []float32
	for _, s := range t.compiled.training.Storage {
		if s.Kind != compiler.Weight {
			continue
		}
		all++
		n := s.Shape.Size()
		if cap(values) < n {
			values = make([]float32, n)
		}
		values = values[:n]
		if t.store.Read(s.Name, values) != nil {
			continue
		}
		for _, v := range values {
			if !isFinite(float64(v)) {
				hit = append(hit, s.Name)
				break
			}
		}
	}
	return hit, all
}
