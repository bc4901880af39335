package parity

import (
	"math"
	"strings"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/backends/reference"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/random"
	"forge/engine/weights"
)

// TestTrainingStepAgrees runs one whole training step of `tiny` (forward, loss, backward, clipping, AdamW, router biases) on the cpu
// backend and on the reference, float32 both: every output, gradient and updated storage must agree to 1e-4 of its largest entry.
func TestTrainingStepAgrees(t *testing.T) {
	for _, name := range []string{"tiny", "tiny_gqa"} {
		t.Run(name, func(t *testing.T) {
			r, faults := check.Load(nil, name, nil)
			if faults.HasErrors() {
				t.Fatal(faults)
			}
			stage := r.Stages[0]
			tr, err := compiler.Train(stage.Model, stage, compiler.Options{Batch: 2, Seq: 24, Gradients: true})
			if err != nil {
				t.Fatal(err)
			}
			fast, err := cpu.New(2)
			if err != nil {
				t.Fatal(err)
			}
			got, want := step(t, fast, tr, stage.Model.Vocab), step(t, reference.New(), tr, stage.Model.Vocab)
			worst, at := 0.0, ""
			for name, w := range want {
				if d := apart(w, got[name]); d > worst {
					worst, at = d, name
				}
			}
			t.Logf("%d tensors compared, worst %.2g (%s)", len(want), worst, at)
			if worst > 1e-4 {
				t.Errorf("%s is %.2g apart", at, worst)
			}
			if len(want) < 250 {
				t.Errorf("only %d tensors were compared", len(want))
			}
		})
	}
}

// step runs one step from deterministic weights and tokens and gives every output and storage.
func step(t *testing.T, b backends.Backend, tr *compiler.Training, vocab int) map[string][]float32 {
	t.Helper()
	defer b.Close()
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	store := b.NewStore()
	for _, s := range tr.Storage {
		check(store.Create(s.Name, op.Type{Shape: s.Shape}))
		v := make([]float32, s.Shape.Size())
		switch s.Kind {
		case compiler.Weight:
			weights.Initialize(v, s.Name, s.Init, 1)
		case compiler.Moment: // as after some steps, so that the update is no sign
			r := random.New(1, s.Name)
			for i := range v {
				v[i] = float32(0.01 * r.Float64())
				if strings.HasPrefix(s.Name, "adamw.v/") {
					v[i] *= 0.1
				}
			}
		}
		check(store.Write(s.Name, v))
	}
	p, err := b.Compile(tr.Graph, store, backends.Options{})
	check(err)
	defer p.Close()
	for _, in := range tr.Graph.Inputs() {
		if in.Type().Dtype != op.Int32 {
			continue
		}
		r := random.New(2, in.Name)
		v := make([]int32, in.Type().Shape.Size())
		for i := range v {
			v[i] = int32(r.Float64() * float64(vocab))
			if in.Name != "tokens" && i%7 == 3 {
				v[i] = -1
			}
		}
		check(p.SetInts(in.Name, v))
	}
	check(tr.SetScalars(p, 60, 60*2048, 60*2048))
	check(p.RunAll())
	values := map[string][]float32{}
	for _, o := range tr.Graph.Outputs() {
		v, err := p.Output(o.Name)
		check(err)
		values[o.Name] = append([]float32(nil), v...)
	}
	for _, s := range tr.Storage {
		v := make([]float32, s.Shape.Size())
		check(store.Read(s.Name, v))
		values["new "+s.Name] = v
	}
	return values
}

// apart is the largest difference relative to the largest magnitude.
func apart(want, got []float32) float64 {
	if len(want) != len(got) {
		return math.Inf(1)
	}
	var d, m float64
	for i := range want {
		d = math.Max(d, math.Abs(float64(want[i])-float64(got[i])))
		m = math.Max(m, math.Abs(float64(want[i])))
	}
	if m == 0 {
		return d
	}
	return d / m
}
