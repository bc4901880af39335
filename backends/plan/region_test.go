package plan

import (
	"fmt"
	"strings"
	"testing"

	"forge/compiler/graph"
	"forge/compiler/op"
)

// TestRegions: products that wait for nothing of each other come together, those that add to one sum stay apart, and no step of a
// region takes memory that another one still reads.
func TestRegions(t *testing.T) {
	g := graph.New("regions", false)
	b := g.At(graph.Place{})
	weights := 0
	dot := func(x op.Value) op.Value {
		weights++
		w := g.Storage(fmt.Sprint("w", weights), floats(8, 8))
		return op.One(b, op.Dot, op.DotAttrs{A: "nd", B: "df", Out: "nf"}, x, w)
	}
	x := g.Input("x", floats(2, 8))
	h := mapped(b, op.FnExp, x)
	left := mapped(b, op.FnTanh, dot(h))                // w1
	right := dot(h)                                     // w2, together with w1
	both := op.One(b, op.Add, nil, left, dot(right))    // w3
	sum := op.One(b, op.Add, nil, dot(both), dot(both)) // w4 and w5, which add up
	g.Output("y", mapped(b, op.FnNeg, sum).(*graph.Node))
	g.Output("z", mapped(b, op.FnSqrt, dot(h)).(*graph.Node)) // w6, together with w1
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	target := generic
	target.Together = func(s *Step) bool { return s.Op == op.Dot && s.In[1].Stored() }
	p, err := For(g, target)
	if err != nil {
		t.Fatal(err)
	}
	var regions []string
	for i, s := range p.Steps {
		if s.Op != op.Dot {
			continue
		}
		if s.Region == i {
			regions = append(regions, "")
		}
		regions[len(regions)-1] += s.In[1].Buffer.Name
		for _, other := range p.Steps[s.Region:i] {
			for _, out := range other.Out {
				for _, v := range append(append([]*Value{}, s.In...), s.Out...) {
					if v.Buffer == out.Buffer || v.Buffer.Kind == Arena && v.Buffer.Offset == out.Buffer.Offset {
						t.Errorf("step %d shares memory with an output of its region", i)
					}
				}
			}
		}
	}
	if got := strings.Join(regions, " "); got != "w1w2w6 w3 w4 w5" {
		t.Errorf("the regions are %s\n%v", got, p)
	}
	if !strings.Contains(p.String(), "& ") {
		t.Error("the plan's text shows no regions")
	}
}

// TestNoRegions: without steps that run together the order is the graph's.
func TestNoRegions(t *testing.T) {
	l := &lowering{target: Target{Together: func(*Step) bool { return false }}}
	for range 5 {
		s := &Step{Op: op.Map}
		v := &Value{step: s}
		s.Out = []*Value{v}
		if n := len(l.steps); n > 0 {
			s.In = l.steps[n/2].Out
		}
		l.steps = append(l.steps, s)
	}
	before := append([]*Step{}, l.steps...)
	l.gather()
	for i, s := range l.steps {
		if s != before[i] {
			t.Fatalf("step %d is another", i)
		}
	}
}
