package main

import (
	"io"
	"os"

	"forge/dsl/check"
	"forge/dsl/diag"
)

// systemFiles reads recipe files for the checker; shipped files it finds by itself.
type systemFiles struct{}

func (systemFiles) ReadFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, mostRead))
}

// mostRead bounds what is read of a recipe file: more than the 4 MiB that one may have, so that a longer one is refused without
// being read to its end, should it have one.
const mostRead = 4<<20 + 1

// loadRecipe checks a recipe with the --set cells of the command line. Warnings are printed; errors come back as a diag.List.
func (a *app) loadRecipe(name string) (*check.Recipe, error) {
	recipe, found := check.Load(systemFiles{}, name, a.sets)
	if err := found.Err(); err != nil {
		return nil, err
	}
	a.printWarnings(found)
	if runs := recipe.Runs(); len(recipe.Sweep) > 0 {
		a.notef("%s has choices: this is run 1 of %d, with %s; `forge sweep` lists and trains them all\n", name, len(runs), joinComma(runs[0]))
	}
	return recipe, nil
}

// printWarnings shows diagnostics that stop nothing, unless --quiet.
func (a *app) printWarnings(found diag.List) {
	if !a.quiet && len(found) > 0 {
		a.render(found)
	}
}

// printDiagnostics writes what is wrong with recipes: text with the source lines on standard error or, with --json, one document
// on standard output.
func (a *app) printDiagnostics(found diag.List) {
	if a.json {
		// A failed write shows when the output is flushed.
		_ = a.printJSON(map[string]any{"errors": diag.JSON(found)})
		_ = a.stdout.Flush()
		return
	}
	a.render(found)
}

func (a *app) render(found diag.List) {
	diag.Render(a.stderr, found, check.Sources(systemFiles{}, a.sets), a.color(a.stderr))
}
