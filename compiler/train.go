package compiler

import (
	"fmt"
	"math"
	"strings"

	"forge/compiler/equation"
	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
)

// Scalar inputs of the optimizer.
const (
	learningRate = "lr"
	correction1  = "adamw.correction1"
	correction2  = "adamw.correction2"
	mtpWeight    = "mtp_weight"
)

// balanceLoss is the output that sums the blocks' loss lines.
const balanceLoss = "balance_loss"

// correction is 1 − beta^(step+1), without cancellation.
func correction(beta float64, step int64) float64 {
	return -math.Expm1(float64(step+1) * math.Log(beta))
}

// Train compiles a stage's training step for batches of o.Batch sequences of o.Seq tokens.
func Train(m *check.Model, s *check.Stage, o Options) (*Training, error) {
	var t *Training
	err := catch(func() (err error) {
		e := trainingEquations(m, s, o)
		rewriteAll(e.program, o)
		t, err = emitTraining(e, s, o)
		return err
	})
	return t, err
}

// training is a step in equations.
type training struct {
	*model
	program *equation.Program
}

func trainingEquations(m *check.Model, s *check.Stage, o Options) *training {
	b := newModel(m, o.Batch, o.Seq, o.Seq)
	b.effects = true
	tokens := equation.NewInput("tokens", true, b.batch, b.seq)
	targets := equation.NewInput("targets", true, b.batch, b.seq)

	embedded, h := b.hidden(tokens)
	_, main := b.predict(h, targets, "")
	parts := []*equation.Node{main}
	outputs := []equation.Output{{Name: "main_loss", Node: main}}

	if ahead := b.predictAhead(embedded, h); len(ahead) > 0 {
		for k, mean := range ahead {
			outputs = append(outputs, equation.Output{Name: fmt.Sprintf("mtp_loss[%d]", k+1), Node: mean})
		}
		weight := b.stageScalar(mtpWeight, s.MTPWeight)
		parts = append(parts, equation.NewElementwise("mul", weight, scaled(sum(ahead), 1/float64(len(ahead)))))
	}
	if len(b.losses) > 0 {
		var lines []*equation.Node
		for _, l := range merged(b.losses, sum) {
			lines = append(lines, l.value)
			if o.Gradients {
				outputs = append(outputs, equation.Output{Name: "line/" + l.name, Node: l.value})
			}
		}
		all := sum(lines).At(balanceLoss, b.place(""))
		parts = append(parts, all)
		outputs = append(outputs, equation.Output{Name: balanceLoss, Node: all})
	}
	total := sum(parts).At("loss", b.place(""))
	outputs = append([]equation.Output{{Name: "loss", Node: total}}, outputs...)
	for _, v := range merged(b.metrics, average) {
		outputs = append(outputs, equation.Output{Name: v.name, Node: v.value})
	}
	return &training{b, &equation.Program{Name: "train", Outputs: outputs, Updates: b.mergedUpdates()}}
}

// stageScalar is a scalar input that follows a schedule of the stage.
func (b *model) stageScalar(name string, s *check.Schedule) *equation.Node {
	b.schedules = append(b.schedules, ScheduledInput{Input: name, Schedule: s})
	return equation.NewInput(name, false)
}

func emitTraining(e *training, s *check.Stage, o Options) (*Training, error) {
	g := graph.New("train", o.Float64)
	em := newEmitter(g)
	em.precisions = newPrecisions(s, e)
	em.heads = averaged(e.program)
	em.recompute = o.Recompute
	em.program(e.program)
	t := &Training{Graph: g, Scalars: e.schedules, Beta1: s.Optim.Beta1, Beta2: s.Optim.Beta2, MTPDepth: e.check.MTPDepth}
	for _, out := range e.program.Outputs {
		t.Balance = t.Balance || out.Name == balanceLoss
		if strings.HasPrefix(out.Name, "metric/") {
			t.Metrics = append(t.Metrics, out.Name)
		}
	}
	t.Storage = e.storedInOrder()

	var weights []Stored
	var nodes []*graph.Node
	for _, w := range t.Storage {
		if w.Kind == Weight {
			weights = append(weights, w)
			nodes = append(nodes, em.storage(e.storage[w.Name]))
		}
	}
	grads, err := g.Differentiate(em.node(e.program.Outputs[0].Node), nodes)
	if err != nil {
		return nil, err
	}
	if o.Gradients {
		for i, w := range weights {
			g.Output("grad/"+w.Name, grads[i])
		}
	}
	moments, err := em.optimize(s, weights, nodes, grads)
	if err != nil {
		return nil, err
	}
	t.Storage = append(t.Storage, moments...)
	t.Scalars = append(t.Scalars, ScheduledInput{Input: learningRate, Schedule: s.LR})
	return t, g.Seal()
}

// normGroup is how many gradients one SumSquares takes.
const normGroup = 32

// optimize adds global-norm clipping, clip/(norm + 1e-6) at most 1, and one AdamW for each weight (decoupled decay, only on
// weights with two or more axes unless a group says otherwise).
func (em *emitter) optimize(s *check.Stage, weights []Stored, nodes, grads []*graph.Node) ([]Stored, error) {
	at := em.g.At(graph.Place{Span: s.Span.String(), Text: "optimizer"})
	var squares []op.Value
	for i := 0; i < len(grads); i += normGroup {
		var group []op.Value
		for _, g := range grads[i:min(i+normGroup, len(grads))] {
			group = append(group, g)
		}
		squares = append(squares, op.One(at, op.SumSquares, nil, group...))
	}
	norm := op.In(0)
	labels := make([]string, len(squares))
	for i := 1; i < len(squares); i++ {
		norm = op.Call(op.FnAdd, norm, op.In(i))
	}
	length := op.One(at, op.Map, op.MapAttrs{Expr: op.Call(op.FnSqrt, norm), In: labels}, squares...)
	em.g.Output("grad_norm", length.(*graph.Node))
	clip := op.One(at, op.Map, op.MapAttrs{In: []string{""}, Expr: op.Call(op.FnMin, op.Const(1),
		op.Call(op.FnDiv, op.Const(s.Clip), op.Call(op.FnAdd, op.In(0), op.Const(1e-6))))}, length)

	scalar := op.Type{Shape: op.Shape{}}
	lr, c1, c2 := em.g.Input(learningRate, scalar), em.g.Input(correction1, scalar), em.g.Input(correction2, scalar)
	groups, err := optimizerGroups(s.Optim, weights)
	if err != nil {
		return nil, err
	}
	var moments []Stored
	for i, w := range weights {
		t := op.Type{Shape: w.Shape}
		m, v := em.g.Storage("adamw.m/"+w.Name, t), em.g.Storage("adamw.v/"+w.Name, t)
		moments = append(moments,
			Stored{Name: m.Name, Shape: w.Shape, Kind: Moment, MTP: w.MTP}, Stored{Name: v.Name, Shape: w.Shape, Kind: Moment, MTP: w.MTP})
		out := em.g.At(graph.Place{Span: s.Span.String(), Text: w.Name}).Apply(op.AdamW, op.AdamWAttrs{
			Beta1: s.Optim.Beta1, Beta2: s.Optim.Beta2, Eps: s.Optim.Eps, Decay: groups[i].decay, LRScale: groups[i].lrScale,
			Param: format(s.Precision.Master), Grad: format(s.Precision.Grads), Moments: format(s.Precision.Moments),
		}, nodes[i], grads[i], m, v, lr, clip, c1, c2)
		em.g.Update(nodes[i], out[0].(*graph.Node))
		em.g.Update(m, out[1].(*graph.Node))
		em.g.Update(v, out[2].(*graph.Node))
	}
	return moments, nil
}

type optimizerGroup struct{ decay, lrScale float64 }

// optimizerGroups gives each weight its decay and learning-rate scale.
func optimizerGroups(a check.AdamW, weights []Stored) ([]optimizerGroup, error) {
	out := make([]optimizerGroup, len(weights))
	for i, w := range weights {
		out[i] = optimizerGroup{lrScale: 1}
		if w.Decay {
			out[i].decay = a.Decay
		}
		taken := ""
		for _, g := range a.Groups {
			if !check.Match(g.Match, w.Name) {
				continue
			}
			if taken != "" {
				return nil, fmt.Errorf("%s: `%s` is in two optimizer groups, %q and %q", g.Span, w.Name, taken, g.Match)
			}
			taken = g.Match
			out[i].lrScale = g.LRScale
			if g.Decay != nil {
				out[i].decay = *g.Decay
			}
		}
	}
	return out, nil
}
