package huggingface

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"forge/dsl/check"
	"forge/engine/tokenizer"
	"forge/engine/weights"
)

// RecipeFile is the name of a recipe beside the weights. Where there is one it is the model's, else config.json says the model.
const RecipeFile = "recipe.forge"

// Checkpoint is an opened folder.
type Checkpoint struct {
	Dir     string
	Config  *Config
	Recipe  *check.Recipe
	Weights *weights.Named
	// Tokenizer is the folder's own; nil where there is no tokenizer.json.
	Tokenizer tokenizer.Tokenizer
}

// Is reports whether a path is a folder with config.json and safetensors.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ConfigFile))
	return err == nil && weights.IsDirectory(dir)
}

// Open opens a folder: reads its config.json, checks its recipe (the one beside it, or the one that config.json makes) with the cells of
// sets, and compares the files with it, the tokenizer's too. Errors are a *weights.Faults, everything that is wrong with the folder, or a
// diag.List of the recipe.
func Open(dir string, files check.Files, sets []string) (*Checkpoint, error) {
	return open(dir, files, sets, false)
}

// OpenToUse is Open for a model that is used without multi-token prediction: the copies of its tables that some checkpoints hold are
// not compared with them, so that nothing but headers is read.
func OpenToUse(dir string, files check.Files, sets []string) (*Checkpoint, error) {
	return open(dir, files, sets, true)
}

func open(dir string, files check.Files, sets []string, headersOnly bool) (*Checkpoint, error) {
	c := &Checkpoint{Dir: dir}
	var err error
	if c.Config, err = ReadConfig(filepath.Join(dir, ConfigFile)); err != nil {
		return nil, err
	}
	recipe := filepath.Join(dir, RecipeFile)
	if _, err := os.Stat(recipe); err != nil {
		files = Overlay{Files: files, Texts: map[string]string{recipe: c.Config.Recipe(Name(dir), Tokenizer(dir))}}
	}
	checked, found := check.Load(files, recipe, sets)
	if err := found.Err(); err != nil {
		return nil, err
	}
	c.Recipe = checked
	faults := &weights.Faults{Path: dir}
	if path := Tokenizer(dir); path != "" && checked.Data != nil && checked.Data.Tokenizer.Kind == "bpe" {
		checked.Data.Tokenizer.Path, checked.Data.Tokenizer.Train = path, nil // wherever the folder lay when the recipe was written
		faults.List = c.readTokenizer(path)
	}
	if checked.Names == nil {
		return nil, fmt.Errorf("%s has no table of names: write `use \"deepseek_hf\" as hf`, and in the recipe `weights = hf.huggingface`", recipe)
	}
	reading := c.Config.Reading()
	reading.HeadersOnly = headersOnly
	c.Weights, err = weights.OpenNamed(dir, checked.Model, checked.Names, reading)
	var ofWeights *weights.Faults
	if errors.As(err, &ofWeights) {
		ofWeights.List = append(ofWeights.List, faults.List...)
		return nil, ofWeights
	}
	if err == nil && len(faults.List) > 0 {
		err = errors.Join(faults, c.Weights.Close())
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// readTokenizer reads the folder's tokenizer and says what is wrong with it for the model.
func (c *Checkpoint) readTokenizer(path string) []weights.Fault {
	name, vocab := filepath.Base(path), c.Recipe.Model.Vocab
	b, err := tokenizer.ReadFile(path)
	if err != nil {
		return []weights.Fault{{Code: "E600", File: name, Text: strings.TrimPrefix(err.Error(), path+": ")}}
	}
	if !b.Pad(vocab) {
		return []weights.Fault{{Code: "E502", File: name, Text: fmt.Sprintf("it has %d tokens, and the model's vocabulary is %d: it is another model's", b.Vocab(), vocab)}}
	}
	c.Tokenizer = b
	return nil
}

// Close closes the files.
func (c *Checkpoint) Close() error { return c.Weights.Close() }

// Reading says how files of this configuration may differ from a table of names.
func (c *Config) Reading() weights.Reading {
	return weights.Reading{FreshStates: !c.biased()}
}

// Verify compares a folder with a recipe from the headers of its files alone: no weights are read. The error, a *weights.Faults, lists
// everything that is wrong. A config.json is not needed.
func Verify(dir string, r *check.Recipe) (*weights.Summary, error) {
	if r.Names == nil {
		return nil, fmt.Errorf("the recipe %s has no table of names: write `use \"deepseek_hf\" as hf`, and in the recipe `weights = hf.huggingface`", r.Name)
	}
	reading := weights.Reading{}
	if c, err := ReadConfig(filepath.Join(dir, ConfigFile)); err == nil {
		reading = c.Reading()
	}
	reading.HeadersOnly = true
	named, err := weights.OpenNamed(dir, r.Model, r.Names, reading)
	if err != nil {
		return nil, err
	}
	return &named.Summary, named.Close()
}

// Name is what a model in a folder is called.
func Name(dir string) string {
	if all, err := filepath.Abs(dir); err == nil {
		dir = all
	}
	return filepath.Base(dir)
}

// Tokenizer is the path of a folder's tokenizer.json, "" if it has none.
func Tokenizer(dir string) string {
	path := filepath.Join(dir, "tokenizer.json")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// Overlay puts texts over files, by path.
type Overlay struct {
	Files check.Files
	Texts map[string]string
}

// ReadFile gives the text of a file.
func (o Overlay) ReadFile(path string) ([]byte, error) {
	if text, ok := o.Texts[path]; ok {
		return []byte(text), nil
	}
	return o.Files.ReadFile(path)
}
