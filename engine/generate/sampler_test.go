package generate

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// logits whose probabilities are 0.5, 0.25, 0.15, 0.1, in another order.
var logits = func() []float32 {
	v := make([]float32, 4)
	for i, p := range []float64{0.15, 0.5, 0.1, 0.25} {
		v[i] = float32(math.Log(p))
	}
	return v
}()

func TestNarrowing(t *testing.T) {
	for _, c := range []struct {
		s    Sampling
		want []int32
	}{
		{Sampling{}, []int32{0, 1, 2, 3}},
		{Sampling{TopK: 2}, []int32{1, 3}},
		{Sampling{TopK: 9}, []int32{0, 1, 2, 3}},
		{Sampling{TopP: 0.4}, []int32{1}},
		{Sampling{TopP: 0.7}, []int32{1, 3}},
		{Sampling{TopP: 0.85}, []int32{0, 1, 3}},
		{Sampling{TopP: 1}, []int32{0, 1, 2, 3}},
		{Sampling{MinP: 0.4}, []int32{1, 3}},
		{Sampling{MinP: 1}, []int32{1}},
		{Sampling{TopK: 3, TopP: 0.7}, []int32{1, 3}},
		{Sampling{TopP: 1e-12}, []int32{1}},
	} {
		c.s.Temperature = 1
		s := newSampler(c.s)
		s.weigh(logits, float64(logits[1]))
		s.narrow()
		var got []int32
		for _, x := range s.candidates {
			got = append(got, x.token)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v keeps (-want +got):\n%s", c.s, diff)
		}
	}
}

func TestFrequencies(t *testing.T) {
	s := newSampler(Sampling{Temperature: 1, Seed: 5})
	var count [4]int
	for range 20000 {
		count[s.pick(logits, nil)]++
	}
	for i, p := range []float64{0.15, 0.5, 0.1, 0.25} {
		if got := float64(count[i]) / 20000; math.Abs(got-p) > 0.015 {
			t.Errorf("token %d is drawn with frequency %g, its probability is %g", i, got, p)
		}
	}
	cold := newSampler(Sampling{Temperature: 0.01})
	for range 100 {
		if got := cold.pick(logits, nil); got != 1 {
			t.Fatalf("at temperature 0.01 token %d is drawn", got)
		}
	}
}

func TestGreedyTakesTheFirstOfEquals(t *testing.T) {
	s := newSampler(Sampling{})
	if got := s.pick([]float32{1, 3, 3, 2}, nil); got != 1 {
		t.Errorf("picked %d", got)
	}
	nan := float32(math.NaN())
	if got := s.pick([]float32{nan, 1, nan, 2}, nil); got != 3 {
		t.Errorf("beside numbers that are none, picked %d", got)
	}
	if got := newSampler(Sampling{Temperature: 1}).pick([]float32{0, float32(math.Inf(1))}, nil); got != 1 {
		t.Errorf("of an infinite logit, picked %d", got)
	}
}

func TestRepeatPenalty(t *testing.T) {
	s := newSampler(Sampling{RepeatPenalty: 2, RepeatLast: 3})
	in := []float32{3, 2, -1, 1.4}
	if got := s.pick(in, []int32{0, 0}); got != 1 {
		t.Errorf("3 halved is below 2, yet %d is picked", got)
	}
	if got := s.pick(in, []int32{0, 1, 1, 1}); got != 0 {
		t.Errorf("token 0 is out of reach of the penalty, yet %d is picked", got)
	}
	s.pick(in, []int32{2, 1, 500})
	if diff := cmp.Diff([]float32{3, 1, -2, 1.4}, s.logits); diff != "" {
		t.Error(diff)
	}
	if in[0] != 3 {
		t.Error("the logits themselves were changed")
	}
}

func TestLogprob(t *testing.T) {
	lp, top := logprob(logits, 3, 2)
	if math.Abs(lp-math.Log(0.25)) > 1e-6 {
		t.Errorf("log probability %g, want %g", lp, math.Log(0.25))
	}
	if len(top) != 2 || top[0].Token != 1 || top[1].Token != 3 {
		t.Errorf("most likely %v", top)
	}
	if _, none := logprob(logits, 0, 0); len(none) != 0 {
		t.Errorf("no alternatives asked for, got %v", none)
	}
}

// TestTopPPrefilter checks that leaving out unlikely tokens before sorting changes nothing.
func TestTopPPrefilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Float32Range(-10, 10), 1, 40).Draw(t, "logits")
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		s := newSampler(Sampling{Temperature: 1, TopP: p})
		best := in[largest(in)]
		s.weigh(in, float64(best))
		all := slices.Clone(s.candidates)
		s.narrow()
		slices.SortFunc(all, func(a, b candidate) int {
			if a.p > b.p || a.p == b.p && a.token < b.token {
				return -1
			}
			return 1
		})
		sum, n := 0.0, 0
		for sum < p*total(all)*(1-1e-12) {
			sum += all[n].p
			n++
		}
		if len(s.candidates) != n && fmt.Sprint(s.candidates) != fmt.Sprint(all[:n]) {
			t.Fatalf("kept %v, want %v", s.candidates, all[:n])
		}
	})
}

func TestPickDoesNotAllocate(t *testing.T) {
	s := newSampler(Sampling{Temperature: 1, TopK: 3, TopP: 0.9, MinP: 0.01, RepeatPenalty: 1.1})
	context := []int32{1, 2, 3}
	s.pick(logits, context)
	if n := testing.AllocsPerRun(100, func() { s.pick(logits, context) }); n > 0 {
		t.Errorf("a pick allocates %g times", n)
	}
}
