package graph

import (
	"gorgonia.org/gorgonia"

	"forge/compiler/op"
)

// Kind says what a node is.
type Kind uint8

// The kinds of nodes.
const (
	InputNode   Kind = iota // host data
	StorageNode             // a tensor in the store
	OpNode                  // an operation; one of several outputs is used through PickNodes only
	PickNode                // an output of the operation In[0]
)

// Node is a value of the graph, or an operation of several outputs. Nobody but this package changes it.
type Node struct {
	ID    int
	Kind  Kind
	Op    *op.Op
	Attrs op.Attrs
	In    []*Node
	Outs  []op.Type
	Pick  int    // which output of In[0]
	Name  string // unique
	Place Place
	// Gradient says that differentiation made the node. Its Place is that of the node it is the gradient of.
	Gradient bool

	graph *Graph
	expr  *gorgonia.Node
	picks []*Node // of an operation with several outputs
	sum   bool    // made by gorgonia's "+"
}

// Type is the type of the value; of an operation with several outputs, that of the first.
func (n *Node) Type() op.Type { return n.Outs[0] }

func (n *Node) String() string { return n.Name }

// Place is where a node comes from.
type Place struct {
	Span string // file:line:col
	Text string // the equation or the path of the part, as in layers[3].attn.q
	// Recompute says that what the equation gives is to be computed again for its gradient instead of being kept.
	Recompute bool
}

func (p Place) String() string {
	if p.Span != "" && p.Text != "" {
		return p.Span + ": " + p.Text
	}
	return p.Span + p.Text
}
