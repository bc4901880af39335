package graph

import (
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gorgonia.org/gorgonia"

	"forge/compiler/op"
)

// Each test holds shut one way in which gorgonia gives a wrong result without an error, or panics, as found in v0.9.18. It fails if
// this package stops guarding, or if an upgrade of gorgonia changes what the guard relies on.

var here = Place{Span: "test.forge:3:1", Text: "part"}

// wantError checks the text and, except where there is no place, that the error carries it.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %q", err, text)
	}
}

func wantErrorHere(t *testing.T, err error, text string) {
	t.Helper()
	wantError(t, err, text)
	if err != nil && !strings.HasPrefix(err.Error(), here.String()+": ") {
		t.Errorf("%v does not begin with its place", err)
	}
}

func scale(factor float64, labels string) op.MapAttrs {
	return op.MapAttrs{Expr: op.Call(op.FnMul, op.Const(factor), op.In(0)), In: []string{labels}, Out: labels}
}

func square(labels string) op.MapAttrs {
	return op.MapAttrs{Expr: op.Call(op.FnSquare, op.In(0)), In: []string{labels}, Out: labels}
}

func total(labels string) op.ReduceAttrs {
	return op.ReduceAttrs{Kind: "sum", In: labels}
}

func tensorOf(shape op.Shape, data ...float64) op.Tensor { return op.Tensor{Shape: shape, Data: data} }

// gorgonia takes two inputs of one name for one node, and unnamed ones too.
func TestTrap01UnnamedAndRepeatedInputs(t *testing.T) {
	g := New("inputs", false)
	g.Input("a", floatType(2))
	wantError(t, Catch(func() { g.Input("", floatType(2)) }), "without a name")
	wantError(t, Catch(func() { g.Input("a", floatType(2)) }), `a: the name "a" is taken`)
	wantError(t, Catch(func() { g.Storage("a", floatType(3)) }), `the name "a" is taken`)
	g.Storage("b", floatType(2))
	if n := len(g.expr.AllNodes()); n != 2 || len(g.Nodes()) != 2 {
		t.Errorf("%d gorgonia nodes and %d nodes for 2 inputs", n, len(g.Nodes()))
	}
}

// gorgonia merges operations whose hashes are the same: an attribute that the hash lacks, or one operation applied twice.
func TestTrap02HashesHoldEveryAttribute(t *testing.T) {
	hash := func(o *op.Op, a op.Attrs) uint32 {
		h := fnv.New32a()
		(&gorgoniaOp{name: "x", text: o.Name + "[" + op.AttrText(a) + "]"}).WriteHash(h)
		return h.Sum32()
	}
	for _, o := range op.All() {
		seen := map[uint32]op.Attrs{}
		for _, s := range o.Samples {
			h := hash(o, s.Attrs)
			if other, ok := seen[h]; ok && !reflect.DeepEqual(other, s.Attrs) {
				t.Errorf("%s: %s and %s have one hash", o, op.AttrText(other), op.AttrText(s.Attrs))
			}
			seen[h] = s.Attrs
		}
		s := o.Samples[0]
		g := New("twice", true)
		values := make([]op.Value, len(s.In))
		for i, in := range s.In {
			values[i] = g.Input(fmt.Sprint(i), in)
		}
		one, two := g.At(here).Apply(o, s.Attrs, values...), g.At(here).Apply(o, s.Attrs, values...)
		if a, b := one[0].(*Node), two[0].(*Node); a.expr == b.expr || a.Name == b.Name {
			t.Errorf("%s applied twice is one node", o)
		}
	}
	// That AttrText tells every field apart is tested in compiler/op.
}

// gorgonia's hashes have 32 bits, and it forgets the children when it compares: relu of either of these two inputs is one node.
func TestTrap03Collisions(t *testing.T) {
	const a, b = "layers.91.experts.108.w", "layers.1037.experts.136.w"
	plain := gorgonia.NewGraph()
	leaf := func(name string) *gorgonia.Node {
		return gorgonia.NewMatrix(plain, gorgonia.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName(name))
	}
	if leaf(a).Hashcode() != leaf(b).Hashcode() {
		t.Fatal("the names were chosen because gorgonia's hashes of them are the same")
	}
	g := New("collision", false)
	x, y := g.Storage(a, floatType(2, 2)), g.Storage(b, floatType(2, 2))
	if x.expr == y.expr || x.expr.Hashcode() == y.expr.Hashcode() {
		t.Error("two inputs are one node or have one hash")
	}
	builder := g.At(here)
	p, q := op.One(builder, op.Map, scale(2, "ab"), x).(*Node), op.One(builder, op.Map, scale(2, "ab"), y).(*Node)
	g.Output("p", p)
	g.Output("q", q)
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	values, err := g.Interpret(map[string]op.Tensor{a: tensorOf(op.Shape{2, 2}, 1, 2, 3, 4), b: tensorOf(op.Shape{2, 2}, 10, 20, 30, 40)})
	if err != nil {
		t.Fatal(err)
	}
	if values[p][0].Data[1] != 4 || values[q][0].Data[1] != 40 {
		t.Errorf("2·[1 2 3 4] is %v and 2·[10 20 30 40] is %v", values[p][0].Data, values[q][0].Data)
	}

	// An operation whose name collides is renamed: the door is shown a hash that is taken.
	g = New("renamed", true)
	in := g.Input("x", floatType(2))
	first := op.One(g.At(here), op.Map, scale(2, "a"), in).(*Node)
	o := *first.expr.Op().(*gorgoniaOp)
	second, err := g.emit(&o, []*Node{in})
	if err != nil || second == first.expr || second.Hashcode() == first.expr.Hashcode() {
		t.Errorf("the second of two operations with one hash: %v, error %v", second, err)
	}
}

// gorgonia merges constants that print the same.
func TestTrap04NoConstants(t *testing.T) {
	g, _, _ := trainingGraph(t)
	for _, n := range g.expr.AllNodes() {
		if _, ours := n.Op().(*gorgoniaOp); n.Op() != nil && !ours && !isSum(n.Op()) {
			t.Errorf("a foreign node %v with %T", n, n.Op())
		}
	}
}

// Function types are pooled by gorgonia, its types do not hold shapes, and its messages do not know the recipe.
func TestTrap05TypesAndShapes(t *testing.T) {
	g := New("types", false)
	x, ids := g.Input("x", floatType(2, 3)), g.Input("ids", intType(2, 3))
	y := op.One(g.At(here), op.Map, scale(2, "ab"), x).(*Node)
	o := y.expr.Op().(*gorgoniaOp)
	if one, two := o.Type(), o.Type(); reflect.ValueOf(one).Pointer() == reflect.ValueOf(two).Pointer() {
		t.Error("Type gives one function type twice")
	}
	if _, byValue := g.typeOf(x.Type()).(gorgonia.TensorType); !byValue {
		t.Error("tensor types must be values")
	}
	if _, err := o.InferShape(shapeOf(floatType(3, 2))); err == nil {
		t.Error("InferShape takes another shape")
	}
	mixed := op.Op{Name: "mixed", Inputs: []string{"x"}, Infer: func(op.Attrs, []op.Type) ([]op.Type, error) {
		return []op.Type{floatType(2), intType(2)}, nil
	}}
	none := op.Op{Name: "none", Inputs: []string{"x"}, Infer: func(op.Attrs, []op.Type) ([]op.Type, error) { return nil, nil }}
	other := New("other", false).Input("x", floatType(2, 3))
	two := g.At(here).Apply(op.Split, op.SplitAttrs{Axis: 1, Sizes: []int{1, 2}}, x)[0].(*Node).In[0]
	for _, c := range []struct {
		what string
		f    func(b op.Builder)
		want string
	}{
		{"rank", func(b op.Builder) { b.Apply(op.Map, scale(2, "abc"), x) }, `labels "abc" name 3 axes`},
		{"dtype", func(b op.Builder) { b.Apply(op.Map, scale(2, "ab"), ids) }, "int32[2, 3], want floats"},
		{"arity", func(b op.Builder) { b.Apply(op.Dot, op.DotAttrs{A: "ab", B: "b", Out: "a"}, x) }, "dot[{A:ab B:b Out:a}](float[2, 3]): 1 inputs, want (a, b)"},
		{"attributes", func(b op.Builder) { b.Apply(op.Map, nil, x) }, "attributes are <nil>"},
		{"no value", func(b op.Builder) { b.Apply(op.Map, scale(2, "ab"), nil) }, "no value"},
		{"nil node", func(b op.Builder) { b.Apply(op.Map, scale(2, "ab"), (*Node)(nil)) }, "no value"},
		{"another graph", func(b op.Builder) { b.Apply(op.Map, scale(2, "ab"), other) }, "x belongs to another graph"},
		{"several outputs", func(b op.Builder) { b.Apply(op.Map, scale(2, "ab"), two) }, "one must be picked"},
		{"mixed outputs", func(b op.Builder) { b.Apply(&mixed, nil, x) }, "outputs of both float and int32"},
		{"no outputs", func(b op.Builder) { b.Apply(&none, nil, x) }, "no outputs"},
		{"no operation", func(b op.Builder) { b.Apply(nil, nil, x) }, "no operation"},
	} {
		t.Run(c.what, func(t *testing.T) { wantErrorHere(t, Catch(func() { c.f(g.At(here)) }), c.want) })
	}
}

// Backpropagate panics on a missing gradient, and says nothing of the recipe where a parameter is not reached.
func TestTrap06MissingGradients(t *testing.T) {
	infer := func(_ op.Attrs, in []op.Type) ([]op.Type, error) { return in[:1], nil }
	rule := func(f func(b op.Builder, in, grad []op.Value) []op.Value) *op.Op {
		return &op.Op{Name: "broken", Inputs: []string{"x"}, Outputs: []string{"y"}, Infer: infer, Gradient: op.Gradient{
			Rule: func(b op.Builder, _ op.Attrs, in, _, grad []op.Value) []op.Value { return f(b, in, grad) },
		}}
	}
	differentiate := func(o *op.Op, a op.Attrs) error {
		g := New("gradients", true)
		x := g.Storage("w", floatType(2))
		y := op.One(g.At(here), o, a, x)
		_, err := g.Differentiate(op.One(g.At(here), op.Reduce, total("a"), y).(*Node), []*Node{x})
		return err
	}
	wantErrorHere(t, differentiate(rule(func(op.Builder, []op.Value, []op.Value) []op.Value { return nil }), nil), "gives none for input 0")
	wantErrorHere(t, differentiate(rule(func(op.Builder, []op.Value, []op.Value) []op.Value { panic("oh") }), nil), "the gradient of broken: oh")
	wantErrorHere(t, differentiate(rule(func(b op.Builder, _, grad []op.Value) []op.Value {
		return []op.Value{op.One(b, op.Reduce, total("a"), grad[0])}
	}), nil), "for input 0 is float[], the input float[2]")
	wantErrorHere(t, differentiate(rule(func(b op.Builder, in, _ []op.Value) []op.Value {
		return []op.Value{op.One(b, op.Transpose, op.TransposeAttrs{Perm: []int{1, 0}}, in[0])}
	}), nil), "the gradient's transpose")
	wantError(t, differentiate(op.StopGradient, nil), `w: the loss does not depend on "w"`)
	wantError(t, differentiate(op.Top, op.TopAttrs{N: 1}), `the loss does not depend on "w"`)

	g := New("losses", true)
	w, unused, ids := g.Storage("w", floatType(2)), g.Storage("unused", floatType(2)), g.Input("ids", intType())
	y := op.One(g.At(here), op.Map, square("a"), w).(*Node)
	loss := op.One(g.At(here), op.Reduce, total("a"), y).(*Node)
	for _, c := range []struct {
		loss *Node
		wrt  []*Node
		want string
	}{
		{loss, []*Node{w, unused}, `unused: the loss does not depend on "unused"`},
		{y, []*Node{w}, "the loss is float[2], want a float scalar"},
		{ids, []*Node{w}, "the loss is int32[], want a float scalar"},
		{loss, nil, "nothing to differentiate"},
		{loss, []*Node{w, w}, `"w" is listed twice`},
		{loss, []*Node{y}, "with respect to float inputs and storages"},
		{loss, []*Node{nil}, "no value"},
		{nil, []*Node{w}, "no value"},
	} {
		_, err := g.Differentiate(c.loss, c.wrt)
		wantError(t, err, c.want)
	}
}

// A second Backpropagate reuses gradients of the first.
func TestTrap07OneDifferentiation(t *testing.T) {
	// 3·Σw⁴ + 0.5·Σw² by one loss, and its terms in graphs of their own.
	build := func(fourth, second float64) []float64 {
		g := New("losses", true)
		b := g.At(here)
		w := g.Storage("w", floatType(3))
		squares := op.One(b, op.Map, square("a"), w)
		var terms []op.Value
		if fourth != 0 {
			terms = append(terms, op.One(b, op.Map, scale(fourth, ""), op.One(b, op.Reduce, total("a"), op.One(b, op.Map, square("a"), squares))))
		}
		if second != 0 {
			terms = append(terms, op.One(b, op.Map, scale(second, ""), op.One(b, op.Reduce, total("a"), squares)))
		}
		loss := op.One(b, op.Add, nil, terms...).(*Node)
		grads, err := g.Differentiate(loss, []*Node{w})
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Differentiate(loss, []*Node{w})
		wantErrorHere(t, err, "differentiated already")
		g.Output("dw", grads[0])
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		values, err := g.Interpret(map[string]op.Tensor{"w": tensorOf(op.Shape{3}, 1, -2, 3)})
		if err != nil {
			t.Fatal(err)
		}
		return values[grads[0]][0].Data
	}
	both, fourth, second := build(3, 0.5), build(3, 0), build(0, 0.5)
	for i, w := range []float64{1, -2, 3} {
		if want := 12*w*w*w + w; math.Abs(both[i]-want) > 1e-12 || math.Abs(fourth[i]+second[i]-want) > 1e-12 {
			t.Errorf("the gradient at %v is %v, and %v in parts, want %v", w, both[i], fourth[i]+second[i], want)
		}
	}
}

// gorgonia's sums write into the value of an operation that returns its input, and so into the weight that is bound there.
func TestTrap08ResultsAreFresh(t *testing.T) {
	for _, o := range op.All() {
		s := o.Samples[0]
		x := buildSample(t, o, s, false)
		n := x.out[0]
		if n.Kind == PickNode {
			n = n.In[0]
		}
		in := make([]gorgonia.Value, len(s.In))
		for i, data := range s.Inputs() {
			in[i] = x.g.value(s.In[i], data.Data)
		}
		for range 2 {
			out, err := n.expr.Op().Do(in...)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range in {
				if out.Uintptr() == v.Uintptr() {
					t.Errorf("%s gives back the memory of input %d", o, i)
				}
			}
		}
	}
	g, bind, loss := trainingGraph(t)
	first, err := g.Interpret(bind)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Storages() {
		for i, v := range floats(n.expr.Value()) {
			if math.Float64bits(v) != math.Float64bits(bind[n.Name].Data[i]) {
				t.Errorf("%s changed in the run: %v", n, v)
			}
		}
	}
	second, err := g.Interpret(bind)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first[loss][0].Data[0], second[loss][0].Data[0]; a != b {
		t.Errorf("the same run twice gives %v and %v", a, b)
	}
}

// LispMachine's own backward pass leaves all gradients zero, and a machine that runs again reuses stale values.
func TestTrap09ForwardOnlyMachines(t *testing.T) {
	g, bind, loss := trainingGraph(t)
	first, err := g.Interpret(bind)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range g.Updates() {
		before, after := first[u.Storage][0].Data, first[u.Value][0].Data
		if difference(after, before) == 0 {
			t.Errorf("%s is not updated: no gradient", u.Storage)
		}
	}
	changed := map[string]op.Tensor{}
	for name, v := range bind {
		changed[name] = v
	}
	w := bind["w"]
	changed["w"] = op.Tensor{Shape: w.Shape, Data: append([]float64{w.Data[0] + 0.5}, w.Data[1:]...)}
	second, err := g.Interpret(changed)
	if err != nil {
		t.Fatal(err)
	}
	if first[loss][0].Data[0] == second[loss][0].Data[0] {
		t.Error("another weight gives the same loss")
	}
}

// A panic in Do happens on gorgonia's goroutine and would end the process; an error would leave the goroutine behind.
func TestTrap10PanicsAndErrors(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	for _, c := range []struct {
		reference func(op.Attrs, []op.Tensor, []op.Tensor)
		want      string
	}{
		{func(op.Attrs, []op.Tensor, []op.Tensor) { panic("oh") }, "broken[]: panic: oh"},
		{func(_ op.Attrs, in, _ []op.Tensor) { in[0].Data[99] = 1 }, "index out of range"},
	} {
		o := &op.Op{Name: "broken", Inputs: []string{"x"}, Outputs: []string{"y"}, Reference: c.reference,
			Infer: func(_ op.Attrs, in []op.Type) ([]op.Type, error) { return in, nil }}
		g := New("broken", false)
		y := op.One(g.At(here), o, nil, g.Input("x", floatType(2))).(*Node)
		z := op.One(g.At(here), op.Map, scale(2, "a"), y).(*Node)
		g.Output("z", z)
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		_, err := g.Interpret(map[string]op.Tensor{"x": tensorOf(op.Shape{2}, 1, 2)})
		wantErrorHere(t, err, c.want)
	}
	for range 1000 { // a machine's goroutine ends shortly after it has told so
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
}

// gorgonia's global constant is hashed lazily without a lock; the race detector finds a graph that uses it.
func TestTrap11ParallelConstruction(t *testing.T) {
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			g, bind, _ := trainingGraph(t)
			if _, err := g.Interpret(bind); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
}

// Values that planners and gorgonia get wrong most easily.
func TestTrap12EdgeCases(t *testing.T) {
	t.Run("an output that is used, a shared gradient, a tied parameter", func(t *testing.T) {
		g := New("edges", true)
		b := g.At(here)
		w := g.Storage("w", floatType(2, 2))
		x := g.Input("x", floatType(1, 2))
		h := op.One(b, op.Dot, op.DotAttrs{A: "nd", B: "df", Out: "nf"}, x, w)
		r := op.One(b, op.Add, nil, h, x)                                       // its gradient goes to both
		y := op.One(b, op.Dot, op.DotAttrs{A: "nd", B: "fd", Out: "nf"}, r, w)  // the same weight again, transposed
		loss := op.One(b, op.Reduce, total("nf"), op.One(b, op.Add, nil, y, y)) // y twice
		doubled := op.One(b, op.Map, scale(2, ""), loss)                        // the loss has a user
		grads, err := g.Differentiate(loss.(*Node), []*Node{w, x})
		if err != nil {
			t.Fatal(err)
		}
		for name, n := range map[string]op.Value{"loss": loss, "doubled": doubled, "r": r, "dw": grads[0], "dx": grads[1]} {
			g.Output(name, n.(*Node))
		}
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		w0, x0 := []float64{1, 2, 3, 4}, []float64{0.5, -1}
		lossAt := func(w, x []float64) float64 {
			r := []float64{x[0]*w[0] + x[1]*w[2] + x[0], x[0]*w[1] + x[1]*w[3] + x[1]}
			return 2 * (r[0]*w[0] + r[1]*w[1] + r[0]*w[2] + r[1]*w[3])
		}
		values, err := g.Interpret(map[string]op.Tensor{"w": tensorOf(op.Shape{2, 2}, w0...), "x": tensorOf(op.Shape{1, 2}, x0...)})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := values[loss.(*Node)][0].Data[0], lossAt(w0, x0); got != want || values[doubled.(*Node)][0].Data[0] != 2*want {
			t.Errorf("the loss is %v, want %v", got, want)
		}
		for k, p := range [][]float64{w0, x0} {
			for i := range p {
				v := p[i]
				p[i] = v + 1e-6
				up := lossAt(w0, x0)
				p[i] = v - 1e-6
				down := lossAt(w0, x0)
				p[i] = v
				if got, want := values[grads[k]][0].Data[i], (up-down)/2e-6; math.Abs(got-want) > 1e-7 {
					t.Errorf("gradient %d at %d is %v, want %v", k, i, got, want)
				}
			}
		}
	})
	t.Run("an axis of 0", func(t *testing.T) {
		g := New("zero", true)
		wantError(t, Catch(func() { g.Input("x", floatType(0, 3)) }), "at least 1 long")
		wantError(t, Catch(func() { g.Storage("y", floatType(3, -1)) }), "at least 1 long")
		x := g.Input("z", floatType(3))
		wantErrorHere(t, Catch(func() { g.At(here).Apply(op.Slice, op.SliceAttrs{Start: 1, Stop: 1}, x) }), "[1, 1) is no part")
	})
	t.Run("scalars and vectors of 1", func(t *testing.T) {
		for _, float64s := range []bool{true, false} {
			g := New("scalars", float64s)
			b := g.At(here)
			s, v, n := g.Storage("s", floatType()), g.Storage("v", floatType(1)), g.Input("n", intType())
			squared := op.One(b, op.Map, square(""), s)
			both := op.One(b, op.Map, op.MapAttrs{Expr: op.Call(op.FnMul, op.In(0), op.In(1)), In: []string{"", "a"}, Out: "a"}, squared, v)
			more := op.One(b, op.Concat, op.ConcatAttrs{}, both, v, v)
			loss := op.One(b, op.Add, nil, op.One(b, op.Reduce, total("a"), more), squared).(*Node)
			grads, err := g.Differentiate(loss, []*Node{s, v})
			if err != nil {
				t.Fatal(err)
			}
			whole := op.One(b, op.Reshape, op.ReshapeAttrs{Shape: op.Shape{1, 1}}, n).(*Node)
			for i, o := range []*Node{loss, grads[0], grads[1], whole} {
				g.Output(fmt.Sprint(i), o)
			}
			if err := g.Seal(); err != nil {
				t.Fatal(err)
			}
			values, err := g.Interpret(map[string]op.Tensor{"s": tensorOf(nil, 3), "v": tensorOf(op.Shape{1}, 5), "n": tensorOf(nil, -7)})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []float64{9*5 + 10 + 9, 2*3*5 + 2*3, 9 + 2, -7} {
				if got := values[g.Outputs()[i].Node][0]; got.Data[0] != want || !got.Shape.Equal(g.Outputs()[i].Node.Type().Shape) {
					t.Errorf("output %d is %v, want %v", i, got, want)
				}
			}
		}
	})
}

// What only numbers show: at every node of a training graph the value is what the operation gives for its inputs' values, also
// where sums were folded. (Gradients against central differences are TestGradients.)
func TestTrap13ValuesAtEveryNode(t *testing.T) {
	g, bind, _ := trainingGraph(t)
	values, err := g.Interpret(bind)
	if err != nil {
		t.Fatal(err)
	}
	folded := false
	for _, n := range g.Nodes() {
		if n.Kind != OpNode {
			continue
		}
		folded = folded || n.sum && len(n.In) > 2
		types, in := make([]op.Type, len(n.In)), make([]op.Tensor, len(n.In))
		for i, x := range n.In {
			types[i], in[i] = x.Type(), values[x][0]
		}
		want, err := op.Evaluate(n.Op, n.Attrs, types, in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if d := difference(values[n][i].Data, want[i].Data); d > 1e-12 {
				t.Errorf("%s: output %d differs by %g", n, i, d)
			}
		}
	}
	if !folded {
		t.Error("the graph has no folded sum")
	}
	for _, n := range g.Nodes() {
		if n.Kind == PickNode && difference(values[n][0].Data, values[n.In[0]][n.Pick].Data) != 0 {
			t.Errorf("%s is not output %d of %s", n, n.Pick, n.In[0])
		}
	}
}

// trainingGraph is a step of a small model with a norm (two outputs backward), a split whose parts are used unevenly, a value used
// four times, and an update of each weight.
func trainingGraph(t *testing.T) (*Graph, map[string]op.Tensor, *Node) {
	g := New("training", true)
	b := g.At(here)
	ids, targets := g.Input("ids", intType(3)), g.Input("targets", intType(3))
	table, w, gain := g.Storage("table", floatType(5, 4)), g.Storage("w", floatType(4, 4)), g.Storage("gain", floatType(4))
	x := op.One(b, op.Embed, nil, ids, table)
	h := op.One(b, op.RMSNorm, op.RMSNormAttrs{Eps: 1e-6}, x, gain)
	dot := op.DotAttrs{A: "nd", B: "df", Out: "nf"}
	p := op.One(b, op.Dot, dot, h, w)
	parts := b.Apply(op.Split, op.SplitAttrs{Axis: 1, Sizes: []int{1, 2, 1}}, p)
	q := op.One(b, op.Concat, op.ConcatAttrs{Axis: 1}, parts[2], parts[2], op.One(b, op.Map, square("nd"), parts[1]))
	product := op.MapAttrs{Expr: op.Call(op.FnMul, op.In(0), op.In(1)), In: []string{"nd", "nd"}, Out: "nd"}
	sum := op.One(b, op.Add, nil, x, h, q, op.One(b, op.Map, product, h, op.One(b, op.Dot, dot, h, w)))
	losses := op.One(b, op.CrossEntropy, nil, sum, table, targets)
	loss := op.One(b, op.MaskedMean, nil, losses, targets).(*Node)
	g.Output("loss", loss)
	parameters := []*Node{table, w, gain}
	grads, err := g.Differentiate(loss, parameters)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range parameters {
		labels := "abc"[:len(n.Type().Shape)]
		step := op.MapAttrs{Expr: op.Call(op.FnSub, op.In(0), op.Call(op.FnMul, op.Const(0.1), op.In(1))), In: []string{labels, labels}, Out: labels}
		g.Update(n, op.One(b, op.Map, step, n, grads[i]).(*Node))
	}
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	bind := map[string]op.Tensor{"ids": tensorOf(op.Shape{3}, 1, 4, 1), "targets": tensorOf(op.Shape{3}, 4, -1, 0)}
	for i, n := range parameters {
		data := make([]float64, n.Type().Shape.Size())
		for j := range data {
			data[j] = math.Sin(float64(7*i + 3*j + 1))
		}
		bind[n.Name] = op.Tensor{Shape: n.Type().Shape, Data: data}
	}
	return g, bind, loss
}
