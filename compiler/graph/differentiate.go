package graph

import (
	"fmt"
	"reflect"
	"sync"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"forge/compiler/op"
)

// Differentiate adds the gradients of a scalar loss with respect to inputs or storages, by one call of gorgonia's Backpropagate.
// It can be called once in the life of a graph, because a second call would silently reuse gradients of the first; losses are
// summed into one. More operations may be applied afterwards. It is an error if the loss does not depend on one of wrt, and an
// error names the operation whose gradient is missing.
func (g *Graph) Differentiate(loss *Node, wrt []*Node) (grads []*Node, err error) {
	if err := Catch(func() { g.checkLoss(loss, wrt) }); err != nil {
		return nil, err
	}
	g.differentiated = true
	b := builder{g, loss.Place, true}
	var seed *Node
	if err := Catch(func() { // 1, as an operation on the loss: gorgonia's constants are merged by their printed names
		one := op.MapAttrs{Expr: op.Const(1), In: []string{""}, Out: ""}
		seed = op.One(b, op.Map, one, loss).(*Node)
	}); err != nil {
		return nil, err
	}
	g.terms = map[*gorgonia.Node]gorgonia.Nodes{loss.expr: {seed.expr}}
	defer func() { g.terms = nil }()
	parameters := make(gorgonia.Nodes, len(wrt))
	for i, n := range wrt {
		parameters[i] = n.expr
	}
	found, err := g.backpropagate(loss, seed, parameters)
	if err != nil {
		return nil, err
	}
	err = Catch(func() {
		for n, terms := range g.terms {
			g.checkSum(n, terms)
		}
		for _, d := range found {
			grads = append(grads, g.wrap(d))
		}
	})
	return grads, err
}

func (g *Graph) checkLoss(loss *Node, wrt []*Node) {
	g.mustOwn(Place{}, loss)
	switch t := loss.Type(); {
	case g.differentiated:
		panic(errorAt(loss.Place, "the graph is differentiated already; losses must be summed into one"))
	case t.Dtype != op.Float || len(t.Shape) != 0:
		panic(errorAt(loss.Place, "the loss is %v, want a float scalar", t))
	case len(wrt) == 0:
		panic(errorAt(loss.Place, "nothing to differentiate with respect to"))
	}
	reached := g.reach(loss)
	seen := map[*Node]bool{}
	for _, n := range wrt {
		g.mustOwn(loss.Place, n)
		switch {
		case n.Kind != InputNode && n.Kind != StorageNode || n.Type().Dtype != op.Float:
			panic(errorAt(n.Place, "gradients are taken with respect to float inputs and storages, not %s", n))
		case seen[n]:
			panic(errorAt(n.Place, "%q is listed twice", n.Name))
		case !reached[n]:
			panic(errorAt(n.Place, "the loss does not depend on %q in a way that has a gradient", n.Name))
		}
		seen[n] = true
	}
}

// reach is the set of nodes to which the loss has a gradient.
func (g *Graph) reach(loss *Node) map[*Node]bool {
	reached := map[*Node]bool{loss: true}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := g.nodes[i]
		if !reached[n] || len(n.In) == 0 {
			continue
		}
		for j, flows := range n.expr.Op().(*gorgoniaOp).flows {
			if flows {
				reached[n.In[j]] = true
			}
		}
	}
	return reached
}

func (g *Graph) backpropagate(loss, seed *Node, parameters gorgonia.Nodes) (found gorgonia.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			found, err = nil, errorAt(loss.Place, "gorgonia: %v", r)
		}
		if g.failure != nil {
			err = g.failure // gorgonia's own message holds the whole graph
		}
	}()
	found, err = gorgonia.Backpropagate(gorgonia.Nodes{loss.expr}, gorgonia.Nodes{seed.expr}, parameters)
	if err != nil {
		return nil, &Error{loss.Place, fmt.Errorf("gorgonia: %w", err)}
	}
	if len(found) != len(parameters) {
		return nil, errorAt(loss.Place, "gorgonia found %d gradients of %d", len(found), len(parameters))
	}
	return found, nil
}

// backward is the SymDiff of an operation: its gradient rule, applied through the door.
func (g *Graph) backward(n *Node, grad *gorgonia.Node) (d gorgonia.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok {
				panic(e)
			}
			err = fmt.Errorf("the gradient of %s: %v", n.Op, r)
		}
	}()
	grads := make([]op.Value, len(n.Outs))
	if len(n.Outs) == 1 {
		grads[0] = g.wrap(grad)
	} else {
		g.unplace(grad, grads)
	}
	in, out := make([]op.Value, len(n.In)), []op.Value{n}
	for i, x := range n.In {
		in[i] = x
	}
	if len(n.picks) > 0 {
		out = out[:0]
		for _, p := range n.picks {
			out = append(out, p)
		}
	}
	d = make(gorgonia.Nodes, len(n.In))
	for i, v := range op.Backward(builder{g, n.Place, true}, n.Op, n.Attrs, in, out, grads) {
		if x, ok := v.(*Node); ok && i < len(d) {
			if have, want := x.Type(), n.In[i].Type(); !have.Shape.Equal(want.Shape) || have.Dtype != want.Dtype {
				return nil, fmt.Errorf("the gradient of %s for input %d is %v, the input %v", n.Op, i, have, want)
			}
			d[i] = x.expr
		}
	}
	return d, nil
}

// placed is the SymDiff of a pick: its gradient among zeros, in the flat shape of all outputs. Nothing but unplace and Interpret
// looks at the node.
func (g *Graph) placed(p *Node, flat op.Type, start int, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	g.count++
	o := &gorgoniaOp{
		g: g, name: fmt.Sprintf("place %s#%d", p.Name, g.count), text: fmt.Sprintf("place %d", p.Pick), place: p.Place,
		in: p.Outs, out: flat, flows: []bool{false}, pick: p.Pick,
		do: func(in []op.Tensor) (op.Tensor, error) {
			t := op.Tensor{Shape: flat.Shape, Data: make([]float64, flat.Shape.Size())}
			copy(t.Data[start:], in[0].Data)
			return t, nil
		},
	}
	n, err := g.emitOn(o, gorgonia.Nodes{grad})
	return gorgonia.Nodes{n}, err
}

// unplace finds the gradient of each output in a sum of placed ones.
func (g *Graph) unplace(grad *gorgonia.Node, grads []op.Value) {
	children := g.children(grad)
	if o, ok := grad.Op().(*gorgoniaOp); ok && o.pick >= 0 && grads[o.pick] == nil {
		grads[o.pick] = g.wrap(children[0])
		return
	}
	if !isSum(grad.Op()) {
		panic(fmt.Sprintf("%v is no gradient of an operation with several outputs", grad))
	}
	for _, c := range children {
		g.unplace(c, grads)
	}
}

// wrap is the node that a gorgonia node stands for. One of gorgonia's sums becomes an Add of two.
func (g *Graph) wrap(expr *gorgonia.Node) *Node {
	if n := g.of[expr]; n != nil {
		return n
	}
	if !isSum(expr.Op()) {
		panic(errorAt(Place{}, "gorgonia added a foreign node: %v", expr))
	}
	n := &Node{Kind: OpNode, Op: op.Add, Gradient: true, graph: g, sum: true}
	for _, c := range g.children(expr) {
		n.In = append(n.In, g.wrap(c))
	}
	n.Outs, n.Place = n.In[0].Outs, n.In[len(n.In)-1].Place
	n.Name = builder{g, n.Place, true}.label(op.Add.Name)
	if g.taken[expr.Hashcode()] == nil {
		g.taken[expr.Hashcode()] = expr
	}
	g.add(n, expr)
	return n
}

// checkSum makes sure that the gradient that gorgonia found for a node is the sum of those that were made for it, each once: a sum
// could be merged with another one whose hash is the same.
func (g *Graph) checkSum(of *gorgonia.Node, terms gorgonia.Nodes) {
	total := of.Deriv()
	if total == nil {
		return // not on the way to a parameter
	}
	for i := len(terms) - 1; i > 0; i-- { // gorgonia adds from the left: ((t0 + t1) + t2) + …
		pair := g.children(total)
		if !isSum(total.Op()) || pair[1] != terms[i] {
			panic(g.mergedSum(of))
		}
		total = pair[0]
	}
	if total != terms[0] {
		panic(g.mergedSum(of))
	}
}

func (g *Graph) mergedSum(of *gorgonia.Node) *Error {
	return errorAt(g.placeOf(of), "gorgonia merged two sums of gradients whose hashes are the same; rename a part")
}

func (g *Graph) placeOf(expr *gorgonia.Node) Place {
	if n := g.of[expr]; n != nil {
		return n.Place
	}
	return Place{}
}

// children are the arguments of a gorgonia node, in order.
func (g *Graph) children(n *gorgonia.Node) gorgonia.Nodes {
	var list gorgonia.Nodes
	for it := g.expr.From(n.ID()); it != nil && it.Next(); {
		list = append(list, it.Node().(*gorgonia.Node))
	}
	return list
}

// sum is what gorgonia's addition looks like: its type is not exported, so it is learnt from an example.
var sum = sync.OnceValue(func() gorgonia.Op {
	g := gorgonia.NewGraph()
	a := gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("a"))
	b := gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("b"))
	return gorgonia.Must(gorgonia.Add(a, b)).Op()
})

func isSum(o gorgonia.Op) bool {
	return o != nil && reflect.TypeOf(o) == reflect.TypeOf(sum()) && o.String() == sum().String()
}
