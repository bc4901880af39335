package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"forge/dsl"
	"forge/recipes"
)

// recipesOptions are the flags of `forge recipes`.
type recipesOptions struct {
	name string // "" lists
	copy string // folder to copy to, "" prints
}

func newRecipesCommand(a *app) *cobra.Command {
	var o recipesOptions
	cmd := &cobra.Command{
		Use:   "recipes [NAME]",
		Short: "List the shipped recipes; print or copy one",
		Example: `  forge recipes
  forge recipes tiny
  forge recipes tiny --copy .`,
		Args: arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return runRecipes(a, o)
		},
	}
	cmd.Flags().StringVar(&o.copy, "copy", "", "write the recipe, and the shipped files that it uses, into `DIR`")
	return cmd
}

func runRecipes(a *app, o recipesOptions) error {
	if o.name == "" {
		if o.copy != "" {
			return usagef("--copy needs the name of a recipe: forge recipes NAME --copy %s", o.copy)
		}
		return listRecipes(a)
	}
	text, err := shippedRecipe(o.name)
	if err != nil {
		return err
	}
	if o.copy != "" {
		return copyRecipe(a, o.name, o.copy)
	}
	if a.json {
		return a.printJSON(shipped{Name: o.name, About: aboutRecipe(text), Text: text})
	}
	a.printf("%s", text)
	return nil
}

// shipped is an entry of `forge recipes --json`.
type shipped struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Text  string `json:"text,omitempty"`
}

func listRecipes(a *app) error {
	var list []shipped
	for _, name := range recipes.Names() {
		text, err := shippedRecipe(name)
		if err != nil {
			return err
		}
		list = append(list, shipped{Name: name, About: aboutRecipe(text)})
	}
	if a.json {
		return a.printJSON(list)
	}
	for _, r := range list {
		a.printf("%-28s %s\n", r.Name, r.About)
	}
	return nil
}

// shippedRecipe is the text of a shipped recipe; a name that is not shipped is wrong use, answered with the nearest one.
func shippedRecipe(name string) (string, error) {
	text, err := recipes.FS.ReadFile(name + ".forge")
	if err == nil {
		return string(text), nil
	}
	return "", unknownName(fmt.Sprintf("no recipe called %q is shipped", name), name, recipes.Names())
}

// aboutRecipe is the first sentence of the first comment of a recipe file.
func aboutRecipe(text string) string {
	var about []string
	for _, line := range strings.Split(text, "\n") {
		comment, isComment := strings.CutPrefix(strings.TrimSpace(line), "#")
		if isComment {
			about = append(about, strings.TrimSpace(strings.TrimPrefix(comment, "#")))
		} else if len(about) > 0 {
			break
		}
	}
	sentence := strings.Join(about, " ")
	if end := strings.Index(sentence, ". "); end >= 0 {
		sentence = sentence[:end+1]
	}
	return sentence
}

// copyRecipe writes a shipped recipe and every shipped file that it uses, directly or not, into a folder. Files that exist with
// other contents are never overwritten.
func copyRecipe(a *app, name, folder string) error {
	var written []string
	queue, seen := []string{name + ".forge"}, map[string]bool{}
	for len(queue) > 0 {
		file := queue[0]
		queue = queue[1:]
		if seen[file] {
			continue
		}
		seen[file] = true
		text, err := recipes.FS.ReadFile(file)
		if err != nil {
			return err
		}
		target := filepath.Join(folder, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		if err := writeNew(target, text); err != nil {
			return err
		}
		written = append(written, target)
		queue = append(queue, usedFiles(file, string(text))...)
	}
	if a.json {
		return a.printJSON(map[string][]string{"written": written})
	}
	for _, target := range written {
		a.printf("%s\n", target)
	}
	return nil
}

// writeNew writes a file that must not exist yet, unless it holds the same text already.
func writeNew(target string, text []byte) error {
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		if old, readErr := os.ReadFile(target); readErr == nil && string(old) == string(text) {
			return nil
		}
		return fmt.Errorf("%s exists and has other contents; it was left as it is", target)
	}
	if err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		file.Close()
		os.Remove(target)
		return err
	}
	return file.Close()
}

// usedFiles are the shipped files that a recipe file imports by relative path.
func usedFiles(from, text string) []string {
	file, _ := dsl.Parse("recipe", text)
	var used []string
	for _, d := range file.Decls {
		if use, ok := d.(*dsl.Use); ok && strings.HasSuffix(use.Path.Value, ".forge") {
			used = append(used, path.Join(path.Dir(from), use.Path.Value))
		}
	}
	return used
}
