package plan

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forge/compiler/graph"
	"forge/compiler/op"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files")

func floats(shape ...int) op.Type { return op.Type{Shape: shape} }

func mapped(b op.Builder, f *op.Func, x op.Value) op.Value {
	in := "abcdefgh"[:len(x.Type().Shape)]
	return op.One(b, op.Map, op.MapAttrs{Expr: op.Call(f, op.In(0)), In: []string{in}, Out: in}, x)
}

// TestString plans a small graph that has everything: views, joins, accumulating products, values that die, an update in place.
func TestString(t *testing.T) {
	g := graph.New("example", false)
	b := g.At(graph.Place{Span: "example.forge:1:1", Text: "layers[0].ffn"})
	x, w := g.Input("x", floats(4, 6)), g.Storage("w", floats(3, 3))
	halves := b.Apply(op.Split, op.SplitAttrs{Axis: 1, Sizes: []int{3, 3}}, x)
	dot := op.DotAttrs{A: "nd", B: "df", Out: "nf"}
	left := mapped(b, op.FnSilu, op.One(b, op.Dot, dot, halves[0], w))
	sum := op.One(b, op.Add, nil, mapped(b, op.FnExp, left), op.One(b, op.Dot, dot, left, w), op.One(b, op.Dot, dot, halves[1], w))
	wide := op.One(b, op.Concat, op.ConcatAttrs{Axis: 1}, mapped(b, op.FnTanh, sum), halves[0])
	g.Output("wide", wide.(*graph.Node))
	change := op.One(b, op.Dot, op.DotAttrs{A: "nd", B: "nf", Out: "df"}, halves[0], sum)
	step := op.MapAttrs{Expr: op.Call(op.FnSub, op.In(0), op.In(1)), In: []string{"df", "df"}, Out: "df"}
	g.Update(w, op.One(b, op.Map, step, w, change).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	p, err := Build(g)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/example.txt"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(p.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), p.String()); diff != "" {
		t.Errorf("the plan changed (-want +got):\n%s", diff)
	}
}

// TestMissingKernel: a primitive that the target lacks is an error with the place; what can be decomposed is.
func TestMissingKernel(t *testing.T) {
	target := Target{Kernel: func(o *op.Op, _ op.Attrs) (Kernel, bool) {
		return Kernel{}, o == op.Map || o == op.Reduce
	}}
	g := graph.New("decomposed", false)
	b := g.At(graph.Place{Span: "a.forge:3:5"})
	g.Output("y", op.One(b, op.RMSNorm, op.RMSNormAttrs{Eps: 1}, g.Input("x", floats(2, 3)), g.Input("gain", floats(3))).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	p, err := For(g, target)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Steps {
		if s.Op == op.RMSNorm {
			t.Error("rms_norm is not decomposed")
		}
	}
	g = graph.New("primitive", false)
	b = g.At(graph.Place{Span: "a.forge:3:5"})
	g.Output("y", op.One(b, op.Cumsum, op.CumsumAttrs{}, g.Input("x", floats(2))).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err = For(g, target); err == nil || !strings.Contains(err.Error(), "a.forge:3:5") || !strings.Contains(err.Error(), "cumsum") {
		t.Errorf("the error is %v", err)
	}
}

// TestReuse: a long chain of elementwise steps needs the memory of one value.
func TestReuse(t *testing.T) {
	g := graph.New("chain", false)
	b := g.At(graph.Place{})
	var x op.Value = g.Input("x", floats(1<<20))
	for range 50 {
		x = mapped(b, op.FnSilu, x)
	}
	g.Output("y", x.(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	p, err := Build(g)
	if err != nil {
		t.Fatal(err)
	}
	if p.ArenaSize != 2<<20 || p.UnplannedSize != 51<<20 { // the input stays
		t.Errorf("the arena has %d values, %d unplanned", p.ArenaSize, p.UnplannedSize)
	}
}

// TestLarge: tens of thousands of steps over terabytes are planned in well under a second.
func TestLarge(t *testing.T) {
	g := graph.New("large", false)
	b := g.At(graph.Place{})
	var x op.Value = g.Input("x", floats(1<<16, 1<<14))
	var saved []op.Value
	for i := range 3000 {
		y := mapped(b, op.FnTanh, x)
		if i%3 == 0 {
			saved = append(saved, y)
		}
		x = y
	}
	for i := len(saved) - 1; i >= 0; i-- {
		in := op.MapAttrs{Expr: op.Call(op.FnMul, op.In(0), op.In(1)), In: []string{"ab", "ab"}, Out: "ab"}
		x = op.One(b, op.Map, in, x, saved[i])
	}
	g.Output("y", x.(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p, err := Build(g)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("planning took %v", took)
	}
	if p.ArenaSize > p.LiveSize+p.LiveSize/10 {
		t.Errorf("the arena has %d values, %d live at once", p.ArenaSize, p.LiveSize)
	}
}

// TestReshaped: where strides express a reshape, they reach the same entries in the same order; where none do, entries of the new
// shape would lie at unequal distances.
func TestReshaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := op.Shape(rapid.SliceOfN(rapid.IntRange(1, 4), 0, 4).Draw(t, "shape"))
		padded := append(op.Shape{}, shape...)
		for i := range padded {
			padded[i] += rapid.IntRange(0, 1).Draw(t, "pad")
		}
		strides := rowMajor(padded)
		perm := rapid.Permutation(indices(len(shape))).Draw(t, "perm")
		from, steps := make(op.Shape, len(shape)), make([]int, len(shape))
		for i, p := range perm {
			from[i], steps[i] = shape[p], strides[p]
		}
		to := factor(t, shape.Size())
		got, ok := reshaped(from, steps, to)
		want := places(from, steps)
		if !ok {
			if contiguous(from, steps) {
				t.Fatalf("no strides for %v %v as %v", from, steps, to)
			}
			return
		}
		if diff := cmp.Diff(want, places(to, got)); diff != "" {
			t.Fatalf("%v %v as %v with %v: %s", from, steps, to, got, diff)
		}
	})
}

func indices(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// factor draws a shape of n entries.
func factor(t *rapid.T, n int) op.Shape {
	var s op.Shape
	for n > 1 || rapid.IntRange(0, 3).Draw(t, "one more") == 0 {
		d := rapid.IntRange(1, n).Filter(func(d int) bool { return n%d == 0 }).Draw(t, "size")
		s = append(s, d)
		n /= d
	}
	return s
}

// places are the offsets of all entries in row-major order.
func places(s op.Shape, strides []int) []int {
	list := []int{0}
	for i, n := range s {
		var next []int
		for _, at := range list {
			for k := range n {
				next = append(next, at+k*strides[i])
			}
		}
		list = next
	}
	return list
}

// TestHoles: what is taken never overlaps, and what all is given back is one hole again.
func TestHoles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h holes
		var taken []hole
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(taken) > 0 && rapid.Bool().Draw(t, "give") {
				i := rapid.IntRange(0, len(taken)-1).Draw(t, "which")
				h.give(taken[i].offset, taken[i].size)
				taken = append(taken[:i], taken[i+1:]...)
				continue
			}
			size := rapid.IntRange(1, 9).Draw(t, "size")
			n := hole{h.take(size), size}
			for _, o := range taken {
				if n.offset < o.offset+o.size && o.offset < n.offset+n.size {
					t.Fatalf("%v overlaps %v", n, o)
				}
			}
			if n.offset+n.size > h.top {
				t.Fatalf("%v is beyond the top %d", n, h.top)
			}
			taken = append(taken, n)
		}
		for _, n := range taken {
			h.give(n.offset, n.size)
		}
		if want := []hole{{0, h.top}}; fmt.Sprint(h.free) != fmt.Sprint(want) {
			t.Fatalf("the holes are %v, not %v", h.free, want)
		}
	})
}

// TestVerify: the verifier finds an overlap.
func TestVerify(t *testing.T) {
	g := graph.New("two", false)
	b := g.At(graph.Place{})
	x := g.Input("x", floats(3))
	g.Output("y", mapped(b, op.FnExp, x).(*graph.Node))
	g.Output("z", mapped(b, op.FnNeg, x).(*graph.Node))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	p, err := Build(g)
	if err != nil {
		t.Fatal(err)
	}
	p.Outputs[0].Value.Buffer.Offset = p.Outputs[1].Value.Buffer.Offset
	if err := p.Verify(); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("the error is %v", err)
	}
}
