package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"forge/compiler"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/internal/fake"
	"forge/engine/runs"
	"forge/engine/tokenizer"
	"forge/engine/weights"

	"github.com/google/go-cmp/cmp"
)

type noFiles struct{}

func (noFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// world is a place with a recipe, texts and runs.
type world struct {
	t       *testing.T
	base    string
	texts   string
	sets    []string
	backend *fake.Backend
	out     bytes.Buffer
}

// newWorld gives tiny on texts of its own: 12 steps of 4 sequences of 32 tokens, saved and evaluated every 4.
func newWorld(t *testing.T) *world {
	w := &world{t: t, base: filepath.Join(t.TempDir(), "runs"), texts: t.TempDir(), backend: fake.New()}
	for i := range 30 {
		text := strings.Repeat(fmt.Sprintf("text number %d says a thing or two. ", i), 3+i%5)
		if err := os.WriteFile(filepath.Join(w.texts, fmt.Sprintf("%02d.txt", i)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	w.sets = []string{
		fmt.Sprintf("data.sources=[text(%q)]", w.texts), "data.held_out=0.2", "train.total=12 steps", "train.batch=4", "train.seq=32",
		"train.lr=ramp(0, 0.5, over = 3 steps) then cosine(to = 0.1, over = 9 steps)", "run.save=4 steps", "run.eval=4 steps", "run.keep=9"}
	return w
}

// options opens everything anew, as another process would; resume is `--resume`, "" for a new run.
func (w *world) options(resume string) Options {
	w.t.Helper()
	recipe, found := check.Load(noFiles{}, "tiny", w.sets)
	if err := found.Err(); err != nil {
		w.t.Fatal(err)
	}
	set, err := data.Open(recipe.Data, tokenizer.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { set.Close() })
	o := Options{Recipe: recipe, Text: strings.Join(w.sets, "\n"), Backend: w.backend, Data: set, Tokenizer: tokenizer.Bytes(), Forge: "test",
		Args: []string{"forge", "train", "tiny"}, Out: &w.out, SampleTokens: 5,
		Compiler: Compiler{w.backend.Train, w.backend.Evaluate, w.backend.Generate}}
	if resume == "" {
		o.Run, err = runs.Create(w.base, "tiny")
	} else {
		var resumed *runs.Resumed
		if resumed, err = runs.Resume(resume, w.base, "tiny", ""); err == nil {
			o.Run, o.From = resumed.Run, resumed.Checkpoint
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { o.Run.Close() })
	return o
}

func (w *world) train(o Options) *Result {
	w.t.Helper()
	r, err := Train(context.Background(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	o.Run.Close()
	return r
}

// curveOf reads metrics.jsonl, without what is measured in time and memory.
func curveOf(t *testing.T, run *runs.Run) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run.Dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		for _, measured := range []string{"tok_s", "step_ms", "mem_mib"} {
			if _, ok := m[measured].(float64); !ok {
				t.Errorf("line %q has no %s", line, measured)
			}
			delete(m, measured)
		}
		list = append(list, m)
	}
	return list
}

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRunDirectory(t *testing.T) {
	w := newWorld(t)
	o := w.options("")
	r := w.train(o)
	if !r.Done || r.Step != 12 || r.Eval == nil || r.Checkpoint.State.Step != 12 {
		t.Errorf("result %+v", r)
	}
	list := curveOf(t, o.Run)
	if len(list) != 12 {
		t.Fatalf("%d lines of metrics", len(list))
	}
	for i, m := range list {
		if m["step"] != float64(i+1) || m["tokens"] != float64(128*(i+1)) {
			t.Errorf("line %d: step %v, tokens %v", i, m["step"], m["tokens"])
		}
		if _, evaluated := m["eval_loss"]; evaluated != ((i+1)%4 == 0) {
			t.Errorf("step %d evaluated: %v", i+1, evaluated)
		}
		if diff := cmp.Diff(map[string]any{"layers[1].ffn.gate": 1.5}, m["load_max"]); diff != "" {
			t.Error(diff)
		}
	}
	if first, last := list[0]["loss"].(float64), list[11]["loss"].(float64); last > first-0.3 {
		t.Errorf("the loss goes from %g to %g: nothing is learned", first, last)
	}
	if list[0]["lr"] != 0.0 || list[3]["lr"] != 0.5 {
		t.Errorf("the rate of the steps 1 and 4 is %v and %v", list[0]["lr"], list[3]["lr"])
	}
	info, err := o.Run.Info()
	if err != nil || info.Recipe != "tiny" || info.DataChecksum != o.Data.Checksum() || len(info.Command) != 3 {
		t.Errorf("run.json %+v, %v", info, err)
	}
	if text := readFile(t, o.Run.Dir, "recipe.forge"); text != o.Text {
		t.Errorf("recipe.forge holds %q", text)
	}
	if n := strings.Count(readFile(t, o.Run.Dir, "samples.txt"), "=== step"); n != 3 {
		t.Errorf("%d times samples", n)
	}
	for _, want := range []string{"device      fake", "1.4177M parameters", "attn ", "ffn.bank", "12 steps", "step  1/12 (  8.3 %)  loss", "held out: loss", "done: 12 steps"} {
		if !strings.Contains(w.out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, w.out.String())
		}
	}
}

// TestResumeIsExact compares runs that were stopped, in several ways and more than once, to one that never was: every tensor, the
// state, the curve and the samples are to be the same, bit for bit.
func TestResumeIsExact(t *testing.T) {
	whole := newWorld(t)
	o := whole.options("")
	whole.train(o)

	stopped := newWorld(t)
	stopped.texts = whole.texts
	stopped.sets = whole.sets
	first := stopped.options("")
	first.Steps = 5
	if r := stopped.train(first); r.Done || r.Step != 5 {
		t.Fatalf("%+v", r)
	}
	second := stopped.options("auto")
	ctx, cancel := context.WithCancel(context.Background())
	second.OnStep = func(m *Metrics) {
		if m.Step == 7 {
			cancel()
		}
	}
	r, err := Train(ctx, second)
	second.Run.Close()
	if err != nil || !r.Interrupted || r.Step != 7 {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := "go on with: forge train tiny --resume " + second.Run.Dir; !strings.Contains(stopped.out.String(), want) {
		t.Errorf("the output lacks %q", want)
	}
	third := stopped.options(second.Run.Dir)
	if r := stopped.train(third); !r.Done || r.Step != 12 {
		t.Fatalf("%+v", r)
	}
	sameRun(t, o.Run, third.Run, 12)

	// Taken back to step 4 and trained on, the run ends the same once more.
	again := stopped.options("4")
	stopped.train(again)
	sameRun(t, o.Run, again.Run, 12)
}

func sameRun(t *testing.T, a, b *runs.Run, steps int) {
	t.Helper()
	if diff := cmp.Diff(curveOf(t, a), curveOf(t, b)); diff != "" {
		t.Errorf("the curves differ (-whole +resumed):\n%s", diff)
	}
	last := fmt.Sprintf("checkpoints/step-%06d/", steps)
	for _, file := range []string{"samples.txt", last + "model.safetensors", last + "optimizer.safetensors", last + "state.json"} {
		if readFile(t, a.Dir, file) != readFile(t, b.Dir, file) {
			t.Errorf("%s differs", file)
		}
	}
}

func TestResumeOfADoneRunDoesNothing(t *testing.T) {
	w := newWorld(t)
	w.train(w.options(""))
	o := w.options("auto")
	before := readFile(t, o.Run.Dir, "metrics.jsonl")
	if r := w.train(o); !r.Done || r.Step != 12 {
		t.Errorf("%+v", r)
	}
	if readFile(t, o.Run.Dir, "metrics.jsonl") != before {
		t.Error("the curve changed")
	}
}

func TestDivergenceKeepsTheGoodCheckpoint(t *testing.T) {
	w := newWorld(t)
	w.backend.NaNAt = 7
	o := w.options("")
	_, err := Train(context.Background(), o)
	var diverged *Diverged
	if !errors.As(err, &diverged) || diverged.Step != 7 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"step 7: training diverged: loss NaN", "1 of 1 weights", "table", "step-000004, after step 4", "--resume", "train.peak"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	c, err := runs.Find(o.Run.Dir, "")
	if err != nil || c.State.Step != 4 {
		t.Fatalf("%+v, %v", c, err)
	}
	f, err := weights.Open(c.ModelPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v := make([]float32, fake.Vocab*fake.Vocab)
	if err := f.Read("table", v); err != nil || v[3] != v[3] {
		t.Errorf("table[3] = %g, %v", v[3], err)
	}
	if last := curveOf(t, o.Run)[6]; last["loss"] != nil || last["step"] != 7.0 {
		t.Errorf("the last line is %v", last)
	}
	w.backend.NaNAt = 2
	if _, err := Train(context.Background(), w.options("")); err == nil || !strings.Contains(err.Error(), "no checkpoint was saved before") {
		t.Errorf("error %v", err)
	}
}

// TestRunThatCannotBegin checks that a recipe that does not compile leaves nothing behind.
func TestRunThatCannotBegin(t *testing.T) {
	w := newWorld(t)
	o := w.options("")
	o.Compiler.Train = func(*check.Model, *check.Stage, compiler.Options) (*compiler.Training, error) {
		return nil, errors.New("a.forge:3:4: no such thing")
	}
	if _, err := Train(context.Background(), o); err == nil || err.Error() != "a.forge:3:4: no such thing" {
		t.Errorf("error %v", err)
	}
	if left := runs.List(w.base, "tiny"); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

func TestOtherDataIsRefused(t *testing.T) {
	w := newWorld(t)
	o := w.options("")
	o.Steps = 4
	w.train(o)
	if err := os.WriteFile(filepath.Join(w.texts, "00.txt"), []byte("something else"), 0o666); err != nil {
		t.Fatal(err)
	}
	o = w.options("auto")
	curve := readFile(t, o.Run.Dir, "metrics.jsonl")
	defer func() {
		if readFile(t, o.Run.Dir, "metrics.jsonl") != curve {
			t.Error("the refused run changed the curve")
		}
	}()
	if _, err := Train(context.Background(), o); err == nil || !strings.Contains(err.Error(), "the data is not what it was") || !strings.Contains(err.Error(), "step-000004") {
		t.Errorf("error %v", err)
	}
}

func TestDataThatVanishesLosesNothing(t *testing.T) {
	w := newWorld(t)
	o := w.options("")
	o.OnStep = func(m *Metrics) {
		if m.Step == 6 {
			entries, _ := os.ReadDir(w.texts)
			for _, e := range entries {
				os.Truncate(filepath.Join(w.texts, e.Name()), 1)
			}
		}
	}
	_, err := Train(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "changed since the run began") || !strings.Contains(err.Error(), "after step 6") {
		t.Errorf("error %v", err)
	}
	if c, err := runs.Find(o.Run.Dir, ""); err != nil || c.State.Step != 6 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSaveThatFailsNamesTheLastCheckpoint(t *testing.T) {
	w := newWorld(t)
	o := w.options("")
	o.OnStep = func(m *Metrics) {
		if m.Step == 6 { // a file where the next checkpoint should come, which can't be replaced by a directory
			dir := filepath.Join(o.Run.Dir, "checkpoints")
			if err := os.Rename(dir, dir+".away"); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(dir, nil, 0o666); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := Train(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "the checkpoint of step 8 could not be saved") || !strings.Contains(err.Error(), "step-000004, after step 4") {
		t.Errorf("error %v", err)
	}
	if _, err := runs.ReadCheckpoint(filepath.Join(o.Run.Dir, "checkpoints.away", "step-000004")); err != nil {
		t.Error(err)
	}
}

// TestBatchThatGrows trains with a batch schedule, which takes a program for each size, and stops and goes on within it.
func TestBatchThatGrows(t *testing.T) {
	w := newWorld(t)
	w.sets[3] = "train.batch=ramp(2, 6, over = 600 tokens, multiple = 2) then 6"
	o := w.options("")
	w.train(o)
	list := curveOf(t, o.Run)
	if first, last := list[0]["tokens"], list[11]["tokens"].(float64)-list[10]["tokens"].(float64); first != 64.0 || last != 192 {
		t.Errorf("the first step reads %v tokens, the last %v", first, last)
	}
	other := newWorld(t)
	other.sets = w.sets
	half := other.options("")
	half.Steps = 5
	other.train(half)
	rest := other.options("auto")
	other.train(rest)
	sameRun(t, o.Run, rest.Run, 12)
}

// TestStages goes through two stages of different sequence length, stopping between and within them.
func TestStages(t *testing.T) {
	recipe := func(w *world) string {
		path := filepath.Join(w.base, "two.forge")
		if err := os.MkdirAll(w.base, 0o777); err != nil {
			t.Fatal(err)
		}
		text := "forge 1\nuse \"tiny\"\ntrain longer from tiny.quick {\n  total = 5 steps\n  seq = 48\n  lr = 0.1\n  batch = 3\n}\n" +
			"train short from tiny.quick {\n  total = 7 steps\n  seq = 32\n  lr = 0.2\n  batch = 4\n}\nrecipe two from tiny.tiny {\n  stages = [short, longer]\n}\n"
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	start := func(w *world, resume string, steps int64) Options {
		path := recipe(w)
		r, found := check.Load(noFiles{}, path, []string{w.sets[0], w.sets[1], "run.save=4 steps", "run.eval=4 steps"})
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		o := w.options(resume)
		o.Recipe, o.Steps = r, steps
		return o
	}
	whole := newWorld(t)
	o := start(whole, "", 0)
	whole.train(o)
	list := curveOf(t, o.Run)
	if len(list) != 12 || list[11]["tokens"] != float64(7*4*32+5*3*48) {
		t.Errorf("%d steps, %v tokens", len(list), list[len(list)-1]["tokens"])
	}
	parts := newWorld(t)
	parts.sets = whole.sets
	parts.train(start(parts, "", 7))
	parts.train(start(parts, "auto", 2))
	last := start(parts, "auto", 0)
	parts.train(last)
	sameRun(t, o.Run, last.Run, 12)
	if !strings.Contains(whole.out.String(), "stage longer: 5 steps, 48 tokens a sequence") {
		t.Errorf("output:\n%s", whole.out.String())
	}
}

func TestStepLine(t *testing.T) {
	m := &Metrics{Step: 7, Main: 5.4321, MTP: []float64{5.5}, LR: 6e-4, GradNorm: 1.25, TokensSecond: 12345, Duration: 166e6, MemoryMiB: 120,
		Blocks: []BlockMetric{{"layers[1].ffn.gate", "load_max", 1.5}}}
	want := "step   7/400 (  1.8 %)  loss  5.4321  mtp  5.5000  lr 6.00e-04  grad   1.250    12345 tok/s     166 ms  expert  1.50×    120 MiB  left 1m05s"
	if diff := cmp.Diff(want, m.line(400, 65e9)); diff != "" {
		t.Error(diff)
	}
	for d, want := range map[int64]string{0: "0s", 59: "59s", 60: "1m00s", 3660: "1h01m", 90000: "1d01h"} {
		if got := short(time.Duration(d) * time.Second); got != want {
			t.Errorf("%d seconds are written %s, want %s", d, got, want)
		}
	}
	for v, want := range map[float64]string{999: "999", 753664: "753.664k", 1417728: "1.4177M", 671026404352: "671.0264B"} {
		if got := large(v); got != want {
			t.Errorf("%g is written %s, want %s", v, got, want)
		}
	}
}

func TestMetricsLine(t *testing.T) {
	m := &Metrics{Step: 2, Tokens: 10, Loss: 1.5, Main: notANumber, MTP: []float64{1, 2}, Balance: 0.25, LR: 1e-3, GradNorm: 2, TokensSecond: 100.4, Duration: 1234567,
		MemoryMiB: 10.26, Blocks: []BlockMetric{{"a", "load_max", 1}, {"a", "dead", 0}, {"b", "load_max", 2}}}
	want := `{"step":2,"tokens":10,"loss":1.5,"main_loss":null,"mtp_loss":[1,2],"balance_loss":0.25,"lr":0.001,"grad_norm":2,"tok_s":100,"step_ms":1.23,` +
		`"mem_mib":10.3,"load_max":{"a":1,"b":2},"dead":{"a":0}}` + "\n"
	if diff := cmp.Diff(want, string(m.AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
}

// TestShortSequences: a sequence without a token left to predict for multi-token prediction is refused in the recipe's words, and
// no directory stays behind.
func TestShortSequences(t *testing.T) {
	w := newWorld(t)
	w.sets = append(slices.DeleteFunc(w.sets, func(set string) bool { return strings.HasPrefix(set, "train.seq") }), "train.seq=1")
	o := w.options("")
	_, err := Train(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "set `seq` to at least 2") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(o.Run.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there", o.Run.Dir)
	}
}
