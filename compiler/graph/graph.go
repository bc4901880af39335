// Package graph builds the gorgonia.ExprGraph of a model behind one door: nothing else in forge makes, reads or runs gorgonia nodes.
//
// What flows in are the calls of package compiler: inputs, storages (weights, optimizer moments, states, caches), applications of
// operations (compiler/op) through a Builder that carries the place in the recipe, then the loss and its parameters to
// Differentiate, and what is kept: outputs and updates. Every operation is checked by its own shape rule before gorgonia sees it,
// and every error names the place. gorgonia's Backpropagate derives the gradients; each operation's gradient rule builds their
// nodes through the same door.
//
// What comes out after Seal is a list of Nodes in topological order, without dead nodes, for the backends. They never see
// gorgonia. Interpret runs the graph on gorgonia's LispMachine with the operations' references, to compare backends with.
//
// # What the door keeps out
//
// gorgonia merges nodes whose 32-bit hashes are equal. Every node therefore has a unique name in its hash, and a name whose hash
// is taken is changed before the node is made. Gradients that meet in one value are added by gorgonia's own "+", the only foreign
// operation in the graph; Differentiate checks that each sum adds exactly the gradients that were made for it, and Seal turns
// chains of them into single Add nodes. There are no constants, no native operations, no values at construction, and one call of
// Backpropagate. Operations of several outputs are one gorgonia node whose value is all outputs one after the other, with a
// PickNode for each; the gradient of a pick is placed among zeros by a node that only gorgonia sees, and taken out of there again
// symbolically when the operation itself is differentiated.
//
// A Graph is used by one goroutine at a time. Different graphs may be built in parallel.
package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"forge/compiler/op"
)

// Graph is a graph under construction until Seal, fixed afterwards.
type Graph struct {
	name  string
	float tensor.Dtype
	expr  *gorgonia.ExprGraph

	nodes []*Node                   // in topological order
	of    map[*gorgonia.Node]*Node  // not for place nodes, which have no Node
	names map[string]bool           // of inputs and storages
	given map[string]bool           // names of outputs
	taken map[uint32]*gorgonia.Node // by hash
	count int                       // for names
	most  int                       // nodes

	inputs, storages []*Node
	outputs          []NamedNode
	updates          []Assignment
	updated          map[*Node]bool // storages

	differentiated, sealed bool
	// While gorgonia differentiates: the gradients made for each node, and the first error of a rule.
	terms   map[*gorgonia.Node]gorgonia.Nodes
	failure *Error
	// While gorgonia interprets: the first error of a reference.
	broken *Error
}

// NamedNode is an output.
type NamedNode struct {
	Name string
	Node *Node
}

// Assignment is a storage and the value that it holds after the run.
type Assignment struct{ Storage, Value *Node }

// New is an empty graph whose Float entries are float32, or float64 for references.
func New(name string, float64s bool) *Graph {
	g := &Graph{
		name:  name,
		float: tensor.Float32,
		expr:  gorgonia.NewGraph(gorgonia.WithGraphName(name)),
		most:  mostNodes,
		of:    map[*gorgonia.Node]*Node{},
		names: map[string]bool{},
		taken: map[uint32]*gorgonia.Node{},

		given:   map[string]bool{},
		updated: map[*Node]bool{},
	}
	if float64s {
		g.float = tensor.Float64
	}
	return g
}

// Name is what New was given.
func (g *Graph) Name() string { return g.name }

// Float64s reports whether Float entries are float64.
func (g *Graph) Float64s() bool { return g.float == tensor.Float64 }

// Input declares host data that a program's SetFloats and SetInts fill before each run. Names of inputs and storages are unique.
func (g *Graph) Input(name string, t op.Type) *Node {
	n := g.declare(InputNode, name, t)
	g.inputs = append(g.inputs, n)
	return n
}

// Storage declares a tensor that lives in a backend's Store: a weight, moment, state or cache.
func (g *Graph) Storage(name string, t op.Type) *Node {
	n := g.declare(StorageNode, name, t)
	g.storages = append(g.storages, n)
	return n
}

func (g *Graph) declare(kind Kind, name string, t op.Type) *Node {
	n := &Node{Kind: kind, Outs: []op.Type{t}, Name: name, Place: Place{Text: name}, graph: g}
	switch {
	case g.sealed:
		panic(errorAt(n.Place, "the graph is sealed"))
	case name == "":
		panic(errorAt(n.Place, "an input without a name"))
	case g.names[name]:
		panic(errorAt(n.Place, "the name %q is taken by another input or storage", name))
	}
	for _, d := range t.Shape {
		if d < 1 {
			panic(errorAt(n.Place, "the type is %v: every axis must be at least 1 long", t))
		}
	}
	g.names[name] = true
	g.add(n, g.leaf(name, t))
	return n
}

// add records the node that a gorgonia node stands for.
func (g *Graph) add(n *Node, expr *gorgonia.Node) {
	n.ID, n.expr = len(g.nodes), expr
	g.nodes = append(g.nodes, n)
	g.of[expr] = n
}

// Output names a value that the program gives to the host. Output names are unique.
func (g *Graph) Output(name string, n *Node) {
	g.mustOwn(Place{Text: name}, n)
	if g.given[name] || name == "" {
		panic(errorAt(n.Place, "the output %q is given twice or has no name", name))
	}
	g.given[name] = true
	g.outputs = append(g.outputs, NamedNode{name, n})
}

// Update makes the storage hold the value after the run. All values are computed from what storages held before it.
func (g *Graph) Update(storage, value *Node) {
	g.mustOwn(Place{}, storage)
	g.mustOwn(storage.Place, value)
	if storage.Kind != StorageNode {
		panic(errorAt(storage.Place, "only a storage can be updated"))
	}
	if s, v := storage.Type(), value.Type(); s.Dtype != v.Dtype || !s.Shape.Equal(v.Shape) {
		panic(errorAt(value.Place, "the new value of %q is %v, the storage %v", storage.Name, v, s))
	}
	if g.updated[storage] {
		panic(errorAt(value.Place, "%q is updated twice", storage.Name))
	}
	g.updated[storage] = true
	g.updates = append(g.updates, Assignment{storage, value})
}

// mustOwn refuses nodes that can't be used as a value here.
func (g *Graph) mustOwn(p Place, n *Node) {
	switch {
	case g.sealed:
		panic(errorAt(p, "the graph is sealed"))
	case n == nil:
		panic(errorAt(p, "no value"))
	case n.graph != g:
		panic(errorAt(p, "%s belongs to another graph", n))
	case len(n.Outs) != 1 && n.Kind == OpNode:
		panic(errorAt(p, "%s has %d outputs, one must be picked", n, len(n.Outs)))
	}
}

// Nodes are all nodes, each after those it uses. After Seal they are live, but for inputs and storages, which always stay, and a
// node's ID is its index.
func (g *Graph) Nodes() []*Node { return g.nodes }

// Inputs are in the order of declaration, like Storages, Outputs and Updates.
func (g *Graph) Inputs() []*Node { return g.inputs }

// Storages lists what must be in the store.
func (g *Graph) Storages() []*Node { return g.storages }

// Outputs lists the named values.
func (g *Graph) Outputs() []NamedNode { return g.outputs }

// Updates lists what storages hold after the run.
func (g *Graph) Updates() []Assignment { return g.updates }

// Catch runs f and gives the *Error that it panics with; other panics go on.
func Catch(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// Error is a wrong use, with the place in the recipe that led to it.
type Error struct {
	Place Place
	Err   error
}

func (e *Error) Error() string {
	if p := e.Place.String(); p != "" {
		return p + ": " + e.Err.Error()
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

func errorAt(p Place, format string, args ...any) *Error {
	return &Error{p, fmt.Errorf(format, args...)}
}
