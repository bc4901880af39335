package graph

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"forge/compiler/op"
)

// At is a Builder whose nodes carry the place. Its Apply panics with *Error; Catch turns that into an error.
func (g *Graph) At(p Place) op.Builder { return builder{g, p, false} }

type builder struct {
	g        *Graph
	place    Place
	gradient bool
}

// Apply checks the inputs by the operation's shape rule and makes its node, and a PickNode for each output if there are several.
func (b builder) Apply(o *op.Op, a op.Attrs, in ...op.Value) []op.Value {
	g, n := b.g, &Node{Kind: OpNode, Op: o, Attrs: a, Place: b.place, Gradient: b.gradient, graph: b.g}
	types := make([]op.Type, len(in))
	for i, v := range in {
		x, ok := v.(*Node)
		if !ok {
			panic(b.wrong(o, a, nil, fmt.Errorf("input %d is no value of a graph: %v", i, v)))
		}
		g.mustOwn(b.place, x)
		n.In = append(n.In, x)
		types[i] = x.Type()
	}
	if o == nil {
		panic(errorAt(b.place, "no operation"))
	}
	out, err := op.InferTypes(o, a, types)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("the operation has no outputs")
	}
	for _, t := range out {
		if t.Dtype != out[0].Dtype {
			err = fmt.Errorf("outputs of both %v and %v", out[0].Dtype, t.Dtype)
		}
	}
	if err != nil {
		panic(b.wrong(o, a, types, err))
	}
	n.Outs = out
	n.Name = b.label(o.Name)
	if err := g.apply(n, types); err != nil {
		panic(b.wrong(o, a, types, err))
	}
	if len(out) == 1 {
		return []op.Value{n}
	}
	values := make([]op.Value, len(out))
	n.picks = make([]*Node, len(out))
	for i, t := range out {
		p := &Node{Kind: PickNode, In: []*Node{n}, Outs: []op.Type{t}, Pick: i, Place: b.place, Gradient: b.gradient, graph: g}
		p.Name = n.Name + "." + outputName(o, i)
		if err := g.pick(p); err != nil {
			panic(b.wrong(o, a, types, err))
		}
		values[i], n.picks[i] = p, p
	}
	return values
}

// label is a unique name for a node.
func (b builder) label(operation string) string {
	text := b.place.Text
	if text == "" {
		text = operation
	}
	if b.gradient {
		text = "grad " + text
	}
	b.g.count++
	return fmt.Sprintf("%s#%d", text, b.g.count)
}

// outputName is the name of output i, numbered if the operation's last output repeats.
func outputName(o *op.Op, i int) string {
	if i < len(o.Outputs) && !strings.HasSuffix(o.Outputs[i], "...") {
		return o.Outputs[i]
	}
	return fmt.Sprint(i)
}

func (b builder) wrong(o *op.Op, a op.Attrs, in []op.Type, err error) *Error {
	text := make([]string, len(in))
	for i, t := range in {
		text[i] = t.String()
	}
	what := o.String()
	if a != nil {
		what += "[" + op.AttrText(a) + "]"
	}
	if b.gradient {
		what = "the gradient's " + what
	}
	return &Error{b.place, fmt.Errorf("%s(%s): %w", what, strings.Join(text, ", "), err)}
}

// apply makes the gorgonia node of an operation, whose value is all outputs one after the other if there are several.
func (g *Graph) apply(n *Node, types []op.Type) error {
	out := n.Outs[0]
	if len(n.Outs) > 1 {
		out = op.Type{Shape: op.Shape{flatSize(n.Outs)}, Dtype: out.Dtype}
	}
	o := &gorgoniaOp{
		g: g, name: n.Name, place: n.Place, pick: -1, text: n.Op.Name + "[" + op.AttrText(n.Attrs) + "]",
		in: types, out: out, flows: op.Differentiable(n.Op, types),
		do: func(in []op.Tensor) (op.Tensor, error) {
			result, err := op.Evaluate(n.Op, n.Attrs, types, in)
			return flatten(out, result), err
		},
		diff: func(grad *gorgonia.Node) (gorgonia.Nodes, error) { return g.backward(n, grad) },
	}
	expr, err := g.emit(o, n.In)
	if err != nil {
		return err
	}
	g.add(n, expr)
	return nil
}

// pick makes the gorgonia node of one output.
func (g *Graph) pick(p *Node) error {
	from, out := p.In[0], p.Outs[0]
	start := flatSize(from.Outs[:p.Pick])
	flat := op.Type{Shape: op.Shape{flatSize(from.Outs)}, Dtype: out.Dtype}
	o := &gorgoniaOp{
		g: g, name: p.Name, place: p.Place, pick: -1, text: fmt.Sprintf("pick %d", p.Pick), in: []op.Type{flat}, out: out,
		flows: []bool{out.Dtype == op.Float},
		do: func(in []op.Tensor) (op.Tensor, error) {
			return op.Tensor{Shape: out.Shape, Data: in[0].Data[start : start+out.Shape.Size()]}, nil
		},
		diff: func(grad *gorgonia.Node) (gorgonia.Nodes, error) { return g.placed(p, flat, start, grad) },
	}
	expr, err := g.emit(o, p.In)
	if err != nil {
		return err
	}
	g.add(p, expr)
	return nil
}

func flatSize(types []op.Type) int {
	n := 0
	for _, t := range types {
		n += t.Shape.Size()
	}
	return n
}

// flatten puts the outputs of an operation one after the other.
func flatten(t op.Type, out []op.Tensor) op.Tensor {
	if len(out) == 1 {
		return out[0]
	}
	flat := op.Tensor{Shape: t.Shape}
	for _, x := range out {
		flat.Data = append(flat.Data, x.Data...)
	}
	return flat
}
