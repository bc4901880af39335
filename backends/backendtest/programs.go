package backendtest

import (
	"testing"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// programs checks what holds for programs and stores whatever the operation: names, lengths, types, swaps, values.
func programs(t *testing.T, b backends.Backend) {
	t.Run("store", func(t *testing.T) { storeRules(t, b) })
	t.Run("inputs", func(t *testing.T) { inputRules(t, b) })
	t.Run("swap", func(t *testing.T) { swap(t, b) })
	t.Run("values", func(t *testing.T) { values(t, b) })
	t.Run("missing storage", func(t *testing.T) { missing(t, b) })
	t.Run("profile", func(t *testing.T) { profiled(t, b) })
}

func floats(shape ...int) op.Type { return op.Type{Shape: shape, Dtype: op.Float} }
func ints(shape ...int) op.Type   { return op.Type{Shape: shape, Dtype: op.Int32} }

func storeRules(t *testing.T, b backends.Backend) {
	s := b.NewStore()
	must(t, s.Create("b", floats(2, 3)))
	must(t, s.Create("a", ints(2)))
	must(t, s.Create("b", floats(2, 3)))
	wants(t, s.Create("b", floats(3, 2)), "b")
	if names := s.Names(); len(names) != 2 || names[0] != "b" || names[1] != "a" {
		t.Errorf("the names are %q, not in the order of creation", names)
	}
	if ty, ok := s.Type("b"); !ok || !ty.Shape.Equal(op.Shape{2, 3}) {
		t.Errorf("the type of b is %v", ty)
	}
	if _, ok := s.Type("c"); ok {
		t.Error("there is a type of a storage that was not created")
	}
	zeros := make([]float32, 6)
	must(t, s.Read("b", zeros))
	for _, v := range zeros {
		if v != 0 {
			t.Fatal("new storage is not zero")
		}
	}
	must(t, s.Write("a", []float32{-3, 1 << 20}))
	whole := make([]float32, 2)
	must(t, s.Read("a", whole))
	if whole[0] != -3 || whole[1] != 1<<20 {
		t.Errorf("integers come back as %v", whole)
	}
	wants(t, s.Read("b", whole), "b")
	wants(t, s.Write("b", whole), "b")
	wants(t, s.Write("c", whole), "c")
}

func inputRules(t *testing.T, b backends.Backend) {
	g := graph.New("inputs", false)
	at := g.At(graph.Place{})
	x, ids := g.Input("x", floats(2)), g.Input("ids", ints(2))
	g.Output("y", op.One(at, op.Add, nil, x, x).(*graph.Node))
	g.Output("ids", ids)
	must(t, g.Seal())
	p, err := b.Compile(g, b.NewStore(), backends.Options{})
	must(t, err)
	wants(t, p.SetFloats("x", make([]float32, 3)), "x")
	wants(t, p.SetFloats("ids", make([]float32, 2)), "ids")
	wants(t, p.SetInts("x", make([]int32, 2)), "x")
	wants(t, p.SetInts("nothing", make([]int32, 2)), "nothing")
	_, err = p.Output("nothing")
	wants(t, err, "nothing")
	must(t, p.SetFloats("x", []float32{1, 2}))
	must(t, p.SetInts("ids", []int32{7, -7}))
	must(t, p.RunAll())
	expect(t, p, "y", 2, 4)
	expect(t, p, "ids", 7, -7)
	// Inputs stay as they are from run to run.
	must(t, p.RunAll())
	expect(t, p, "y", 2, 4)
	must(t, p.Close())
	if p.RunAll() == nil {
		t.Error("a closed program runs")
	}
}

// swap updates storages with each other's old values and with views of themselves.
func swap(t *testing.T, b backends.Backend) {
	g := graph.New("swap", false)
	at := g.At(graph.Place{})
	x, y, z := g.Storage("x", floats(2)), g.Storage("y", floats(2)), g.Storage("z", floats(2, 2))
	g.Update(x, y)
	g.Update(y, x)
	turned := op.One(at, op.Transpose, op.TransposeAttrs{Perm: []int{1, 0}}, z).(*graph.Node)
	g.Update(z, turned)
	g.Output("turned", turned)
	g.Output("x", x)
	must(t, g.Seal())
	s := b.NewStore()
	for _, n := range g.Storages() {
		must(t, s.Create(n.Name, n.Type()))
	}
	must(t, s.Write("x", []float32{1, 2}))
	must(t, s.Write("y", []float32{3, 4}))
	must(t, s.Write("z", []float32{1, 2, 3, 4}))
	p, err := b.Compile(g, s, backends.Options{})
	must(t, err)
	defer p.Close()
	must(t, p.RunAll())
	expect(t, p, "turned", 1, 3, 2, 4)
	expect(t, p, "x", 1, 2)
	expectStored(t, s, "x", 3, 4)
	expectStored(t, s, "y", 1, 2)
	expectStored(t, s, "z", 1, 3, 2, 4)
}

// values reads every node of a program that keeps all.
func values(t *testing.T, b backends.Backend) {
	g := graph.New("values", false)
	at := g.At(graph.Place{})
	x := g.Input("x", floats(2, 2))
	double := op.One(at, op.Add, nil, x, x)
	turned := op.One(at, op.Transpose, op.TransposeAttrs{Perm: []int{1, 0}}, double)
	negative := op.One(at, op.Map, op.MapAttrs{Expr: op.Call(op.FnNeg, op.In(0)), In: []string{"ab"}, Out: "ab"}, turned)
	g.Output("y", negative.(*graph.Node))
	must(t, g.Seal())
	p, err := b.Compile(g, b.NewStore(), backends.Options{KeepAll: true})
	must(t, err)
	defer p.Close()
	must(t, p.SetFloats("x", []float32{1, 2, 3, 4}))
	must(t, p.RunAll())
	for n, want := range map[*graph.Node][]float32{
		x: {1, 2, 3, 4}, double.(*graph.Node): {2, 4, 6, 8}, turned.(*graph.Node): {2, 6, 4, 8}, negative.(*graph.Node): {-2, -6, -4, -8},
	} {
		v, err := p.Value(n)
		must(t, err)
		same(t, n.Name, v, want)
	}
}

func missing(t *testing.T, b backends.Backend) {
	g := graph.New("missing", false)
	w := g.Storage("w", floats(2))
	g.Output("y", op.One(g.At(graph.Place{}), op.Add, nil, w, w).(*graph.Node))
	must(t, g.Seal())
	_, err := b.Compile(g, b.NewStore(), backends.Options{})
	wants(t, err, "w")
	s := b.NewStore()
	must(t, s.Create("w", floats(3)))
	_, err = b.Compile(g, s, backends.Options{})
	wants(t, err, "w")
}

func profiled(t *testing.T, b backends.Backend) {
	g := graph.New("profile", false)
	x := g.Input("x", floats(8, 8))
	g.Output("y", op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: "ab", B: "bc", Out: "ac"}, x, x).(*graph.Node))
	must(t, g.Seal())
	p, err := b.Compile(g, b.NewStore(), backends.Options{Profile: true})
	must(t, err)
	defer p.Close()
	for range 3 {
		must(t, p.RunAll())
	}
	s := p.Stats()
	if s.FLOPs != 2*8*8*8 {
		t.Errorf("%v FLOPs, not %d", s.FLOPs, 2*8*8*8)
	}
	for _, o := range s.Profile {
		if o.Op == op.Dot.Name {
			if o.Calls != 3 {
				t.Errorf("%d calls of dot, not 3", o.Calls)
			}
			return
		}
	}
	t.Errorf("the profile %v has no dot", s.Profile)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, p backends.Program, name string, want ...float32) {
	t.Helper()
	v, err := p.Output(name)
	must(t, err)
	same(t, name, v, want)
}

func expectStored(t *testing.T, s backends.Store, name string, want ...float32) {
	t.Helper()
	v := make([]float32, len(want))
	must(t, s.Read(name, v))
	same(t, name, v, want)
}

func same(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("%s is %v, not %v", name, got, want)
		}
	}
}
