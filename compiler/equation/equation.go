// Package equation holds the compiler's first form of a model: equations on tensors whose axes still have names and sizes. Package
// compiler writes them down from a checked recipe, package compiler/rewrite replaces some of them by equal ones that are cheaper,
// and package compiler emits what is left as a graph, where the names are gone.
//
// The equations of a program are a directed acyclic graph of Nodes. A Node is never changed once it is built: a rewrite builds
// new ones. The constructors work out the axes of the result (language.md section 7), so that a rule can't get them wrong.
package equation

import (
	"fmt"
	"slices"

	"forge/compiler/op"
)

// Axis is a named axis. Two axes are the same only if they are the same pointer.
type Axis struct {
	Name string
	Size int
}

// Kind says what a node is.
type Kind string

// The kinds of nodes. Elementwise functions are kinds of their own (Add … StopGradient) until Map fuses them.
const (
	Input    Kind = "input"   // host data, by Name
	Storage  Kind = "storage" // a weight, state or cache, by Name
	Number   Kind = "number"  // Num
	Dot      Kind = "dot"     // contracts On
	Reduce   Kind = "reduce"  // Fn (sum, mean, max, min) over On
	Softmax  Kind = "softmax" // over On[0]
	Top      Kind = "top"     // mask of the N largest over On[0]
	Cumsum   Kind = "cumsum"  // over On[0]
	Slice    Kind = "slice"   // entries [N, N+size) of On[0], as To[0]; To[0] nil: one entry, the axis is gone
	Concat   Kind = "concat"  // Args[i] along On[i], as To[0]
	View     Kind = "view"    // On -> To: one axis into several or several into one
	Rename   Kind = "rename"  // On[0] -> To[0]
	Prev     Kind = "prev"    // N places before along On[0]
	Causal   Kind = "causal"  // −∞ where On[1] (key) is later than On[0] (seq) + offset; N: window
	Rotate   Kind = "rotate"  // Rotary turns On[1] by the position along On[0] + offset
	Append   Kind = "append"  // writes Args[1] (along On[0]) into the cache Args[0] (along To[0]) at offset
	Embed    Kind = "embed"   // rows of Args[1] (along On[0]) by the ids Args[0]
	Route    Kind = "route"   // Σ over On[0] of gate Args[0] · bank result Args[1], where the gate is not 0
	Loss     Kind = "token_loss"
	MeanLoss Kind = "masked_mean" // mean of Args[0] over the entries whose target Args[1] is not negative

	Apply Kind = "map" // Expr of Args, elementwise: what a chain of elementwise nodes becomes

	// Operations that only rewrites make.
	RMSNorm      Kind = "rms_norm"      // over On[0], gain Args[1], Num is eps
	Attention    Kind = "attention"     // Scores
	CrossEntropy Kind = "cross_entropy" // Loss of the logits dot[On](Args[0], Args[1]), targets Args[2]
	RoutePlan    Kind = "route_plan"    // sorts the rows of gate Args[0] by On[0]; N picks a row
	GatherRows   Kind = "gather_rows"   // Args[0] for each slot of plan Args[1]
	GatherGate   Kind = "gather_gate"   // the gate Args[0] of each slot of plan Args[1]
	GroupedDot   Kind = "grouped_dot"   // contracts On of the slots Args[0] with their expert's weight Args[1]; plan Args[2]
	ScatterRows  Kind = "scatter_rows"  // sums the slots Args[0] into rows; plan Args[1]
)

// Node is one equation.
type Node struct {
	Kind Kind
	Args []*Node
	Axes []*Axis // of the result, in the order of its memory
	On   []*Axis
	To   []*Axis
	N    int
	Num  float64
	Fn   string   // Reduce: which; elementwise: the function
	Expr *op.Expr // Apply
	Int  bool     // whole numbers (ids)
	// Rotary, Scores: what Rotate and Attention need.
	Rotary *Rotary
	Scores *Scores
	Offset *Node // scalar Int input: how many positions were before (generation); nil: none
	Name   string
	Place  Place
}

// Place says where in the recipe a node comes from.
type Place struct {
	Span string // file:line:column
	Path string // layers[3].attn
}

// Rotary holds the frequencies of a position encoding.
type Rotary struct {
	Frequencies []float64 // radians a position, one a pair
	Scale       float64   // multiplies cos and sin
	Halves      bool      // pairs are (i, i + d/2), else (2i, 2i+1)
}

// Scores describes an attention node: Args are q, k of each part, then v.
type Scores struct {
	Features []*Axis // contracted axis of each part
	Seq, Key *Axis
	Scale    float64
	Window   int
}

// Has reports whether the node's result has the axis.
func (n *Node) Has(a *Axis) bool { return slices.Contains(n.Axes, a) }

// Size is the number of entries of the result.
func (n *Node) Size() int { return Size(n.Axes) }

// Size is the product of the sizes.
func Size(axes []*Axis) int {
	s := 1
	for _, a := range axes {
		s *= a.Size
	}
	return s
}

// IsNumber reports whether n is the number v.
func (n *Node) IsNumber(v float64) bool { return n.Kind == Number && n.Num == v }

// Elementwise reports whether the node computes each entry from the matching entries of its arguments.
func (n *Node) Elementwise() bool { return n.Kind == Elementwise }

// Elementwise is the kind of all elementwise functions; Fn says which.
const Elementwise Kind = "elementwise"

// Without gives axes without those of drop.
func Without(axes, drop []*Axis) []*Axis {
	var keep []*Axis
	for _, a := range axes {
		if !slices.Contains(drop, a) {
			keep = append(keep, a)
		}
	}
	return keep
}

// Union gives a's axes, then those of b that a lacks.
func Union(a, b []*Axis) []*Axis {
	return append(slices.Clone(a), Without(b, a)...)
}

// Replace gives axes with the run `from` (in place of its first member) replaced by `to`.
func Replace(axes, from, to []*Axis) []*Axis {
	var out []*Axis
	for _, a := range axes {
		if a == from[0] {
			out = append(out, to...)
		} else if !slices.Contains(from, a) {
			out = append(out, a)
		}
	}
	return out
}

func (n *Node) must(a *Axis) {
	if !n.Has(a) {
		panic(fmt.Sprintf("equation: %s has no axis %s", n, a.Name))
	}
}

// At gives the node a name and a place, if it has none, and returns it.
func (n *Node) At(name string, p Place) *Node {
	if n.Name == "" {
		n.Name = name
	}
	if n.Place == (Place{}) {
		n.Place = p
	}
	return n
}

// Like gives a new node the name and place of the one it replaces.
func (n *Node) Like(old *Node) *Node {
	if n != old {
		n.At(old.Name, old.Place)
	}
	return n
}

// NewNumber is a constant.
func NewNumber(v float64) *Node { return &Node{Kind: Number, Num: v} }

// NewInput is data from the host. ints marks whole numbers.
func NewInput(name string, ints bool, axes ...*Axis) *Node {
	return &Node{Kind: Input, Name: name, Int: ints, Axes: axes}
}

// NewStorage is a weight, state or cache.
func NewStorage(name string, axes ...*Axis) *Node {
	return &Node{Kind: Storage, Name: name, Axes: axes}
}

// NewDot contracts on of x and y; other shared axes are carried. The result has x's other axes, then y's new ones.
func NewDot(x, y *Node, on ...*Axis) *Node {
	for _, a := range on {
		x.must(a)
		y.must(a)
	}
	return &Node{Kind: Dot, Args: []*Node{x, y}, On: on, Axes: Union(Without(x.Axes, on), Without(y.Axes, on))}
}

// NewElementwise applies a function; a smaller side is repeated along the axes it lacks.
func NewElementwise(fn string, args ...*Node) *Node {
	var axes []*Axis
	for _, a := range args {
		axes = Union(axes, a.Axes)
	}
	return &Node{Kind: Elementwise, Fn: fn, Args: args, Axes: axes}
}

// NewReduce is sum, mean, max or min over on.
func NewReduce(fn string, x *Node, on ...*Axis) *Node {
	for _, a := range on {
		x.must(a)
	}
	return &Node{Kind: Reduce, Fn: fn, Args: []*Node{x}, On: on, Axes: Without(x.Axes, on)}
}

// NewAlong is Softmax or Cumsum over one axis, or Top with its n.
func NewAlong(k Kind, x *Node, on *Axis, n int) *Node {
	x.must(on)
	return &Node{Kind: k, Args: []*Node{x}, On: []*Axis{on}, N: n, Axes: x.Axes}
}

// NewSlice takes size(to) entries from start of an axis; to nil takes one entry and drops the axis.
func NewSlice(x *Node, on *Axis, start int, to *Axis) *Node {
	x.must(on)
	var into []*Axis
	if to != nil {
		into = []*Axis{to}
	}
	return &Node{Kind: Slice, Args: []*Node{x}, On: []*Axis{on}, To: []*Axis{to}, N: start, Axes: Replace(x.Axes, []*Axis{on}, into)}
}

// NewConcat joins args[i] along on[i] into to.
func NewConcat(args []*Node, on []*Axis, to *Axis) *Node {
	for i, x := range args {
		x.must(on[i])
	}
	return &Node{Kind: Concat, Args: args, On: on, To: []*Axis{to}, Axes: Replace(args[0].Axes, on[:1], []*Axis{to})}
}

// NewView factors one axis or flattens several, the first name slowest.
func NewView(x *Node, on, to []*Axis) *Node {
	for _, a := range on {
		x.must(a)
	}
	return &Node{Kind: View, Args: []*Node{x}, On: on, To: to, Axes: Replace(x.Axes, on, to)}
}

// NewRename gives an axis another name; the same axis is no equation.
func NewRename(x *Node, on, to *Axis) *Node {
	if on == to {
		return x
	}
	x.must(on)
	return &Node{Kind: Rename, Args: []*Node{x}, On: []*Axis{on}, To: []*Axis{to}, Int: x.Int, Axes: Replace(x.Axes, []*Axis{on}, []*Axis{to})}
}

// NewPrev shifts along seq.
func NewPrev(x *Node, seq *Axis, n int) *Node {
	x.must(seq)
	return &Node{Kind: Prev, Args: []*Node{x}, On: []*Axis{seq}, N: n, Axes: x.Axes}
}

// NewCausal masks later keys.
func NewCausal(s *Node, seq, key *Axis, window int, offset *Node) *Node {
	s.must(seq)
	s.must(key)
	return &Node{Kind: Causal, Args: []*Node{s}, On: []*Axis{seq, key}, N: window, Offset: offset, Axes: s.Axes}
}

// NewRotate turns pairs along axis by the position along seq.
func NewRotate(x *Node, seq, axis *Axis, r *Rotary, offset *Node) *Node {
	x.must(seq)
	x.must(axis)
	return &Node{Kind: Rotate, Args: []*Node{x}, On: []*Axis{seq, axis}, Rotary: r, Offset: offset, Axes: x.Axes}
}

// NewAppend writes x (along seq) into cache (along key) at offset; the result is the cache.
func NewAppend(cache, x *Node, seq, key *Axis, offset *Node) *Node {
	cache.must(key)
	x.must(seq)
	return &Node{Kind: Append, Args: []*Node{cache, x}, On: []*Axis{seq}, To: []*Axis{key}, Offset: offset, Axes: cache.Axes}
}

// NewEmbed looks up rows of table (along vocab).
func NewEmbed(ids, table *Node, vocab *Axis) *Node {
	table.must(vocab)
	return &Node{Kind: Embed, Args: []*Node{ids, table}, On: []*Axis{vocab}, Axes: Union(ids.Axes, Without(table.Axes, []*Axis{vocab}))}
}

// NewRoute sums gate · y over the experts' axis.
func NewRoute(gate, y *Node, experts *Axis) *Node {
	gate.must(experts)
	return &Node{Kind: Route, Args: []*Node{gate, y}, On: []*Axis{experts}, Axes: Union(Without(gate.Axes, []*Axis{experts}), Without(y.Axes, []*Axis{experts}))}
}

// NewLoss is −log softmax over vocab at the target, for each target; 0 for negative targets.
func NewLoss(logits, targets *Node, vocab *Axis) *Node {
	logits.must(vocab)
	return &Node{Kind: Loss, Args: []*Node{logits, targets}, On: []*Axis{vocab}, Axes: targets.Axes}
}

// NewMeanLoss is the mean over the targets that are not negative.
func NewMeanLoss(loss, targets *Node) *Node {
	return &Node{Kind: MeanLoss, Args: []*Node{loss, targets}}
}

// Program is what a graph computes.
type Program struct {
	Name    string
	Outputs []Output
	Updates []Update
}

// Output is a named result.
type Output struct {
	Name string
	Node *Node
}

// Update is the new value of a storage after the run.
type Update struct {
	Storage *Node
	Value   *Node
}

// Roots are all nodes that must be computed.
func (p *Program) Roots() []*Node {
	var roots []*Node
	for _, o := range p.Outputs {
		roots = append(roots, o.Node)
	}
	for _, u := range p.Updates {
		roots = append(roots, u.Storage, u.Value)
	}
	return roots
}

// Walk calls visit for every node that the roots need, arguments first, each once, in a deterministic order.
func Walk(roots []*Node, visit func(*Node)) {
	seen := map[*Node]bool{}
	var walk func(*Node)
	walk = func(n *Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		for _, a := range n.Args {
			walk(a)
		}
		walk(n.Offset)
		visit(n)
	}
	for _, r := range roots {
		walk(r)
	}
}

// Users lists the nodes that each node is an argument of, once for each time, and nil for each time it is a root.
func Users(roots []*Node) map[*Node][]*Node {
	users := map[*Node][]*Node{}
	Walk(roots, func(n *Node) {
		for _, a := range n.Args {
			users[a] = append(users[a], n)
		}
	})
	for _, r := range roots {
		users[r] = append(users[r], nil)
	}
	return users
}

// Rebuild replaces nodes bottom-up: replace gets a node whose arguments are already replaced, and the original (in whose terms
// Users counts), and gives the node or another one back.
func (p *Program) Rebuild(replace func(n *Node, original *Node) *Node) {
	done := map[*Node]*Node{}
	Walk(p.Roots(), func(n *Node) {
		m := n
		for i, a := range n.Args {
			if done[a] != a {
				if m == n {
					m = n.clone()
				}
				m.Args[i] = done[a]
			}
		}
		done[n] = replace(m, n)
	})
	for i := range p.Outputs {
		p.Outputs[i].Node = done[p.Outputs[i].Node]
	}
	for i := range p.Updates {
		p.Updates[i].Value = done[p.Updates[i].Value]
		p.Updates[i].Storage = done[p.Updates[i].Storage]
	}
}

func (n *Node) clone() *Node {
	c := *n
	c.Args = slices.Clone(n.Args)
	return &c
}
