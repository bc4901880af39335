package graph

import (
	"errors"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"forge/compiler/op"
)

func TestSealDropsTheDeadAndNumbersTheRest(t *testing.T) {
	g := New("dead", true)
	b := g.At(here)
	x, unused := g.Input("x", floatType(4)), g.Input("unused", floatType(4))
	op.One(b, op.Map, square("a"), x) // dead
	parts := b.Apply(op.Split, op.SplitAttrs{Sizes: []int{1, 2, 1}}, x)
	g.Output("middle", parts[1].(*Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, n := range g.Nodes() {
		if n.ID != i {
			t.Errorf("node %d has the ID %d", i, n.ID)
		}
		names = append(names, n.Name)
	}
	if want := []string{"x", "unused", "part#2", "part#2.1"}; !slices.Equal(names, want) {
		t.Errorf("nodes are %q, want %q", names, want)
	}
	if len(g.Inputs()) != 2 || g.Inputs()[1] != unused {
		t.Error("an unused input is gone")
	}
	if n := g.Nodes()[2]; len(n.Outs) != 3 || n.Place != here {
		t.Errorf("the split has outputs %v and place %v", n.Outs, n.Place)
	}
}

func TestGradientsOfFewOutputs(t *testing.T) {
	// One and two of three parts reach the loss: their gradients are padded, not concatenated.
	for _, used := range [][]int{{1}, {2, 0}} {
		g := New("parts", true)
		b := g.At(here)
		x := g.Storage("x", floatType(4))
		parts := b.Apply(op.Split, op.SplitAttrs{Sizes: []int{1, 2, 1}}, x)
		var terms []op.Value
		for _, i := range used {
			terms = append(terms, op.One(b, op.Reduce, total("a"), op.One(b, op.Map, square("a"), parts[i])))
		}
		grads, err := g.Differentiate(op.One(b, op.Add, nil, terms...).(*Node), []*Node{x})
		if err != nil {
			t.Fatal(err)
		}
		g.Output("dx", grads[0])
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		values, err := g.Interpret(map[string]op.Tensor{"x": tensorOf(op.Shape{4}, 1, 2, 3, 4)})
		if err != nil {
			t.Fatal(err)
		}
		want := []float64{0, 4, 6, 0}
		if len(used) == 2 {
			want = []float64{2, 0, 0, 8}
		}
		if got := values[grads[0]][0].Data; !slices.Equal(got, want) {
			t.Errorf("parts %v: the gradient is %v, want %v", used, got, want)
		}
	}
}

func TestAttentionsStatisticHasNoGradient(t *testing.T) {
	s := op.Attention.Samples[0]
	g := New("lse", true)
	var in []op.Value
	for i, x := range s.In {
		in = append(in, g.Input(string(rune('a'+i)), x))
	}
	lse := g.At(here).Apply(op.Attention, s.Attrs, in...)[1]
	loss := op.One(g.At(here), op.Reduce, total("abcdef"[:len(lse.Type().Shape)]), lse).(*Node)
	_, err := g.Differentiate(loss, []*Node{in[0].(*Node)})
	wantErrorHere(t, err, "lse has no gradient")
}

func TestWrongUses(t *testing.T) {
	g := New("wrong", true)
	x, w := g.Input("x", floatType(2)), g.Storage("w", floatType(2))
	y := op.One(g.At(here), op.Map, square("a"), x).(*Node)
	z := op.One(g.At(here), op.Reduce, total("a"), x).(*Node)
	g.Output("y", y)
	g.Update(w, y)
	wantErrorHere(t, Catch(func() { g.Output("y", z) }), `the output "y" is given twice`)
	wantErrorHere(t, Catch(func() { g.Output("", z) }), "no name")
	wantErrorHere(t, Catch(func() { g.Update(w, y) }), `"w" is updated twice`)
	wantErrorHere(t, Catch(func() { g.Update(w, z) }), `the new value of "w" is float[], the storage float[2]`)
	wantError(t, Catch(func() { g.Update(x, y) }), "only a storage can be updated")
	wantError(t, Catch(func() { g.Update(nil, y) }), "no value")
	if _, err := g.Interpret(nil); err == nil {
		t.Error("a graph that is not sealed is interpreted")
	}
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	wantError(t, g.Seal(), "sealed already")
	wantErrorHere(t, Catch(func() { g.At(here).Apply(op.Map, square("a"), x) }), "sealed")
	wantError(t, Catch(func() { g.Input("more", floatType()) }), "sealed")
	_, err := g.Differentiate(z, []*Node{w})
	wantError(t, err, "sealed")

	full := map[string]op.Tensor{"x": tensorOf(op.Shape{2}, 1, 2)}
	_, err = g.Interpret(full)
	wantError(t, err, `w: no value for "w"`)
	full["w"] = tensorOf(op.Shape{1, 2}, 1, 2)
	_, err = g.Interpret(full)
	wantError(t, err, `a value of [1, 2] with 2 entries for "w", which is float[2]`)

	g = New("integers", true)
	g.Input("n", intType())
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	_, err = g.Interpret(map[string]op.Tensor{"n": tensorOf(nil, 1.5)})
	wantError(t, err, `1.5 for "n", which is int32[]`)
}

func TestCatchLetsOtherPanicsPass(t *testing.T) {
	defer func() {
		if r := recover(); r != "other" {
			t.Errorf("recovered %v", r)
		}
	}()
	err := Catch(func() { panic(errorAt(here, "ours: %w", errors.ErrUnsupported)) })
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v does not wrap its cause", err)
	}
	_ = Catch(func() { panic("other") })
}

func TestSealFindsForeignNodes(t *testing.T) {
	g := New("foreign", true)
	x := g.Input("x", floatType(2))
	if _, err := gorgonia.Tanh(x.expr); err != nil {
		t.Fatal(err)
	}
	wantError(t, g.Seal(), "a foreign operation")
}

func TestMergedSumsAreFound(t *testing.T) {
	g := New("sums", true)
	b := g.At(here)
	x := g.Storage("x", floatType())
	var terms []op.Value
	for i := range 3 {
		terms = append(terms, op.One(b, op.Map, scale(float64(i+1), ""), x))
	}
	if _, err := g.Differentiate(op.One(b, op.Add, nil, terms...).(*Node), []*Node{x}); err != nil {
		t.Fatal(err)
	}
	// The gradient of x is (d0 + d1) + d2. Any other list of terms must be refused.
	outer := g.children(x.expr.Deriv())
	inner := g.children(outer[0])
	right := gorgonia.Nodes{inner[0], inner[1], outer[1]}
	if err := Catch(func() { g.checkSum(x.expr, right) }); err != nil {
		t.Error(err)
	}
	for _, wrong := range []gorgonia.Nodes{right[:2], {right[1], right[0], right[2]}, {right[0], right[1], right[1]}, append(right[:3:3], right[0])} {
		wantError(t, Catch(func() { g.checkSum(x.expr, wrong) }), "x: gorgonia merged two sums")
	}
}

func TestTooManyNodes(t *testing.T) {
	g := New("many", true)
	g.most = 3
	x := op.Value(g.Input("x", floatType()))
	err := Catch(func() {
		for range 3 {
			x = op.One(g.At(here), op.Map, square(""), x)
		}
	})
	wantErrorHere(t, err, "the graph has more than 3 nodes")
	g.most = 2
	wantError(t, g.Seal(), "3 nodes, the most are 2")
}
