package main

import (
	_ "embed"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// newRecipeText is the recipe that `forge new` writes, with NAME for its name.
//
//go:embed new_recipe.forge
var newRecipeText string

func newNewCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "new NAME",
		Short: "Write a commented recipe to start from",
		Example: `  forge new mine
  forge train mine.forge`,
		Args: oneArgument,
		RunE: func(_ *cobra.Command, args []string) error { return runNew(a, args[0]) },
	}
}

func runNew(a *app, name string) error {
	name = strings.TrimSuffix(name, ".forge")
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) {
		return usagef("%q can't name a recipe: a name is letters, digits and _, and does not begin with a digit", name)
	}
	file := name + ".forge"
	if err := writeNew(file, []byte(strings.ReplaceAll(newRecipeText, "NAME", name))); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string][]string{"written": {file}})
	}
	a.printf("%s\n", file)
	a.notef("check it:  forge check %s\ntrain it:  forge train %s\n", file, file)
	return nil
}
