package check

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"forge/recipes"
)

// dumpBody writes a body and all that it applies, every application once.
func dumpBody(b *strings.Builder, body *Body, seen map[*Body]bool) {
	if seen[body] {
		return
	}
	seen[body] = true
	var inner []*Body
	fmt.Fprintf(b, "%s #%d -> %s\n", body.Built.Def.Name, body.Built.ID, axesText(body.OutAxes))
	at := map[*Node]int{}
	for i, n := range body.Nodes {
		at[n] = i
		fmt.Fprintf(b, "  %%%d = %s", i, n.Op)
		if len(n.On) > 0 || len(n.To) > 0 {
			b.WriteString(axesText(n.On))
		}
		if len(n.To) > 0 {
			b.WriteString(axesText(n.To))
		}
		for _, a := range n.Args {
			fmt.Fprintf(b, " %%%d", at[a])
		}
		switch n.Op {
		case "input", "weight", "state":
			b.WriteString(" " + n.Name)
		case "number":
			fmt.Fprintf(b, " %g", n.Num)
		case "split", "take", "top", "prev", "causal":
			fmt.Fprintf(b, " #%d", n.N)
		case "schedule":
			b.WriteString(" " + key(n.Schedule))
		case "pos":
			fmt.Fprintf(b, " %v", *n.Pos)
		}
		fmt.Fprintf(b, " : %s", axesText(n.Axes))
		if n.Part != nil {
			fmt.Fprintf(b, " part %s = %s", n.Part.Name, n.Part.Built.Def.Name)
			inner = append(inner, n.Body)
		}
		b.WriteByte('\n')
	}
	for _, e := range body.Effects {
		fmt.Fprintf(b, "  %s %s = %%%d\n", e.Kind, e.Name, at[e.Value])
	}
	if body.Out != nil {
		fmt.Fprintf(b, "  return %%%d\n", at[body.Out])
	}
	for _, x := range inner {
		dumpBody(b, x, seen)
	}
}

// dumpModel writes everything the compiler reads of a model.
func dumpModel(m *Model) string {
	var b strings.Builder
	seen := map[*Body]bool{}
	for _, l := range m.Layers {
		dumpBody(&b, l.Body(m.stateAxes()), seen)
	}
	dumpBody(&b, m.Norm.Body(m.stateAxes()), seen)
	if m.MTP != nil {
		dumpBody(&b, m.MTP.Body(m.stateAxes(), m.stateAxes()), seen)
	}
	return b.String()
}

// checkBody verifies what body.go promises of every body: arguments before uses, everything used, no axis twice, and for each
// operation the axes of its result.
func checkBody(t interface{ Errorf(string, ...any) }, body *Body, seen map[*Body]bool) {
	if seen[body] {
		return
	}
	seen[body] = true
	name := body.Built.Def.Name
	known := map[*Node]bool{}
	used := map[*Node]bool{}
	for i, n := range body.Nodes {
		for _, a := range n.Args {
			if !known[a] {
				t.Errorf("%s %%%d: an argument comes after its use", name, i)
			}
			used[a] = true
		}
		known[n] = true
		if a := twice(n.Axes); a != nil {
			t.Errorf("%s %%%d: %s twice", name, i, a)
		}
		if want := axesOf(n); want != nil && !sameAxes(want, n.Axes) {
			t.Errorf("%s %%%d %s: axes %s, want %s", name, i, n.Op, axesText(n.Axes), axesText(want))
		}
		if n.Body != nil {
			checkBody(t, n.Body, seen)
			if n.Op == "apply" {
				for k, in := range n.Body.In {
					if !sameAxes(in.Axes, n.Args[k].Axes) {
						t.Errorf("%s %%%d: argument %d of %s has %s, its body %s", name, i, k, n.Part.Name, axesText(n.Args[k].Axes), axesText(in.Axes))
					}
				}
			}
		}
	}
	if body.Out != nil && !sameAxes(body.Out.Axes, body.OutAxes) {
		t.Errorf("%s returns %s, but its last node has %s", name, axesText(body.OutAxes), axesText(body.Out.Axes))
	}
	for _, e := range body.Effects {
		used[e.Value] = true
	}
	for i, n := range body.Nodes {
		if !used[n] && n != body.Out && !body.Built.Def.outside() {
			t.Errorf("%s %%%d: %s is never used", name, i, n.Op)
		}
	}
}

// axesOf gives the axes of a node's result by language.md section 8, nil where its own fields don't say.
func axesOf(n *Node) []*Axis {
	arg := func(i int) []*Axis { return n.Args[i].Axes }
	switch n.Op {
	case "number", "schedule":
		return []*Axis{}
	case "dot":
		return append([]*Axis{}, without(union(arg(0), arg(1)), n.On...)...)
	case "sum", "mean", "max", "min":
		return append([]*Axis{}, without(arg(0), n.On...)...)
	case "split":
		return replaceAxes(arg(0), n.On, n.To[n.N:n.N+1])
	case "concat":
		return replaceAxes(arg(0), n.On[:1], n.To)
	case "view", "rename":
		return replaceAxes(arg(0), n.On, n.To)
	case "take":
		return append([]*Axis{}, without(arg(0), n.On...)...)
	case "cache":
		return replaceAxes(arg(0), []*Axis{SeqAxis}, []*Axis{Key})
	case "softmax", "top", "cumsum", "prev", "causal", "pos", "neg", "silu", "sigmoid", "sqrt", "sign":
		return arg(0)
	case "add", "sub", "mul", "div", "pow":
		return union(arg(0), arg(1))
	case "where":
		return union(union(arg(0), arg(1)), arg(2))
	case "apply":
		return n.Body.OutAxes
	}
	return nil
}

func loaded(t testing.TB, name string, sets ...string) *Recipe {
	t.Helper()
	r, list := Load(FS{recipes.FS}, name, sets)
	if r == nil {
		t.Fatal(list)
	}
	return r
}

// What the compiler reads of the tiny model, word for word.
func TestBodies(t *testing.T) {
	for _, name := range []string{"tiny", "tiny_gqa"} {
		golden(t, "testdata/"+name+".bodies.txt", dumpModel(loaded(t, name).Model))
	}
}

// Whatever the sizes, bodies hold to what body.go says, and elaborating again gives the same, word for word.
func TestBodiesAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(name string, values ...int) int { return rapid.SampledFrom(values).Draw(t, name) }
		sets := []string{
			fmt.Sprintf("model.dim=%d", pick("dim", 64, 128, 130)),
			fmt.Sprintf("model.attn.heads=%d", pick("heads", 1, 2, 4)),
			fmt.Sprintf("model.gate.experts=%d", 8*pick("experts", 1, 2, 3)),
			fmt.Sprintf("model.gate.top_k=%d", pick("top_k", 1, 2, 3)),
		}
		if rapid.Bool().Draw(t, "direct queries") {
			sets = append(sets, "model.attn.q_rank=none")
		}
		if rapid.Bool().Draw(t, "no shared expert") {
			sets = append(sets, "model.sparse.shared=none")
		}
		if rapid.Bool().Draw(t, "softmax") {
			sets = append(sets, `model.gate.score="softmax"`, "model.gate.norm_topk=false")
		}
		load := func() *Model {
			r, list := Load(FS{recipes.FS}, "tiny", sets)
			if r == nil {
				t.Fatal(list)
			}
			return r.Model
		}
		m := load()
		seen := map[*Body]bool{}
		for _, l := range m.Layers {
			checkBody(t, l.Body(m.stateAxes()), seen)
		}
		checkBody(t, m.MTP.Body(m.stateAxes(), m.stateAxes()), seen)
		if a, b := dumpModel(m), dumpModel(load()); a != b {
			t.Fatalf("two readings differ with %v", sets)
		}
	})
}

// Equal applications share one body; other axes make another.
func TestBodiesShared(t *testing.T) {
	m := loaded(t, "tiny").Model
	if m.Layers[1] != m.Layers[2] || m.Layers[0] == m.Layers[1] {
		t.Error("layers that are the same must be one block, others not")
	}
	body := m.Layers[1].Body(m.stateAxes())
	if m.Layers[2].Body(m.stateAxes()) != body {
		t.Error("equal applications must share a body")
	}
	if other := m.Layers[1].Body([]*Axis{Batch, SeqAxis, {Name: "dim", Size: m.Dim}}); other == body || other.Out == nil {
		t.Error("another axis must give another body")
	}
}
