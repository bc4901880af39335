package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"forge/compiler/op"
)

// mostNodes bounds the graph: gorgonia's construction takes time that grows with the square of the nodes. A training step of
// DeepSeek-V3, 15,000 nodes, takes a third of a second, one three times as deep four.
const mostNodes = 50_000

// Seal verifies the graph, folds gorgonia's chains of sums into single additions, and removes what no output and no update needs.
// Nothing can be added afterwards.
func (g *Graph) Seal() error {
	if g.sealed {
		return fmt.Errorf("graph %s: sealed already", g.name)
	}
	if err := g.end(); err != nil {
		return err
	}
	if err := g.verify(); err != nil {
		return err
	}
	g.sealed = true
	g.fold()
	g.sweep()
	return nil
}

// end gives whole numbers that nothing uses a user that only gorgonia sees: its LispMachine gives every value without a user a
// derivative of 1, and fails where that is an int32 tensor.
func (g *Graph) end() error {
	o := &gorgoniaOp{
		g: g, name: "end", text: "end", pick: -1,
		do: func([]op.Tensor) (op.Tensor, error) { return op.Tensor{Data: make([]float64, 1)}, nil },
	}
	var unused []*Node
	for _, n := range g.nodes {
		if n.Outs[0].Dtype == op.Int32 && len(n.In) > 0 && len(n.picks) == 0 && g.expr.To(n.expr.ID()).Len() == 0 {
			unused, o.in, o.flows = append(unused, n), append(o.in, n.Type()), append(o.flows, false)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	_, err := g.emit(o, unused)
	return err
}

// verify checks what the door promises: gorgonia holds our operations, inputs and its own sums and nothing else, every node after
// those it uses, each of our nodes under a hash of its own.
func (g *Graph) verify() error {
	all := g.expr.AllNodes()
	if len(all) > g.most {
		return fmt.Errorf("graph %s: %d nodes, the most are %d", g.name, len(all), g.most)
	}
	seen, hashes := make(map[*gorgonia.Node]bool, len(all)), make(map[uint32]*gorgonia.Node, len(all))
	for _, n := range all {
		ours := n.Op() == nil
		if o, ok := n.Op().(*gorgoniaOp); ok {
			ours = o.g == g
		}
		if !ours && !isSum(n.Op()) {
			return &Error{g.placeOf(n), fmt.Errorf("a foreign operation: %v", n)}
		}
		for _, c := range g.children(n) {
			if !seen[c] {
				return &Error{g.placeOf(n), fmt.Errorf("%v comes before %v, which it uses", n, c)}
			}
		}
		if other := hashes[n.Hashcode()]; ours && other != nil {
			return &Error{g.placeOf(n), fmt.Errorf("%v and %v have one hash", n, other)}
		}
		seen[n], hashes[n.Hashcode()] = true, n
	}
	return nil
}

// fold makes (a + b) + c, where nothing else uses a + b, one addition of three.
func (g *Graph) fold() {
	uses := make(map[*Node]int, len(g.nodes))
	for _, n := range g.nodes {
		for _, x := range n.In {
			uses[x]++
		}
	}
	for _, o := range g.outputs {
		uses[o.Node]++
	}
	for _, u := range g.updates {
		uses[u.Value]++
	}
	for _, n := range g.nodes { // inner sums come first
		if !n.sum {
			continue
		}
		var in []*Node
		for _, x := range n.In {
			if x.sum && uses[x] == 1 {
				in = append(in, x.In...)
			} else {
				in = append(in, x)
			}
		}
		n.In = in
	}
}

// sweep keeps inputs, storages and what outputs and updates need, and numbers them.
func (g *Graph) sweep() {
	live := make(map[*Node]bool, len(g.nodes))
	for _, o := range g.outputs {
		live[o.Node] = true
	}
	for _, u := range g.updates {
		live[u.Value] = true
	}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := g.nodes[i]
		if n.Kind == InputNode || n.Kind == StorageNode {
			live[n] = true
		}
		if live[n] {
			for _, x := range n.In {
				live[x] = true
			}
		}
	}
	var kept []*Node
	for _, n := range g.nodes {
		if live[n] {
			n.ID = len(kept)
			kept = append(kept, n)
		}
	}
	g.nodes = kept
}
