package train

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"forge/engine/data"
	"forge/engine/eval"
	"forge/engine/generate"
)

// evaluation is the program that evaluates, for one stage, and the sequences that it reads.
type evaluation struct {
	*eval.Evaluator
	held  *data.HeldOut
	stage int
}

func (e *evaluation) close() {
	if e != nil && e.Evaluator != nil {
		e.Close()
	}
}

// largestEvalBatch bounds the memory of evaluations.
const largestEvalBatch = 16

// evaluate fills in the held-out loss; without held-out documents it does nothing.
func (t *trainer) evaluate(m *Metrics) error {
	if t.eval == nil || t.eval.stage != t.state.Stage {
		t.eval.close()
		t.eval = &evaluation{held: t.Data.HeldOut(t.stage().Seq, t.EvalTokens), stage: t.state.Stage}
		if t.eval.held == nil {
			return nil
		}
		e, err := eval.New(eval.Config{Model: t.stage().Model, Backend: t.Backend, Store: t.store,
			Batch: min(t.compiled.batch.B, largestEvalBatch, t.eval.held.Sequences()), Seq: t.stage().Seq, Compile: t.Compiler.Evaluate})
		if err != nil {
			return fmt.Errorf("evaluation: %w", err)
		}
		t.eval.Evaluator = e
	}
	if t.eval.held == nil {
		return nil
	}
	// The evaluation belongs to the step: it is finished even when the run is interrupted, or the curve would lack it.
	r, err := t.eval.Run(context.Background(), t.eval.held, nil)
	if err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	m.Eval = r
	t.result.Eval = r
	t.state.EvalLoss = &r.Loss
	return nil
}

// sampling is the generator of samples, for one stage, and the prompts.
type sampling struct {
	*generate.Generator
	prompts []string
	stage   int
	last    string // the first prompt with its newest continuation
}

func (s *sampling) close() {
	if s != nil && s.Generator != nil {
		s.Close()
	}
}

// Samples begin like held-out documents.
const (
	samplePrompts   = 2
	promptBytes     = 48
	leastForSamples = 16 // tokens a sequence: below, there is no room for prompt and answer
)

// sample writes a continuation of each prompt to samples.txt, and shows the first.
func (t *trainer) sample() error {
	if t.SampleTokens < 0 || t.stage().Seq < leastForSamples {
		return nil
	}
	if t.samples == nil || t.samples.stage != t.state.Stage {
		t.samples.close()
		prompts, err := t.Data.Prompts(samplePrompts, min(promptBytes, t.stage().Seq/2))
		if err != nil {
			return dataError{err}
		}
		context := min(t.stage().Seq, promptBytes+t.SampleTokens)
		g, err := generate.New(generate.Config{Model: t.stage().Model, Backend: t.Backend, Store: t.store, Tokenizer: t.Tokenizer,
			Context: context, Compile: t.Compiler.Generate})
		if err != nil {
			return fmt.Errorf("samples: %w", err)
		}
		t.samples = &sampling{Generator: g, prompts: prompts, stage: t.state.Stage}
	}
	var out strings.Builder
	for i, prompt := range t.samples.prompts {
		r, err := t.samples.Generate(context.Background(), prompt, generate.Options{
			MaxTokens: t.SampleTokens, Logprobs: -1, Sampling: generate.Sampling{Temperature: 0.8, TopP: 0.95, Seed: t.state.Seed},
		}, nil)
		if err != nil {
			return fmt.Errorf("samples: %w", err)
		}
		fmt.Fprintf(&out, "%s\n  → %s\n", strconv.Quote(prompt), strconv.Quote(r.Text))
		if i == 0 {
			t.samples.last = prompt + r.Text
			t.printf("%s%s → %s\n", t.indent(), strconv.Quote(prompt), strconv.Quote(r.Text))
		}
	}
	if err := t.Run.AppendSamples(t.state.Step, out.String()); err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	return nil
}
