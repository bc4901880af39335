package generate

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"forge/engine/random"
)

// Sampling says how a token is picked from logits. The zero value is greedy: the largest logit, the lowest token among equals.
//
// The steps, in this order: the repeat penalty; Temperature; then of the tokens by falling probability TopK are kept, of these the
// fewest that hold TopP of the probability, of these those with at least MinP of the largest; one of the rest is drawn by its
// probability.
type Sampling struct {
	Temperature   float64 // logits are divided by it; 0: greedy
	TopK          int     // 0: all
	TopP          float64 // 0 or 1: all
	MinP          float64 // 0: all
	RepeatPenalty float64 // tokens of the last RepeatLast: positive logits divided, others multiplied by it (0 or 1: none)
	RepeatLast    int     // 0: 64
	Seed          int64
}

// Check says what is out of range.
func (s *Sampling) Check() error {
	var wrong []error
	add := func(bad bool, text string) {
		if bad {
			wrong = append(wrong, errors.New(text))
		}
	}
	add(!(s.Temperature >= 0) || math.IsInf(s.Temperature, 1), "temperature must be 0 (greedy) or above")
	add(s.TopK < 0, "top-k must be 0 (all tokens) or above")
	add(!(s.TopP >= 0 && s.TopP <= 1), "top-p must be from 0 to 1")
	add(!(s.MinP >= 0 && s.MinP <= 1), "min-p must be from 0 to 1")
	add(!(s.RepeatPenalty >= 0) || math.IsInf(s.RepeatPenalty, 1), "repeat-penalty must be 1 (none) or above")
	add(s.RepeatLast < 0, "repeat-last must be 0 or above")
	return errors.Join(wrong...)
}

// sampler picks tokens. It is made for one generation and reuses its memory.
type sampler struct {
	Sampling
	stream     *random.Stream
	logits     []float32
	candidates []candidate
}

type candidate struct {
	token int32
	p     float64 // not normalised: the most likely token has 1
}

func newSampler(s Sampling) *sampler {
	if s.RepeatLast == 0 {
		s.RepeatLast = 64
	}
	return &sampler{Sampling: s, stream: random.New(s.Seed, "sample")}
}

// pick chooses a token. logits are left as they are; context is all tokens so far.
func (s *sampler) pick(logits []float32, context []int32) int32 {
	if s.RepeatPenalty != 0 && s.RepeatPenalty != 1 {
		logits = s.penalize(logits, context)
	}
	best := largest(logits)
	if s.Temperature == 0 {
		return int32(best)
	}
	s.weigh(logits, float64(logits[best]))
	if len(s.candidates) == 0 { // the best is infinite
		return int32(best)
	}
	s.narrow()
	return s.draw()
}

func (s *sampler) penalize(logits []float32, context []int32) []float32 {
	s.logits = append(s.logits[:0], logits...)
	recent := context[max(len(context)-s.RepeatLast, 0):]
	for i, token := range recent {
		if int(token) >= len(logits) || slices.Contains(recent[:i], token) {
			continue
		}
		if v := &s.logits[token]; *v > 0 {
			*v /= float32(s.RepeatPenalty)
		} else {
			*v *= float32(s.RepeatPenalty)
		}
	}
	return s.logits
}

// weigh lists the tokens with exp((logit − best)/Temperature).
func (s *sampler) weigh(logits []float32, best float64) {
	s.candidates = s.candidates[:0]
	for token, v := range logits {
		if p := math.Exp((float64(v) - best) / s.Temperature); p > 0 {
			s.candidates = append(s.candidates, candidate{int32(token), p})
		}
	}
}

// narrow applies top-k, top-p and min-p.
func (s *sampler) narrow() {
	topK, topP := s.TopK, s.TopP
	if topK >= len(s.candidates) {
		topK = 0
	}
	if topP == 1 {
		topP = 0
	}
	all := total(s.candidates)
	if topK > 0 || topP > 0 {
		if topK == 0 {
			// Tokens with less than (1−p)/n of the probability hold less than 1−p together: they are never among the kept,
			// and need not be sorted.
			least := (1 - topP) * all / float64(len(s.candidates))
			s.candidates = slices.DeleteFunc(s.candidates, func(c candidate) bool { return c.p < least && c.p < 1 })
		}
		slices.SortFunc(s.candidates, func(a, b candidate) int {
			if a.p != b.p {
				return cmp.Compare(b.p, a.p)
			}
			return cmp.Compare(a.token, b.token)
		})
	}
	if topK > 0 {
		s.candidates = s.candidates[:topK]
		all = total(s.candidates)
	}
	if topP > 0 {
		sum := 0.0
		for i, c := range s.candidates {
			if sum += c.p; sum >= topP*all {
				s.candidates = s.candidates[:i+1]
				break
			}
		}
	}
	if s.MinP > 0 {
		s.candidates = slices.DeleteFunc(s.candidates, func(c candidate) bool { return c.p < s.MinP })
	}
}

func total(list []candidate) (sum float64) {
	for _, c := range list {
		sum += c.p
	}
	return sum
}

func (s *sampler) draw() int32 {
	u := s.stream.Float64() * total(s.candidates)
	for _, c := range s.candidates {
		if u -= c.p; u < 0 {
			return c.token
		}
	}
	return s.candidates[len(s.candidates)-1].token
}

// largest is the index of the largest value, the first among equals. What is not a number is passed over unless all are.
func largest(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] || v[best] != v[best] {
			best = i
		}
	}
	return best
}

// Alternative is a token that could have been picked.
type Alternative struct {
	Token   int32
	Logprob float64
}

// logprob gives the natural logarithm of the model's own probability of token, before penalty and temperature, and the n most
// likely tokens.
func logprob(logits []float32, token int32, n int) (float64, []Alternative) {
	best := float64(logits[largest(logits)])
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - best)
	}
	norm := best + math.Log(sum)
	var top []Alternative
	for t, v := range logits {
		lp := float64(v) - norm
		if len(top) == n && (n == 0 || lp <= top[n-1].Logprob) {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, lp, func(a Alternative, lp float64) int {
			if a.Logprob >= lp {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, at, Alternative{int32(t), lp})
		top = top[:min(len(top), n)]
	}
	return float64(logits[token]) - norm, top
}
