package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forge/backends/plan"
	"forge/compiler"
	"forge/compiler/draw"
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

// The stages before and after those of the compiler: the model as the recipe says it, and the backends' plan of memory and steps.
const (
	stageModel = "model"
	stagePlan  = "plan"
)

// drawings are the formats that draw the stage model, and are it by default.
var drawings = []string{"dot", "html", "mermaid", "svg"}

func newGraphCommand(a *app) *cobra.Command {
	o := graphOptions{}
	cmd := &cobra.Command{
		Use:   "graph RECIPE",
		Short: "A picture of the model; what a training step is compiled to, stage by stage",
		Long: `graph draws a recipe's model (-o svg, html, mermaid or dot): equal layers folded, shapes at the arrows, parameters in the boxes,
each of which leads to its line of the recipe. The html page stands alone and shows the inside of every block.

As text, it prints a training step at one stage of its compilation: the equations with their sizes, the same after the rewrites (with
what each rule did), the graph with gradients and optimizer, or the plan of memory and steps for a device that has every kernel.`,
		Example: `  forge graph tiny -o html > tiny.html
  forge graph deepseek_v3 -o svg > v3.svg
  forge graph tiny --stage equations
  forge graph tiny --stage graph -o dot | dot -Tsvg > step.svg`,
		Args:        oneArgument,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.recipe = args[0]
			if slices.Contains(drawings, o.format) && !cmd.Flags().Changed("stage") {
				o.stage = stageModel
			}
			return runGraph(a, o)
		},
	}
	cmd.Flags().StringVar(&o.stage, "stage", compiler.StageGraph, "`STAGE`: equations, rewritten, graph or plan; model for drawings")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "`FORMAT`: text; dot, svg, mermaid or html for the model; dot for the stage graph")
	cmd.Flags().StringVar(&o.train, "train", "", "`NAME` of the train section (default: the recipe's first)")
	cmd.Flags().BoolVar(&o.noRewrite, "no-rewrite", false, "plain equations: the reference of every rewrite")
	return cmd
}

func runGraph(a *app, o graphOptions) error {
	stages := []string{stageModel, compiler.StageEquations, compiler.StageRewritten, compiler.StageGraph, stagePlan}
	if !slices.Contains(stages, o.stage) {
		return unknownName(fmt.Sprintf("--stage %s is no stage", o.stage), o.stage, stages)
	}
	if formats := append([]string{"text"}, drawings...); !slices.Contains(formats, o.format) {
		return unknownName(fmt.Sprintf("-o %s is no format", o.format), o.format, formats)
	}
	switch drawn := o.format != "text"; {
	case !drawn && o.stage == stageModel:
		return usagef("--stage model is drawn: add -o %s", strings.Join(drawings, ", -o "))
	case drawn && o.stage != stageModel && (o.stage != compiler.StageGraph || o.format != "dot"):
		return usagef("-o %s draws the model, not the stage %s", o.format, o.stage)
	}
	recipe, err := a.loadRecipe(o.recipe)
	if err != nil {
		return err
	}
	stage, err := chooseStage(recipe, o.train)
	if err != nil {
		return err
	}
	if o.stage == stageModel {
		return a.drawModel(o, recipe, stage)
	}
	sizes := compiler.Options{Batch: int(stage.BatchAt(0)), Seq: stage.Seq, NoRewrite: o.noRewrite, Recompute: compiler.Recomputed(recipe)}
	if a.json {
		return graphJSON(a, o, stage, sizes)
	}
	return printStage(a.stdout, o, stage, sizes)
}

// drawModel writes the picture of a stage's model.
func (a *app) drawModel(o graphOptions, r *check.Recipe, s *check.Stage) error {
	picture := draw.Model(r, s)
	write := func(w io.Writer) error {
		switch o.format {
		case "svg":
			return picture.SVG(w)
		case "mermaid":
			return picture.Mermaid(w)
		case "html":
			return picture.HTML(w, check.Sources(systemFiles{}, a.sets))
		}
		return picture.Dot(w)
	}
	if !a.json {
		return write(a.stdout)
	}
	var text strings.Builder
	if err := write(&text); err != nil {
		return err
	}
	return a.printJSON(map[string]any{"stage": o.stage, "train": s.Name, "format": o.format, "text": text.String()})
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
