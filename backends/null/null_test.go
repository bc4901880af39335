package null

import (
	"testing"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// TestRun takes a graph whose matrices would be 4 TiB each through a run.
func TestRun(t *testing.T) {
	const n = 1 << 20
	square := op.Type{Shape: op.Shape{n, n}}
	g := graph.New("huge", false)
	at := g.At(graph.Place{})
	w, x := g.Storage("w", square), g.Input("x", op.Type{Shape: op.Shape{n}})
	y := op.One(at, op.Dot, op.DotAttrs{A: "a", B: "ab", Out: "b"}, x, w)
	outer := op.One(at, op.Dot, op.DotAttrs{A: "a", B: "b", Out: "ab"}, x, y)
	g.Update(w, op.One(at, op.Add, nil, w, outer).(*graph.Node))
	g.Output("y", y.(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	b := New()
	s := b.NewStore()
	if _, err := b.Compile(g, s, backends.Options{}); err == nil {
		t.Error("a storage that was not created is no error")
	}
	if err := s.Create("w", square); err != nil {
		t.Fatal(err)
	}
	p, err := b.Compile(g, s, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetFloats("x", make([]float32, n)); err != nil {
		t.Error(err)
	}
	if p.SetFloats("x", nil) == nil || p.SetInts("x", make([]int32, n)) == nil || p.SetFloats("z", nil) == nil {
		t.Error("a wrong input is no error")
	}
	if err := p.RunAll(); err != nil {
		t.Error(err)
	}
	if y, err := p.Output("y"); err != nil || len(y) != n {
		t.Errorf("output y has %d values: %v", len(y), err)
	}
	if got := p.Stats().StoreBytes; got != 4<<40 {
		t.Errorf("the store has %d bytes, not %d", got, int64(4)<<40)
	}
}
