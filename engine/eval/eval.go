// Package eval measures a model on text that it was not trained on. In flow a store with weights and held-out sequences; out flow the
// loss, the perplexity and the bits per byte, which, unlike the loss, can be compared between tokenizers. It changes nothing.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"forge/backends"
	"forge/compiler"
	"forge/dsl/check"
	"forge/engine/data"
)

// Config is what an Evaluator works with.
type Config struct {
	Model   *check.Model
	Backend backends.Backend
	Store   backends.Store // of Backend, holding the model's weights and states
	Batch   int            // sequences a call
	Seq     int            // tokens a sequence; a token's context begins with its sequence

	// Compile replaces compiler.Evaluate in tests.
	Compile func(*check.Model, compiler.Options) (*compiler.Evaluation, error)
}

// Evaluator runs evaluations.
type Evaluator struct {
	program backends.Program
	batch   *data.Batch
}

// New compiles the model's loss.
func New(c Config) (*Evaluator, error) {
	if c.Compile == nil {
		c.Compile = compiler.Evaluate
	}
	compiled, err := c.Compile(c.Model, compiler.Options{Batch: c.Batch, Seq: c.Seq})
	if err != nil {
		return nil, err
	}
	program, err := c.Backend.Compile(compiled.Graph, c.Store, backends.Options{})
	if err != nil {
		return nil, err
	}
	return &Evaluator{program, data.NewBatch(c.Batch, c.Seq, 0)}, nil
}

// Close gives up the program.
func (e *Evaluator) Close() error { return e.program.Close() }

// Stats describes the program.
func (e *Evaluator) Stats() backends.Stats { return e.program.Stats() }

// Result is what was measured.
type Result struct {
	Loss        float64       `json:"loss"`       // mean negative log likelihood of a token, in nats
	Perplexity  float64       `json:"perplexity"` // exp(Loss)
	BitsPerByte float64       `json:"bits_per_byte"`
	Tokens      int64         `json:"tokens"` // that were predicted
	Time        time.Duration `json:"time_ns"`
}

// Run reads all of h, whose sequences must have the evaluator's length. progress, if not nil, is told how many of the sequences
// are done.
func (e *Evaluator) Run(ctx context.Context, h *data.HeldOut, progress func(done, all int)) (*Result, error) {
	start := time.Now()
	h.Rewind()
	r := &Result{}
	sum, bytes := 0.0, 0.0
	for done := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows, err := h.Next(e.batch)
		if err != nil {
			return nil, err
		}
		if rows == 0 {
			break
		}
		loss, err := e.losses()
		if err != nil {
			return nil, err
		}
		sum += loss
		r.Tokens += int64(e.batch.Labels)
		bytes += float64(e.batch.Bytes)
		done += rows
		if progress != nil {
			progress(done, h.Sequences())
		}
	}
	if r.Tokens == 0 {
		return nil, errors.New("the text to evaluate on has no token that follows another")
	}
	r.Loss = sum / float64(r.Tokens)
	r.Perplexity = math.Exp(r.Loss)
	r.BitsPerByte = sum / math.Ln2 / max(bytes, 1)
	r.Time = time.Since(start)
	return r, nil
}

// losses is the sum of the losses of the batch.
func (e *Evaluator) losses() (float64, error) {
	if err := e.program.SetInts("tokens", e.batch.Tokens); err != nil {
		return 0, err
	}
	if err := e.program.SetInts("targets", e.batch.Targets); err != nil {
		return 0, err
	}
	if err := e.program.RunAll(); err != nil {
		return 0, err
	}
	losses, err := e.program.Output("losses")
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i, target := range e.batch.Targets {
		if target >= 0 {
			sum += float64(losses[i])
		}
	}
	return sum, nil
}

// String is the result in a line.
func (r *Result) String() string {
	return fmt.Sprintf("loss %.4f  perplexity %.3f  %.4f bits per byte  %d tokens  %s", r.Loss, r.Perplexity, r.BitsPerByte, r.Tokens,
		r.Time.Round(100*time.Millisecond))
}
