package plan

import (
	"fmt"

	"forge/compiler/graph"
	"forge/compiler/op"
)

// lowering is a graph as steps, before memory.
type lowering struct {
	target   Target
	name     string
	steps    []*Step
	views    []*Value
	inputs   []*Value
	storages []*Value
	outputs  []Output
	updates  []update
	values   map[*graph.Node][]*Value
	flops    float64

	node *graph.Node // being lowered
}

// update makes value the new content of storage after the run.
type update struct{ storage, value *Value }

// graph lowers all nodes in their order.
func (l *lowering) graph(g *graph.Graph) (err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			err = f.err
		}
	}()
	for _, n := range g.Nodes() {
		l.node = n
		switch n.Kind {
		case graph.InputNode, graph.StorageNode:
			t := n.Type()
			kind := Input
			if n.Kind == graph.StorageNode {
				kind = Storage
			}
			v := &Value{Shape: t.Shape, Dtype: t.Dtype, Strides: rowMajor(t.Shape), Buffer: &Buffer{Kind: kind, Name: n.Name, Size: t.Shape.Size()}}
			if kind == Storage && l.target.Storage != nil {
				v.Buffer.held = l.target.Storage(n.Name)
				if s := v.Buffer.held.Strides; s != nil {
					v.Strides = s
				}
			}
			l.values[n] = []*Value{v}
			if kind == Input {
				l.inputs = append(l.inputs, v)
			} else {
				l.storages = append(l.storages, v)
			}
		case graph.PickNode:
			l.values[n] = l.values[n.In[0]][n.Pick : n.Pick+1]
		case graph.OpNode:
			in := make([]op.Value, len(n.In))
			types := make([]op.Type, len(n.In))
			for i, m := range n.In {
				in[i] = l.values[m][0]
				types[i] = m.Type()
			}
			out := l.Apply(n.Op, n.Attrs, in...)
			vs := make([]*Value, len(out))
			for i, o := range out {
				vs[i] = o.(*Value)
			}
			l.values[n] = vs
			if n.Op.Cost != nil {
				l.flops += n.Op.Cost(n.Attrs, types, n.Outs).FLOPs
			}
		}
	}
	l.node = nil
	for _, o := range g.Outputs() {
		l.outputs = append(l.outputs, Output{o.Name, l.keep(l.values[o.Node][0])})
	}
	for _, u := range g.Updates() {
		if l.values[u.Storage][0].Buffer.held.Fixed {
			return at(u.Value, "storage %s is used as it was stored, and the graph updates it", u.Storage.Name)
		}
		l.updates = append(l.updates, update{l.values[u.Storage][0], l.keep(l.values[u.Value][0])})
	}
	l.name = g.Name()
	return nil
}

// keep marks a value, and what it is a view of, as read after the run.
func (l *lowering) keep(v *Value) *Value {
	v.kept = true
	v.source().kept = true
	return v
}

// Apply adds an operation as a step, a view, or its decomposition. It makes a lowering an op.Builder.
func (l *lowering) Apply(o *op.Op, a op.Attrs, in ...op.Value) []op.Value {
	values := make([]*Value, len(in))
	types := make([]op.Type, len(in))
	for i, x := range in {
		values[i] = x.(*Value)
		types[i] = x.Type()
	}
	out, err := op.InferTypes(o, a, types)
	if err != nil {
		panic(fault{at(l.node, "%s: %v", o.Name, err)})
	}
	results := make([]op.Value, len(out))
	if o.View {
		for i, t := range out {
			v := &Value{Shape: t.Shape, Dtype: t.Dtype, view: &view{values[0], o, a, i}}
			l.views = append(l.views, v)
			results[i] = v
		}
		return results
	}
	if o == op.Map {
		a, values = usedInputs(a.(op.MapAttrs), values)
	}
	kernel, ok := l.kernel(o, a)
	if !ok {
		if o.Decompose == nil {
			panic(fault{at(l.node, "this backend has no kernel for %s", o.Name)})
		}
		return o.Decompose(l, a, in)
	}
	s := &Step{Op: o, Attrs: a, In: values, Node: l.node, kernel: kernel}
	switch o {
	case op.Concat:
		s.Op, s.Attrs = join, concatJoin(a.(op.ConcatAttrs), values)
	case op.Pad:
		s.Op, s.Attrs = join, joinAttrs{Axis: a.(op.PadAttrs).Axis, Starts: []int{a.(op.PadAttrs).Before}}
	}
	for i, t := range out {
		v := &Value{Shape: t.Shape, Dtype: t.Dtype, step: s}
		s.Out = append(s.Out, v)
		results[i] = v
	}
	l.steps = append(l.steps, s)
	return results
}

// usedInputs drops a Map's inputs that its expression does not read; they were there for their shapes.
func usedInputs(a op.MapAttrs, in []*Value) (op.Attrs, []*Value) {
	number := make([]*op.Expr, len(in))
	var used []*Value
	var labels []string
	for i, v := range in {
		if a.Expr.Uses(i) {
			number[i] = op.In(len(used))
			used, labels = append(used, v), append(labels, a.In[i])
		}
	}
	if len(used) == len(in) {
		return a, in
	}
	return op.MapAttrs{Expr: a.Expr.Renumber(number), In: labels, Out: a.Out}, used
}

// kernel is what the target has for an operation; the plan carries out joins itself.
func (l *lowering) kernel(o *op.Op, a op.Attrs) (Kernel, bool) {
	switch o {
	case op.Concat, op.Pad:
		return Kernel{In: Strided, Out: Strided}, true
	}
	return l.target.Kernel(o, a)
}

// users lists for each value that a step makes, by index, the steps that read it or a view of it, once an operand.
func (l *lowering) users() map[*Value][]*Step {
	users := map[*Value][]*Step{}
	for i, s := range l.steps {
		s.index = i
		for _, v := range s.In {
			src := v.source()
			users[src] = append(users[src], s)
		}
	}
	return users
}

func (s *Step) String() string {
	return fmt.Sprintf("%s %s", s.Op.Name, op.AttrText(s.Attrs))
}
