package compiler

import (
	"forge/compiler/equation"
	"forge/compiler/graph"
	"forge/dsl/check"
)

// Evaluation is a compiled loss without training: inputs tokens and targets as Training has them, outputs `loss` (mean over the
// labels) and `losses` [batch, seq] (0 where there is no label).
type Evaluation struct {
	Graph   *graph.Graph
	Storage []Stored
}

// Evaluate compiles the model's loss, without multi-token prediction.
func Evaluate(m *check.Model, o Options) (*Evaluation, error) {
	b := newModel(m, o.Batch, o.Seq, o.Seq)
	e := &Evaluation{}
	err := catch(func() (err error) {
		_, h := b.hidden(equation.NewInput("tokens", true, b.batch, b.seq))
		losses, mean := b.predict(h, equation.NewInput("targets", true, b.batch, b.seq), "")
		e.Graph, err = finish(&equation.Program{Name: "evaluate", Outputs: []equation.Output{{Name: "loss", Node: mean}, {Name: "losses", Node: losses}}}, o)
		e.Storage = b.storedInOrder()
		return err
	})
	return e, err
}

// Forward compiles the whole prefix at once: input tokens int32 [batch, seq], output logits [batch, seq, vocab].
func Forward(m *check.Model, o Options) (*Evaluation, error) {
	b := newModel(m, o.Batch, o.Seq, o.Seq)
	e := &Evaluation{}
	err := catch(func() (err error) {
		_, h := b.hidden(equation.NewInput("tokens", true, b.batch, b.seq))
		e.Graph, err = finish(&equation.Program{Name: "forward", Outputs: []equation.Output{{Name: "logits", Node: b.logits(h, "")}}}, o)
		e.Storage = b.storedInOrder()
		return err
	})
	return e, err
}

// Generation is a compiled step of generation with caches. Its graph has the inputs
//
//	tokens    int32 [batch, seq]  the next tokens of each sequence
//	position  int32 scalar        how many tokens each cache holds before this call
//	row       int32 [batch]       which of the batch·seq flattened rows to give logits for
//
// and the output logits [batch, vocab]. Rows behind the last real token may hold anything: later calls overwrite what they leave
// in the caches.
type Generation struct {
	Graph   *graph.Graph
	Storage []Stored
	// CachePerToken is how many numbers the caches keep for one token, over all layers.
	CachePerToken int
}

// Generate compiles a call of o.Seq tokens against caches of the given capacity (in tokens).
func Generate(m *check.Model, o Options, capacity int) (*Generation, error) {
	b := newModel(m, o.Batch, o.Seq, capacity)
	b.generating = true
	b.offset = equation.NewInput("position", true)
	g := &Generation{}
	err := catch(func() (err error) {
		_, h := b.hidden(equation.NewInput("tokens", true, b.batch, b.seq))
		rows := &equation.Axis{Name: "rows", Size: b.batch.Size * b.seq.Size}
		flat := equation.NewView(h, []*equation.Axis{b.batch, b.seq}, []*equation.Axis{rows})
		last := equation.NewEmbed(equation.NewInput("row", true, b.batch), flat, rows).At("last", b.place(""))
		p := &equation.Program{Name: "generate", Outputs: []equation.Output{{Name: "logits", Node: b.logits(last, "")}}, Updates: b.updates}
		g.Graph, err = finish(p, o)
		g.Storage = b.storedInOrder()
		g.CachePerToken = b.cachePerToken
		return err
	})
	return g, err
}

// finish rewrites and emits equations that need no gradient.
func finish(p *equation.Program, o Options) (*graph.Graph, error) {
	rewriteAll(p, o)
	g := graph.New(p.Name, o.Float64)
	newEmitter(g).program(p)
	return g, g.Seal()
}
