package train

import (
	"context"
	"io"
	"runtime"
	"testing"

	"forge/backends/cpu"
)

// small is a model of tiny's shape that takes a few milliseconds a step.
var small = []string{"model.dim=32", "model.depth=2", "model.attn=mla(heads = 2, nope = 8, rope = 8, v = 8, q_rank = 16, kv_rank = 16)",
	"model.dense=swiglu(48)", "model.expert=swiglu(16)", "train.batch=4", "train.seq=32", "train.total=10 steps",
	"train.lr=ramp(0, 0.01, over = 2 steps) then 0.005"}

// model is options with the real compiler and the cpu backend.
func (w *world) model(resume string) Options {
	w.t.Helper()
	o := w.options(resume)
	b, err := cpu.New(2)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { b.Close() })
	o.Backend, o.Compiler = b, Compiler{}
	return o
}

// TestModelResumesExactly is TestResumeIsExact for a model: train 10 = train 5, go on for 5.
func TestModelResumesExactly(t *testing.T) {
	whole := newWorld(t)
	whole.sets = append(append(whole.sets[:2:2], small...), "run.save=5 steps", "run.eval=5 steps")
	o := whole.model("")
	if r := whole.train(o); !r.Done {
		t.Fatalf("%+v", r)
	}
	list := curveOf(t, o.Run)
	if first, last := list[0]["main_loss"].(float64), list[9]["main_loss"].(float64); last > first-0.3 {
		t.Errorf("the loss goes from %g to %g: nothing is learned", first, last)
	}
	parts := newWorld(t)
	parts.sets = whole.sets
	first := parts.model("")
	first.Steps = 5
	parts.train(first)
	second := parts.model("auto")
	parts.train(second)
	sameRun(t, o.Run, second.Run, 10)
}

// TestStepAllocatesLittle counts what a step leaves for the garbage collector: the scalars that change and the line of metrics.
func TestStepAllocatesLittle(t *testing.T) {
	w := newWorld(t)
	w.sets = append(append(w.sets[:2:2], small...), "run.eval=100 steps", "run.save=100 steps")
	o := w.model("")
	o.Out, o.LineEvery = io.Discard, 1000
	var stats runtime.MemStats
	var counts []uint64
	o.OnStep = func(*Metrics) {
		runtime.ReadMemStats(&stats)
		counts = append(counts, stats.Mallocs)
	}
	o.Steps = 9
	if _, err := Train(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if n := counts[8] - counts[3]; n > 5*40 {
		t.Errorf("five steps allocate %d times", n)
	} else {
		t.Logf("five steps allocate %d times", n)
	}
}
