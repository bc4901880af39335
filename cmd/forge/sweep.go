package main

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"forge/dsl"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/runs"
	"forge/engine/train"
)

// sweepOptions are the flags of `forge sweep`.
type sweepOptions struct {
	recipe string
	out    string
	steps  int64
	dry    bool
}

func newSweepCommand(a *app) *cobra.Command {
	o := sweepOptions{}
	cmd := &cobra.Command{
		Use:   "sweep FILE",
		Short: "Train every combination of a recipe's choices, one table at the end",
		Long: `sweep trains all combinations of the values that a sweep section, or --set PATH=any([…]), gives to paths of a recipe, one
after the other, the last choice varying fastest. All are checked, and listed with their parameter counts, before the first starts.
A run that fails is a line of the table; the others go on. Ctrl-C saves the run at hand and ends the sweep.`,
		Example: `  forge sweep ablations
  forge sweep tiny --set 'train.peak=any([3e-4, 1e-3])' --steps 100
  forge sweep ablations --dry-run`,
		Args:        oneArgument,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.recipe = args[0]
			if o.steps < 0 || o.steps == 0 && cmd.Flags().Changed("steps") {
				return usagef("--steps wants a number of at least 1, not %d", o.steps)
			}
			return runSweep(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.out, "out", "", "the `DIR`ectory for the runs, a folder each (default: RUNS/NAME-sweep-N)")
	cmd.Flags().Int64Var(&o.steps, "steps", 0, "stop each run after `N` steps; schedules stay as they are")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "list the runs and train none")
	return cmd
}

// sweepRun is one combination and what became of it: a line of the table, and of --json's list.
type sweepRun struct {
	Run      int      `json:"run"`
	Set      []string `json:"set"`
	Params   int64    `json:"params"`
	Active   int64    `json:"active_params"`
	Steps    int64    `json:"steps"` // planned, then done
	Dir      string   `json:"dir,omitempty"`
	Loss     *float64 `json:"loss,omitempty"`
	EvalLoss *float64 `json:"eval_loss,omitempty"`
	BPB      *float64 `json:"eval_bpb,omitempty"`
	Error    string   `json:"error,omitempty"`

	recipe *check.Recipe
}

func runSweep(ctx context.Context, a *app, o sweepOptions) error {
	list, first, err := a.sweepGrid(o)
	if err != nil {
		return err
	}
	if o.dry {
		if a.json {
			return a.printJSON(map[string]any{"runs": list})
		}
		return a.sweepTable(list, false)
	}
	// The grid is a remark where the result is another table.
	if !a.json && !a.quiet {
		if err := a.sweepTable(list, false); err != nil {
			return err
		}
		a.printf("\n")
	}
	if first.Data == nil {
		return fmt.Errorf("the recipe %s has no data section, so there is nothing to train on; give it `data = …`", first.Name)
	}
	folder := o.out
	if folder == "" {
		run, err := runs.Create(first.Run.Dir, first.Name+"-sweep")
		if err != nil {
			return err
		}
		folder = run.Dir
		if err := run.Close(); err != nil {
			return err
		}
	}
	a.stdout.live = true
	failed := false
	for _, r := range list {
		a.notef("run %d of %d: %s\n", r.Run, len(list), strings.Join(r.Set, " "))
		interrupted, err := a.sweepOne(ctx, o, r, filepath.Join(folder, fmt.Sprintf("run-%d", r.Run)))
		if err != nil {
			r.Error = oneLine(err.Error())
			failed = true
			a.notef("run %d failed: %s\n", r.Run, r.Error)
		}
		if interrupted || ctx.Err() != nil {
			failed = true
			break
		}
	}
	if a.json {
		err = a.printJSON(map[string]any{"runs": list})
	} else {
		err = a.sweepTable(list, true)
	}
	if err == nil && failed {
		return exitCode(exitFailed)
	}
	return err
}

// sweepGrid checks every combination.
func (a *app) sweepGrid(o sweepOptions) ([]*sweepRun, *check.Recipe, error) {
	name, err := sweepName(o.recipe)
	if err != nil {
		return nil, nil, err
	}
	first, found := check.Load(systemFiles{}, name, a.sets)
	if err := found.Err(); err != nil {
		return nil, nil, err
	}
	a.printWarnings(found)
	if len(first.Sweep) == 0 {
		return nil, nil, &usageError{fmt.Errorf("%s has no choices: name a sweep section, or add --set 'PATH=any([…])'", o.recipe)}
	}
	var list []*sweepRun
	for i, sets := range first.Runs() {
		recipe, found := check.Load(systemFiles{}, name, append(withoutChoices(a.sets), sets...))
		if err := found.Err(); err != nil {
			return nil, nil, err
		}
		n := recipe.Model.Count()
		var steps int64
		for _, s := range recipe.Stages {
			steps += s.NumSteps
		}
		if o.steps > 0 {
			steps = min(steps, o.steps)
		}
		list = append(list, &sweepRun{Run: i + 1, Set: sets, Params: n.Params, Active: n.Active, Steps: steps, recipe: recipe})
	}
	return list, first, nil
}

// sweepName completes a file's name by that of its only sweep section. A file without one is a recipe that --set makes choices for.
func sweepName(name string) (string, error) {
	if i := strings.LastIndexByte(name, ':'); i > 1 {
		return name, nil
	}
	source, found := check.Sources(systemFiles{}, nil)(name)
	if !strings.HasSuffix(name, ".forge") {
		source, found = check.Sources(noFiles{}, nil)("recipes/" + name + ".forge")
	}
	if !found {
		return name, nil // the checker says what is wrong with it
	}
	file, _ := dsl.Parse(name, source)
	var sweeps []string
	for _, d := range file.Decls {
		if s, ok := d.(*dsl.Section); ok && s.Kind.Name == "sweep" {
			sweeps = append(sweeps, name+":"+s.Name.Name)
		}
	}
	switch len(sweeps) {
	case 0:
		return name, nil
	case 1:
		return sweeps[0], nil
	}
	return "", usagef("%s has several sweeps: name one of %s", name, strings.Join(sweeps, ", "))
}

// noFiles has no file but those inside the binary.
type noFiles struct{}

func (noFiles) ReadFile(name string) ([]byte, error) {
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

// withoutChoices drops the --set cells that are choices themselves: a run has one value for each.
func withoutChoices(sets []string) []string {
	var kept []string
	for _, set := range sets {
		if _, value, _ := strings.Cut(set, "="); !strings.HasPrefix(strings.TrimSpace(value), "any(") {
			kept = append(kept, set)
		}
	}
	return kept
}

// sweepOne trains one run into a folder.
func (a *app) sweepOne(ctx context.Context, o sweepOptions, r *sweepRun, folder string) (interrupted bool, err error) {
	tokens, err := a.openTokenizer(ctx, r.recipe.Data.Tokenizer)
	if err != nil {
		return false, err
	}
	set, err := data.Open(r.recipe.Data, tokens)
	if err != nil {
		return false, err
	}
	defer set.Close()
	backend, err := a.openBackend(r.recipe.Run)
	if err != nil {
		return false, err
	}
	defer backend.Close()
	run, err := runs.CreateAt(folder)
	if err != nil {
		return false, err
	}
	defer run.Close()
	result, err := train.Train(ctx, train.Options{
		Recipe: r.recipe, Text: r.recipe.Expand(), Backend: backend, Data: set, Tokenizer: tokens, Run: run, Steps: o.steps,
		Forge: readVersion().Version, Args: append([]string{"forge"}, a.args...),
	})
	if err != nil {
		return false, err
	}
	r.Dir, r.Steps, r.Loss = run.Dir, result.Step, finite(result.Loss)
	if result.Eval != nil {
		r.EvalLoss, r.BPB = finite(result.Eval.Loss), finite(result.Eval.BitsPerByte)
	}
	return result.Interrupted, nil
}

// finite is a number that JSON can hold.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// sweepTable prints the runs, a line each: the value of every choice, sizes and, after the runs, what came out.
func (a *app) sweepTable(list []*sweepRun, after bool) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	head := []string{"run"}
	for _, set := range list[0].Set {
		path, _, _ := strings.Cut(set, "=")
		head = append(head, path)
	}
	head = append(head, "parameters", "active", "steps")
	if after {
		head = append(head, "loss", "eval loss", "bits/byte", "directory")
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, r := range list {
		line := []string{fmt.Sprint(r.Run)}
		for _, set := range r.Set {
			_, value, _ := strings.Cut(set, "=")
			line = append(line, value)
		}
		line = append(line, fmt.Sprint(r.Params), fmt.Sprint(r.Active), fmt.Sprint(r.Steps))
		if after {
			line = append(line, lossText(r.Loss), lossText(r.EvalLoss), lossText(r.BPB))
			switch {
			case r.Error != "":
				line = append(line, "failed: "+r.Error)
			case r.Dir == "":
				line = append(line, "not run")
			default:
				line = append(line, r.Dir)
			}
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}

// lossText is a loss, or a dash where there is none.
func lossText(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *v)
}
