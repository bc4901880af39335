package generate

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/internal/fake"
	"forge/engine/tokenizer"
	"forge/engine/weights"

	"github.com/google/go-cmp/cmp"
)

// setup gives a generator over a fake model with random weights, and its table.
func setup(t testing.TB, context, capacity int) (*Generator, []float32) {
	t.Helper()
	b := fake.New()
	store := b.NewStore()
	table := make([]float32, fake.Vocab*fake.Vocab)
	weights.Initialize(table, "table", check.Init{Kind: "normal", Std: 1}, 1)
	if err := store.Create("table", op.Type{Shape: op.Shape{fake.Vocab, fake.Vocab}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Write("table", table); err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Model: &check.Model{Vocab: 256}, Backend: b, Store: store, Tokenizer: tokenizer.Bytes(), Context: context, Capacity: capacity, Compile: b.Generate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g, table
}

func run(t testing.TB, g *Generator, prompt string, o Options) *Result {
	t.Helper()
	r, err := g.Generate(context.Background(), prompt, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCachesGiveWhatTheWholeGives compares, for prompts of many lengths, greedy text made with caches to text made from all tokens
// anew at each step.
func TestCachesGiveWhatTheWholeGives(t *testing.T) {
	g, table := setup(t, 300, 0)
	for _, n := range []int{1, 2, 3, 15, 16, 17, 32, 33, 40, 64, 65, 100, 128, 129, 200, 279} {
		prompt := strings.Repeat("a prompt of some length ", 20)[:n]
		got := run(t, g, prompt, Options{MaxTokens: 20})
		tokens := tokenizer.Bytes().Encode(nil, []byte(prompt))
		logits := make([]float32, fake.Vocab)
		for range 20 {
			fake.Logits(logits, table, tokens)
			tokens = append(tokens, int32(largest(logits)))
		}
		if diff := cmp.Diff(tokens[n:], got.Tokens); diff != "" {
			t.Errorf("prompt of %d tokens (-whole +cached):\n%s", n, diff)
		}
		if got.PromptTokens != n || got.Finish != StoppedByLength {
			t.Errorf("prompt of %d tokens: %+v", n, got)
		}
	}
}

func TestContinueReusesTheCaches(t *testing.T) {
	g, _ := setup(t, 256, 0)
	first := run(t, g, "a conversation begins", Options{MaxTokens: 10})
	whole := "a conversation begins" + string(tokenizer.Bytes().Decode(nil, first.Tokens...))
	second := run(t, g, whole+" and goes on", Options{MaxTokens: 10, Continue: true})
	if second.Reused != 30 { // the last token was made, but not yet read
		t.Errorf("%d tokens reused of 31", second.Reused)
	}
	fresh := run(t, g, whole+" and goes on", Options{MaxTokens: 10})
	if fresh.Reused != 0 || !slices.Equal(fresh.Tokens, second.Tokens) {
		t.Errorf("with reuse %v, without %v", second.Tokens, fresh.Tokens)
	}
	again := run(t, g, "a cat", Options{MaxTokens: 3, Continue: true})
	if again.Reused != 3 {
		t.Errorf("%d tokens reused of another text with the same beginning of 3", again.Reused)
	}
}

func TestContextIsALimit(t *testing.T) {
	g, _ := setup(t, 40, 0)
	r := run(t, g, strings.Repeat("x", 30), Options{})
	if len(r.Tokens) != 10 || r.Finish != StoppedByContext {
		t.Errorf("%d tokens, finish %s", len(r.Tokens), r.Finish)
	}
	if r := run(t, g, strings.Repeat("x", 30), Options{MaxTokens: 10}); r.Finish != StoppedByLength {
		t.Errorf("exactly full: finish %s", r.Finish)
	}
	_, err := g.Generate(context.Background(), strings.Repeat("x", 40), Options{}, nil)
	if err == nil || !strings.Contains(err.Error(), "40 tokens") || !strings.Contains(err.Error(), "shorten the prompt to 39") {
		t.Errorf("error %v", err)
	}
	small, _ := setup(t, 1000, Capacity(1000, 50))
	if _, err := small.Generate(context.Background(), strings.Repeat("x", 70), Options{}, nil); err == nil || !strings.Contains(err.Error(), "caches were made for 64") {
		t.Errorf("error %v", err)
	}
}

func TestCapacity(t *testing.T) {
	for _, c := range [][3]int{{1000, 1, 64}, {1000, 64, 64}, {1000, 65, 128}, {1000, 600, 1000}, {1000, 5000, 1000}, {30, 10, 30}} {
		if got := Capacity(c[0], c[1]); got != c[2] {
			t.Errorf("%d tokens in a context of %d: capacity %d, want %d", c[1], c[0], got, c[2])
		}
	}
}

func TestEmptyPromptStartsAtANewline(t *testing.T) {
	g, _ := setup(t, 64, 0)
	a, b := run(t, g, "", Options{MaxTokens: 8}), run(t, g, "\n", Options{MaxTokens: 8})
	if a.PromptTokens != 1 || !slices.Equal(a.Tokens, b.Tokens) {
		t.Errorf("empty prompt %+v, newline %+v", a, b)
	}
}

func TestSeedDecides(t *testing.T) {
	g, _ := setup(t, 128, 0)
	o := Options{MaxTokens: 50, Sampling: Sampling{Temperature: 1, Seed: 1}}
	a := run(t, g, "once", o)
	if b := run(t, g, "once", o); !slices.Equal(a.Tokens, b.Tokens) {
		t.Error("the same seed gives another text")
	}
	o.Sampling.Seed = 2
	if b := run(t, g, "once", o); slices.Equal(a.Tokens, b.Tokens) {
		t.Error("another seed gives the same text")
	}
}

func TestStreamedTextIsTheText(t *testing.T) {
	g, _ := setup(t, 256, 0)
	var pieces strings.Builder
	r, err := g.Generate(context.Background(), "x", Options{MaxTokens: 200, Sampling: Sampling{Temperature: 2}, Logprobs: 3}, func(tok Token) error {
		if !utf8.ValidString(tok.Text) {
			t.Errorf("piece %q is not valid UTF-8", tok.Text)
		}
		if tok.ID >= 0 && (len(tok.Top) != 3 || tok.Logprob > tok.Top[0].Logprob || tok.Top[0].Logprob < tok.Top[1].Logprob) {
			t.Errorf("log probability %g, most likely %v", tok.Logprob, tok.Top)
		}
		pieces.WriteString(tok.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pieces.String() != r.Text {
		t.Errorf("streamed %q, result %q", pieces.String(), r.Text)
	}
	decoder := tokenizer.NewStream(tokenizer.Bytes())
	var want []byte
	for _, token := range r.Tokens {
		want = append(want, decoder.Next(token)...)
	}
	if want = append(want, decoder.Flush()...); r.Text != string(want) {
		t.Errorf("text %q, tokens say %q", r.Text, want)
	}
}

func TestStopString(t *testing.T) {
	g, _ := setup(t, 256, 0)
	whole := run(t, g, "x", Options{MaxTokens: 60}).Text
	at := len(whole) / 2
	for !utf8.RuneStart(whole[at]) {
		at++
	}
	stop := whole[at:min(at+4, len(whole))]
	r := run(t, g, "x", Options{MaxTokens: 60, Stop: []string{"", stop, "never"}})
	if want := whole[:strings.Index(whole, stop)]; r.Text != want || r.Finish != StoppedByText {
		t.Errorf("text %q, want %q; finish %s", r.Text, want, r.Finish)
	}
}

func TestCallerStops(t *testing.T) {
	g, _ := setup(t, 256, 0)
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	r, err := g.Generate(ctx, "x", Options{}, func(Token) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	})
	if err != nil || r.Finish != StoppedByCaller || len(r.Tokens) != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := g.Generate(ctx, "x", Options{}, nil); err != nil || r.Finish != StoppedByCaller || len(r.Tokens) != 0 {
		t.Errorf("cancelled before it began: %+v, %v", r, err)
	}
	failed := errors.New("the reader went away")
	if _, err := g.Generate(context.Background(), "x", Options{}, func(Token) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
}

func TestDamagedWeightsAreNamed(t *testing.T) {
	g, table := setup(t, 64, 0)
	weights.Fill(table, float32(math.NaN()))
	if err := g.c.Store.Write("table", table); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Generate(context.Background(), "x", Options{Sampling: Sampling{Temperature: 1}}, nil); err == nil || !strings.Contains(err.Error(), "not numbers") {
		t.Errorf("error %v", err)
	}
}

func TestSamplingIsChecked(t *testing.T) {
	g, _ := setup(t, 64, 0)
	for want, s := range map[string]Sampling{
		"temperature": {Temperature: -1}, "top-k": {TopK: -1}, "top-p": {TopP: 1.5}, "min-p": {MinP: math.NaN()}, "repeat-penalty": {RepeatPenalty: -1}, "repeat-last": {RepeatLast: -2}} {
		if _, err := g.Generate(context.Background(), "x", Options{Sampling: s}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v", s, err)
		}
	}
}

func TestStopper(t *testing.T) {
	for _, c := range []struct {
		stops, pieces, want []string
		stopped             bool
	}{
		{[]string{"END"}, []string{"a", "E", "N", "b", "EN", "D", "x"}, []string{"a", "", "", "ENb", "", ""}, true},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, []string{"", "", "a", ""}, true},
		{[]string{"yes", "no"}, []string{"n", "n", "y"}, []string{"", "n", "n"}, false},
		{[]string{"longer", "ng"}, []string{"longer"}, []string{"lo"[:0]}, true},
		{nil, []string{"a"}, []string{"a"}, false},
	} {
		s := stopper{stops: c.stops}
		var got []string
		stopped := false
		for _, p := range c.pieces {
			var out string
			out, stopped = s.push(p)
			got = append(got, out)
			if stopped {
				break
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || stopped != c.stopped {
			t.Errorf("stops %q, pieces %q: stopped %v\n%s", c.stops, c.pieces, stopped, diff)
		}
	}
}
