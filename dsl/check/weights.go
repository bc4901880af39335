package check

import (
	"fmt"

	"forge/dsl/diag"
)

// DimAxis is the axis of the model's state; the layers are applied to [batch, seq, dim] made of it.
func (m *Model) DimAxis() *Axis {
	if m.dim == nil {
		m.dim = &Axis{Name: "dim", Size: m.Dim}
	}
	return m.dim
}

// VocabAxis is the axis of the entries of the tokenizer.
func (m *Model) VocabAxis() *Axis {
	if m.vocab == nil {
		m.vocab = &Axis{Name: "vocab", Size: m.Vocab}
	}
	return m.vocab
}

// stateAxes are the axes of the state between layers.
func (m *Model) stateAxes() []*Axis { return []*Axis{Batch, SeqAxis, m.DimAxis()} }

// maxWeights bounds the named weights of a model: parts within parts double them quickly.
const maxWeights = 1 << 18

// applyModel applies the layers, the norm and the multi-token prediction module, so that every fault with sizes is found. They must
// take and give the state [batch, seq, dim] (E509). dimAt is where the size of dim was written.
func (c *checker) applyModel(m *Model, dimAt diag.Span) {
	c.axisAt[m.DimAxis()] = dimAt
	state := m.stateAxes()
	memo := map[*Body]int{}
	total := 0
	done := map[*Built]bool{}
	use := func(b *Built, what string, in ...[]*Axis) {
		body, fault := b.apply(c, in)
		total += body.weightCount(memo)
		if done[b] {
			return
		}
		done[b] = true
		switch {
		case fault != nil:
			c.report(diag.New("E509", b.Span, "", "%s can't be applied to the model's state %s", what, axesText(state)).
				Note(fault.declared, "declared here").Note(dimAt, "`dim` is %d", m.Dim))
		case !body.bad && !sameAxes(body.OutAxes, state):
			c.report(diag.New("E509", b.Span, "", "%s must give back the model's state %s but gives %s", what, axesText(state), axesText(body.OutAxes)).
				Note(b.Def.Decl.Result.Span, "declared here").Note(dimAt, "`dim` is %d", m.Dim))
		}
	}
	for _, l := range m.Layers {
		use(l, fmt.Sprintf("the layer `%s`", l.Def.Name), state)
	}
	use(m.Norm, fmt.Sprintf("the norm `%s`", m.Norm.Def.Name), state)
	if m.MTP != nil {
		for range m.MTPDepth {
			use(m.MTP, fmt.Sprintf("the multi-token prediction module `%s`", m.MTP.Def.Name), state, state)
		}
	}
	if total > maxWeights {
		c.report(diag.New("E506", m.Span, "", "the model `%s` has more than %d named weights", m.Name, maxWeights).
			Helpf("parts within parts multiply: put what repeats into `layers`, or into a bank"))
	}
}

// weightCount is the number of weights and states with all parts, no more than about maxWeights.
func (body *Body) weightCount(memo map[*Body]int) int {
	if n, ok := memo[body]; ok {
		return n
	}
	n := len(body.Weights) + len(body.States)
	for _, p := range body.Parts {
		if inner := body.bodyOf(p); inner != nil {
			n = min(n+inner.weightCount(memo), maxWeights+1)
		}
	}
	memo[body] = n
	return n
}

// Weights lists every weight and state of a checked model, banks once with the bank's axis in front: embed, layers[0]…, norm…, head
// (unless tied), mtp[0]….
func (m *Model) Weights() []WeightInfo {
	l := &lister{init: m.Init}
	table := []*Axis{m.VocabAxis(), m.DimAxis()}
	l.list = append(l.list, WeightInfo{Path: "embed", Axes: table, Init: m.Init, Span: m.Span})
	state := m.stateAxes()
	for i, b := range m.Layers {
		l.body(fmt.Sprintf("layers[%d].", i), b.Body(state), bankOf{})
	}
	l.body("norm.", m.Norm.Body(state), bankOf{})
	if !m.Tied {
		l.list = append(l.list, WeightInfo{Path: "head", Axes: table, Init: m.Init, Span: m.Span})
	}
	if m.MTP != nil {
		l.mtp = true
		for k := range m.MTPDepth {
			l.body(fmt.Sprintf("mtp[%d].", k), m.MTP.Body(state, state), bankOf{})
		}
	}
	return l.list
}

// bankOf is the bank that a body stands in: its axes, and how many entries of the outermost a token uses.
type bankOf struct {
	axes []*Axis
	topK int
}

type lister struct {
	init Init
	mtp  bool
	list []WeightInfo
}

func (l *lister) body(path string, body *Body, bank bankOf) {
	info := func(name string, axes []*Axis, at diag.Span) WeightInfo {
		return WeightInfo{
			Path: path + name, Axes: append(bank.axes[:len(bank.axes):len(bank.axes)], axes...), Span: at,
			MTP: l.mtp, Bank: len(bank.axes) > 0, TopK: bank.topK,
		}
	}
	for _, w := range body.Weights {
		i := info(w.Name, w.Axes, w.Span)
		i.Init = l.init
		if w.Init != nil {
			i.Init = *w.Init
		}
		l.list = append(l.list, i)
	}
	for _, s := range body.States {
		i := info(s.Name, s.Axes, s.Span)
		i.State, i.Initial = true, s.Value
		l.list = append(l.list, i)
	}
	for _, p := range body.Parts {
		inner := bank
		n := body.application(p)
		if n == nil {
			continue
		}
		if p.Bank != nil {
			inner.axes = append(bank.axes[:len(bank.axes):len(bank.axes)], p.Bank)
			if len(bank.axes) == 0 && n.Op == "route" {
				if k := nonzeros(n.Args[0], p.Bank); k < p.Bank.Size {
					inner.topK = k
				}
			}
		}
		l.body(path+p.Name+".", n.Body, inner)
	}
}

// nonzeros bounds how many entries along an axis are not zero, from the `top` that a gate is made of.
func nonzeros(n *Node, a *Axis) int {
	all := a.Size
	switch n.Op {
	case "top":
		if n.On[0] == a && n.N > 0 {
			return n.N
		}
	case "mul":
		return min(nonzeros(n.Args[0], a), nonzeros(n.Args[1], a))
	case "div", "neg", "abs", "sign", "relu", "silu", "gelu", "tanh", "sqrt", "square", "stop_grad":
		return nonzeros(n.Args[0], a)
	case "add", "sub":
		return min(all, nonzeros(n.Args[0], a)+nonzeros(n.Args[1], a))
	case "rename":
		if n.To[0] == a {
			return nonzeros(n.Args[0], n.On[0])
		}
		return nonzeros(n.Args[0], a)
	case "apply":
		if n.Body != nil && n.Body.Out != nil && hasAxis(n.Body.OutAxes, a) {
			return nonzeros(n.Body.Out, a)
		}
	}
	return all
}

// Counts says how large a model is, in numbers.
type Counts struct {
	Params   int64 // of the main model
	Active   int64 // of these, used for one token: a bank's entries as far as its gate picks them; embedding and head included
	MTP      int64 // of the multi-token prediction modules, without their copies of embedding and head
	State    int64 // numbers kept in checkpoints but not trained, MTP's included
	MTPState int64 // of these, MTP's
}

// Count counts a checked model's weights.
func (m *Model) Count() Counts {
	var n Counts
	for _, w := range m.Weights() {
		size := w.Entries()
		switch {
		case w.State:
			n.State += size
			if w.MTP {
				n.MTPState += size
			}
		case w.MTP:
			n.MTP += size
		default:
			n.Params += size
			if w.TopK > 0 {
				size = size / int64(w.Axes[0].Size) * int64(w.TopK)
			}
			n.Active += size
		}
	}
	return n
}

// Entries is the number of entries of the tensor.
func (w *WeightInfo) Entries() int64 {
	n := int64(1)
	for _, a := range w.Axes {
		n *= int64(a.Size)
	}
	return n
}
