package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"forge/dsl/check"
	"forge/engine/huggingface"
	"forge/engine/runs"
	"forge/engine/weights"
)

// exportOptions are the flags of `forge export`.
type exportOptions struct {
	checkpoint string
	out        string
	format     string
	dtype      string
	names      string
}

// shippedNames is the table of names of a recipe that has none.
const shippedNames = "deepseek_hf:huggingface"

func newExportCommand(a *app) *cobra.Command {
	o := exportOptions{}
	cmd := &cobra.Command{
		Use:   "export CHECKPOINT",
		Short: "Write a checkpoint as Hugging Face safetensors with config.json",
		Long: `export writes safetensors (several files with an index where one would be large) and config.json into a new folder. CHECKPOINT is a
run, one of its checkpoints, or a folder with config.json and safetensors, whose tensors can be kept as stored.

A recipe's table of names (a weights section) says what the tensors are called. Without one, deepseek_hf's is used; --names takes
another. In a recipe it is written so:

  use "deepseek_hf" as hf
  recipe mine {
    weights = hf.huggingface
  }`,
		Example: `  forge export runs/tiny-1 --out tiny-hf
  forge export runs/tiny-1 --dtype fp8
  forge export downloads/DeepSeek-V3 --dtype bf16 --out v3-bf16`,
		Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.checkpoint = args[0]
			return runExport(cmd.Context(), a, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.out, "out", "", "write into a new folder `DIR` (default: the checkpoint's name with -hf)")
	flags.StringVar(&o.format, "format", "hf", "`FORMAT` of the files: hf")
	flags.StringVar(&o.dtype, "dtype", huggingface.AsStored, "write the weights `AS` "+joinComma(huggingface.Dtypes)+"; a run's are stored as f32")
	flags.StringVar(&o.names, "names", "", "name the tensors by the weights section of another recipe, `FILE:SECTION` (default: the recipe's own)")
	return cmd
}

func runExport(ctx context.Context, a *app, o exportOptions) error {
	if err := checkDtype(o.dtype); err != nil {
		return err
	}
	if o.format != "hf" {
		return usagef("--format %s: forge writes hf, safetensors with config.json", o.format)
	}
	if o.out == "" {
		o.out = huggingface.Name(o.checkpoint) + "-hf"
	}
	var err error
	if huggingface.Is(o.checkpoint) {
		err = a.exportPublished(ctx, o)
	} else {
		err = a.exportRun(ctx, o)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"dir": o.out})
	}
	a.printf("%s\n", o.out)
	return nil
}

func (a *app) exportPublished(ctx context.Context, o exportOptions) error {
	if o.names != "" {
		return usagef("--names names a run's tensors; those of %s have their names", o.checkpoint)
	}
	checkpoint, err := openPublished(o.checkpoint)
	if err != nil {
		return err
	}
	defer checkpoint.Close()
	return a.writePublished(o.out, func(options huggingface.Options) error {
		options.Dtype = o.dtype
		return checkpoint.Export(ctx, o.out, options)
	})
}

func (a *app) exportRun(ctx context.Context, o exportOptions) error {
	checkpoint, err := runs.Find(o.checkpoint, "runs")
	if err != nil {
		return err
	}
	path := filepath.Join(checkpoint.Dir, "recipe.forge")
	recipe, err := a.loadRecipe(path)
	if err != nil {
		return err
	}
	if recipe.Names == nil && o.names == "" {
		o.names = shippedNames
		a.notef("the recipe has no table of names; taking %s\n", shippedNames)
	}
	if o.names != "" {
		if recipe, err = namedBy(o.names, path, recipe); err != nil {
			return fmt.Errorf("the tensors can't be named by %s: %w", o.names, err)
		}
	}
	file, err := weights.Open(checkpoint.ModelPath())
	if err != nil {
		return err
	}
	defer file.Close()
	stage := recipe.Stages[len(recipe.Stages)-1]
	model := &huggingface.Model{Model: stage.Model, Names: recipe.Names, File: file, Context: stage.Seq, Side: map[string]string{}}
	if recipe.Data != nil {
		if path := ownTokenizer(checkpoint, recipe.Data.Tokenizer).Path; path != "" {
			model.Side["tokenizer.json"] = path
		}
	}
	return a.writePublished(o.out, func(options huggingface.Options) error {
		options.Dtype = o.dtype
		return model.Export(ctx, o.out, options)
	})
}

// namedBy gives a recipe, read from path, the table of names that FILE:SECTION means. The recipe that a run keeps has no cells of its
// own, so the number of its layers, which tables count from, is given back to it.
func namedBy(names, path string, recipe *check.Recipe) (*check.Recipe, error) {
	i := strings.LastIndexByte(names, ':')
	if i < 1 || i == len(names)-1 {
		return nil, usagef("--names %s: write FILE:SECTION, for example %s", names, shippedNames)
	}
	file, section := names[:i], names[i+1:]
	if strings.HasSuffix(file, ".forge") { // files name each other from where they lie
		relative, err := relativeTo(filepath.Dir(path), file)
		if err != nil {
			return nil, err
		}
		file = relative
	}
	text := fmt.Sprintf("forge 1\nuse %q as run\nuse %q as table\n\nmodel exported from run.%s {\n  let depth = %d\n}\n\nrecipe export from run.%s {\n"+
		"  model = exported\n  weights = table.%s\n}\n", filepath.Base(path), file, recipe.Model.Name, len(recipe.Model.Layers), recipe.Name, section)
	virtual := filepath.Join(filepath.Dir(path), "export.forge")
	named, found := check.Load(huggingface.Overlay{Files: systemFiles{}, Texts: map[string]string{virtual: text}}, virtual, nil)
	return named, found.Err()
}

// relativeTo is how files of a folder name a file that is given relative to where forge runs.
func relativeTo(folder, file string) (string, error) {
	from, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	relative, err := filepath.Rel(from, to)
	return filepath.ToSlash(relative), err
}
