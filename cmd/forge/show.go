package main

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forge/dsl"
	"forge/dsl/diag"
	"forge/plugins/std"
)

func newShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME | RECIPE PATH",
		Short: "A block's, kind's or value's definition; a recipe's value",
		Example: `  forge show router               a standard block
  forge show train                a kind of section: its settings, types and defaults
  forge show adamw                a value and its attributes
  forge show tiny model.attn      what a recipe has there, and where that was written`,
		Args:        arguments(1, 2),
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return runShowValue(a, args[0], args[1])
			}
			if len(a.sets) > 0 {
				return usagef("--set changes a recipe: forge show RECIPE PATH --set …")
			}
			return runShow(a, args[0])
		},
	}
}

// runShowValue prints a value of a recipe and its origin.
func runShowValue(a *app, name, path string) error {
	recipe, err := a.loadRecipe(name)
	if err != nil {
		return err
	}
	text, origin, err := recipe.Show(path)
	if err != nil {
		return &usageError{err}
	}
	if a.json {
		return a.printJSON(map[string]string{"path": path, "text": text, "origin": origin})
	}
	if origin != "" {
		a.printf("# %s\n", origin)
	}
	a.printf("%s\n", text)
	return nil
}

// definition is what `forge show --json` prints.
type definition struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // block, kind or value
	File string `json:"file"`
	Line int    `json:"line"`
	Doc  string `json:"doc,omitempty"`
	Text string `json:"text"`
}

func runShow(a *app, name string) error {
	known, err := definitions()
	if err != nil {
		return err
	}
	d, ok := known[name]
	if !ok {
		return unknownName(fmt.Sprintf("nothing is called %q", name), name, slices.Collect(maps.Keys(known)))
	}
	if a.json {
		return a.printJSON(d)
	}
	a.printf("# %s, %s:%d\n", d.Kind, d.File, d.Line)
	if d.Doc != "" {
		a.printf("## %s\n", strings.ReplaceAll(d.Doc, "\n", "\n## "))
	}
	a.printf("%s\n", d.Text)
	return nil
}

// definitions are the declarations of the prelude and of the standard blocks by name.
func definitions() (map[string]definition, error) {
	known := map[string]definition{}
	if err := define(known, dsl.PreludeName, dsl.PreludeSource); err != nil {
		return nil, err
	}
	names, err := fs.Glob(std.FS, "*.forge")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := std.FS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := define(known, "std/"+name, string(text)); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// define adds the declarations of one file.
func define(known map[string]definition, name, source string) error {
	file, faults := dsl.Parse(name, source)
	if err := faults.Err(); err != nil {
		return err
	}
	add := func(kind, called, doc string, at diag.Span) {
		known[called] = definition{
			Name: called, Kind: kind, File: name, Line: at.Start.Line, Doc: doc,
			Text: source[at.Start.Offset:at.End.Offset],
		}
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *dsl.Block:
			add("block", d.Name.Name, d.Doc, d.Span)
		case *dsl.Builtin:
			kind := "value"
			if d.IsKind {
				kind = "kind"
			}
			add(kind, d.Name.Name, d.Doc, d.Span)
		}
	}
	return nil
}
