package compiler

import (
	"fmt"
	"math"
	"slices"

	"forge/compiler/equation"
	"forge/dsl/check"
)

// instantiator writes down the equations of blocks as used in one model: bodies are put in place of their applications, weights
// and states get their paths, and axes their sizes. It makes no choice; that is what rewriting is for.
type instantiator struct {
	axes      map[*check.Axis]*equation.Axis
	storage   map[string]*equation.Node
	stored    []Stored
	schedules []ScheduledInput
	inputs    map[*check.Schedule]*equation.Node

	batch, seq, key *equation.Axis
	// offset is how many positions came before this call (generation), nil while training.
	offset *equation.Node
	// generating: cache(x) is storage that is appended to. caches counts the applications that keep something under one name.
	generating    bool
	caches        map[string]int
	cachePerToken int
	updates       []equation.Update
	losses        []namedValue
	metrics       []namedValue
	gates         []namedValue // of each routed bank, by the path of the block that routes
	// effects says whether update, loss and metric lines are wanted.
	effects bool
	weights map[string]check.WeightInfo
}

type namedValue struct {
	name  string
	value *equation.Node
}

// scope is where a body is put: its path, and the bank axis that its weights carry in front.
type scope struct {
	path string
	bank *equation.Axis
}

func (s scope) child(name string) scope {
	if s.path != "" {
		name = s.path + "." + name
	}
	return scope{name, s.bank}
}

func (t *instantiator) axis(a *check.Axis) *equation.Axis {
	switch a {
	case check.Batch:
		return t.batch
	case check.SeqAxis:
		return t.seq
	case check.Key:
		return t.key
	}
	e := t.axes[a]
	if e == nil {
		e = &equation.Axis{Name: a.Name, Size: a.Size}
		t.axes[a] = e
	}
	return e
}

func (t *instantiator) axisList(axes []*check.Axis) []*equation.Axis {
	out := make([]*equation.Axis, len(axes))
	for i, a := range axes {
		out[i] = t.axis(a)
	}
	return out
}

// stored gives the storage called path, making it at first use.
func (t *instantiator) store(path string, axes []*equation.Axis, bank *equation.Axis, s Stored) *equation.Node {
	if n := t.storage[path]; n != nil {
		return n
	}
	s.Decay = len(axes) >= 2
	if bank != nil {
		axes = append([]*equation.Axis{bank}, axes...)
	}
	n := equation.NewStorage(path, axes...)
	s.Name = path
	for _, a := range axes {
		s.Shape = append(s.Shape, a.Size)
	}
	t.storage[path] = n
	t.stored = append(t.stored, s)
	return n
}

// body puts a body in place of its application to args, in a scope, and gives its result.
func (t *instantiator) body(b *check.Body, in scope, args []*equation.Node) *equation.Node {
	if b.Out == nil {
		panic(unsupported{b.Built.Span.String(), fmt.Sprintf("`%s` is implemented outside and this build has no way to run it", b.Built.Def.Name)})
	}
	values := map[*check.Node]*equation.Node{}
	for i, n := range b.In {
		values[n] = args[i]
	}
	for _, n := range b.Nodes {
		if values[n] == nil {
			values[n] = t.node(b, n, in, values)
		}
	}
	if t.effects {
		for _, e := range b.Effects {
			t.effect(e, in, values[e.Value])
		}
	}
	return values[b.Out]
}

// effect notes an update, loss or metric line. A part that is applied several times has one state and one metric: the values of its
// applications are averaged. Its loss lines are added, like all loss lines.
func (t *instantiator) effect(e *check.Effect, in scope, v *equation.Node) {
	path := in.child(e.Name).path
	switch e.Kind {
	case "update":
		t.updates = append(t.updates, equation.Update{Storage: t.storage[path], Value: v})
	case "loss":
		t.losses = append(t.losses, namedValue{path, mean(v)})
	case "metric":
		t.metrics = append(t.metrics, namedValue{"metric/" + in.path + "/" + e.Name, mean(v)})
	}
}

// mergedUpdates gives one update a storage.
func (t *instantiator) mergedUpdates() []equation.Update {
	var order []*equation.Node
	values := map[*equation.Node][]*equation.Node{}
	for _, u := range t.updates {
		if values[u.Storage] == nil {
			order = append(order, u.Storage)
		}
		values[u.Storage] = append(values[u.Storage], u.Value)
	}
	var merged []equation.Update
	for _, s := range order {
		merged = append(merged, equation.Update{Storage: s, Value: average(values[s])})
	}
	return merged
}

// merged gives one value a name.
func merged(list []namedValue, combine func([]*equation.Node) *equation.Node) []namedValue {
	var order []string
	values := map[string][]*equation.Node{}
	for _, v := range list {
		if values[v.name] == nil {
			order = append(order, v.name)
		}
		values[v.name] = append(values[v.name], v.value)
	}
	var out []namedValue
	for _, name := range order {
		out = append(out, namedValue{name, combine(values[name])})
	}
	return out
}

func average(values []*equation.Node) *equation.Node {
	if len(values) == 1 {
		return values[0]
	}
	return scaled(sum(values), 1/float64(len(values)))
}

// mean averages over all axes that are left.
func mean(v *equation.Node) *equation.Node {
	if len(v.Axes) == 0 {
		return v
	}
	return equation.NewReduce("mean", v, v.Axes...).At(v.Name, v.Place)
}

func (t *instantiator) node(b *check.Body, n *check.Node, in scope, values map[*check.Node]*equation.Node) *equation.Node {
	args := make([]*equation.Node, len(n.Args))
	for i, a := range n.Args {
		if args[i] = values[a]; args[i] == nil {
			args[i] = t.node(b, a, in, values)
			values[a] = args[i]
		}
	}
	place := equation.Place{Span: n.Span.String(), Path: in.path}
	result := t.apply(b, n, in, args)
	return result.At(n.Name, place)
}

func (t *instantiator) apply(b *check.Body, n *check.Node, in scope, args []*equation.Node) *equation.Node {
	on, to := t.axisList(n.On), t.axisList(n.To)
	switch n.Op {
	case "weight":
		i := slices.IndexFunc(b.Weights, func(w *check.Weight) bool { return w.Name == n.Name })
		path := in.child(n.Name).path
		return t.store(path, t.axisList(b.Weights[i].Axes), in.bank, t.weight(path))
	case "state":
		i := slices.IndexFunc(b.States, func(s *check.State) bool { return s.Name == n.Name })
		path := in.child(n.Name).path
		return t.store(path, t.axisList(b.States[i].Axes), in.bank, Stored{Kind: State, Initial: b.States[i].Value})
	case "number":
		return equation.NewNumber(n.Num)
	case "schedule":
		return t.schedule(n.Schedule)
	case "dot":
		return equation.NewDot(args[0], args[1], on...)
	case "sum", "mean", "max", "min":
		return equation.NewReduce(n.Op, args[0], on...)
	case "softmax":
		return equation.NewAlong(equation.Softmax, args[0], on[0], 0)
	case "cumsum":
		return equation.NewAlong(equation.Cumsum, args[0], on[0], 0)
	case "top":
		return equation.NewAlong(equation.Top, args[0], on[0], n.N)
	case "split":
		start := 0
		for _, a := range to[:n.N] {
			start += a.Size
		}
		return equation.NewSlice(args[0], on[0], start, to[n.N])
	case "take":
		return equation.NewSlice(args[0], on[0], n.N, nil)
	case "concat":
		return equation.NewConcat(args, on, to[0])
	case "view":
		return equation.NewView(args[0], on, to)
	case "rename":
		return equation.NewRename(args[0], on[0], to[0])
	case "prev":
		if t.generating {
			panic(unsupported{n.Span.String(), "generation keeps nothing for `prev` yet"})
		}
		return equation.NewPrev(args[0], t.seq, n.N)
	case "causal":
		return equation.NewCausal(args[0], t.seq, t.key, n.N, t.offset)
	case "pos":
		return t.rotate(n, args[0], on[0])
	case "cache":
		return t.cache(n, in, args[0])
	case "apply":
		return t.part(n, in.child(n.Part.Name), args)
	case "route":
		bank := in.child(n.Part.Name)
		bank.bank = on[0]
		y := t.part(n, bank, args[1:])
		if bankAxis := t.axis(n.Part.Bank); bankAxis != on[0] {
			panic("compiler: the bank's axis is not the routed one")
		}
		t.gates = append(t.gates, namedValue{in.path, args[0]})
		return equation.NewRoute(args[0], y, on[0])
	case "conv", "scan":
		panic(unsupported{n.Span.String(), fmt.Sprintf("`%s` has no operation in this build yet", n.Op)})
	}
	return equation.NewElementwise(n.Op, args...)
}

// unsupported is a panic value: what a checked recipe may say but this build cannot compile, with its place.
type unsupported struct{ span, text string }

// part applies a sub-block and names the result's axes as the applying block does.
func (t *instantiator) part(n *check.Node, in scope, args []*equation.Node) *equation.Node {
	body := n.Body
	result := t.body(body, in, args)
	for i, a := range body.OutAxes {
		if i < len(n.Axes) && n.Op == "apply" {
			result = equation.NewRename(result, t.axis(a), t.axis(n.Axes[i]))
		}
	}
	return result
}

func (t *instantiator) schedule(s *check.Schedule) *equation.Node {
	if v, ok := s.Constant(); ok {
		return equation.NewNumber(v)
	}
	n := t.inputs[s]
	if n == nil {
		n = equation.NewInput(fmt.Sprintf("schedule.%d", len(t.inputs)), false)
		t.inputs[s] = n
		t.schedules = append(t.schedules, ScheduledInput{Input: n.Name, Schedule: s, FromStart: true})
	}
	return n
}

func (t *instantiator) rotate(n *check.Node, x *equation.Node, on *equation.Axis) *equation.Node {
	along, offset := t.seq, t.offset
	if x.Has(t.key) && !x.Has(t.seq) {
		along, offset = t.key, nil
	}
	return equation.NewRotate(x, along, on, rotary(n.Pos, on.Size), offset)
}

// cache: while training all positions are there already; while generating they are appended to what is kept.
func (t *instantiator) cache(n *check.Node, in scope, x *equation.Node) *equation.Node {
	if !t.generating {
		return equation.NewRename(x, t.seq, t.key)
	}
	name := n.Name
	if name == "" {
		name = "kept"
	}
	name = "cache/" + in.child(name).path
	t.caches[name]++
	if times := t.caches[name]; times > 1 { // a part applied again shares its weights, not what it remembers
		name = fmt.Sprintf("%s/%d", name, times)
	}
	// Batch first and positions second, as attention reads them.
	axes := append([]*equation.Axis{t.batch, t.key}, equation.Without(x.Axes, []*equation.Axis{t.batch, t.seq})...)
	kept := t.store(name, axes, nil, Stored{Kind: Cache})
	t.cachePerToken += equation.Size(axes[2:])
	appended := equation.NewAppend(kept, x, t.seq, t.key, t.offset)
	t.updates = append(t.updates, equation.Update{Storage: kept, Value: appended})
	return appended
}

// rotary gives the frequencies of a position encoding for an axis of the given size (language.md section 11; YaRN: arXiv
// 2309.00071 as DeepSeek-V3 applies it, at every length).
func rotary(p *check.Pos, size int) *equation.Rotary {
	d := float64(size)
	r := &equation.Rotary{Scale: 1, Halves: p.Pairs == "halves", Frequencies: make([]float64, size/2)}
	for i := range r.Frequencies {
		r.Frequencies[i] = math.Pow(p.Theta, -2*float64(i)/d)
	}
	if p.Kind != "yarn" {
		return r
	}
	dim := func(rotations float64) float64 {
		return d * math.Log(p.Original/(2*math.Pi*rotations)) / (2 * math.Log(p.Theta))
	}
	low := math.Max(math.Floor(dim(p.BetaFast)), 0)
	high := math.Min(math.Ceil(dim(p.BetaSlow)), d-1)
	if low == high {
		high += 0.001
	}
	for i, f := range r.Frequencies {
		ramp := math.Min(math.Max((float64(i)-low)/(high-low), 0), 1)
		r.Frequencies[i] = f*(1-ramp) + f/p.Factor*ramp
	}
	scale := func(s float64) float64 {
		if p.Factor <= 1 {
			return 1
		}
		return 0.1*s*math.Log(p.Factor) + 1
	}
	r.Scale = scale(p.MScale) / scale(p.MScaleAllDim)
	return r
}

func (t *instantiator) weight(path string) Stored {
	w, ok := t.weights[path]
	if !ok {
		panic("compiler: the model lists no weight " + path)
	}
	return Stored{Kind: Weight, Init: w.Init, MTP: w.MTP}
}
