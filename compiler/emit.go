package compiler

import (
	"fmt"
	"math"
	"slices"

	"forge/compiler/equation"
	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
)

// emitter writes equations as graph operations. Here names of axes end: a node's axes become positions, and where two tensors must
// be aligned, letters. Layouts are as the equations have them; a kernel that needs an axis elsewhere gets a transposed view.
type emitter struct {
	g      *graph.Graph
	values map[*equation.Node][]op.Value
	inputs map[string]*graph.Node
	// precisions of products; nil: float32.
	precisions *precisions
	// heads are the losses of a training step that are only averaged: the average is emitted with its gradients.
	heads map[*equation.Node]bool
	// recompute are patterns of what is not kept for gradients.
	recompute []string
}

func newEmitter(g *graph.Graph) *emitter {
	return &emitter{g: g, values: map[*equation.Node][]op.Value{}, inputs: map[string]*graph.Node{}}
}

// program emits everything that the program's roots need, and declares its outputs and updates.
func (em *emitter) program(p *equation.Program) {
	equation.Walk(p.Roots(), func(n *equation.Node) {
		if n.Kind != equation.Number && !em.heads[n] {
			em.values[n] = em.emit(n)
		}
	})
	for _, o := range p.Outputs {
		em.g.Output(o.Name, em.node(o.Node))
	}
	for _, u := range p.Updates {
		em.g.Update(em.node(u.Storage), em.node(em.aligned(u)))
	}
}

// aligned is an update's value with the axes in the storage's order.
func (em *emitter) aligned(u equation.Update) *equation.Node {
	if slices.Equal(u.Value.Axes, u.Storage.Axes) {
		return u.Value
	}
	n := &equation.Node{Kind: equation.Apply, Expr: op.In(0), Args: []*equation.Node{u.Value}, Axes: u.Storage.Axes, Place: u.Value.Place}
	em.values[n] = em.emit(n)
	return n
}

func (em *emitter) node(n *equation.Node) *graph.Node { return em.value(n).(*graph.Node) }

func (em *emitter) storage(n *equation.Node) *graph.Node {
	if em.values[n] == nil {
		em.values[n] = em.emit(n)
	}
	return em.node(n)
}

func (em *emitter) value(n *equation.Node) op.Value {
	if n.Kind == equation.Number && em.values[n] == nil {
		panic(unsupported{n.Place.Span, fmt.Sprintf("the number %g stands where a tensor must", n.Num)})
	}
	return em.values[n][0]
}

func (em *emitter) at(n *equation.Node) op.Builder {
	text := n.Place.Path
	if n.Name != "" && n.Kind != equation.Input && n.Kind != equation.Storage {
		if text != "" {
			text += "."
		}
		text += n.Name
	}
	again := slices.ContainsFunc(em.recompute, func(pattern string) bool { return check.Match(pattern, text) })
	return em.g.At(graph.Place{Span: n.Place.Span, Text: text, Recompute: again})
}

// letters gives each axis a letter, for one operation.
type letters map[*equation.Axis]byte

func (l letters) of(axes []*equation.Axis) string {
	s := make([]byte, len(axes))
	for i, a := range axes {
		c, ok := l[a]
		if !ok {
			c = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[len(l)]
			l[a] = c
		}
		s[i] = c
	}
	return string(s)
}

func index(axes []*equation.Axis, a *equation.Axis) int {
	i := slices.Index(axes, a)
	if i < 0 {
		panic("compiler: axis " + a.Name + " is not there")
	}
	return i
}

func shape(axes []*equation.Axis) op.Shape {
	s := make(op.Shape, len(axes))
	for i, a := range axes {
		s[i] = a.Size
	}
	return s
}

// ordered is a view of n's value with its axes in another order.
func (em *emitter) ordered(b op.Builder, n *equation.Node, axes []*equation.Axis) op.Value {
	v := em.value(n)
	if slices.Equal(n.Axes, axes) {
		return v
	}
	perm := make([]int, len(axes))
	for i, a := range axes {
		perm[i] = index(n.Axes, a)
	}
	return op.One(b, op.Transpose, op.TransposeAttrs{Perm: perm}, v)
}

// rows is n's value as a matrix-like tensor [rows, rest…]: the axes in rows first and flattened, then the others in order.
func (em *emitter) rows(b op.Builder, n *equation.Node, rows []*equation.Axis) op.Value {
	rest := equation.Without(n.Axes, rows)
	v := em.ordered(b, n, append(slices.Clone(rows), rest...))
	return reshape(b, v, append(op.Shape{equation.Size(rows)}, shape(rest)...))
}

func reshape(b op.Builder, v op.Value, s op.Shape) op.Value {
	if v.Type().Shape.Equal(s) {
		return v
	}
	return op.One(b, op.Reshape, op.ReshapeAttrs{Shape: s}, v)
}

func (em *emitter) withOffset(n *equation.Node, in ...op.Value) []op.Value {
	if n.Offset != nil {
		in = append(in, em.value(n.Offset))
	}
	return in
}

func (em *emitter) emit(n *equation.Node) []op.Value {
	b := em.at(n)
	one := func(o *op.Op, a op.Attrs, in ...op.Value) []op.Value { return b.Apply(o, a, in...)[:1] }
	arg := func(i int) op.Value { return em.value(n.Args[i]) }
	l := letters{}
	switch n.Kind {
	case equation.Input:
		t := op.Type{Shape: shape(n.Axes)}
		if n.Int {
			t.Dtype = op.Int32
		}
		in := em.inputs[n.Name]
		if in == nil {
			in = em.g.Input(n.Name, t)
			em.inputs[n.Name] = in
		}
		return []op.Value{in}
	case equation.Storage:
		return []op.Value{em.g.Storage(n.Name, op.Type{Shape: shape(n.Axes)})}
	case equation.Dot:
		return one(op.Dot, op.DotAttrs{A: l.of(n.Args[0].Axes), B: l.of(n.Args[1].Axes), Out: l.of(n.Axes), Precision: em.precisions.of(n)}, arg(0), arg(1))
	case equation.Elementwise, equation.Apply:
		return em.elementwise(b, n)
	case equation.Reduce:
		return one(op.Reduce, op.ReduceAttrs{Kind: n.Fn, In: l.of(n.Args[0].Axes), Out: l.of(n.Axes)}, arg(0))
	case equation.Softmax:
		return one(op.Softmax, op.SoftmaxAttrs{Axis: index(n.Axes, n.On[0])}, arg(0))
	case equation.Top:
		return one(op.Top, op.TopAttrs{Axis: index(n.Axes, n.On[0]), N: n.N}, arg(0))
	case equation.Cumsum:
		return one(op.Cumsum, op.CumsumAttrs{Axis: index(n.Axes, n.On[0])}, arg(0))
	case equation.Prev:
		return one(op.Prev, op.PrevAttrs{Axis: index(n.Axes, n.On[0]), N: n.N}, arg(0))
	case equation.Slice:
		return em.slice(b, n)
	case equation.Concat:
		return em.concat(b, n)
	case equation.View:
		return em.view(b, n)
	case equation.Rename:
		return []op.Value{arg(0)}
	case equation.Causal:
		return one(op.CausalMask, op.CausalMaskAttrs{Seq: index(n.Axes, n.On[0]), Key: index(n.Axes, n.On[1]), Window: n.N, Fill: math.Inf(-1)}, em.withOffset(n, arg(0))...)
	case equation.Rotate:
		return one(op.Rotate, op.RotateAttrs{Seq: index(n.Axes, n.On[0]), Axis: index(n.Axes, n.On[1]),
			Frequencies: n.Rotary.Frequencies, Scale: n.Rotary.Scale, Halves: n.Rotary.Halves}, em.withOffset(n, arg(0))...)
	case equation.Append:
		cache, x := n.Args[0], n.Args[1]
		like := equation.Replace(cache.Axes, n.To, n.On)
		return one(op.CacheAppend, op.CacheAppendAttrs{Axis: index(cache.Axes, n.To[0])}, em.withOffset(n, arg(0), em.ordered(b, x, like))...)
	case equation.Embed:
		table := n.Args[1]
		return one(op.Embed, nil, arg(0), em.ordered(b, table, append(slices.Clone(n.On), equation.Without(table.Axes, n.On)...)))
	case equation.Route:
		gate, y := n.Args[0], n.Args[1]
		return one(op.Dot, op.DotAttrs{A: l.of(gate.Axes), B: l.of(y.Axes), Out: l.of(n.Axes)}, arg(0), arg(1))
	case equation.Loss, equation.CrossEntropy, equation.MeanLoss:
		return em.loss(b, n)
	case equation.RMSNorm:
		return em.rmsNorm(b, n)
	case equation.Attention:
		return em.attention(b, n)
	}
	return em.routed(b, n)
}

func (em *emitter) slice(b op.Builder, n *equation.Node) []op.Value {
	x, axis := n.Args[0], index(n.Args[0].Axes, n.On[0])
	size := 1
	if n.To[0] != nil {
		size = n.To[0].Size
	}
	v := op.One(b, op.Slice, op.SliceAttrs{Axis: axis, Start: n.N, Stop: n.N + size}, em.value(x))
	return []op.Value{reshape(b, v, shape(n.Axes))}
}

func (em *emitter) concat(b op.Builder, n *equation.Node) []op.Value {
	at := index(n.Axes, n.To[0])
	in := make([]op.Value, len(n.Args))
	for i, x := range n.Args {
		order := slices.Clone(n.Axes)
		order[at] = n.On[i]
		in[i] = em.ordered(b, x, order)
	}
	return b.Apply(op.Concat, op.ConcatAttrs{Axis: at}, in...)
}

// view factors an axis in place, or flattens several, which must come to stand side by side first.
func (em *emitter) view(b op.Builder, n *equation.Node) []op.Value {
	x := n.Args[0]
	together := equation.Replace(x.Axes, n.On, n.On)
	return []op.Value{reshape(b, em.ordered(b, x, together), shape(n.Axes))}
}

// elementwise emits a Map; numbers become constants of its expression.
func (em *emitter) elementwise(b op.Builder, n *equation.Node) []op.Value {
	if n.Kind == equation.Elementwise && n.Fn == "stop_grad" {
		return b.Apply(op.StopGradient, nil, em.value(n.Args[0]))
	}
	l := letters{}
	l.of(n.Axes)
	expr := n.Expr
	if n.Kind == equation.Elementwise {
		args := make([]*op.Expr, len(n.Args))
		for i := range args {
			args[i] = op.In(i)
		}
		expr = op.Call(equation.Function(n.Fn), args...)
	}
	var in []op.Value
	var labels []string
	replace := make([]*op.Expr, len(n.Args))
	for i, a := range n.Args {
		if a.Kind == equation.Number {
			replace[i] = op.Const(a.Num)
			continue
		}
		replace[i] = op.In(len(in))
		in = append(in, em.value(a))
		labels = append(labels, l.of(a.Axes))
	}
	return b.Apply(op.Map, op.MapAttrs{Expr: expr.Renumber(replace), In: labels, Out: l.of(n.Axes)}, in...)
}

func (em *emitter) loss(b op.Builder, n *equation.Node) []op.Value {
	switch n.Kind {
	case equation.MeanLoss:
		targets := n.Args[1]
		if em.heads[n.Args[0]] {
			return b.Apply(op.HeadLoss, em.headAttrs(n.Args[0]), em.headOperands(b, n.Args[0])...)[:1]
		}
		return b.Apply(op.MaskedMean, nil, em.rows(b, n.Args[0], targets.Axes), em.rows(b, targets, targets.Axes))
	case equation.CrossEntropy:
		losses := op.One(b, op.CrossEntropy, em.headAttrs(n), em.headOperands(b, n)...)
		return []op.Value{reshape(b, losses, shape(n.Axes))}
	}
	logits, targets := n.Args[0], n.Args[1]
	losses := op.One(b, op.TokenLoss, nil, em.rows(b, logits, targets.Axes), em.rows(b, targets, targets.Axes))
	return []op.Value{reshape(b, losses, shape(n.Axes))}
}

// averaged are the losses through the head that nothing but a mean over the same targets uses.
func averaged(p *equation.Program) map[*equation.Node]bool {
	heads, other := map[*equation.Node]bool{}, map[*equation.Node]bool{}
	for _, n := range p.Roots() {
		other[n] = true
	}
	equation.Walk(p.Roots(), func(n *equation.Node) {
		for i, a := range n.Args {
			if a.Kind != equation.CrossEntropy {
				continue
			}
			if n.Kind == equation.MeanLoss && i == 0 && n.Args[1] == a.Args[2] && !heads[a] {
				heads[a] = true
			} else {
				other[a] = true
			}
		}
	})
	for n := range other {
		delete(heads, n)
	}
	return heads
}

// headAttrs is the precision of a loss through the head, nil in float32.
func (em *emitter) headAttrs(n *equation.Node) op.Attrs {
	if p := em.precisions.of(n); !p.Full() {
		return op.CrossEntropyAttrs{Precision: p}
	}
	return nil
}

// headOperands are hidden states [rows, features], head [vocabulary, features] and targets [rows].
func (em *emitter) headOperands(b op.Builder, n *equation.Node) []op.Value {
	h, head, targets := n.Args[0], n.Args[1], n.Args[2]
	order := append(equation.Without(head.Axes, n.On), n.On...)
	return []op.Value{em.rows(b, h, targets.Axes), em.ordered(b, head, order), em.rows(b, targets, targets.Axes)}
}

func (em *emitter) rmsNorm(b op.Builder, n *equation.Node) []op.Value {
	order := append(equation.Without(n.Axes, n.On), n.On...)
	y := op.One(b, op.RMSNorm, op.RMSNormAttrs{Eps: n.Num}, em.ordered(b, n.Args[0], order), em.value(n.Args[1]))
	return em.back(b, y, order, n.Axes)
}

// back transposes a value with axes in one order into another.
func (em *emitter) back(b op.Builder, v op.Value, from, to []*equation.Axis) []op.Value {
	if slices.Equal(from, to) {
		return []op.Value{v}
	}
	perm := make([]int, len(to))
	for i, a := range to {
		perm[i] = index(from, a)
	}
	return []op.Value{op.One(b, op.Transpose, op.TransposeAttrs{Perm: perm}, v)}
}

func (em *emitter) attention(b op.Builder, n *equation.Node) []op.Value {
	l, s := letters{}, n.Scores
	attrs := op.AttentionAttrs{Scale: s.Scale, Window: s.Window, Format: em.precisions.attention()}
	var in []op.Value
	for i := range s.Features {
		q, k := n.Args[2*i], n.Args[2*i+1]
		attrs.Q = append(attrs.Q, l.of(q.Axes))
		attrs.K = append(attrs.K, l.of(k.Axes))
		in = append(in, em.value(q), em.value(k))
	}
	attrs.Seq, attrs.Key = l[s.Seq], l[s.Key]
	// A value's own axis may be the one the scores contract (grouped-query attention has one head size for both); it is another
	// letter all the same.
	for _, f := range s.Features {
		l[&equation.Axis{}] = l[f]
		delete(l, f)
	}
	v := n.Args[len(n.Args)-1]
	attrs.V, attrs.Out = l.of(v.Axes), l.of(n.Axes)
	return b.Apply(op.Attention, attrs, em.withOffset(n, append(in, em.value(v))...)...)[:1]
}

// routed emits the operations on sorted rows. A plan has three values: slots, offsets, positions.
func (em *emitter) routed(b op.Builder, n *equation.Node) []op.Value {
	l := letters{}
	plan := func(i int) (slots, offsets, positions op.Value) {
		p := em.values[n.Args[i]]
		return p[0], p[1], p[2]
	}
	switch n.Kind {
	case equation.RoutePlan:
		gate := n.Args[0]
		return b.Apply(op.RoutePlan, op.RoutePlanAttrs{TopK: n.N}, em.rows(b, gate, equation.Without(gate.Axes, n.On)))
	case equation.GatherRows:
		slots, _, positions := plan(1)
		x := em.rows(b, n.Args[0], n.On)
		return b.Apply(op.GatherRows, nil, x, slots, positions)
	case equation.GatherGate:
		slots, offsets, positions := plan(1)
		return b.Apply(op.GatherGate, nil, em.rows(b, n.Args[0], equation.Without(n.Args[0].Axes, n.On)), slots, offsets, positions)
	case equation.GroupedDot:
		_, offsets, _ := plan(2)
		x, w := n.Args[0], n.Args[1]
		attrs := op.GroupedDotAttrs{Precision: em.precisions.of(n)}
		l[n.To[0]], l[n.To[1]] = 'r', 'e'
		for _, axes := range [][]*equation.Axis{x.Axes, w.Axes} {
			for _, a := range axes {
				if _, ok := l[a]; !ok {
					l[a] = "abcdfghijklmnopqstuvwxyz"[len(l)-2]
				}
			}
		}
		attrs.X, attrs.W, attrs.Out = l.of(x.Axes), l.of(w.Axes), l.of(n.Axes)
		return b.Apply(op.GroupedDot, attrs, em.value(x), em.value(w), offsets)
	case equation.ScatterRows:
		slots, _, positions := plan(1)
		y := n.Args[0]
		rest := equation.Without(y.Axes, n.On)
		v := op.One(b, op.ScatterRows, nil, em.rows(b, y, n.On), slots, positions)
		return []op.Value{reshape(b, v, append(shape(n.To), shape(rest)...))}
	}
	panic("compiler: nothing emits " + string(n.Kind))
}
