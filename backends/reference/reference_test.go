package reference_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"forge/backends"
	"forge/backends/reference"
	"forge/compiler/graph"
	"forge/compiler/op"
)

func floats(shape ...int) op.Type { return op.Type{Shape: shape} }

// descent is a step of w ← w − 0.1·∂/∂w Σ(w·x − 1)², with two more storages that swap each run and a counter.
func descent(t *testing.T, float64s bool) *graph.Graph {
	t.Helper()
	g := graph.New("descent", float64s)
	b := g.At(graph.Place{Span: "test.forge:1:1", Text: "descent"})
	w, x := g.Storage("w", floats(2)), g.Input("x", floats(2))
	apply := func(e *op.Expr, in ...op.Value) op.Value {
		labels := make([]string, len(in))
		for i := range labels {
			labels[i] = "a"
		}
		return op.One(b, op.Map, op.MapAttrs{Expr: e, In: labels, Out: "a"}, in...)
	}
	wrong := apply(op.Call(op.FnSquare, op.Call(op.FnSub, op.Call(op.FnMul, op.In(0), op.In(1)), op.Const(1))), w, x)
	loss := op.One(b, op.Reduce, op.ReduceAttrs{Kind: "sum", In: "a"}, wrong).(*graph.Node)
	grads, err := g.Differentiate(loss, []*graph.Node{w})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("loss", loss)
	g.Update(w, apply(op.Call(op.FnSub, op.In(0), op.Call(op.FnMul, op.Const(0.1), op.In(1))), w, grads[0]).(*graph.Node))
	left, right := g.Storage("left", floats()), g.Storage("right", floats())
	g.Update(left, right)
	g.Update(right, left)
	ids := g.Storage("ids", op.Type{Shape: op.Shape{3}, Dtype: op.Int32})
	shifted := op.One(b, op.Prev, op.PrevAttrs{N: 1}, ids).(*graph.Node)
	g.Update(ids, shifted)
	g.Output("ids", shifted)
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	return g
}

func compile(t *testing.T, g *graph.Graph, o backends.Options) (backends.Program, backends.Store) {
	t.Helper()
	b := reference.New()
	s := b.NewStore()
	for _, n := range g.Storages() {
		if err := s.Create(n.Name, n.Type()); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.Compile(g, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s backends.Store, name string, n int) []float32 {
	t.Helper()
	v := make([]float32, n)
	must(t, s.Read(name, v))
	return v
}

func TestStepsFollowTheGradient(t *testing.T) {
	for _, float64s := range []bool{false, true} {
		p, s := compile(t, descent(t, float64s), backends.Options{})
		must(t, s.Write("w", []float32{0.5, -1}))
		must(t, s.Write("left", []float32{1}))
		must(t, s.Write("right", []float32{2}))
		must(t, s.Write("ids", []float32{7, 8, 9}))
		must(t, p.SetFloats("x", []float32{2, 1}))
		w, x := []float64{0.5, -1}, []float64{2, 1}
		for step := range 3 {
			must(t, p.RunAll())
			loss := 0.0
			for i := range w {
				d := w[i]*x[i] - 1
				loss += d * d
				w[i] -= 0.1 * 2 * d * x[i]
			}
			got, err := p.Output("loss")
			must(t, err)
			if math.Abs(float64(got[0])-loss) > 1e-6 {
				t.Errorf("float64s=%v: the loss of step %d is %v, want %v", float64s, step, got[0], loss)
			}
			p.Reset()
		}
		for i, v := range read(t, s, "w", 2) {
			if math.Abs(float64(v)-w[i]) > 1e-6 {
				t.Errorf("float64s=%v: w[%d] is %v, want %v", float64s, i, v, w[i])
			}
		}
		if l, r := read(t, s, "left", 1)[0], read(t, s, "right", 1)[0]; l != 2 || r != 1 {
			t.Errorf("three swaps of 1 and 2 give %v and %v", l, r)
		}
		if ids := read(t, s, "ids", 3); !slices.Equal(ids, []float32{0, 0, 0}) {
			t.Errorf("ids are %v", ids)
		}
		if out, err := p.Output("ids"); err != nil || !slices.Equal(out, []float32{0, 0, 0}) {
			t.Errorf("the last ids are %v, error %v", out, err)
		}
		must(t, p.Close())
	}
}

func TestEveryValueIsKeptOnDemand(t *testing.T) {
	g := descent(t, true)
	p, _ := compile(t, g, backends.Options{KeepAll: true})
	if _, err := p.Output("loss"); err == nil {
		t.Error("an output before the first run")
	}
	must(t, p.RunAll())
	for _, n := range g.Nodes() {
		if v, err := p.Value(n); err != nil || len(v) != n.Type().Shape.Size() {
			t.Errorf("%s: %d values, error %v", n, len(v), err)
		}
	}
	stats := p.Stats()
	if stats.Kernels == 0 || stats.FLOPs == 0 || stats.StoreBytes != 8*(2+1+1+3) || stats.ArenaBytes != stats.UnplannedBytes {
		t.Errorf("stats are %+v", stats)
	}
	p, _ = compile(t, g, backends.Options{})
	must(t, p.RunAll())
	if _, err := p.Value(g.Nodes()[0]); err == nil {
		t.Error("a value without KeepAll")
	}
}

func TestWrongUses(t *testing.T) {
	g := descent(t, false)
	p, s := compile(t, g, backends.Options{})
	b := reference.New()
	compileInto := func(s backends.Store) error {
		_, err := b.Compile(g, s, backends.Options{})
		return err
	}
	other := b.NewStore()
	must(t, other.Create("w", floats(3)))
	output := func(name string) error {
		_, err := p.Output(name)
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{compileInto(nil), "another backend"},
		{compileInto(b.NewStore()), "the store has no storage w"},
		{compileInto(other), "storage w is float[3], the graph wants float[2]"},
		{s.Create("w", floats(2)), ""},
		{s.Create("w", floats(3)), "exists as float[2], not float[3]"},
		{s.Create("empty", floats(0)), "at least 1 long"},
		{s.Read("w", make([]float32, 3)), "holds 2 values, not 3"},
		{s.Write("nothing", nil), "there is no storage nothing"},
		{p.SetFloats("x", []float32{1}), "of 2 values, not 1"},
		{p.SetInts("x", []int32{1, 2}), "is float[2], not int32"},
		{p.SetFloats("y", nil), "no input y"},
		{output("y"), "no output y"},
	} {
		if c.want == "" && c.err == nil {
			continue
		}
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want %q", c.err, c.want)
		}
	}
	if names := s.Names(); !slices.Equal(names, []string{"w", "left", "right", "ids"}) {
		t.Errorf("names are %q", names)
	}
	if ty, ok := s.Type("ids"); !ok || ty.Dtype != op.Int32 {
		t.Errorf("ids are %v, %v", ty, ok)
	}
	if _, ok := s.Type("nothing"); ok {
		t.Error("a storage that was not created has a type")
	}
	must(t, p.Close())
	if p.RunAll() == nil || p.SetFloats("x", []float32{1, 2}) == nil {
		t.Error("a closed program runs")
	}
}
