package cpu

import (
	"strings"
	"testing"

	"forge/backends"
	"forge/backends/machine"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// TestTooLarge: what does not fit into memory is an error, not the end of the process.
func TestTooLarge(t *testing.T) {
	if machine.Limit().Bytes > 1<<50 {
		t.Skip("the system does not tell how much memory there is")
	}
	b, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	huge := op.Type{Shape: op.Shape{1 << 24, 1 << 24}}
	s := b.NewStore()
	if err := s.Create("w", huge); err == nil || !strings.Contains(err.Error(), "w") {
		t.Errorf("creating 2⁴⁸ values: %v", err)
	}
	g := graph.New("huge", false)
	x := g.Input("x", op.Type{Shape: op.Shape{1 << 24}})
	outer := op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: "a", B: "b", Out: "ab"}, x, x)
	g.Output("y", op.One(g.At(graph.Place{}), op.Reduce, op.ReduceAttrs{Kind: "sum", In: "ab"}, outer).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Compile(g, s, backends.Options{}); err == nil || !strings.Contains(err.Error(), "GiB") {
		t.Errorf("compiling a graph of 2⁴⁸ values: %v", err)
	}
	double := graph.New("double", true)
	y := double.Input("y", op.Type{Shape: op.Shape{1}})
	double.Output("y", y)
	if err := double.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Compile(double, s, backends.Options{}); err == nil || !strings.Contains(err.Error(), "float64") {
		t.Errorf("compiling a graph in float64: %v", err)
	}
}
