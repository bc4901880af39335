package parity

import (
	"fmt"
	"math"
	"strings"

	"forge/backends"
	"forge/compiler"
)

// train judges the losses and gradients of the first batch, and ten training steps.
func (r *run) train() error {
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
	batches, err := r.whole("train.batches")
	if err != nil {
		return err
	}
	size := r.batch * (r.seq + 1)
	for step, want := range r.want.Train.Steps {
		batch := batches[step%(len(batches)/size)*size:][:size]
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
		if err := r.losses(fmt.Sprintf("train.step%d", step), p, t, want); err != nil {
			return err
		}
		if step == 0 {
			if err := r.losses("loss", p, t, r.want.Loss); err != nil {
				return err
			}
			if err := r.gradients(p); err != nil {
				return err
			}
		}
	}
	if err := r.finals(store); err != nil {
		return err
	}
	return r.finalLogits(store)
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
	want, err := r.floats("train.final_logits")
	if err != nil {
		return err
	}
	r.judge.absolute("train.final_logits", want, got, 3e-3)
	return nil
}

// setBatch fills in tokens and targets from sequences of seq + 1 tokens.
func (r *run) setBatch(p backends.Program, t *compiler.Training, batch []int32) error {
	row := func(b int) []int32 { return batch[b*(r.seq+1):][:r.seq+1] }
	var tokens []int32
	for b := range r.batch {
		tokens = append(tokens, row(b)[:r.seq]...)
	}
	if err := p.SetInts("tokens", tokens); err != nil {
		return err
	}
	for k := 0; k <= t.MTPDepth; k++ {
		name := "targets"
		if k > 0 {
			name = fmt.Sprintf("targets[%d]", k)
		}
		var targets []int32
		for b := range r.batch {
			targets = append(targets, row(b)[k+1:]...)
		}
		if err := p.SetInts(name, targets); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) losses(name string, p backends.Program, t *compiler.Training, want losses) error {
	scalar := func(output string) float64 {
		v, err := p.Output(output)
		if err != nil {
			return math.NaN()
		}
		return float64(v[0])
	}
	r.judge.number(name+".total", want.Total, scalar("loss"), 2e-4)
	r.judge.number(name+".main", want.Main, scalar("main_loss"), 2e-4)
	for k, m := range want.MTP {
		r.judge.number(fmt.Sprintf("%s.mtp[%d]", name, k), m, scalar(fmt.Sprintf("mtp_loss[%d]", k+1)), 2e-4)
	}
	lines := 0
	for _, o := range t.Graph.Outputs() {
		if path, ok := strings.CutPrefix(o.Name, "line/"); ok {
			layer := r.layer(path)
			r.judge.number(name+".balance."+layer, want.Balance[layer], scalar(o.Name)/r.want.Hyper.Balance, 2e-4)
			lines++
		}
	}
	if lines != len(want.Balance) {
		r.judge.number(name+".balance", float64(len(want.Balance)), float64(lines), 0)
	}
	r.judge.number(name+".grad_norm", want.GradNorm, scalar("grad_norm"), 2e-4*want.GradNorm)
	return nil
}

func (r *run) gradients(p backends.Program) error {
	for _, t := range r.recipe.Names.Tensors {
		want, err := r.floats("grad." + t.File)
		if err != nil {
			return err
		}
		if t.Copy || want == nil {
			continue
		}
		got, err := r.file.inFile(t, func(storage string) ([]float32, error) { return p.Output("grad/" + storage) })
		if err != nil {
			return err
		}
		r.judge.norm("grad."+t.File, want, got, 1e-4, 1e-6)
	}
	return nil
}

// finals judges the weights after the last step: tensors of one axis whole, the others by norm, distance and a probe.
func (r *run) finals(store backends.Store) error {
	trained := func(storage string) ([]float32, error) {
		v := make([]float32, len(r.start[storage]))
		return v, store.Read(storage, v)
	}
	seen := 0
	for _, t := range r.recipe.Names.Tensors {
		if t.Copy {
			continue
		}
		got, err := r.file.inFile(t, trained)
		if err != nil {
			return err
		}
		want, err := r.floats("train.final." + t.File)
		if err != nil {
			return err
		}
		if want != nil {
			r.judge.absolute("train.final."+t.File, want, got, 5e-4)
		}
		f, ok := r.want.Train.Final[t.File]
		if !ok {
			continue
		}
		seen++
		start, err := r.file.inFile(t, func(s string) ([]float32, error) { return r.start[s], nil })
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
		r.judge.number("train.final_norm."+t.File, f.Norm, math.Sqrt(norm), 2e-5*f.Norm)
		r.judge.number("train.final_delta."+t.File, f.DeltaNorm, math.Sqrt(delta), 1e-3*f.DeltaNorm+1e-6)
		r.judge.number("train.final_probe."+t.File, f.Probe, probe, 1e-3)
	}
	if seen != len(r.want.Train.Final) {
		r.judge.number("train.final", float64(len(r.want.Train.Final)), float64(seen), 0)
	}
	return nil
}
