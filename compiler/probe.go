package compiler

import (
	"fmt"

	"forge/compiler/equation"
	"forge/dsl/check"
)

// Probe compiles everything there is to see of a model on a prefix: input tokens int32 [batch, seq]; outputs
//
//	logits           [batch, seq, vocab]
//	mtp_logits[k]    [batch, seq − k, vocab]
//	hidden/embed, hidden/layers[i], hidden/norm  [batch, seq, dim]
//	hidden/mtp[k-1]  [batch, seq − k, dim]
//	gate/PATH        [batch, seq, experts]: what the block at PATH weighs its experts with, 0 where an expert is not picked
func Probe(m *check.Model, o Options) (*Evaluation, error) {
	b := newModel(m, o.Batch, o.Seq, o.Seq)
	e := &Evaluation{}
	err := catch(func() (err error) {
		p := &equation.Program{Name: "probe"}
		show := func(name string, n *equation.Node) {
			p.Outputs = append(p.Outputs, equation.Output{Name: name, Node: n})
		}
		embedded, h := b.hidden(equation.NewInput("tokens", true, b.batch, b.seq))
		show("logits", b.logits(h, ""))
		show("hidden/embed", embedded)
		for i, s := range b.states {
			show(fmt.Sprintf("hidden/layers[%d]", i), s)
		}
		show("hidden/norm", h)
		for i, d := range b.ahead(embedded, h) {
			show("hidden/"+d.path, d.h)
			show(fmt.Sprintf("mtp_logits[%d]", i+1), b.logits(d.h, d.path))
		}
		for _, g := range b.gates {
			show("gate/"+g.name, g.value)
		}
		e.Graph, err = finish(p, o)
		e.Storage = b.storedInOrder()
		return err
	})
	return e, err
}
