package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"forge/dsl/check"
	"forge/engine/huggingface"
	"forge/engine/weights"
)

// importOptions are the flags of `forge import`.
type importOptions struct {
	dir   string
	out   string
	dtype string
}

func newImportCommand(a *app) *cobra.Command {
	o := importOptions{}
	cmd := &cobra.Command{
		Use:   "import HFDIR",
		Short: "Make a published checkpoint one of forge's: check it, and write its recipe",
		Long: `import reads a folder with config.json and safetensors of the DeepSeek-V2 and -V3 family, compares every tensor with the model that
config.json describes, and writes recipe.forge beside them. The weights stay as they are: forge reads them from there. With --out
the checkpoint is written to another folder, in another type if --dtype says so, tensor by tensor in little memory.

generate, eval and export read such a folder as it is, imported or not.`,
		Example: `  forge import downloads/DeepSeek-V2-Lite
  forge import downloads/DeepSeek-V3 --out v3-bf16 --dtype bf16`,
		Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = args[0]
			return runImport(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.out, "out", "", "write the checkpoint and its recipe into a new folder `DIR`")
	cmd.Flags().StringVar(&o.dtype, "dtype", huggingface.AsStored, "with --out: write the weights `AS` "+joinComma(huggingface.Dtypes))
	return cmd
}

// imported is what `forge import --json` prints.
type imported struct {
	Dir     string          `json:"dir"`
	Recipe  string          `json:"recipe"`
	Weights weights.Summary `json:"weights"`
}

func runImport(ctx context.Context, a *app, o importOptions) error {
	if err := checkDtype(o.dtype); err != nil {
		return err
	}
	if o.out == "" && o.dtype != huggingface.AsStored {
		return usagef("--dtype %s needs --out: import leaves the weights where they are", o.dtype)
	}
	checkpoint, err := openPublished(o.dir)
	if err != nil {
		return err
	}
	defer checkpoint.Close()
	into, config := o.dir, checkpoint.Config
	if o.out != "" {
		if err := a.writePublished(o.out, func(options huggingface.Options) error {
			options.Dtype = o.dtype
			return checkpoint.Export(ctx, o.out, options)
		}); err != nil {
			return err
		}
		into = o.out
		if config, err = huggingface.ReadConfig(filepath.Join(o.out, huggingface.ConfigFile)); err != nil {
			return err
		}
	}
	recipe := filepath.Join(into, huggingface.RecipeFile)
	if _, err := os.Stat(recipe); err == nil {
		a.notef("%s is there already; it was left as it is, and the weights fit it\n", recipe)
	} else if err := writeNew(recipe, []byte(config.Recipe(huggingface.Name(o.dir), huggingface.Tokenizer(into)))); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(imported{into, recipe, checkpoint.Weights.Summary})
	}
	a.printf("%s\n%s\n", recipe, checkpoint.Weights.Summary)
	return nil
}

// openPublished opens a folder with config.json and safetensors.
func openPublished(dir string) (*huggingface.Checkpoint, error) {
	return openFolder(dir, huggingface.Open)
}

func openFolder(dir string, open func(string, check.Files, []string) (*huggingface.Checkpoint, error)) (*huggingface.Checkpoint, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; name the folder with config.json and the safetensors", dir)
	}
	return open(dir, systemFiles{}, nil)
}

// checkDtype refuses types that weights can't be written as.
func checkDtype(dtype string) error {
	if slices.Contains(huggingface.Dtypes, dtype) {
		return nil
	}
	return unknownName(fmt.Sprintf("--dtype %s: weights can't be written as that", dtype), dtype, huggingface.Dtypes)
}

// writePublished writes a checkpoint with progress in MB.
func (a *app) writePublished(dir string, export func(huggingface.Options) error) error {
	progress := newProgress(a, "writing "+dir+", MB")
	defer progress.end()
	return export(huggingface.Options{Progress: func(done, all int64) { progress.at(int(done/1e6), int(all/1e6)) }})
}

// usePublished loads a published checkpoint on the device of the command line, or the recipe's. Its weights are kept as one of
// weights.Keepings.
func (a *app) usePublished(dir, keep string, need need) (t *trained, err error) {
	checkpoint, err := openFolder(dir, huggingface.OpenToUse)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			checkpoint.Close()
		}
	}()
	recipe := checkpoint.Recipe
	if recipe.Data == nil {
		return nil, fmt.Errorf("%s has no tokenizer.json, and its vocabulary of %d is not that of bytes (256); put the tokenizer.json that belongs "+
			"to the weights beside them", dir, recipe.Model.Vocab)
	}
	t = &trained{recipe: recipe, stage: recipe.Stages[len(recipe.Stages)-1], files: checkpoint}
	if t.tokenizer = checkpoint.Tokenizer; t.tokenizer == nil {
		if t.tokenizer, err = a.openTokenizer(context.Background(), recipe.Data.Tokenizer); err != nil {
			return nil, err
		}
	}
	if t.backend, err = a.openBackend(recipe.Run); err != nil {
		return nil, err
	}
	t.store = t.backend.NewStore()
	if err := t.fits(keep, need); err != nil {
		return nil, errors.Join(err, t.backend.Close())
	}
	k, err := weights.NewKeeper(t.store, keep, t.stage.Model, recipe.Names)
	if err != nil {
		return nil, errors.Join(err, t.backend.Close())
	}
	defer k.Close()
	if err := k.Named(checkpoint.Weights, weights.Of(t.stage.Model, false)); err != nil {
		return nil, errors.Join(err, t.backend.Close())
	}
	return t, nil
}

// compared is what `forge check --weights` found; nil without the flag.
type compared struct {
	Dir     string           `json:"dir"`
	Faults  []weights.Fault  `json:"faults"`
	Summary *weights.Summary `json:"summary,omitempty"`

	err error
}

// compareWeights compares the headers of a checkpoint with the one recipe that was checked, if that has no errors of its own.
func compareWeights(dir string, recipes []*check.Recipe, faulty bool) (*compared, error) {
	if dir == "" || faulty {
		return nil, nil
	}
	if len(recipes) != 1 {
		return nil, usagef("--weights compares with one recipe, and here are %d: name one, FILE:RECIPE", len(recipes))
	}
	c := &compared{Dir: dir, Faults: []weights.Fault{}}
	var faults *weights.Faults
	var err error
	c.Summary, err = huggingface.Verify(dir, recipes[0])
	if errors.As(err, &faults) {
		c.Faults, c.err = faults.List, faults
		return c, nil
	}
	return c, err
}

// exit is the exit code for JSON, which holds the faults already.
func (c *compared) exit() error {
	if c == nil || c.err == nil {
		return nil
	}
	return exitCode(exitFailed)
}

// print says what the checkpoint holds; the error is what is wrong with it.
func (c *compared) print(a *app) error {
	if c == nil {
		return nil
	}
	if c.err != nil {
		return c.err
	}
	a.printf("weights  %s: %s; all as the recipe has them, by the headers\n", c.Dir, c.Summary)
	return nil
}
