package parity

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"forge/backends"
	"forge/compiler"
)

// train judges the losses and gradients of the first batch, and ten training steps.
func (r *run) train() error {
	if len(r.want.Train.Steps) == 0 && r.want.Loss == nil {
		return nil
	}
	t, err := compiler.Train(r.model, r.stage, compiler.Options{Batch: r.batch, Seq: r.seq, Gradients: true})
	if err != nil {
		return err
	}
	store, err := r.store(t.Storage)
	if err != nil {
		return err
	}
	p, err := r.backend.Compile(t.Graph, store, backends.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	picks, err := r.newPicks(store)
	if err != nil {
		return err
	}
	defer picks.Close()
	batches, err := r.tokens("train.batches")
	if err != nil {
		return err
	}
	size := r.batch * (r.seq + 1)
	if len(batches) < size {
		return fmt.Errorf("train.batches holds %d tokens; a batch of this expectation has %d", len(batches), size)
	}
	r.report.Numbers.Train = &trained{Final: map[string]final{}}
	for step := range max(1, len(r.want.Train.Steps)) {
		batch := batches[step%(len(batches)/size)*size:][:size]
		load, err := picks.load(r.inputs(batch))
		if err != nil {
			return err
		}
		if err := r.setBatch(p, t, batch); err != nil {
			return err
		}
		tokens := int64(step * r.batch * r.seq)
		if err := t.SetScalars(p, int64(step), tokens, tokens); err != nil {
			return err
		}
		if err := p.RunAll(); err != nil {
			return err
		}
		got := r.losses(p, t)
		if step == 0 {
			r.report.Numbers.Loss = &got
			if r.want.Loss != nil {
				r.judgeLosses("loss", *r.want.Loss, got)
			}
			if err := r.gradients(p); err != nil {
				return err
			}
		}
		if step < len(r.want.Train.Steps) {
			got.Load = load
			r.report.Numbers.Train.Steps = append(r.report.Numbers.Train.Steps, got)
			r.judgeLosses(fmt.Sprintf("train.step%d", step), r.want.Train.Steps[step], got)
		}
	}
	if len(r.want.Train.Steps) == 0 {
		return nil
	}
	if err := r.finals(store); err != nil {
		return err
	}
	return r.finalLogits(store)
}

// picks runs the model as it stands in a training store, to count which experts each layer picks.
type picks struct {
	backends.Program
	r     *run
	gates []string
}

func (r *run) newPicks(store backends.Store) (*picks, error) {
	e, err := compiler.Probe(r.model, compiler.Options{Batch: r.batch, Seq: r.seq})
	if err != nil {
		return nil, err
	}
	p, err := r.backend.Compile(e.Graph, store, backends.Options{})
	if err != nil {
		return nil, err
	}
	k := &picks{Program: p, r: r}
	for _, o := range e.Graph.Outputs() {
		if strings.HasPrefix(o.Name, "gate/") {
			k.gates = append(k.gates, o.Name)
		}
	}
	return k, nil
}

// load counts, for each layer with experts, the tokens that each expert gets.
func (k *picks) load(tokens []int32) (map[string][]int, error) {
	if len(k.gates) == 0 {
		return map[string][]int{}, nil
	}
	if err := k.SetInts("tokens", tokens); err != nil {
		return nil, err
	}
	if err := k.RunAll(); err != nil {
		return nil, err
	}
	load := map[string][]int{}
	for _, name := range k.gates {
		gate, err := k.Output(name)
		if err != nil {
			return nil, err
		}
		counts := make([]int, *k.r.config.RoutedExperts)
		for i, g := range gate {
			if g != 0 {
				counts[i%len(counts)]++
			}
		}
		load[k.r.layer(strings.TrimPrefix(name, "gate/"))] = counts
	}
	return load, nil
}

// finalLogits judges the logits of input_ids after the last step.
func (r *run) finalLogits(store backends.Store) error {
	f, err := compiler.Forward(r.model, compiler.Options{Batch: r.batch, Seq: r.seq})
	if err != nil {
		return err
	}
	p, err := r.backend.Compile(f.Graph, store, backends.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.SetInts("tokens", r.ids); err != nil {
		return err
	}
	if err := p.RunAll(); err != nil {
		return err
	}
	got, err := p.Output("logits")
	if err != nil {
		return err
	}
	return r.compare("train.final_logits", got, 3e-3)
}

// inputs are the tokens that go in, of sequences of seq + 1 tokens.
func (r *run) inputs(batch []int32) []int32 {
	var tokens []int32
	for b := range r.batch {
		tokens = append(tokens, batch[b*(r.seq+1):][:r.seq]...)
	}
	return tokens
}

// setBatch fills in tokens and targets from sequences of seq + 1 tokens.
func (r *run) setBatch(p backends.Program, t *compiler.Training, batch []int32) error {
	if err := p.SetInts("tokens", r.inputs(batch)); err != nil {
		return err
	}
	for k := 0; k <= t.MTPDepth; k++ {
		name := "targets"
		if k > 0 {
			name = fmt.Sprintf("targets[%d]", k)
		}
		var targets []int32
		for b := range r.batch {
			targets = append(targets, batch[b*(r.seq+1):][k+1:r.seq+1]...)
		}
		if err := p.SetInts(name, targets); err != nil {
			return err
		}
	}
	return nil
}

// losses reads the parts of the step that was run.
func (r *run) losses(p backends.Program, t *compiler.Training) losses {
	scalar := func(output string) number {
		v, err := p.Output(output)
		if err != nil {
			return number(math.NaN())
		}
		return number(v[0])
	}
	l := losses{Total: scalar("loss"), Main: scalar("main_loss"), MTP: []number{}, Balance: map[string]number{}, GradNorm: scalar("grad_norm")}
	for k := range t.MTPDepth {
		l.MTP = append(l.MTP, scalar(fmt.Sprintf("mtp_loss[%d]", k+1)))
	}
	for _, o := range t.Graph.Outputs() {
		if path, ok := strings.CutPrefix(o.Name, "line/"); ok {
			l.Balance[r.layer(path)] = scalar(o.Name) / number(r.want.Hyper.Balance)
		}
	}
	return l
}

// judgeLosses judges the parts of a step; what only one side has fails.
func (r *run) judgeLosses(name string, want, got losses) {
	r.number(name+".total", want.Total, got.Total, 2e-4)
	r.number(name+".main", want.Main, got.Main, 2e-4)
	for k := range max(len(want.MTP), len(got.MTP)) {
		r.number(fmt.Sprintf("%s.mtp[%d]", name, k), at(want.MTP, k), at(got.MTP, k), 2e-4)
	}
	layers := maps.Clone(want.Balance)
	maps.Copy(layers, got.Balance)
	for _, layer := range slices.Sorted(maps.Keys(layers)) {
		a, wanted := want.Balance[layer]
		b, have := got.Balance[layer]
		if !wanted || !have {
			a = number(math.NaN())
		}
		r.number(name+".balance."+layer, a, b, 2e-4)
	}
	r.number(name+".grad_norm", want.GradNorm, got.GradNorm, 2e-4*float64(want.GradNorm))
	for _, layer := range slices.Sorted(maps.Keys(want.Load)) {
		if got.Load != nil {
			r.report.exact(name+".load."+layer, counts(want.Load[layer]), counts(got.Load[layer]))
		}
	}
}

func (r *run) number(name string, want, got number, tolerance float64) {
	r.report.add(name, math.Abs(float64(want)-float64(got)), tolerance)
}

// at is entry i, not a number where the list ends before it.
func at(list []number, i int) number {
	if i < len(list) {
		return list[i]
	}
	return number(math.NaN())
}

func counts(n []int) []float32 {
	f := make([]float32, len(n))
	for i := range n {
		f[i] = float32(n[i])
	}
	return f
}

// gradients judges the gradient of every tensor, before clipping, and its norm.
func (r *run) gradients(p backends.Program) error {
	r.report.Numbers.GradNorms = map[string]number{}
	for _, t := range r.recipe.Names.Tensors {
		if t.Copy || r.file.Place(t).State {
			continue
		}
		got, err := r.inFile(t, func(storage string) ([]float32, error) { return p.Output("grad/" + storage) })
		if err != nil {
			return err
		}
		square := 0.0
		for _, v := range got {
			square += float64(v) * float64(v)
		}
		norm := number(math.Sqrt(square))
		r.report.Numbers.GradNorms[t.File] = norm
		if want, ok := r.want.GradNorms[t.File]; ok {
			r.number("grad_norm."+t.File, want, norm, 1e-4*float64(want)+1e-6)
		}
		want, err := r.keep("grad."+t.File, got)
		if err != nil {
			return err
		}
		if want != nil {
			r.report.norm("grad."+t.File, want, got, 1e-4, 1e-6)
		}
	}
	return nil
}

// finals judges the weights after the last step: tensors of one axis whole, the others by norm, distance and a probe.
func (r *run) finals(store backends.Store) error {
	trained := func(storage string) ([]float32, error) {
		v := make([]float32, len(r.start[storage]))
		return v, store.Read(storage, v)
	}
	for _, t := range r.recipe.Names.Tensors {
		if t.Copy {
			continue
		}
		got, err := r.inFile(t, trained)
		if err != nil {
			return err
		}
		if err := r.compare("train.final."+t.File, got, 5e-4); err != nil {
			return err
		}
		start, err := r.inFile(t, func(s string) ([]float32, error) { return r.start[s], nil })
		if err != nil {
			return err
		}
		var norm, delta, probe float64
		for i, v := range got {
			d := float64(v) - float64(start[i])
			norm += float64(v) * float64(v)
			delta += d * d
			probe += float64(v) * (float64(uint32(i)*2654435761)/(1<<32) - 0.5)
		}
		computed := final{number(math.Sqrt(norm)), number(math.Sqrt(delta)), number(probe)}
		r.report.Numbers.Train.Final[t.File] = computed
		if want, ok := r.want.Train.Final[t.File]; ok {
			r.number("train.final_norm."+t.File, want.Norm, computed.Norm, 2e-5*float64(want.Norm))
			r.number("train.final_delta."+t.File, want.DeltaNorm, computed.DeltaNorm, 1e-3*float64(want.DeltaNorm)+1e-6)
			r.number("train.final_probe."+t.File, want.Probe, computed.Probe, 1e-3)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.want.Train.Final)) {
		if _, ok := r.report.Numbers.Train.Final[name]; !ok {
			r.report.add("train.final."+name, math.Inf(1), 0)
		}
	}
	return nil
}
