package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forge/backends/cpu"
	"forge/backends/machine"
)

// languageVersion is the newest `forge N` that this binary reads.
const languageVersion = 1

// The groups of verbs in `forge --help`, in the order of work.
const (
	groupLook  = "look"
	groupTrain = "train"
	groupHelp  = "help"
)

// readsRecipe marks the verbs on which --set means something.
const readsRecipe = "reads-recipe"

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "forge",
		Short: "Train and study language models from recipes",
		Long: `forge reads a recipe (a model, its data and its training as tables and equations in a text file),
checks it, compiles it, trains it and generates with it.

RECIPE is a file, file:name, or the name of a shipped recipe (tiny).
CHECKPOINT is a run directory, or one checkpoint folder in it.`,
		Example: `  forge recipes
  forge check tiny
  forge train tiny
  forge generate runs/tiny-1 --prompt "func main() {"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.started = true
			return a.checkSharedFlags(cmd)
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true

	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "one JSON document on stdout (a line of JSON at a time for streams)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no remarks")
	flags.BoolVar(&a.noColor, "no-color", false, "no colors (also the environment variable NO_COLOR)")
	flags.StringVar(&a.device, "device", "", "`cpu` or reference (default: the recipe's device)")
	flags.IntVar(&a.threads, "threads", 0, "number of threads `N` (default: all processors)")
	flags.BoolVar(&a.deterministic, "deterministic", false, "the same results to the bit with any number of threads, a little slower")
	flags.StringVar(&a.memory, "memory", "", "use at most this much memory, a `SIZE` such as 8GiB (default: what the machine has)")
	flags.StringArrayVar(&a.sets, "set", nil, "replace a value of the recipe, `PATH=EXPR`; may be repeated")

	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Recipes:"},
		&cobra.Group{ID: groupTrain, Title: "Models:"},
		&cobra.Group{ID: groupHelp, Title: "More:"},
	)
	root.SetHelpCommandGroupID(groupHelp)
	root.SetCompletionCommandGroupID(groupHelp)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupLook, newRecipesCommand(a), newCheckCommand(a), newExpandCommand(a), newGraphCommand(a), newFmtCommand(a), newNewCommand(a), newShowCommand(a), newExplainCommand(a))
	add(groupTrain, newTrainCommand(a), newSweepCommand(a), newGenerateCommand(a), newEvalCommand(a), newImportCommand(a), newExportCommand(a), newParityCommand(a), newBenchCommand(a))
	add(groupHelp, newLSPCommand(a), newVersionCommand(a))
	return root
}

// knownVerb refuses a word that is no verb and names the nearest one.
func knownVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var verbs []string
	for _, verb := range root.Commands() {
		if verb.IsAvailableCommand() {
			verbs = append(verbs, verb.Name())
		}
	}
	return unknownName(fmt.Sprintf("there is no verb %q", args[0]), args[0], verbs)
}

// checkSharedFlags refuses values of the shared flags that no verb can use.
func (a *app) checkSharedFlags(cmd *cobra.Command) error {
	if a.threads < 0 || (a.threads == 0 && cmd.Flags().Changed("threads")) {
		return usagef("--threads wants a number of at least 1, not %d", a.threads)
	}
	if a.threads > cpu.MostThreads {
		return usagef("--threads wants a number of at most %d, not %d", cpu.MostThreads, a.threads)
	}
	if a.device != "" && !slices.Contains(deviceNames(), a.device) {
		return usagef("--device %s: this forge has %s", a.device, strings.Join(deviceNames(), " and "))
	}
	if a.memory != "" {
		if _, err := machine.ParseSize(a.memory); err != nil {
			return usagef("--memory: %v", err)
		}
	}
	if len(a.sets) > 0 && cmd.Annotations[readsRecipe] == "" {
		return usagef("--set has no effect on `%s`: it evaluates no recipe", cmd.CommandPath())
	}
	for _, set := range a.sets {
		if path, expr, found := strings.Cut(set, "="); !found || strings.TrimSpace(path) == "" || strings.TrimSpace(expr) == "" {
			return usagef("--set %s: write PATH=EXPR, for example --set train.peak=1e-3", set)
		}
	}
	return nil
}
