package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/runs"
	"forge/engine/tokenizer"
	"forge/engine/train"
)

// trainOptions are the flags of `forge train`.
type trainOptions struct {
	recipe string
	out    string
	resume string
	steps  int64
	every  int64
}

func newTrainCommand(a *app) *cobra.Command {
	o := trainOptions{}
	cmd := &cobra.Command{
		Use:   "train RECIPE",
		Short: "Train a recipe, into a run directory that can be gone on with",
		Long: `train trains a recipe on its data and leaves a run directory: the expanded recipe, metrics of every step, samples, checkpoints.
Ctrl-C finishes the step, saves, and prints the command to go on with; what comes out is the same to the bit as without the stop.
With --json each step is a line of JSON, as in the run's metrics.jsonl.`,
		Example: `  forge train tiny
  forge train tiny --set train.peak=1e-3 --out runs/slow
  forge train tiny --resume auto`,
		Args:        oneArgument,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.recipe = args[0]
			if o.steps < 0 || o.steps == 0 && cmd.Flags().Changed("steps") {
				return usagef("--steps wants a number of at least 1, not %d", o.steps)
			}
			if o.every < 0 {
				return usagef("--every wants a number of at least 1, not %d", o.every)
			}
			return runTrain(cmd.Context(), a, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.out, "out", "", "the run `DIR`ectory (default: runs/NAME-N with the next N)")
	flags.StringVar(&o.resume, "resume", "", "go on from a checkpoint, `auto|DIR|STEP`: the newest if there is one, a run's or one by its folder, or one of a step")
	flags.Int64Var(&o.steps, "steps", 0, "stop after `N` steps; schedules stay as they are")
	flags.Int64Var(&o.every, "every", 0, "print every `N`th step (default: about a hundred lines a stage)")
	return cmd
}

func runTrain(ctx context.Context, a *app, o trainOptions) error {
	recipe, err := a.loadRecipe(o.recipe)
	if err != nil {
		return err
	}
	if len(recipe.Sweep) > 0 {
		return usagef("%s has choices for `%s`: `forge sweep` trains them all; to train one, give it a single value", o.recipe, recipe.Sweep[0].Path)
	}
	if recipe.Data == nil {
		return fmt.Errorf("the recipe %s has no data section, so there is nothing to train on; give it `data = …`", recipe.Name)
	}
	run, from, err := a.resumeRun(o, recipe)
	if err != nil {
		return err
	}
	defer func() {
		if run != nil {
			run.Close()
		}
	}()
	tokens, err := a.resumedTokenizer(ctx, from, recipe.Data.Tokenizer)
	if err != nil {
		return err
	}
	a.notef("reading the data of %s …\n", recipe.Data.Name)
	set, err := openData(ctx, recipe.Data, tokens)
	if err != nil {
		return err
	}
	defer set.Close()
	backend, err := a.openBackend(recipe.Run)
	if err != nil {
		return err
	}
	defer backend.Close()
	if run == nil {
		if run, err = createRun(o, recipe); err != nil {
			return err
		}
	}
	a.stdout.live = true
	result, err := train.Train(ctx, train.Options{
		Recipe: recipe, Text: recipe.Expand(), Backend: backend, Data: set, Tokenizer: tokens,
		Run: run, From: from, Steps: o.steps, Forge: readVersion().Version, Args: append([]string{"forge"}, a.args...),
		Out: a.trainLines(), LineEvery: o.every, OnStep: a.trainStep(),
		Command: func(steps int64) string { return a.resumeCommand(o, run.Dir, steps) },
	})
	if err != nil {
		return err
	}
	if a.quiet && !a.json {
		a.printf("%s\n", run.Dir)
	}
	if result.Interrupted {
		return exitCode(exitFailed)
	}
	return nil
}

// openData reads the texts of a recipe; that can take minutes, and a Ctrl-C does not wait for its end.
func openData(ctx context.Context, recipe *check.Data, tokens tokenizer.Tokenizer) (*data.Set, error) {
	type opened struct {
		set *data.Set
		err error
	}
	done := make(chan opened, 1)
	go func() {
		set, err := data.Open(recipe, tokens)
		done <- opened{set, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case o := <-done:
		return o.set, o.err
	}
}

// resumeRun opens the run that --resume means, and the checkpoint to go on from; nil for a fresh start.
func (a *app) resumeRun(o trainOptions, recipe *check.Recipe) (*runs.Run, *runs.Checkpoint, error) {
	if o.resume == "" {
		return nil, nil, nil
	}
	resumed, err := runs.Resume(o.resume, recipe.Run.Dir, recipe.Name, o.out)
	if err != nil {
		return nil, nil, err
	}
	if resumed == nil {
		a.notef("no checkpoint to go on from: starting afresh\n")
		return nil, nil, nil
	}
	for _, warning := range resumed.Warnings {
		a.notef("warning: %s\n", warning)
	}
	return resumed.Run, resumed.Checkpoint, nil
}

// createRun makes the directory of a new run.
func createRun(o trainOptions, recipe *check.Recipe) (*runs.Run, error) {
	if o.out != "" {
		return runs.CreateAt(o.out)
	}
	return runs.Create(recipe.Run.Dir, recipe.Name)
}

// trainLines is where the summary and the step lines go: to standard output, unless that is for JSON.
func (a *app) trainLines() io.Writer {
	switch {
	case a.quiet:
		return nil
	case a.json:
		return a.stderr
	}
	return a.stdout
}

// trainStep prints a step's metrics as a line of JSON if that is asked for.
func (a *app) trainStep() func(*train.Metrics) {
	if !a.json {
		return nil
	}
	var line []byte
	return func(m *train.Metrics) {
		line = m.AppendJSON(line[:0])
		// A failed write shows when the output is flushed at the end; the run goes on.
		_, _ = a.stdout.Write(line)
	}
}

// resumeCommand is the command line that goes on with a run for so many more steps (0: to the recipe's end).
func (a *app) resumeCommand(o trainOptions, dir string, steps int64) string {
	words := []string{"forge", "train", quote(o.recipe), "--resume", quote(dir)}
	for _, set := range a.sets {
		words = append(words, "--set", quote(set))
	}
	if a.device != "" {
		words = append(words, "--device", a.device)
	}
	if a.threads > 0 {
		words = append(words, "--threads", fmt.Sprint(a.threads))
	}
	if a.memory != "" {
		words = append(words, "--memory", quote(a.memory))
	}
	if a.deterministic {
		words = append(words, "--deterministic")
	}
	if steps > 0 {
		words = append(words, "--steps", fmt.Sprint(steps))
	}
	return strings.Join(words, " ")
}

// quote puts a word into single quotes if a shell would take it apart.
func quote(word string) string {
	unsafe := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=+,@%", r))
	}
	if word != "" && strings.IndexFunc(word, unsafe) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
