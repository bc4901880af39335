// Package generate makes text with a model. In flow a store that holds the weights, a prompt and how to sample; out flow tokens,
// pieces of text that are valid UTF-8 at every moment, and log probabilities. The caches live in the same store, under their own
// names; weights are left alone, so a model can be sampled from while it is trained.
//
// A prompt is read in chunks of 512 tokens and less, each by a program of that many rows; then a program of one row makes a token a
// call. All share the weights and caches through the store. The result depends on model, prompt, sampling and capacity alone.
package generate

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/tokenizer"
)

// chunks are the programs that read prompts: each has so many rows and is used when at least so many tokens are left. Many rows use
// weights, once read, for many tokens, so that a token of 512 takes a half of the time of one of 64; rows that are not used cost as
// much as the others.
var chunks = []struct{ rows, least int }{{512, 385}, {256, 193}, {128, 97}, {64, 33}, {16, 2}, {1, 1}}

// cacheGrain is what the caches' size is a multiple of, so that short prompts fit a chunk with rows to spare.
const cacheGrain = 64

// Config is what a Generator works with.
type Config struct {
	Model     *check.Model
	Backend   backends.Backend
	Store     backends.Store // of Backend, holding the model's weights and states
	Tokenizer tokenizer.Tokenizer
	// Context is the most tokens, prompt and answer together, that the model is made for.
	Context int
	// Capacity is for how many tokens the caches are made (0: Context). Capacity gives one that fits a request.
	Capacity int

	// Compile replaces compiler.Generate in tests.
	Compile func(*check.Model, compiler.Options, int) (*compiler.Generation, error)
}

// Capacity is the size of caches for a request of so many tokens: the next power of two from 64 on, at most the context.
func Capacity(context, tokens int) int {
	if tokens >= context {
		return context
	}
	return min(context, max(64, 1<<bits.Len(uint(max(tokens-1, 0)))))
}

// Generator generates one text at a time.
type Generator struct {
	c        Config
	rows     int // of the caches: Capacity rounded up to a multiple of cacheGrain
	programs map[int]*program
	cached   []int32 // the tokens that the caches hold
}

type program struct {
	backends.Program
	tokens []int32
	one    []int32
}

// New makes a generator and compiles its program for single tokens; the others are compiled when a prompt needs them.
func New(c Config) (*Generator, error) {
	if c.Context < 1 {
		return nil, fmt.Errorf("a context of %d tokens", c.Context)
	}
	if c.Capacity == 0 {
		c.Capacity = c.Context
	}
	if c.Compile == nil {
		c.Compile = compiler.Generate
	}
	c.Capacity = min(c.Capacity, c.Context)
	g := &Generator{c: c, programs: map[int]*program{}}
	g.rows = (c.Capacity + cacheGrain - 1) / cacheGrain * cacheGrain
	if _, err := g.program(1); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Generator) program(rows int) (*program, error) {
	if p := g.programs[rows]; p != nil {
		return p, nil
	}
	compiled, err := g.c.Compile(g.c.Model, compiler.Options{Batch: 1, Seq: rows}, g.rows)
	if err != nil {
		return nil, err
	}
	for _, s := range compiled.Storage {
		if s.Kind == compiler.Cache {
			if err := g.c.Store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
				return nil, err
			}
		}
	}
	p, err := g.c.Backend.Compile(compiled.Graph, g.c.Store, backends.Options{})
	if err != nil {
		return nil, err
	}
	g.programs[rows] = &program{p, make([]int32, rows), make([]int32, 1)}
	return g.programs[rows], nil
}

// Close gives up the programs. The caches stay in the store.
func (g *Generator) Close() error {
	var first error
	for _, p := range g.programs {
		if err := p.Close(); first == nil {
			first = err
		}
	}
	return first
}

// Options are a request.
type Options struct {
	MaxTokens int // 0: until the context is full
	Sampling  Sampling
	Stop      []string // ends the text before the first of these
	// Logprobs is how many alternatives each token comes with; below 0: no log probabilities are computed.
	Logprobs int
	// Continue keeps what the caches hold of the prompt's beginning from the request before, as a conversation wants it. The
	// last bits of the logits, and so the text, may then differ from a fresh start.
	Continue bool
}

// Token is a token that was made.
type Token struct {
	ID int32
	// Text is what can be said for sure with this token: "" in the middle of a character or of what may become a stop string.
	// The last pieces come with a Token of ID −1.
	Text    string
	Logprob float64
	Top     []Alternative // most likely first
}

// Why a text ended.
const (
	StoppedByLength  = "length"  // MaxTokens
	StoppedByText    = "stop"    // a stop string
	StoppedByContext = "context" // the context is full
	StoppedByCaller  = "cancelled"
)

// Result says how a generation went.
type Result struct {
	Text         string
	Tokens       []int32
	PromptTokens int
	Reused       int // prompt tokens that the caches held already
	Finish       string
	Prefill      time.Duration
	Decode       time.Duration
}

// Generate continues a prompt, which may be empty: the text then begins after the tokenizer's start token. emit, if not nil, gets
// each token when it is made; its error ends the generation and is returned. A cancelled context ends the text without an error.
func (g *Generator) Generate(ctx context.Context, prompt string, o Options, emit func(Token) error) (*Result, error) {
	if err := o.Sampling.Check(); err != nil {
		return nil, err
	}
	tokens := g.c.Tokenizer.Encode(nil, []byte(prompt))
	if len(tokens) == 0 {
		tokens = append(tokens, g.c.Tokenizer.Start())
	}
	if err := g.fits(len(tokens)); err != nil {
		return nil, err
	}
	room, finish := g.c.Capacity-len(tokens), StoppedByContext
	if o.MaxTokens > 0 && o.MaxTokens <= room {
		room, finish = o.MaxTokens, StoppedByLength
	}
	r := &Result{PromptTokens: len(tokens), Finish: finish}
	if o.Continue {
		for r.Reused < min(len(tokens)-1, len(g.cached)) && tokens[r.Reused] == g.cached[r.Reused] {
			r.Reused++
		}
	}
	g.cached = append(g.cached[:0], tokens[:r.Reused]...)

	start := time.Now()
	logits, err := g.prefill(ctx, tokens[r.Reused:])
	r.Prefill = time.Since(start)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		r.Finish = StoppedByCaller
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	start = time.Now()
	defer func() { r.Decode = time.Since(start) }()
	w := &writer{result: r, emit: emit, decoder: tokenizer.NewStream(g.c.Tokenizer), stop: stopper{stops: nonEmpty(o.Stop)}}
	s := newSampler(o.Sampling)
	for {
		if best := logits[largest(logits)]; best != best {
			return r, errors.New("the model's logits are not numbers: its weights are damaged or training diverged")
		}
		next := s.pick(logits, tokens)
		t := Token{ID: next}
		if o.Logprobs >= 0 {
			t.Logprob, t.Top = logprob(logits, next, o.Logprobs)
		}
		tokens = append(tokens, next)
		r.Tokens = append(r.Tokens, next)
		if stopped, err := w.write(t); err != nil {
			return r, err
		} else if stopped {
			r.Finish = StoppedByText
			return r, nil
		}
		if len(r.Tokens) >= room {
			return r, w.end()
		}
		if ctx.Err() != nil {
			r.Finish = StoppedByCaller
			return r, w.end()
		}
		if logits, err = g.step(tokens[len(tokens)-1:], 1); err != nil {
			return r, err
		}
	}
}

// fits refuses prompts that leave no room for a token.
func (g *Generator) fits(n int) error {
	if n < g.c.Capacity {
		return nil
	}
	if g.c.Capacity < g.c.Context {
		return fmt.Errorf("the prompt has %d tokens, and the caches were made for %d tokens of prompt and answer", n, g.c.Capacity)
	}
	return fmt.Errorf("the prompt has %d tokens, and this model's context is %d tokens of prompt and answer: shorten the prompt to %d tokens, "+
		"or train with a longer `seq`", n, g.c.Context, g.c.Context-1)
}

// prefill reads the rest of a prompt into the caches and gives the logits after its last token.
func (g *Generator) prefill(ctx context.Context, tokens []int32) (logits []float32, err error) {
	for len(tokens) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := g.chunk(len(tokens))
		n := min(rows, len(tokens))
		if logits, err = g.step(tokens[:n], rows); err != nil {
			return nil, err
		}
		tokens = tokens[n:]
	}
	return logits, nil
}

// chunk is how many rows the next call should have for n tokens that are left. They must fit behind what is cached.
func (g *Generator) chunk(n int) int {
	for _, c := range chunks {
		if n >= c.least && len(g.cached)+c.rows <= g.rows {
			return c.rows
		}
	}
	return 1
}

// step runs the program of so many rows on up to that many tokens and gives the logits after the last of them, which are valid
// until the next call.
func (g *Generator) step(tokens []int32, rows int) ([]float32, error) {
	p, err := g.program(rows)
	if err != nil {
		return nil, err
	}
	clear(p.tokens)
	copy(p.tokens, tokens)
	if err := p.SetInts("tokens", p.tokens); err != nil {
		return nil, err
	}
	p.one[0] = int32(len(g.cached))
	if err := p.SetInts("position", p.one); err != nil {
		return nil, err
	}
	p.one[0] = int32(len(tokens) - 1)
	if err := p.SetInts("row", p.one); err != nil {
		return nil, err
	}
	if err := p.RunAll(); err != nil {
		return nil, err
	}
	g.cached = append(g.cached, tokens...)
	return p.Output("logits")
}

func nonEmpty(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// writer turns tokens into text and hands both on.
type writer struct {
	result  *Result
	emit    func(Token) error
	decoder *tokenizer.Stream
	stop    stopper
}

func (w *writer) write(t Token) (stopped bool, err error) {
	t.Text, stopped = w.stop.push(string(w.decoder.Next(t.ID)))
	return stopped, w.hand(t)
}

// end hands on what was held back.
func (w *writer) end() error {
	text, stopped := w.stop.push(string(w.decoder.Flush()))
	if !stopped {
		text += w.stop.flush()
	}
	if text == "" {
		return nil
	}
	return w.hand(Token{ID: -1, Text: text})
}

func (w *writer) hand(t Token) error {
	w.result.Text += t.Text
	if w.emit == nil {
		return nil
	}
	return w.emit(t)
}
