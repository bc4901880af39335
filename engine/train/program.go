package train

import (
	"fmt"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/runs"
)

// compiled is the program of a stage for one size of batch, with its batch and the names of its inputs and outputs.
type compiled struct {
	training *compiler.Training
	program  backends.Program
	batch    *data.Batch
	stage    int
	targets  []string // inputs for the depths of multi-token prediction
	losses   []string // and their outputs
	metrics  []metricName
}

// compile makes the program for the present stage and batch size, if it is not the present one.
func (t *trainer) compile() error {
	stage := t.stage()
	size := stage.Batch.At(t.state.StageTokens)
	b := int(size)
	if b < 1 || float64(b) != size {
		return fmt.Errorf("%s: the batch of step %d is %g sequences; it must be a whole number above 0", stage.Span, t.state.Step+1, size)
	}
	if t.compiled != nil && t.compiled.stage == t.state.Stage && t.compiled.batch.B == b {
		return nil
	}
	if t.compiled != nil {
		if err := t.compiled.program.Close(); err != nil {
			return err
		}
		t.compiled = nil
	}
	training, err := t.Compiler.Train(stage.Model, stage, compiler.Options{Batch: b, Seq: stage.Seq, Recompute: compiler.Recomputed(t.Recipe)})
	if err != nil {
		return err
	}
	for _, s := range training.Storage {
		if err := t.store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
			return fmt.Errorf("%s: %w", stage.Span, err)
		}
	}
	program, err := t.Backend.Compile(training.Graph, t.store, backends.Options{})
	if err != nil {
		return err
	}
	c := &compiled{training: training, program: program, batch: data.NewBatch(b, stage.Seq, training.MTPDepth), stage: t.state.Stage}
	for k := 1; k <= training.MTPDepth; k++ {
		c.targets = append(c.targets, fmt.Sprintf("targets[%d]", k))
		c.losses = append(c.losses, fmt.Sprintf("mtp_loss[%d]", k))
	}
	for _, output := range training.Metrics {
		c.metrics = append(c.metrics, splitMetric(output))
	}
	t.compiled = c
	return nil
}

// longEnough refuses stages whose sequences are too short for the model's multi-token prediction: depth k predicts k tokens further.
func longEnough(stages []*check.Stage) error {
	for _, s := range stages {
		if s.Model.MTPDepth >= s.Seq {
			return fmt.Errorf("%s: sequences of %d in `%s` are too short to predict %d more: set `seq` to at least %d, or the model's `mtp` to none",
				s.Span, s.Seq, s.Name, s.Model.MTPDepth, s.Model.MTPDepth+1)
		}
	}
	return nil
}

// run does the step after the given state on the batch as it is filled.
func (c *compiled) run(s *runs.State, stage *check.Stage) error {
	if err := c.program.SetInts("tokens", c.batch.Tokens); err != nil {
		return err
	}
	if err := c.program.SetInts("targets", c.batch.Targets); err != nil {
		return err
	}
	for k, name := range c.targets {
		if err := c.program.SetInts(name, c.batch.MTP[k]); err != nil {
			return err
		}
	}
	if err := c.training.SetScalars(c.program, s.Step, s.StageTokens, stage.StartTokens+s.StageTokens); err != nil {
		return err
	}
	return c.program.RunAll()
}

// scalar is an output of one entry, NaN if there is none of that name.
func (c *compiled) scalar(name string) float64 {
	v, err := c.program.Output(name)
	if err != nil || len(v) != 1 {
		return notANumber
	}
	return float64(v[0])
}
