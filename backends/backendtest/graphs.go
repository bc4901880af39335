package backendtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// graphs runs random graphs with gradients and updates: many views, sums, joins and values that die at different times. Sharing
// memory must give the same bits as keeping all values, and both must agree with the reference.
func graphs(t *testing.T, b backends.Backend) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomGraph(t, b, seed) })
	}
}

// grower makes a random graph; two growers of one seed make the same.
type grower struct {
	*fed
	b      op.Builder
	random *rand.Rand
	values []op.Value
	leaves []*graph.Node
}

func newGrower(seed uint64, float64s bool) *grower {
	f := newFed(fmt.Sprint("random ", seed), float64s)
	return &grower{fed: f, b: f.graph.At(graph.Place{Span: "random", Text: "graph"}), random: rand.New(rand.NewPCG(seed, 7))}
}

// leaf declares an input, or a storage whose name starts with w.
func (g *grower) leaf(storage bool, shape ...int) op.Value {
	t := floats(shape...)
	data := make([]float64, t.Shape.Size())
	for i := range data {
		data[i] = float64(float32(g.random.Float64() - 0.5))
	}
	name := fmt.Sprint("x", len(g.leaves))
	var n *graph.Node
	if storage {
		name = fmt.Sprint("w", len(g.leaves))
		n = g.graph.Storage(name, t)
		g.data[name], g.types[name] = data, t
	} else {
		n = g.input(name, t, data)
	}
	g.leaves = append(g.leaves, n)
	return n
}

// pick is one of the values, rather a late one.
func (g *grower) pick() op.Value {
	n := len(g.values)
	return g.values[n-1-min(g.random.IntN(n), g.random.IntN(n))]
}

// like is a value of the same shape as x, x itself if there is no other.
func (g *grower) like(x op.Value) op.Value {
	for range 8 {
		if y := g.pick(); y.Type().Shape.Equal(x.Type().Shape) {
			return y
		}
	}
	return x
}

const labels = "abcdefgh"

// grow adds one operation.
func (g *grower) grow() {
	x := g.pick()
	shape := x.Type().Shape
	rank := len(shape)
	axis := g.random.IntN(rank)
	in := labels[:rank]
	var y op.Value
	switch g.random.IntN(12) {
	case 0:
		e := []*op.Func{op.FnTanh, op.FnSilu, op.FnSigmoid, op.FnSquare}[g.random.IntN(4)]
		y = op.One(g.b, op.Map, op.MapAttrs{Expr: op.Call(e, op.In(0)), In: []string{in}, Out: in}, x)
	case 1:
		z := g.like(x)
		y = op.One(g.b, op.Map, op.MapAttrs{Expr: op.Call(op.FnMul, op.In(0), op.In(1)), In: []string{in, in}, Out: in}, x, z)
	case 2:
		y = op.One(g.b, op.Add, nil, x, g.like(x), g.like(x))
	case 3, 4, 5: // a product with a weight along the last axis, plus, sometimes, another
		w := g.leaf(true, shape[rank-1], 1+g.random.IntN(5))
		dot := op.DotAttrs{A: in, B: in[rank-1:] + "z", Out: in[:rank-1] + "z"}
		y = op.One(g.b, op.Dot, dot, x, w)
		if z := g.like(x); g.random.IntN(2) == 0 {
			terms := []op.Value{y, op.One(g.b, op.Dot, dot, z, w)}
			if other := g.like(y); g.random.IntN(2) == 0 {
				terms = append(terms, other)
			}
			y = op.One(g.b, op.Add, nil, terms...)
		}
	case 6:
		n := shape[axis]
		if n < 2 {
			return
		}
		cut := 1 + g.random.IntN(n-1)
		g.values = append(g.values, g.b.Apply(op.Split, op.SplitAttrs{Axis: axis, Sizes: []int{cut, n - cut}}, x)...)
		return
	case 7:
		n := shape[axis]
		start := g.random.IntN(n)
		y = op.One(g.b, op.Slice, op.SliceAttrs{Axis: axis, Start: start, Stop: start + 1 + g.random.IntN(n-start)}, x)
	case 8:
		if shape[axis] > 6 {
			return
		}
		y = op.One(g.b, op.Concat, op.ConcatAttrs{Axis: axis}, x, g.like(x))
	case 9:
		perm := g.random.Perm(rank)
		y = op.One(g.b, op.Transpose, op.TransposeAttrs{Perm: perm}, x)
	case 10:
		y = op.One(g.b, op.Softmax, op.SoftmaxAttrs{Axis: axis}, x)
		if g.random.IntN(2) == 0 {
			gain := g.leaf(true, shape[rank-1])
			y = op.One(g.b, op.RMSNorm, op.RMSNormAttrs{Eps: 0.1}, x, gain)
		}
	case 11:
		flat := op.One(g.b, op.Reshape, op.ReshapeAttrs{Shape: op.Shape{shape.Size()}}, x)
		y = op.One(g.b, op.Reshape, op.ReshapeAttrs{Shape: append(append(op.Shape{}, shape[1:]...), shape[0])}, flat)
	}
	g.values = append(g.values, y)
}

// finish reduces some values to a loss, differentiates it, and updates the storages.
func (g *grower) finish() error {
	var terms []op.Value
	for range 3 {
		x := g.pick()
		in := labels[:len(x.Type().Shape)]
		squares := op.One(g.b, op.Map, op.MapAttrs{Expr: op.Call(op.FnSquare, op.In(0)), In: []string{in}, Out: in}, x)
		terms = append(terms, op.One(g.b, op.Reduce, op.ReduceAttrs{Kind: "mean", In: in}, squares))
	}
	loss := op.One(g.b, op.Add, nil, terms...).(*graph.Node)
	g.graph.Output("loss", loss)
	g.graph.Output("value", g.pick().(*graph.Node))
	reached := reaching(loss)
	var wrt []*graph.Node
	for _, n := range g.leaves {
		if reached[n] {
			wrt = append(wrt, n)
		}
	}
	grads, err := g.graph.Differentiate(loss, wrt)
	if err != nil {
		return err
	}
	for i, d := range grads {
		n := wrt[i]
		in := labels[:len(n.Type().Shape)]
		if n.Kind == graph.InputNode {
			g.graph.Output("gradient of "+n.Name, d)
			continue
		}
		step := op.Call(op.FnSub, op.In(0), op.Call(op.FnMul, op.Const(0.1), op.In(1)))
		g.graph.Update(n, op.One(g.b, op.Map, op.MapAttrs{Expr: step, In: []string{in, in}, Out: in}, n, d).(*graph.Node))
	}
	return nil
}

// reaching are the nodes that a node is made of.
func reaching(n *graph.Node) map[*graph.Node]bool {
	seen := map[*graph.Node]bool{}
	var visit func(n *graph.Node)
	visit = func(n *graph.Node) {
		if !seen[n] {
			seen[n] = true
			for _, m := range n.In {
				visit(m)
			}
		}
	}
	visit(n)
	return seen
}

// grownGraph is the graph of a seed.
func grownGraph(t *testing.T, seed uint64, float64s bool) *grower {
	t.Helper()
	g := newGrower(seed, float64s)
	var failed error
	if err := graph.Catch(func() {
		for range 2 {
			g.values = append(g.values, g.leaf(false, 1+g.random.IntN(4), 2+g.random.IntN(4), 1+g.random.IntN(5)))
		}
		for range 25 {
			g.grow()
		}
		failed = g.finish()
	}); err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Fatal(failed)
	}
	g.seal(t)
	return g
}

func randomGraph(t *testing.T, b backends.Backend, seed uint64) {
	exact := grownGraph(t, seed, true)
	all := exact.interpret(t)
	want := exact.kept(all)
	g := grownGraph(t, seed, false)
	planned := g.step(t, b, backends.Options{}, nil)
	near(t, planned, want, 5e-4)
	keeping := g.step(t, b, backends.Options{KeepAll: true}, func(p backends.Program) {
		// Every node that has a value has the right one.
		got, want := map[string][]float32{}, map[string][]float64{}
		nodes := exact.graph.Nodes()
		for i, n := range g.graph.Nodes() {
			if v, err := p.Value(n); err == nil && n.Kind != graph.StorageNode {
				got[n.Name], want[n.Name] = v, all[nodes[i]][0].Data
			}
		}
		if len(got) < len(nodes)/2 {
			t.Errorf("only %d of %d nodes have a value", len(got), len(nodes))
		}
		near(t, got, want, 5e-4)
	})
	sameBits(t, "keeping all values", keeping, planned)
}

// step runs the graph once on a fresh store and gives its outputs and what the storages hold afterwards. look, if not nil, sees the
// program after the run.
func (g *grower) step(t *testing.T, b backends.Backend, o backends.Options, look func(backends.Program)) map[string][]float32 {
	t.Helper()
	s := b.NewStore()
	for _, n := range g.graph.Storages() {
		must(t, s.Create(n.Name, n.Type()))
		must(t, s.Write(n.Name, rounded(g.data[n.Name])))
	}
	p, err := b.Compile(g.graph, s, o)
	must(t, err)
	defer p.Close()
	for _, n := range g.graph.Inputs() {
		if data, ok := g.data[n.Name]; ok {
			must(t, p.SetFloats(n.Name, rounded(data)))
		}
	}
	must(t, p.RunAll())
	if look != nil {
		look(p)
	}
	out := map[string][]float32{}
	for _, o := range g.graph.Outputs() {
		v, err := p.Output(o.Name)
		must(t, err)
		out[o.Name] = append([]float32{}, v...)
	}
	for _, u := range g.graph.Updates() {
		v := make([]float32, u.Storage.Type().Shape.Size())
		must(t, s.Read(u.Storage.Name, v))
		out["new "+u.Storage.Name] = v
	}
	return out
}
