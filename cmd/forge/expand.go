package main

import (
	"github.com/spf13/cobra"
)

func newExpandCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "expand RECIPE",
		Short: "The whole recipe with every value and where it comes from",
		Example: `  forge expand tiny
  forge expand tiny --set model.dim=64`,
		Args:        oneArgument,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE:        func(_ *cobra.Command, args []string) error { return runExpand(a, args[0]) },
	}
}

func runExpand(a *app, name string) error {
	recipe, err := a.loadRecipe(name)
	if err != nil {
		return err
	}
	text := recipe.Expand()
	if a.json {
		return a.printJSON(map[string]string{"recipe": text})
	}
	a.printf("%s", text)
	return nil
}
