package plan

import (
	"slices"
	"strings"
	"testing"

	"forge/compiler/graph"
	"forge/compiler/op"
)

// TestHeldStorages: a packed storage is read where it lies, with its strides, by kernels that can, and copied once for all others; what
// is fixed is not updated.
func TestHeldStorages(t *testing.T) {
	g := graph.New("held", false)
	b := g.At(graph.Place{Span: "held.forge:1:1"})
	x, w := g.Input("x", floats(4, 6)), g.Storage("w", floats(6, 6))
	y := op.One(b, op.Dot, op.DotAttrs{A: "ab", B: "bc", Out: "ac"}, x, w)
	g.Output("y", y.(*graph.Node))
	g.Output("exp", mapped(b, op.FnExp, w).(*graph.Node))
	g.Output("tanh", mapped(b, op.FnTanh, w).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	target := generic
	target.Storage = func(string) Held { return Held{Strides: []int{1, 6}, Packed: true, Fixed: true} }
	target.Reads = func(s *Step, k int) bool { return s.Op == op.Dot && k == 1 && s.Out[0].Buffer != nil }
	p, err := For(g, target)
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	for _, s := range p.Steps {
		for _, v := range s.In {
			switch {
			case v.Buffer.Kind != Storage:
			case s.Op == Copy:
				copies++
			case s.Op != op.Dot:
				t.Errorf("%s reads a packed storage", s.Op.Name)
			case !slices.Equal(v.Strides, []int{1, 6}):
				t.Errorf("the product reads the storage with strides %v", v.Strides)
			}
		}
	}
	if copies != 1 {
		t.Errorf("the storage is copied %d times, not once", copies)
	}

	g = graph.New("held", false)
	at := g.At(graph.Place{Span: "held.forge:7:1"})
	u := g.Storage("u", floats(6, 6))
	g.Update(u, mapped(at, op.FnExp, u).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := For(g, target); err == nil || !strings.Contains(err.Error(), "held.forge:7:1") || !strings.Contains(err.Error(), "storage u") {
		t.Errorf("an update of a fixed storage gives the error %v", err)
	}
}
