package compiler

import (
	"fmt"
	"slices"

	"forge/compiler/equation"
	"forge/dsl/check"
)

// model writes down what stands around the blocks (language.md section 11): embedding, layers, norm, head and the multi-token
// prediction modules.
type model struct {
	*instantiator
	check      *check.Model
	dim, vocab *equation.Axis
	embed      *equation.Node
	head       *equation.Node
	states     []*equation.Node // after each layer
}

func newModel(m *check.Model, batch, seq, key int) *model {
	t := &instantiator{
		axes:    map[*check.Axis]*equation.Axis{},
		storage: map[string]*equation.Node{},
		inputs:  map[*check.Schedule]*equation.Node{},
		batch:   &equation.Axis{Name: "batch", Size: batch},
		seq:     &equation.Axis{Name: "seq", Size: seq},
		key:     &equation.Axis{Name: "key", Size: key},
		weights: map[string]check.WeightInfo{},
		caches:  map[string]int{},
	}
	for _, w := range m.Weights() {
		t.weights[w.Path] = w
	}
	b := &model{instantiator: t, check: m, dim: t.axis(m.DimAxis()), vocab: t.axis(m.VocabAxis())}
	table := []*equation.Axis{b.vocab, b.dim}
	b.embed = t.store("embed", table, nil, t.weight("embed"))
	b.head = b.embed
	if !m.Tied {
		b.head = t.store("head", table, nil, t.weight("head"))
	}
	return b
}

func (b *model) place(path string) equation.Place {
	return equation.Place{Span: b.check.Span.String(), Path: path}
}

// stream is the shape of the residual stream, as the checker sees it.
func (b *model) stream() []*check.Axis {
	return []*check.Axis{check.Batch, check.SeqAxis, b.check.DimAxis()}
}

// hidden gives the embedded tokens and the state after the last layer and the norm, both [batch, seq, dim].
func (b *model) hidden(tokens *equation.Node) (embedded, h *equation.Node) {
	embedded = equation.NewEmbed(tokens, b.embed, b.vocab).At("embedded", b.place(""))
	h = embedded
	for i, layer := range b.check.Layers {
		h = b.body(layer.Body(b.stream()), scope{path: fmt.Sprintf("layers[%d]", i)}, []*equation.Node{h})
		b.states = append(b.states, h)
	}
	return embedded, b.body(b.check.Norm.Body(b.stream()), scope{path: "norm"}, []*equation.Node{h})
}

// logits of states, [.., vocab].
func (b *model) logits(h *equation.Node, path string) *equation.Node {
	return equation.NewDot(h, b.head, b.dim).At("logits", b.place(path))
}

// predict gives the loss of each target and their mean, from states h.
func (b *model) predict(h, targets *equation.Node, path string) (losses, mean *equation.Node) {
	losses = equation.NewLoss(b.logits(h, path), targets, b.vocab).At("losses", b.place(path))
	return losses, equation.NewMeanLoss(losses, targets).At("loss", b.place(path))
}

// depth is the state of one depth of multi-token prediction.
type depth struct {
	h    *equation.Node // [batch, seq − k, dim], after the module's own norm
	seq  *equation.Axis
	path string
}

// ahead gives the states of multi-token prediction. Depth k takes the state of the depth before at token i and the embedding of
// token i + k, for i < seq − k; positions count from 0 in each (DeepSeek-V3 report, section 2.2).
func (b *model) ahead(embedded, h *equation.Node) []depth {
	whole, previous, key := b.seq, b.seq, b.key
	defer func() { b.seq, b.key = whole, key }()
	var depths []depth
	for k := 1; k <= b.check.MTPDepth; k++ {
		path := fmt.Sprintf("mtp[%d]", k-1)
		b.seq = &equation.Axis{Name: "seq", Size: whole.Size - k}
		b.key = &equation.Axis{Name: "key", Size: whole.Size - k}
		before := equation.NewSlice(h, previous, 0, b.seq).At("h", b.place(path))
		token := equation.NewSlice(embedded, whole, k, b.seq).At("e", b.place(path))
		h = b.body(b.check.MTP.Body(b.stream(), b.stream()), scope{path: path}, []*equation.Node{before, token})
		depths = append(depths, depth{h, b.seq, path})
		previous = b.seq
	}
	return depths
}

// predictAhead gives the mean loss of each depth, which at token i predicts token i + k + 1.
func (b *model) predictAhead(embedded, h *equation.Node) []*equation.Node {
	var means []*equation.Node
	for i, d := range b.ahead(embedded, h) {
		targets := equation.NewInput(fmt.Sprintf("targets[%d]", i+1), true, b.batch, d.seq)
		_, mean := b.predict(d.h, targets, d.path)
		means = append(means, mean)
	}
	return means
}

// storedInOrder lists what the equations keep: weights and states in the model's own order, then the rest as made.
func (b *model) storedInOrder() []Stored {
	order := map[string]int{}
	for i, w := range b.check.Weights() {
		order[w.Path] = i + 1
	}
	list := slices.Clone(b.stored)
	slices.SortStableFunc(list, func(x, y Stored) int {
		i, j := order[x.Name], order[y.Name]
		if i == 0 || j == 0 {
			return (j - i) // what the model lists comes first
		}
		return i - j
	})
	return list
}

// sum adds scalars.
func sum(values []*equation.Node) *equation.Node {
	total := values[0]
	for _, v := range values[1:] {
		total = equation.NewElementwise("add", total, v)
	}
	return total
}

func scaled(v *equation.Node, by float64) *equation.Node {
	return equation.NewElementwise("mul", v, equation.NewNumber(by))
}
