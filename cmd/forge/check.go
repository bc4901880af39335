package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"forge/dsl/check"
	"forge/dsl/diag"
)

func newCheckCommand(a *app) *cobra.Command {
	checkpoint := ""
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "All errors of all files at once, with places and cures; then what the recipes come to",
		Example: `  forge check tiny
  forge check mine.forge --set model.dim=64
  forge check *.forge --json
  forge check deepseek_v3 --weights downloads/DeepSeek-V3`,
		Args:        someArguments,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE:        func(_ *cobra.Command, args []string) error { return runCheck(a, args, checkpoint) },
	}
	cmd.Flags().StringVar(&checkpoint, "weights", "", "compare the headers of the safetensors in `DIR` with the recipe's table of names")
	return cmd
}

// checked is one recipe's line in `forge check --json`.
type checked struct {
	File   string `json:"file"`
	Recipe string `json:"recipe"`
	Runs   int    `json:"runs,omitempty"` // of a sweep: all are checked, the counts are the first one's
	counts
}

// counts are the numbers of a recipe.
type counts struct {
	Params       int64 `json:"params"`
	ActiveParams int64 `json:"active_params"`
	MTPParams    int64 `json:"mtp_params"`
	State        int64 `json:"state"`
	Steps        int64 `json:"steps"`
	Tokens       int64 `json:"tokens"`
	Tensors      int   `json:"tensors"` // in a checkpoint with the recipe's names; 0 without a weights section
}

// checkDocument is what `forge check --json` prints. The counts stand at the top too when exactly one recipe was checked.
type checkDocument struct {
	Errors  []diag.Record `json:"errors"`
	Recipes []checked     `json:"recipes"`
	Weights *compared     `json:"weights,omitempty"` // with --weights
	*counts
}

func runCheck(a *app, names []string, checkpoint string) error {
	// A process of a tenth of a second need not be as careful with memory: a third of its time went into collecting it.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if len(a.sets) > 0 && len(names) > 1 {
		return usagef("--set changes one recipe: name one file, or FILE:RECIPE")
	}
	var found diag.List
	var good []*check.Recipe
	for _, name := range names {
		recipes, list := a.checkFile(name)
		found = merge(found, list)
		good = append(good, recipes...)
	}
	against, err := compareWeights(checkpoint, good, found.HasErrors())
	if err != nil {
		return err
	}
	if a.json {
		document := checkDocument{Errors: diag.JSON(found), Recipes: []checked{}, Weights: against}
		for _, r := range good {
			line := checked{File: r.File, Recipe: r.Name, counts: countsOf(r)}
			if len(r.Sweep) > 0 {
				line.Runs = len(r.Runs())
			}
			document.Recipes = append(document.Recipes, line)
		}
		if len(document.Recipes) == 1 {
			document.counts = &document.Recipes[0].counts
		}
		if err := a.printJSON(document); err != nil {
			return err
		}
		if found.HasErrors() {
			return exitCode(exitRecipe)
		}
		return against.exit()
	}
	if found.HasErrors() {
		return found
	}
	a.printWarnings(found)
	for i, r := range good {
		if i > 0 {
			a.printf("\n")
		}
		a.printSummary(r)
	}
	if err := against.print(a); err != nil {
		return err
	}
	if len(good) == 0 && !a.quiet {
		a.printf("no errors; no recipe to sum up\n")
	}
	return nil
}

// checkFile checks a whole file, or one recipe of it if it is named or changed by --set, and gives its recipes.
func (a *app) checkFile(name string) ([]*check.Recipe, diag.List) {
	if len(a.sets) > 0 || strings.LastIndexByte(name, ':') > 1 {
		recipe, found := check.Load(systemFiles{}, name, a.sets)
		if recipe == nil {
			return nil, found
		}
		return []*check.Recipe{recipe}, found
	}
	module, found := check.File(systemFiles{}, name)
	if module == nil || found.HasErrors() {
		return nil, found
	}
	return append(module.Recipes, module.Sweeps...), found
}

// merge joins two lists without saying the same twice: files that import a third find its faults both.
func merge(list, more diag.List) diag.List {
	seen := map[string]bool{}
	for _, d := range list {
		seen[d.Code+d.Error()] = true
	}
	for _, d := range more {
		if key := d.Code + d.Error(); !seen[key] {
			seen[key] = true
			list = append(list, d)
		}
	}
	return list
}

func countsOf(r *check.Recipe) counts {
	n := r.Model.Count()
	c := counts{Params: n.Params, ActiveParams: n.Active, MTPParams: n.MTP, State: n.State}
	for _, s := range r.Stages {
		c.Steps += s.NumSteps
		c.Tokens += s.NumTokens
	}
	if r.Names != nil {
		c.Tensors = r.Names.Count()
	}
	return c
}

// printSummary says what a recipe comes to.
func (a *app) printSummary(r *check.Recipe) {
	a.printf("%s", r.Summary())
	if r.Data != nil {
		t := r.Data.Tokenizer
		a.printf("data     %s: %s; tokenizer %s, %s", r.Data.Name, sourceNames(r.Data.Sources), t.Kind, countOf(t.Vocab, "entry", "entries"))
		if len(t.Train) > 0 {
			a.printf(", trained on %s when it is first needed", sourceNames(t.Train))
		}
		if r.Data.HeldOut > 0 {
			a.printf("; %g%% held out", 100*r.Data.HeldOut)
		}
		a.printf("\n")
	}
	n := countsOf(r)
	a.printf("memory   %s for weights, gradients and both moments in float32, without what a step computes\n",
		bytesText(4*float64(n.Params+n.MTPParams)*4))
}

// sourceNames names sources with their paths.
func sourceNames(list []check.Source) string {
	var names []string
	for _, s := range list {
		names = append(names, strings.TrimSpace(s.Kind+" "+s.Path))
	}
	return joinComma(names)
}

// bytesText writes an amount of memory in the largest binary unit that keeps it above one.
func bytesText(n float64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	for n >= 1024 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %s", n, units[0])
}
