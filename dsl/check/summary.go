package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Corner is a step at which a schedule of a stage turns into its next piece.
type Corner struct {
	Step   int64
	Tokens int64 // read before the step, from the start of the stage
	Batch  int64
	LR     float64
}

// Corners are the first steps of the pieces of `batch`, `lr` and `mtp_weight`, in order, each once.
func (s *Stage) Corners() []Corner {
	var steps []int64
	for _, x := range []*Schedule{s.Batch, s.LR, s.MTPWeight} {
		for _, p := range x.Pieces {
			step, into, _ := s.line.stepAt(p.Start)
			if into > 0 {
				step++
			}
			if step < s.NumSteps {
				steps = append(steps, step)
			}
		}
	}
	slices.Sort(steps)
	var corners []Corner
	for _, step := range slices.Compact(steps) {
		tokens := s.line.tokensAt(step)
		corners = append(corners, Corner{step, tokens, s.BatchAt(tokens), s.LR.At(tokens)})
	}
	return corners
}

// TokensAt is the number of tokens of the stage read before one of its steps.
func (s *Stage) TokensAt(step int64) int64 { return s.line.tokensAt(step) }

// Summary is what `forge check` prints of a recipe: model, stages with the corners of their schedules, checkpoint table. The first run
// of a sweep says so.
func (r *Recipe) Summary() string {
	var b strings.Builder
	if runs := r.Runs(); len(r.Sweep) > 0 {
		fmt.Fprintf(&b, "sweep    %d runs, all checked; this is the first: %s\n", len(runs), strings.Join(runs[0], ", "))
	}
	n := r.Model.Count()
	fmt.Fprintf(&b, "model    %s: %s parameters (%s active per token)", r.Model.Name, countText(n.Params), countText(n.Active))
	if r.Model.MTP != nil {
		fmt.Fprintf(&b, ", MTP %s more", countText(n.MTP))
	}
	if n.State > 0 {
		fmt.Fprintf(&b, ", %s of state", countText(n.State))
	}
	fmt.Fprintf(&b, "; %d layers\n", len(r.Model.Layers))
	for _, s := range r.Stages {
		fmt.Fprintf(&b, "stage    %s: %d steps, %s tokens\n", s.Name, s.NumSteps, countText(s.NumTokens))
		for _, c := range s.Corners() {
			fmt.Fprintf(&b, "           step%9d%11s tokens  batch%6d  lr %s\n", c.Step, countText(c.Tokens), c.Batch, strconv.FormatFloat(c.LR, 'g', 6, 64))
		}
	}
	if r.Names != nil {
		fmt.Fprintf(&b, "table    %s: %d tensors in the checkpoint, every weight named once", r.Names.Name, r.Names.Count())
		if r.Names.Resting > 0 {
			fmt.Fprintf(&b, "; lines at rest: %d", r.Names.Resting)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Count is the number of tensors that a checkpoint is written with: without copies and block scales.
func (n *Names) Count() int {
	count := 0
	for i := range n.Tensors {
		if !n.Tensors[i].Copy {
			count++
		}
	}
	return count
}
