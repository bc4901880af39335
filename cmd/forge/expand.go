package main

import (
	"github.com/spf13/cobra"

	"forge/dsl/check"
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
	text, found := check.Expand(systemFiles{}, name, a.sets)
	if err := found.Err(); err != nil {
		return err
	}
	a.printWarnings(found)
	if a.json {
		return a.printJSON(map[string]string{"recipe": text})
	}
	a.printf("%s", text)
	return nil
}
