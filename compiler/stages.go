package compiler

import (
	"fmt"
	"io"

	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
)

// Stages of compiling that can be printed; the plan is the backends'.
const (
	StageEquations = "equations"
	StageRewritten = "rewritten"
	StageGraph     = "graph"
)

// Print writes a stage of a training step's compilation: the equations as instantiated, the same after rewriting (with what each
// rule did), or the graph with gradients and optimizer.
func Print(w io.Writer, m *check.Model, s *check.Stage, o Options, stage string) error {
	if stage == StageGraph {
		t, err := Train(m, s, o)
		if err != nil {
			return err
		}
		return PrintGraph(w, t.Graph)
	}
	return catch(func() error {
		e := trainingEquations(m, s, o)
		if stage == StageRewritten {
			for _, t := range rewriteAll(e.program, o) {
				if _, err := fmt.Fprintf(w, "# %-14s %d\n", t.Rule, t.Count); err != nil {
					return err
				}
			}
		}
		return e.program.Print(w)
	})
}

// PrintGraph writes a graph's nodes in order, one a line: number, operation with attributes, arguments, type, place.
func PrintGraph(w io.Writer, g *graph.Graph) error {
	number := map[*graph.Node]int{}
	for i, n := range g.Nodes() {
		number[n] = i
		text := fmt.Sprintf("%%%d: %s%s = ", i, n.Type().Dtype, n.Type().Shape)
		switch n.Kind {
		case graph.InputNode:
			text += "input " + n.Name
		case graph.StorageNode:
			text += "storage " + n.Name
		case graph.PickNode:
			text += fmt.Sprintf("pick %d %%%d", n.Pick, number[n.In[0]])
		default:
			text += n.Op.Name
			if a := op.AttrText(n.Attrs); a != "" {
				text += " " + a
			}
			for _, in := range n.In {
				text += fmt.Sprintf(" %%%d", number[in])
			}
		}
		if n.Place.Text != "" {
			text += "  # " + n.Place.Text
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
