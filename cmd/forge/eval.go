package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"forge/compiler"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/eval"
	"forge/engine/memory"
)

// evalOptions are the flags of `forge eval`.
type evalOptions struct {
	checkpoint string
	keep       string // one of weights.Keepings
	text       string
	limit      int64
}

func newEvalCommand(a *app) *cobra.Command {
	o := evalOptions{}
	cmd := &cobra.Command{
		Use:   "eval CHECKPOINT",
		Short: "Loss, perplexity and bits per byte on held-out text",
		Example: `  forge eval runs/tiny-1
  forge eval runs/tiny-1 --text some.txt --json`,
		Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.checkpoint = args[0]
			return runEval(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.text, "text", "", "a file, folder or glob `PATH` to read (default: the held-out share of the recipe's data)")
	cmd.Flags().Int64Var(&o.limit, "max-tokens", 0, "read about `N` tokens; 0 reads all")
	keepFlag(cmd, &o.keep)
	return cmd
}

// evalBatch is how many sequences are evaluated at once.
func evalBatch(stage *check.Stage) int { return max(1, min(16, 2048/stage.Seq)) }

func runEval(ctx context.Context, a *app, o evalOptions) error {
	if o.limit < 0 {
		return usagef("--max-tokens wants 0 or more, not %d", o.limit)
	}
	model, err := a.openTrained(o.checkpoint, o.keep, func(t *trained) (*memory.Work, error) {
		e, err := compiler.Evaluate(t.stage.Model, compiler.Options{Batch: evalBatch(t.stage), Seq: t.stage.Seq})
		if err != nil {
			return nil, err
		}
		return &memory.Work{What: "evaluation", Graph: e.Graph, Storage: e.Storage, Batch: evalBatch(t.stage), Seq: t.stage.Seq}, nil
	})
	if err != nil {
		return err
	}
	defer model.Close()
	var set *data.Set
	if o.text != "" {
		set, err = data.OpenFile(o.text, model.tokenizer)
	} else {
		set, err = data.Open(model.recipe.Data, model.tokenizer)
	}
	if err != nil {
		return err
	}
	defer set.Close()
	if set.HeldOutTokens() == 0 {
		return errors.New("the recipe's data holds nothing out; name a text with --text")
	}
	evaluator, err := eval.New(eval.Config{
		Model: model.stage.Model, Backend: model.backend, Store: model.store,
		Batch: evalBatch(model.stage), Seq: model.stage.Seq,
	})
	if err != nil {
		return err
	}
	defer evaluator.Close()
	progress := newProgress(a, "evaluating")
	result, err := evaluator.Run(ctx, set.HeldOut(model.stage.Seq, o.limit), progress.at)
	progress.end()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("%s\n", result)
	return nil
}
