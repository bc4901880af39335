package check

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// trained is the stage of a recipe with the given cells.
func trained(t testing.TB, cells string) *Stage {
	t.Helper()
	return load(t, scheduled(cells), "r.forge").Stages[0]
}

func scheduled(cells string) memory {
	return with("forge 1\nuse \"tiny\"\ntrain s {\nseq = 8\noptim = adamw()\n" + cells + "\n}\nrecipe r from tiny.tiny { stages = [s] }\n")
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

// The pieces of language.md section 10, at their corners and halfway.
func TestPieces(t *testing.T) {
	s := trained(t, "total = 100 steps\nbatch = 2\nlr = ramp(1, 3, over = 10 steps) then hold(until = 20 steps) then cosine(to = 1, over = 20 steps)"+
		" then linear(to = 5, over = 160 tokens) then hold(over = 10 steps) then 7")
	for _, x := range []struct {
		step int64
		want float64
	}{{0, 1}, {5, 2}, {10, 3}, {15, 3}, {20, 3}, {30, 2}, {25, 1 + 2*(1+math.Cos(math.Pi/4))/2}, {40, 1}, {45, 3}, {50, 5}, {59, 5}, {60, 7}, {99, 7}, {100000, 7}} {
		if got := s.LR.At(s.TokensAt(x.step)); !near(got, x.want) {
			t.Errorf("step %d: %v, want %v", x.step, got, x.want)
		}
	}
	if _, constant := s.LR.Constant(); constant {
		t.Error("it changes")
	}
	if v, constant := s.Batch.Constant(); !constant || v != 2 {
		t.Error("the batch is 2")
	}
	s = trained(t, "total = 10 steps\nbatch = 2\nlr = hold(3, until = 4 steps) then hold(over = 2 steps) then 3")
	if v, constant := s.LR.Constant(); !constant || v != 3 {
		t.Error("three holds of 3")
	}
}

// Steps become tokens through the batch schedule; the next piece begins exactly where the one before ends.
func TestBatchRamp(t *testing.T) {
	s := trained(t, "total = 1000 tokens\nbatch = ramp(2, 8, over = 300 tokens, multiple = 2) then 8\nlr = hold(1, over = 13 steps) then hold(2, over = 100 tokens) then hold(3, over = 2 steps) then 4")
	// By hand: the batch is 2 + 6·t/300 rounded down to 2s, eight tokens a sequence.
	tokens, steps := int64(0), int64(0)
	var starts []int64
	for tokens < 1000 {
		batch := int64(8)
		if tokens < 300 {
			batch = 2 * int64((2+6*float64(tokens)/300)/2)
		}
		if got := s.BatchAt(tokens); got != batch {
			t.Errorf("at %d tokens a batch of %d, want %d", tokens, got, batch)
		}
		starts = append(starts, tokens)
		tokens += batch * 8
		steps++
	}
	if s.NumSteps != steps || s.NumTokens != tokens {
		t.Errorf("%d steps and %d tokens, want %d and %d", s.NumSteps, s.NumTokens, steps, tokens)
	}
	for i, want := range starts {
		if got := s.TokensAt(int64(i)); got != want {
			t.Errorf("step %d starts at %d, want %d", i, got, want)
		}
	}
	p := s.LR.Pieces
	if p[0].End != starts[13] || p[1].Start != p[0].End || p[1].End != p[0].End+100 || p[2].End != p[1].End+2*64 {
		t.Errorf("pieces end at %d, %d, %d", p[0].End, p[1].End, p[2].End)
	}
}

// A batch schedule given in steps makes that many steps.
func TestBatchInSteps(t *testing.T) {
	s := trained(t, "total = 50 steps\nbatch = hold(2, over = 5 steps) then linear(to = 12, over = 10 steps) then hold(until = 20 steps) then 3\nlr = 1")
	if got := s.BatchAt(s.TokensAt(4)); got != 2 {
		t.Errorf("step 4 has a batch of %d", got)
	}
	for step := int64(5); step < 15; step++ {
		if got := s.BatchAt(s.TokensAt(step)); got < 2 || got >= 12 {
			t.Errorf("step %d has a batch of %d", step, got)
		}
	}
	for step, want := range map[int64]int64{15: 12, 19: 12, 20: 3, 49: 3} {
		if got := s.BatchAt(s.TokensAt(step)); got != want {
			t.Errorf("step %d has a batch of %d, want %d", step, got, want)
		}
	}
	if s.NumSteps != 50 {
		t.Errorf("%d steps", s.NumSteps)
	}
}

// Positions inside a model count from the start of the first stage.
func TestModelSchedules(t *testing.T) {
	r := load(t, with("forge 1\nuse \"tiny\"\nrecipe r from tiny.tiny {\n  stages = [tiny.quick, tiny.quick]\n  model.gate.bias = hold(0.5, until = 600 steps) then 0.25\n}\n"), "r.forge")
	var bias *Schedule
	for _, l := range r.Model.Layers {
		if gate, ok := l.Attrs["ffn"].(*Built).Attrs["gate"].(*Built); ok {
			bias = gate.Attrs["bias"].(*Schedule)
		}
	}
	if at := int64(600 * 16 * 128); bias.Pieces[0].End != at || bias.At(at-1) != 0.5 || bias.At(at) != 0.25 {
		t.Errorf("%+v", bias)
	}
	if s := r.Stages[1]; s.StartSteps != 400 || s.StartTokens != 819200 {
		t.Errorf("the second stage starts at %d steps, %d tokens", s.StartSteps, s.StartTokens)
	}
	got := faults(shipped, "tiny", "model.gate.bias=hold(0.5, until = 100 steps)")
	if !strings.Contains(got, "[E501]: `bias` ends at 100 steps, but `quick` trains for 400 steps") {
		t.Error(got)
	}
}

func TestWrongSchedules(t *testing.T) {
	for _, x := range []struct{ cells, code, text string }{
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 5 steps)", "E501", "`lr` ends at 5 steps, but `s` trains for 9 steps"},
		{"total = 9 steps\nbatch = hold(2, over = 5 steps)\nlr = 1", "E501", "`batch` ends at 5 steps"},
		{"total = 999 tokens\nbatch = 2\nlr = 1\nmtp_weight = hold(1, over = 500 tokens)", "E501", "`mtp_weight` ends at 500 tokens"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 5 steps) then hold(until = 3 steps) then 1", "E507", "ends at 3 steps but begins at 5 steps"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 5 tokens) then 1", "E307", "the first step of `s` already reads 16 tokens (batch 2 × seq 8)"},
		{"total = 9 steps\nbatch = 2\nlr = hold(1, over = 3 steps) then ramp(0, 1, over = 5 tokens) then 1", "E307", "a step of `s` then reads 16 tokens"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 0 steps) then 1", "E307", "0 steps is less than one step"},
		{"total = 9 steps\nbatch = 2\nlr = 1 then ramp(0, 1, over = 3 steps)", "E300", "a piece without a length holds to the end"},
		{"total = 9 steps\nbatch = 2\nlr = hold(1) then 2", "E300", "give it one"},
		{"total = 9 steps\nbatch = 2\nlr = cosine(to = 1, over = 9 steps)", "E104", "`cosine` begins where the piece before it ends"},
		{"total = 9 steps\nbatch = 2\nlr = hold(until = 9 steps)", "E104", "`hold` begins where"},
		{"total = 9 steps\nbatch = 2\nlr = hold(1, until = 9 steps, over = 9 steps)", "E102", "not both"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 9 epochs)", "E308", "epoch"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, inf, over = 9 steps)", "E309", "finite"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 9 steps, multiple = 0)", "E303", "`multiple` must be at least 1"},
		{"total = 9 steps\nbatch = 2\nlr = 2 * ramp(0, 1, over = 9 steps)", "E300", "write the factor into `to`"},
		{"total = 9 steps\nbatch = 2\nlr = ramp(0, 1, over = 9 steps) then adamw()", "E300", "`then` joins"},
		{"total = 9 steps\nbatch = ramp(2, 0, over = 9 steps)\nlr = 1", "E303", "sequences"},
		{"total = 9000000T tokens\nbatch = ramp(1, 2, over = 9000000T tokens) then 2\nlr = 1", "E506", "5 million"},
		{"total = 9000000T steps\nbatch = 2000000000\nlr = 1", "E303", "63 bits"},
		{"total = 9 steps\nbatch = ramp(1, 2, over = 9000000T steps) then 2\nlr = 1", "E506", "5 million"},
	} {
		got := rendered(scheduled(x.cells), "r.forge")
		if !strings.Contains(got, "["+x.code+"]") || !strings.Contains(got, x.text) {
			t.Errorf("%s: want %s %q, got\n%s", x.cells, x.code, x.text, got)
		}
	}
}

// Whatever the batch does, counting one step after the other gives the same steps, and a ramp stays between its ends.
func TestTimeline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.IntRange(1, 40).Draw(t, "from"), rapid.IntRange(1, 40).Draw(t, "to")
		over, unit := rapid.IntRange(400, 4000).Draw(t, "over"), rapid.SampledFrom([]string{"tokens", "steps"}).Draw(t, "unit")
		if unit == "steps" {
			over /= 20
		}
		total := rapid.IntRange(1, 5000).Draw(t, "total")
		cells := fmt.Sprintf("total = %d tokens\nbatch = ramp(%d, %d, over = %d %s) then %d\nlr = 1", total, from, to, over, unit, to)
		r, list := Load(scheduled(cells), "r.forge", nil)
		if list.HasErrors() {
			t.Fatalf("%s: %v", cells, list)
		}
		s := r.Stages[0]
		tokens := int64(0)
		for step := range s.NumSteps {
			if got := s.TokensAt(step); got != tokens {
				t.Fatalf("%s: step %d starts at %d, want %d", cells, step, got, tokens)
			}
			b := s.BatchAt(tokens)
			if b < int64(min(from, to)) || b > int64(max(from, to)) {
				t.Fatalf("%s: a batch of %d", cells, b)
			}
			if tokens >= int64(total) {
				t.Fatalf("%s: step %d comes after the end", cells, step)
			}
			tokens += b * 8
		}
		if tokens != s.NumTokens || tokens < int64(total) {
			t.Fatalf("%s: %d tokens, want %d", cells, s.NumTokens, tokens)
		}
		if end := s.Batch.Pieces[0].End; unit == "steps" && end < int64(total) {
			if step, _, _ := s.line.stepAt(end); step < int64(over)-1 || step > int64(over)+1 {
				t.Fatalf("%s: %d steps of the ramp", cells, step)
			}
		}
	})
}
