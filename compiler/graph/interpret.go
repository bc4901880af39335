package graph

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"forge/compiler/op"
)

// Interpret runs the sealed graph once on gorgonia's LispMachine, each operation by its reference, and gives the outputs of every
// node. bind holds the value of every input and storage by name; updates are computed and not applied. It is slow and right: it
// is what backends are compared with.
func (g *Graph) Interpret(bind map[string]op.Tensor) (map[*Node][]op.Tensor, error) {
	if !g.sealed {
		return nil, fmt.Errorf("graph %s: not sealed", g.name)
	}
	// A machine of its own and no value left over: machines that run again reuse stale results.
	g.expr.UnbindAllNonInputs()
	for _, list := range [][]*Node{g.inputs, g.storages} {
		for _, n := range list {
			t, ok := bind[n.Name]
			if err := checkBinding(n, t, ok); err != nil {
				return nil, err
			}
			if err := gorgonia.Let(n.expr, g.value(n.Type(), t.Data)); err != nil {
				return nil, &Error{n.Place, fmt.Errorf("gorgonia: %w", err)}
			}
		}
	}
	g.broken = nil
	machine := gorgonia.NewLispMachine(g.expr, gorgonia.ExecuteFwdOnly())
	defer machine.Close()
	err := machine.RunAll()
	if g.broken != nil {
		return nil, g.broken
	}
	if err != nil {
		return nil, fmt.Errorf("graph %s: gorgonia: %w", g.name, err)
	}
	values := make(map[*Node][]op.Tensor, len(g.nodes))
	for _, n := range g.nodes {
		data := floats(n.expr.Value())
		for _, t := range n.Outs {
			size := t.Shape.Size()
			values[n] = append(values[n], op.Tensor{Shape: t.Shape, Data: data[:size:size]})
			data = data[size:]
		}
	}
	return values, nil
}

func checkBinding(n *Node, t op.Tensor, ok bool) error {
	want := n.Type()
	if !ok {
		return errorAt(n.Place, "no value for %q", n.Name)
	}
	if len(t.Data) != want.Shape.Size() || !t.Shape.Equal(want.Shape) {
		return errorAt(n.Place, "a value of %v with %d entries for %q, which is %v", t.Shape, len(t.Data), n.Name, want)
	}
	for _, v := range t.Data {
		if want.Dtype == op.Int32 && (v != math.Trunc(v) || math.Abs(v) > math.MaxInt32) {
			return errorAt(n.Place, "%v for %q, which is %v", v, n.Name, want)
		}
	}
	return nil
}
