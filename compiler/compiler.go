// Package compiler turns a checked model into graphs: training (forward, loss, backward, clipping, optimizer and router-bias
// update in one), evaluation and generation.
//
//	checked recipe → equations with sizes → rewritten equations → graph (+ gradients)
//
// It reads check.Model and check.Stage. instantiate.go and model.go write the equations down; passes.go is the table of rewrites
// (package rewrite); emit.go drops the names of axes and emits operations; train.go differentiates and adds the optimizer. It fills
// in a sealed graph.Graph and the list of what the graph keeps between runs, allocates no tensor, and leaves memory and kernels
// to the backends.
package compiler

import (
	"fmt"

	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
)

// Options are the sizes of a graph.
type Options struct {
	Batch, Seq int
	NoRewrite  bool // plain equations: the reference of every rewrite
	Float64    bool // a graph in float64, for references
	// Gradients: the gradient of each weight before clipping is an output grad/PATH, and each loss line's value line/PATH.
	Gradients bool
	// Recompute are patterns (check.Match) of the equations and parts whose values a training step computes again for the backward
	// pass instead of keeping them.
	Recompute []string
}

// Recomputed are the patterns of what the plan of a recipe's run does not keep for the backward pass; see Options.
func Recomputed(r *check.Recipe) []string {
	if r.Plan == nil {
		return nil
	}
	return r.Plan.Recompute
}

// StoredKind says what a storage holds.
type StoredKind int

// The kinds of storage. Weights are trained, States are changed by update lines, Moments belong to the optimizer, Caches to
// generation.
const (
	Weight StoredKind = iota
	State
	Moment
	Cache
)

// Stored is a tensor that outlives a run of the graph.
type Stored struct {
	Name    string
	Shape   op.Shape
	Kind    StoredKind
	Init    check.Init // of a weight
	Initial float64    // of a state
	Decay   bool       // weight decay applies: two or more axes of its own (a bank's axis does not count)
	MTP     bool       // belongs to the multi-token prediction modules
}

// ScheduledInput is a scalar input whose value follows a schedule.
type ScheduledInput struct {
	Input    string
	Schedule *check.Schedule
	// FromStart: positions count from the start of the first stage (schedules inside a model), else of this stage.
	FromStart bool
}

// Training is a compiled training step. Its graph has the inputs
//
//	tokens      int32 [batch, seq]
//	targets     int32 [batch, seq]      the next token; negative: no label
//	targets[k]  int32 [batch, seq − k]  the token k + 1 after, for each depth k of multi-token prediction
//	and the scalars set by SetScalars
//
// and the outputs loss (total), main_loss, mtp_loss[k], balance_loss (if any block has a loss line), grad_norm (before clipping)
// and metric/PATH/NAME.
type Training struct {
	Graph        *graph.Graph
	Storage      []Stored
	Scalars      []ScheduledInput
	Beta1, Beta2 float64
	MTPDepth     int
	Metrics      []string // names of the metric outputs
	Balance      bool     // there is an output balance_loss
}

// FloatInputs is the part of a backend's program that takes scalars.
type FloatInputs interface {
	SetFloats(name string, v []float32) error
}

// SetScalars fills the scalar inputs for a step: schedules at the tokens read so far in this stage and in all stages, and the
// bias corrections of AdamW for the (step+1)-th update.
func (t *Training) SetScalars(p FloatInputs, step, stageTokens, allTokens int64) error {
	set := func(name string, v float64) error { return p.SetFloats(name, []float32{float32(v)}) }
	for _, s := range t.Scalars {
		at := stageTokens
		if s.FromStart {
			at = allTokens
		}
		if err := set(s.Input, s.Schedule.At(at)); err != nil {
			return err
		}
	}
	if err := set(correction1, correction(t.Beta1, step)); err != nil {
		return err
	}
	return set(correction2, correction(t.Beta2, step))
}

// catch runs f and turns what cannot be compiled into an error that names the place.
func catch(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case unsupported:
			err = fmt.Errorf("%s: %s", r.span, r.text)
		default:
			panic(r)
		}
	}()
	var inner error
	if err := graph.Catch(func() { inner = f() }); err != nil {
		return err
	}
	return inner
}
