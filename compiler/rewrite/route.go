package rewrite

import (
	"slices"

	"forge/compiler/equation"
)

// Route makes a routed bank dropless and sparse: rows are sorted by the expert that their gate names, once, and each product with
// a bank's weight becomes a product over ragged groups of rows, one node a weight, never one an expert (MegaBlocks, arXiv
// 2211.15841). The equations had every expert compute every row and multiplied most by a gate of 0.
var Route = Rule{
	Name: "route",
	Why:  "where the gate is 0 an expert's result is multiplied by 0, so it need not be computed",
	Apply: func(c *Context, n *equation.Node) *equation.Node {
		if n.Kind != equation.Route {
			return n
		}
		gate, experts := n.Args[0], n.On[0]
		picked := atMost(gate, experts)
		if picked == 0 {
			return n
		}
		rows := equation.Without(gate.Axes, n.On)
		r := &router{
			experts: experts, rows: rows,
			plan:  &equation.Node{Kind: equation.RoutePlan, Args: []*equation.Node{gate}, On: n.On, N: picked, Place: n.Place, Name: "plan"},
			slots: &equation.Axis{Name: "slots", Size: equation.Size(rows) * picked},
			done:  map[*equation.Node]*equation.Node{}, gathered: map[*equation.Node]*equation.Node{},
		}
		y := r.sorted(n.Args[1])
		if y == nil {
			return n
		}
		weight := &equation.Node{Kind: equation.GatherGate, Args: []*equation.Node{gate, r.plan}, On: n.On, Axes: []*equation.Axis{r.slots}, Place: n.Place, Name: "gates"}
		weighted := r.weighted(y, weight, n.Place)
		on := []*equation.Axis{r.slots}
		return &equation.Node{Kind: equation.ScatterRows, Args: []*equation.Node{weighted, r.plan}, On: on, To: rows,
			Axes: append(slices.Clone(rows), equation.Without(weighted.Axes, on)...)}
	},
}

// weighted is y times the weight of each row. A product is linear in its rows: where they are shorter than its results, they are what
// is multiplied, so that neither the longer product nor that of its gradient is made, and none is kept for the way back.
func (r *router) weighted(y, weight *equation.Node, place equation.Place) *equation.Node {
	if y.Kind != equation.GroupedDot || equation.Size(y.Args[0].Axes) >= equation.Size(y.Axes) {
		return equation.NewElementwise("mul", y, weight).At("weighted", place)
	}
	product := *y
	product.Args = slices.Clone(y.Args)
	product.Args[0] = equation.NewElementwise("mul", y.Args[0], weight).At("weighted", place)
	return &product
}

// atMost is how many entries of the gate along experts can differ from 0: a factor that is a top mask says so. 0: unknown.
func atMost(gate *equation.Node, experts *equation.Axis) int {
	switch {
	case gate.Kind == equation.Top && gate.On[0] == experts:
		return gate.N
	case gate.Kind == equation.Rename && gate.To[0] == experts:
		return atMost(gate.Args[0], gate.On[0])
	case is(gate, "mul"):
		if gate.Args[0].Has(experts) {
			if k := atMost(gate.Args[0], experts); k > 0 {
				return k
			}
		}
		if gate.Args[1].Has(experts) {
			return atMost(gate.Args[1], experts)
		}
	case is(gate, "div") && gate.Args[0].Has(experts), is(gate, "neg"), is(gate, "stop_grad"):
		return atMost(gate.Args[0], experts)
	}
	return 0
}

// router moves the equations of a bank from "every expert, every row" to sorted rows.
type router struct {
	experts *equation.Axis
	rows    []*equation.Axis
	plan    *equation.Node
	slots   *equation.Axis
	done    map[*equation.Node]*equation.Node
	// gathered: values outside the bank, one row for each slot.
	gathered map[*equation.Node]*equation.Node
}

// sorted gives n for the sorted rows, or nil if some equation has no such form. n has the experts' axis.
func (r *router) sorted(n *equation.Node) *equation.Node {
	if m, ok := r.done[n]; ok {
		return m
	}
	m := r.sort(n)
	if m != nil {
		m.At(n.Name, n.Place)
	}
	r.done[n] = m
	return m
}

func (r *router) sort(n *equation.Node) *equation.Node {
	switch n.Kind {
	case equation.Dot:
		x, w := n.Args[0], n.Args[1]
		if r.weight(x) {
			x, w = w, x
		}
		if !r.weight(w) || slices.Contains(n.On, r.experts) {
			return nil
		}
		xs := r.row(x)
		if xs == nil {
			return nil
		}
		axes := append(equation.Without(xs.Axes, n.On), equation.Without(equation.Without(w.Axes, n.On), []*equation.Axis{r.experts})...)
		return &equation.Node{Kind: equation.GroupedDot, Args: []*equation.Node{xs, w, r.plan}, On: n.On, To: []*equation.Axis{r.slots, r.experts}, Axes: axes}
	case equation.Elementwise:
		args := make([]*equation.Node, len(n.Args))
		for i, a := range n.Args {
			if args[i] = r.row(a); args[i] == nil {
				return nil
			}
		}
		return equation.NewElementwise(n.Fn, args...)
	case equation.Reduce:
		if x := r.row(n.Args[0]); x != nil && !slices.ContainsFunc(n.On, r.isRow) {
			return equation.NewReduce(n.Fn, x, n.On...)
		}
	case equation.Softmax, equation.Top, equation.Cumsum:
		if x := r.row(n.Args[0]); x != nil && !r.isRow(n.On[0]) {
			return equation.NewAlong(n.Kind, x, n.On[0], n.N)
		}
	case equation.Slice:
		if x := r.row(n.Args[0]); x != nil && !r.isRow(n.On[0]) {
			return equation.NewSlice(x, n.On[0], n.N, n.To[0])
		}
	case equation.View:
		if x := r.row(n.Args[0]); x != nil && !slices.ContainsFunc(n.On, r.isRow) {
			return equation.NewView(x, n.On, n.To)
		}
	case equation.Rename:
		if x := r.row(n.Args[0]); x != nil && !r.isRow(n.On[0]) {
			return equation.NewRename(x, n.On[0], n.To[0])
		}
	}
	return nil
}

func (r *router) isRow(a *equation.Axis) bool { return a == r.experts || slices.Contains(r.rows, a) }

// weight reports whether n is a bank's weight itself: the experts' axis in front and no row axis.
func (r *router) weight(n *equation.Node) bool {
	return n.Kind == equation.Storage && len(n.Axes) > 1 && n.Axes[0] == r.experts
}

// row gives a value for each sorted row: the bank's own values are sorted already, others are gathered, numbers stay.
func (r *router) row(n *equation.Node) *equation.Node {
	switch {
	case n.Kind == equation.Number || len(n.Axes) == 0:
		return n
	case r.weight(n):
		return nil
	case n.Has(r.experts):
		return r.sorted(n)
	}
	for _, a := range r.rows {
		if !n.Has(a) {
			return nil
		}
	}
	m := r.gathered[n]
	if m == nil {
		m = &equation.Node{Kind: equation.GatherRows, Args: []*equation.Node{n, r.plan}, On: r.rows,
			Axes: append([]*equation.Axis{r.slots}, equation.Without(n.Axes, r.rows)...), Place: n.Place, Name: n.Name}
		r.gathered[n] = m
	}
	return m
}
