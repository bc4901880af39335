// Package train runs the stages of a recipe. In flow a checked recipe, a backend, opened data and a run directory, and, to go on with
// a run, a checkpoint; train fills in the run directory: a line of metrics a step, samples, checkpoints. It knows a program by its
// inputs and outputs only (package compiler says which) and decides what a step reads, when to evaluate, to sample and to save.
//
// A run that was interrupted and gone on with leaves the same weights, moments, states and curve, bit for bit, as one that never
// stopped: all that a step depends on is in the checkpoint (runs.State) or follows from the recipe.
package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"forge/backends"
	"forge/compiler"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/eval"
	"forge/engine/runs"
	"forge/engine/tokenizer"
)

// Options are what a training run works with. The fields up to Run must be set.
type Options struct {
	Recipe    *check.Recipe
	Text      string // the expanded recipe
	Backend   backends.Backend
	Data      *data.Set
	Tokenizer tokenizer.Tokenizer
	Run       *runs.Run

	From  *runs.Checkpoint // where to go on; nil: afresh
	Steps int64            // stop after so many steps of this call, schedules as they are; 0: at the recipe's end
	Forge string           // forge's version, for the record
	Args  []string         // the command line, for the record

	// Out gets the summary and the step lines; nil: nowhere.
	Out io.Writer
	// LineEvery prints a line every so many steps; 0: about a hundred lines a stage.
	LineEvery int64
	// Command gives the command that goes on with the run, for a call that is to end after so many more steps (0: at the
	// recipe's end); nil: one that names recipe and run directory.
	Command func(steps int64) string
	// OnStep, if not nil, is called after each step. The metrics are valid until it returns.
	OnStep func(*Metrics)
	// EvalTokens bounds the held-out tokens of an evaluation; 0: 65,536.
	EvalTokens int64
	// SampleTokens is the length of each sample; 0: 100, below 0: no samples.
	SampleTokens int
	// PeakFLOPs is what the device can do in a second; 0: unknown, and no share of it is reported.
	PeakFLOPs float64

	// Compiler replaces the compiler in tests.
	Compiler Compiler
}

// Compiler is the part of package compiler that training uses.
type Compiler struct {
	Train    func(*check.Model, *check.Stage, compiler.Options) (*compiler.Training, error)
	Evaluate func(*check.Model, compiler.Options) (*compiler.Evaluation, error)
	Generate func(*check.Model, compiler.Options, int) (*compiler.Generation, error)
}

// Result says how a run ended.
type Result struct {
	Step        int64 // steps done, over all stages
	Done        bool  // the recipe's end was reached
	Interrupted bool  // the context was cancelled
	Checkpoint  *runs.Checkpoint
	Loss        float64      // of the last step, if there was one
	Eval        *eval.Result // the last evaluation, if there was one
}

// trainer is a run in progress.
type trainer struct {
	Options
	store    backends.Store
	reader   *data.Reader
	state    runs.State
	compiled *compiled // for the present stage and batch
	eval     *evaluation
	samples  *sampling
	curve    curve
	saved    *runs.Checkpoint
	warnings []string // for the summary
	result   Result
	// tokenizerText is the tokenizer.json that the run keeps; nil for bytes.
	tokenizerText []byte
}

// Train trains until the recipe's end, o.Steps or the cancellation of ctx. A new run that can't begin leaves no directory. Cancelled, it finishes the step it is in, saves and
// returns without an error. Training that diverges, data that can't be read and disks that are full end it with an error that
// names the last checkpoint that is whole.
func Train(ctx context.Context, o Options) (*Result, error) {
	t, err := prepare(o)
	if err != nil {
		if o.From == nil {
			err = errors.Join(err, o.Run.Abandon())
		}
		return nil, err
	}
	defer t.close()
	if err := t.begin(); err != nil {
		if o.From == nil {
			err = errors.Join(err, o.Run.Abandon())
		}
		return nil, err
	}
	if err := t.stages(ctx); err != nil {
		return &t.result, err
	}
	return &t.result, nil
}

// prepare makes the trainer and brings it to the state of the checkpoint or of a fresh start.
func prepare(o Options) (*trainer, error) {
	if len(o.Recipe.Stages) == 0 {
		return nil, errors.New("the recipe has no stage to train: give it `stages = […]`")
	}
	if err := longEnough(o.Recipe.Stages); err != nil {
		return nil, err
	}
	if o.Compiler.Train == nil {
		o.Compiler = Compiler{compiler.Train, compiler.Evaluate, compiler.Generate}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Command == nil {
		o.Command = func(int64) string { return fmt.Sprintf("forge train %s --resume %s", o.Recipe.Name, o.Run.Dir) }
	}
	if o.EvalTokens == 0 {
		o.EvalTokens = 1 << 16
	}
	if o.SampleTokens == 0 {
		o.SampleTokens = 100
	}
	t := &trainer{Options: o, store: o.Backend.NewStore()}
	if b, ok := o.Tokenizer.(*tokenizer.BPE); ok {
		var text bytes.Buffer
		if err := b.Write(&text); err != nil {
			return nil, err
		}
		t.tokenizerText = text.Bytes()
	}
	if err := t.start(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *trainer) close() {
	if t.compiled != nil {
		t.compiled.program.Close()
	}
	t.curve.memory.Close()
	t.eval.close()
	t.samples.close()
}

// stages runs the stages from the present one on.
func (t *trainer) stages(ctx context.Context) error {
	first := t.state.Step
	for ; ; t.nextStage() {
		stage := t.stage()
		for t.state.StageStep < stage.NumSteps {
			if t.Steps > 0 && t.state.Step-first >= t.Steps || ctx.Err() != nil {
				return t.stop(ctx, first)
			}
			if err := t.step(first); err != nil {
				return t.failed(err)
			}
		}
		if t.state.Stage == len(t.Recipe.Stages)-1 {
			return t.finish()
		}
	}
}

func (t *trainer) stage() *check.Stage { return t.Recipe.Stages[t.state.Stage] }

// nextStage begins the stage after the present one.
func (t *trainer) nextStage() {
	t.state.Stage++
	t.state.StageStep, t.state.StageTokens = 0, 0
	t.reader.SetSeq(t.stage().Seq)
	t.reader.StorePosition(&t.state.Data)
	t.printf("\nstage %s: %d steps, %d tokens a sequence\n", t.stage().Name, t.stage().NumSteps, t.stage().Seq)
}

// stop ends a run before the recipe's end, in order.
func (t *trainer) stop(ctx context.Context, first int64) error {
	t.result.Interrupted = ctx.Err() != nil
	if err := t.save(); err != nil {
		return err
	}
	left := int64(0)
	if t.Steps > 0 && t.result.Interrupted {
		left = t.Steps - (t.state.Step - first)
	}
	why := "stopped as asked"
	if t.result.Interrupted {
		why = "interrupted"
	}
	t.printf("\n%s after step %d; saved in %s\ngo on with: %s\n", why, t.state.Step, t.saved.Dir, t.Command(left))
	t.Run.Logf("%s after step %d", why, t.state.Step)
	return nil
}

// finish ends a run that reached the recipe's end.
func (t *trainer) finish() error {
	t.result.Done = true
	if err := t.save(); err != nil {
		return err
	}
	t.printf("\ndone: %d steps, %d tokens; saved in %s\n", t.state.Step, t.state.Tokens, t.saved.Dir)
	if t.samples != nil {
		t.printf("\nit writes:\n\n%s\n\nmore of it: forge generate %s --prompt 'func '\n", t.samples.last, t.Run.Dir)
	}
	t.Run.Logf("done after step %d", t.state.Step)
	return nil
}

// dataError is a fault of the data: the model is as good as it was.
type dataError struct{ error }

// failed adds to an error what can be done: where training can go on. A model that is still good is saved first.
func (t *trainer) failed(err error) error {
	t.Run.Logf("failed after step %d: %v", t.state.Step, err)
	var fault dataError
	if errors.As(err, &fault) {
		if saveErr := t.save(); saveErr != nil {
			err = errors.Join(err, saveErr)
		}
	}
	if t.saved == nil {
		return fmt.Errorf("%w\nno checkpoint was saved before", err)
	}
	return fmt.Errorf("%w\nthe last checkpoint is %s, after step %d; go on with: %s", err, t.saved.Dir, t.saved.State.Step, t.Command(0))
}

// step does one step, and evaluates, samples and saves where they are due. The order matters: the line of metrics is on disk
// before the checkpoint of the same step.
func (t *trainer) step(first int64) error {
	start := time.Now()
	stage := t.stage()
	before := t.state
	if err := t.compile(); err != nil {
		return err
	}
	c := t.compiled
	if err := t.reader.Next(c.batch); err != nil {
		return dataError{err}
	}
	if err := c.run(&t.state, stage); err != nil {
		return fmt.Errorf("step %d: %w", t.state.Step+1, err)
	}
	tokens := int64(c.batch.B) * int64(c.batch.T)
	t.state.Step++
	t.state.StageStep++
	t.state.StageTokens += tokens
	t.state.Tokens += tokens
	t.reader.StorePosition(&t.state.Data)
	t.state.EvalLoss = nil

	m := t.curve.measure(c, &t.state, stage.LR.At(before.StageTokens), time.Since(start), t.PeakFLOPs)
	t.result.Step, t.result.Loss = t.state.Step, m.Loss
	if !m.finite() {
		err := t.diverged(m)
		if writeErr := t.record(m); writeErr != nil {
			err = errors.Join(err, writeErr)
		}
		return err
	}
	end := t.state.StageStep == stage.NumSteps && t.state.Stage == len(t.Recipe.Stages)-1
	evaluate := end || due(t.Recipe.Run.Eval, &before, &t.state)
	if evaluate {
		if err := t.evaluate(m); err != nil {
			return err
		}
	}
	if err := t.record(m); err != nil {
		return err
	}
	t.printStep(m, end || t.Steps > 0 && t.state.Step-first == t.Steps)
	if evaluate {
		if err := t.sample(); err != nil {
			return err
		}
	}
	if due(t.Recipe.Run.Save, &before, &t.state) {
		return t.save()
	}
	return nil
}

// due says that a multiple of the interval lies in the step between two states.
func due(every check.Quantity, before, after *runs.State) bool {
	if every.N <= 0 {
		return false
	}
	if every.Unit == check.Tokens {
		return after.Tokens/every.N > before.Tokens/every.N
	}
	return after.Step/every.N > before.Step/every.N
}

func (t *trainer) printf(format string, args ...any) {
	// Lines that can't be printed, as when a pipe is closed, are no reason to stop a run.
	_, _ = fmt.Fprintf(t.Out, format, args...)
}
