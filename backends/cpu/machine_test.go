package cpu

import (
	"errors"
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

// TestMeasure: a program that fits by one value compiles, with one value less of memory neither it nor its storage does.
func TestMeasure(t *testing.T) {
	b, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	g := graph.New("small", false)
	w := op.Type{Shape: op.Shape{64, 32}}
	x, held := g.Input("x", op.Type{Shape: op.Shape{32}}), g.Storage("w", w)
	g.Output("y", op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: "ba", B: "a", Out: "b"}, held, x).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	f, err := b.(backends.Measurer).Measure(g, b.NewStore())
	if err != nil {
		t.Fatal(err)
	}
	if f.Held != 0 || f.Storages != 4*64*32 || f.Values < 4*(32+64) || f.Total() != f.Storages+f.Values {
		t.Errorf("%+v", f)
	}
	for _, bytes := range []int64{f.Total(), f.Total() - 4, f.Storages - 4} {
		small, err := Open(Options{Threads: 1, Memory: bytes})
		if err != nil {
			t.Fatal(err)
		}
		s := small.NewStore()
		err = s.Create("w", w)
		if err == nil {
			_, err = small.Compile(g, s, backends.Options{})
		}
		var large *backends.TooLarge
		if fits := bytes >= f.Total(); errors.As(err, &large) == fits || err != nil && large == nil {
			t.Errorf("with %d bytes of %d: %v", bytes, f.Total(), err)
		}
		small.Close()
	}
}
