// Package fake is a backend and a compiler for tests of the engine: in place of a model it trains a table of bigrams, in plain Go,
// in microseconds. Everything that the engine relies on is there (storage, inputs by name, weights that learn, moments, a state that
// is not trained, losses of two depths, caches), and faults can be made to happen. It is used by tests only.
package fake

import (
	"fmt"
	"math"
	"slices"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/graph"
	"forge/compiler/op"
	"forge/dsl/check"
)

// Vocab is the number of tokens of the fake model.
const Vocab = 256

// Backend compiles the graphs that its own Train, Evaluate and Generate made.
type Backend struct {
	// NaNAt makes the loss of the step with this number (from 1) not a number.
	NaNAt int64
	// OnRun is called before each run of a training program.
	OnRun func(step int64)
	// Depths of multi-token prediction.
	Depths int

	programs map[*graph.Graph]func(*store) *program
}

// New makes a backend with one depth of multi-token prediction.
func New() *Backend {
	return &Backend{Depths: 1, programs: map[*graph.Graph]func(*store) *program{}}
}

// Name is "fake".
func (b *Backend) Name() string { return "fake" }

// Device is "a fake".
func (b *Backend) Device() string { return "a fake" }

// NewStore makes an empty store.
func (b *Backend) NewStore() backends.Store {
	return &store{data: map[string][]float32{}, types: map[string]op.Type{}}
}

// Close does nothing.
func (b *Backend) Close() error { return nil }

// Compile gives the program of a graph made by b. As a real backend, it wants the storage to exist.
func (b *Backend) Compile(g *graph.Graph, s backends.Store, _ backends.Options) (backends.Program, error) {
	build, ok := b.programs[g]
	if !ok {
		return nil, fmt.Errorf("fake: a graph of another compiler")
	}
	return build(s.(*store)), nil
}

var (
	table    = compiler.Stored{Name: "table", Shape: op.Shape{Vocab, Vocab}, Init: check.Init{Kind: "normal", Std: 0.02}, Decay: true}
	momentum = compiler.Stored{Name: "adamw.m/table", Shape: op.Shape{Vocab, Vocab}, Kind: compiler.Moment}
	count    = compiler.Stored{Name: "gate.b", Shape: op.Shape{2}, Kind: compiler.State, Initial: 1}
)

// Train is compiler.Train for the table.
func (b *Backend) Train(_ *check.Model, s *check.Stage, o compiler.Options) (*compiler.Training, error) {
	g := new(graph.Graph)
	b.programs[g] = func(st *store) *program {
		p := newProgram(st, o)
		p.targets(b.Depths)
		for _, name := range []string{"lr", "adamw.correction1", "adamw.correction2"} {
			p.floats[name] = make([]float32, 1)
		}
		p.run = func() { p.train(b) }
		return p
	}
	return &compiler.Training{Graph: g, Storage: []compiler.Stored{table, count, momentum},
		Scalars: []compiler.ScheduledInput{{Input: "lr", Schedule: s.LR}}, Beta1: 0.9, Beta2: 0.95, MTPDepth: b.Depths,
		Metrics: []string{"metric/layers[1].ffn.gate/load_max", "metric/layers[1].ffn.gate/dead"}, Balance: true}, nil
}

// Evaluate is compiler.Evaluate for the table.
func (b *Backend) Evaluate(_ *check.Model, o compiler.Options) (*compiler.Evaluation, error) {
	g := new(graph.Graph)
	b.programs[g] = func(st *store) *program {
		p := newProgram(st, o)
		p.targets(0)
		p.outputs["losses"] = make([]float32, o.Batch*o.Seq)
		p.run = func() {
			sum, n := 0.0, 0
			for i, target := range p.ints["targets"] {
				p.outputs["losses"][i] = 0
				if target >= 0 {
					loss := crossEntropy(p.store.data["table"], p.ints["tokens"][i], target, nil)
					p.outputs["losses"][i] = float32(loss)
					sum, n = sum+loss, n+1
				}
			}
			p.output("loss", sum/float64(max(n, 1)))
		}
		return p
	}
	return &compiler.Evaluation{Graph: g, Storage: []compiler.Stored{table, count}}, nil
}

// Generate is compiler.Generate for the table. Its cache holds the tokens, and logits depend on all of them (Logits).
func (b *Backend) Generate(_ *check.Model, o compiler.Options, capacity int) (*compiler.Generation, error) {
	g := new(graph.Graph)
	cache := compiler.Stored{Name: "cache/tokens", Shape: op.Shape{o.Batch, capacity}, Kind: compiler.Cache}
	b.programs[g] = func(st *store) *program {
		p := newProgram(st, o)
		p.ints["position"] = make([]int32, 1)
		p.ints["row"] = make([]int32, o.Batch)
		p.outputs["logits"] = make([]float32, o.Batch*Vocab)
		p.run = func() {
			at := int(p.ints["position"][0])
			if at < 0 || at+o.Seq > capacity {
				panic(fmt.Sprintf("fake: %d tokens at position %d of a cache of %d", o.Seq, at, capacity))
			}
			for s := range o.Batch {
				seen := p.store.data["cache/tokens"][s*capacity : (s+1)*capacity]
				for i, token := range p.ints["tokens"][s*o.Seq : (s+1)*o.Seq] {
					seen[at+i] = float32(token)
				}
				last := at + int(p.ints["row"][s]) - s*o.Seq
				tokens := make([]int32, last+1)
				for i := range tokens {
					tokens[i] = int32(seen[i])
				}
				Logits(p.outputs["logits"][s*Vocab:(s+1)*Vocab], p.store.data["table"], tokens)
			}
		}
		return p
	}
	return &compiler.Generation{Graph: g, Storage: []compiler.Stored{table, count, cache}, CachePerToken: 1}, nil
}

// Logits are the fake model's after tokens: the bigram's row and a part that depends on every token and its place.
func Logits(dst, table []float32, tokens []int32) {
	sum := 0
	for i, token := range tokens {
		sum += (i + 1) * int(token)
	}
	row := table[int(tokens[len(tokens)-1])*Vocab:]
	for v := range dst {
		dst[v] = row[v] + float32((sum+v*v)%23)/10
	}
}

// crossEntropy is −log softmax(table[token])[target]; grad, if given, gets its gradient added in place of the row's.
func crossEntropy(table []float32, token, target int32, grad []float64) float64 {
	row := table[int(token)*Vocab : (int(token)+1)*Vocab]
	largest := float64(slices.Max(row))
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - largest)
	}
	if grad != nil {
		g := grad[int(token)*Vocab : (int(token)+1)*Vocab]
		for i, v := range row {
			g[i] += math.Exp(float64(v)-largest) / sum
		}
		g[target]--
	}
	return math.Log(sum) + largest - float64(row[target])
}

func (p *program) train(b *Backend) {
	state := p.store.data["gate.b"]
	step := int64(state[0]) // the state counts the steps, from 1
	if b.OnRun != nil {
		b.OnRun(step)
	}
	w, m := p.store.data["table"], p.store.data["adamw.m/table"]
	grad := make([]float64, len(w))
	mean := func(targets []int32, n int, grad []float64) float64 {
		sum, labels := 0.0, 0
		for i, target := range targets {
			if target >= 0 {
				sum += crossEntropy(w, p.ints["tokens"][i/n*p.seq+i%n], target, grad)
				labels++
			}
		}
		for i := range grad {
			grad[i] /= float64(max(labels, 1))
		}
		return sum / float64(max(labels, 1))
	}
	main := mean(p.ints["targets"], p.seq, grad)
	if step == b.NaNAt {
		main = math.NaN()
	}
	total := main
	for k := 1; k <= b.Depths; k++ {
		loss := mean(p.ints[fmt.Sprintf("targets[%d]", k)], p.seq-k, nil)
		p.output(fmt.Sprintf("mtp_loss[%d]", k), loss)
		total += 0.3 * loss / float64(b.Depths)
	}
	norm := 0.0
	for i, g := range grad {
		norm += g * g
		m[i] = 0.9*m[i] + float32(g)
		w[i] -= p.floats["lr"][0] * m[i]
	}
	if step == b.NaNAt {
		w[3] = float32(math.NaN())
	}
	state[0]++
	p.output("loss", total)
	p.output("main_loss", main)
	p.output("balance_loss", 0.001)
	p.output("grad_norm", math.Sqrt(norm))
	p.output("metric/layers[1].ffn.gate/load_max", 1.5)
	p.output("metric/layers[1].ffn.gate/dead", 0)
}

type store struct {
	names []string
	data  map[string][]float32
	types map[string]op.Type
}

func (s *store) Create(name string, t op.Type) error {
	if old, ok := s.types[name]; ok {
		if !old.Shape.Equal(t.Shape) {
			return fmt.Errorf("fake: %s exists as %v, not %v", name, old.Shape, t.Shape)
		}
		return nil
	}
	s.names = append(s.names, name)
	s.types[name], s.data[name] = t, make([]float32, t.Shape.Size())
	return nil
}

func (s *store) Put(name string, stored backends.Stored) error {
	if err := s.Create(name, stored.Type); err != nil {
		return err
	}
	return stored.Read(s.data[name])
}

func (s *store) Names() []string { return s.names }

func (s *store) Type(name string) (op.Type, bool) {
	t, ok := s.types[name]
	return t, ok
}

func (s *store) Read(name string, dst []float32) error {
	if len(s.data[name]) != len(dst) {
		return fmt.Errorf("fake: %s has %d entries, not %d", name, len(s.data[name]), len(dst))
	}
	copy(dst, s.data[name])
	return nil
}

func (s *store) Write(name string, src []float32) error {
	if len(s.data[name]) != len(src) {
		return fmt.Errorf("fake: %s has %d entries, not %d", name, len(s.data[name]), len(src))
	}
	copy(s.data[name], src)
	return nil
}

type program struct {
	store   *store
	batch   int
	seq     int
	ints    map[string][]int32
	floats  map[string][]float32
	outputs map[string][]float32
	run     func()
}

func newProgram(s *store, o compiler.Options) *program {
	return &program{store: s, batch: o.Batch, seq: o.Seq, ints: map[string][]int32{"tokens": make([]int32, o.Batch*o.Seq)},
		floats: map[string][]float32{}, outputs: map[string][]float32{}}
}

func (p *program) targets(depths int) {
	p.ints["targets"] = make([]int32, p.batch*p.seq)
	for k := 1; k <= depths; k++ {
		p.ints[fmt.Sprintf("targets[%d]", k)] = make([]int32, p.batch*(p.seq-k))
	}
}

func (p *program) output(name string, v float64) {
	if p.outputs[name] == nil {
		p.outputs[name] = make([]float32, 1)
	}
	p.outputs[name][0] = float32(v)
}

func (p *program) RunAll() error { p.run(); return nil }
func (p *program) Reset()        {}
func (p *program) Close() error  { return nil }

func (p *program) SetFloats(name string, v []float32) error {
	if len(p.floats[name]) != len(v) {
		return fmt.Errorf("fake: the input %s has %d entries, not %d", name, len(p.floats[name]), len(v))
	}
	copy(p.floats[name], v)
	return nil
}

func (p *program) SetInts(name string, v []int32) error {
	if len(p.ints[name]) != len(v) {
		return fmt.Errorf("fake: the input %s has %d entries, not %d", name, len(p.ints[name]), len(v))
	}
	copy(p.ints[name], v)
	return nil
}

func (p *program) Output(name string) ([]float32, error) {
	if v, ok := p.outputs[name]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("fake: there is no output %s", name)
}

func (p *program) Value(*graph.Node) ([]float32, error) {
	return nil, fmt.Errorf("fake: nothing is kept")
}

func (p *program) Stats() backends.Stats {
	return backends.Stats{Kernels: 1, ArenaBytes: 1 << 20, StoreBytes: 1 << 20, FLOPs: 1e6}
}
