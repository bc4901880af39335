package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forge/backends/plan"
	"forge/compiler"
	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
)

// graphOptions are the flags of `forge graph`.
type graphOptions struct {
	recipe    string
	stage     string
	train     string
	format    string
	noRewrite bool
}

// stagePlan is the last of the stages: the backends' plan of memory and steps.
const stagePlan = "plan"

func newGraphCommand(a *app) *cobra.Command {
	o := graphOptions{}
	cmd := &cobra.Command{
		Use:   "graph RECIPE",
		Short: "What a training step is compiled to, stage by stage",
		Long: `graph prints a training step at one stage of its compilation: the equations with their sizes, the same after the rewrites (with what
each rule did), the graph with gradients and optimizer, or the plan of memory and steps for a device that has every kernel.`,
		Example: `  forge graph tiny --stage equations
  forge graph tiny --stage plan
  forge graph tiny -o dot | dot -Tsvg > tiny.svg`,
		Args:        oneArgument,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			o.recipe = args[0]
			return runGraph(a, o)
		},
	}
	cmd.Flags().StringVar(&o.stage, "stage", compiler.StageGraph, "`STAGE`: equations, rewritten, graph or plan")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "`FORMAT`: text, or dot for the stage graph")
	cmd.Flags().StringVar(&o.train, "train", "", "`NAME` of the train section (default: the recipe's first)")
	cmd.Flags().BoolVar(&o.noRewrite, "no-rewrite", false, "plain equations: the reference of every rewrite")
	return cmd
}

func runGraph(a *app, o graphOptions) error {
	stages := []string{compiler.StageEquations, compiler.StageRewritten, compiler.StageGraph, stagePlan}
	if !slices.Contains(stages, o.stage) {
		return unknownName(fmt.Sprintf("--stage %s is no stage", o.stage), o.stage, stages)
	}
	if formats := []string{"text", "dot"}; !slices.Contains(formats, o.format) {
		return unknownName(fmt.Sprintf("-o %s is no format", o.format), o.format, formats)
	}
	if o.format == "dot" && o.stage != compiler.StageGraph {
		return usagef("-o dot draws the stage graph, not %s", o.stage)
	}
	recipe, err := a.loadRecipe(o.recipe)
	if err != nil {
		return err
	}
	stage, err := chooseStage(recipe, o.train)
	if err != nil {
		return err
	}
	sizes := compiler.Options{Batch: int(stage.BatchAt(0)), Seq: stage.Seq, NoRewrite: o.noRewrite}
	if a.json {
		return graphJSON(a, o, stage, sizes)
	}
	return printStage(a.stdout, o, stage, sizes)
}

// chooseStage finds a train section of the recipe; "" is the first.
func chooseStage(r *check.Recipe, name string) (*check.Stage, error) {
	var names []string
	for _, s := range r.Stages {
		if name == "" || s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, unknownName(fmt.Sprintf("the recipe %s has no stage %q", r.Name, name), name, names)
}

// printStage writes what the flags ask for.
func printStage(w io.Writer, o graphOptions, s *check.Stage, sizes compiler.Options) error {
	if o.stage != stagePlan && o.format == "text" {
		return compiler.Print(w, s.Model, s, sizes, o.stage)
	}
	training, err := compiler.Train(s.Model, s, sizes)
	if err != nil {
		return err
	}
	if o.format == "dot" {
		return printDot(w, training.Graph)
	}
	planned, err := plan.Build(training.Graph)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, planned.String())
	return err
}

// graphJSON writes the stage's text in one document, with the sizes that it was compiled for.
func graphJSON(a *app, o graphOptions, s *check.Stage, sizes compiler.Options) error {
	var text strings.Builder
	if err := printStage(&text, o, s, sizes); err != nil {
		return err
	}
	return a.printJSON(map[string]any{
		"stage": o.stage, "train": s.Name, "batch": sizes.Batch, "seq": sizes.Seq, "format": o.format, "text": text.String(),
	})
}

// printDot draws a graph for Graphviz: storages as cylinders, inputs as ellipses, operations as boxes with their shapes.
func printDot(w io.Writer, g *graph.Graph) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "digraph forge {\n  rankdir=BT;\n  node [shape=box, fontname=\"monospace\"];\n")
	for _, n := range g.Nodes() {
		label, shape := "", "box"
		switch n.Kind {
		case graph.InputNode:
			label, shape = n.Name, "ellipse"
		case graph.StorageNode:
			label, shape = n.Name, "cylinder"
		case graph.PickNode:
			label = fmt.Sprintf("result %d", n.Pick)
		default:
			label = n.Op.Name
			if text := op.AttrText(n.Attrs); text != "" {
				label += " " + text
			}
		}
		if n.Kind != graph.PickNode {
			label += "\n" + n.Type().Shape.String()
		}
		if n.Place.Text != "" {
			label += "\n" + n.Place.Text
		}
		fmt.Fprintf(out, "  n%d [label=%q, shape=%s];\n", n.ID, label, shape)
		for _, in := range n.In {
			fmt.Fprintf(out, "  n%d -> n%d;\n", in.ID, n.ID)
		}
	}
	fmt.Fprintf(out, "}\n")
	_, err := io.WriteString(w, out.String())
	return err
}
