// Package bench measures how fast a model trains, reads prompts and decodes on a device, and what share of the machine that is.
// In flow a checked recipe and a backend; out flows a Report. Weights are random unless a file of weights is given, tokens always;
// nothing is written. What is measured are the programs that training and generation run, without their data and sampling.
//
// A part runs once to warm up and then until its time is over; its speed is that of the median run. The machine's own peaks are
// measured in the same process, after the parts.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"forge/backends"
	"forge/backends/cpu/kernel"
	"forge/backends/machine"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/random"
	"forge/engine/weights"
)

// Options say what to measure. Recipe and Backend must be set.
type Options struct {
	Recipe  *check.Recipe
	Backend backends.Backend
	Threads int    // of the backend
	Weights string // a file of weights in the recipe's names; "" fills them at random
	// Published is a checkpoint with the weights, nil for none.
	Published *weights.Named
	// Keep is what prefill and decoding keep the weights as, one of weights.Keepings; random ones are as stored in float32. Training
	// keeps float32.
	Keep string

	Train, Prefill, Decode bool // none: all that the recipe can

	Batch, Seq int           // of a training step; 0: the recipe's first
	Prompt     int           // tokens read before decoding, and by the prefill; 0: 128 and 512
	Duration   time.Duration // of each part; 0: two seconds
	Profile    bool          // measure each operation
}

// Report is what was measured; the names of its JSON are fixed. What was not measured is null.
type Report struct {
	Recipe    string `json:"recipe"`
	Device    string `json:"device"`
	Threads   int    `json:"threads"`
	Precision string `json:"precision"`
	Params    int64  `json:"params"`        // of the whole model, multi-token prediction included
	Active    int64  `json:"active_params"` // of these, used for a token when generating

	TrainRate   *float64 `json:"train_tok_s"`
	TrainMFU    *float64 `json:"train_mfu"` // share of the measured peak of multiply-adds, in the precision of the products
	PrefillRate *float64 `json:"prefill_tok_s"`
	DecodeRate  *float64 `json:"decode_tok_s"`
	Decode8Rate *float64 `json:"decode_b8_tok_s"`
	DecodeShare *float64 `json:"decode_bandwidth_share"` // weights read a second, as a share of how fast as much memory is read
	PeakRSS     float64  `json:"peak_rss_mib"`
	CompileMS   float64  `json:"compile_ms"`
	Git         string   `json:"git"`

	Parts []Part       `json:"-"`
	Peaks kernel.Peaks `json:"-"`
}

// Part is one kind of work.
type Part struct {
	Name   string // train, prefill, decode, decode of 8
	Size   string // batch and length
	Tokens int    // of a run
	Median time.Duration
	Best   time.Duration
	Runs   int
	Stats  backends.Stats // Profile is of all runs
	// Peak is the measured peak of multiply-adds in the precision of the products, in FLOP a second.
	Peak float64
}

// Rate is the tokens a second of the median run.
func (p *Part) Rate() float64 { return float64(p.Tokens) / p.Median.Seconds() }

// The sizes without flags.
const (
	defaultDuration = 2 * time.Second
	prefillTokens   = 512
	decodePrompt    = 128
	decodeTokens    = 128
	decodeBatch     = 8
)

// Run measures. Its errors are the recipe's or the device's; a cancelled context is one too.
func Run(ctx context.Context, o Options) (*Report, error) {
	if !o.Train && !o.Prefill && !o.Decode {
		o.Train, o.Prefill, o.Decode = len(o.Recipe.Stages) > 0, true, true
	}
	if o.Train && len(o.Recipe.Stages) == 0 {
		return nil, errors.New("the recipe has no stage to train: give it `stages = […]`, or measure --prefill and --decode alone")
	}
	if o.Duration <= 0 {
		o.Duration = defaultDuration
	}
	count := o.Recipe.Model.Count()
	b := &bench{o: o, ctx: ctx, report: Report{
		Recipe: o.Recipe.Name, Device: o.Backend.Name(), Threads: o.Threads, Precision: precisionOf(o), Params: count.Params + count.MTP, Active: count.Active,
	}}
	defer b.closeFile()
	if err := b.parts(); err != nil {
		return nil, err
	}
	b.report.PeakRSS = float64(machine.PeakResident()) / (1 << 20)
	b.compare()
	return &b.report, nil
}

// bench is a measurement in progress.
type bench struct {
	o      Options
	ctx    context.Context
	store  backends.Store
	filled bool          // the store holds the weights
	file   *weights.File // that the store uses
	report Report
}

func (b *bench) parts() error {
	if b.o.Train {
		if err := b.train(); err != nil {
			return err
		}
	}
	if b.o.Prefill || b.o.Decode {
		if err := b.generate(); err != nil {
			return err
		}
	}
	if b.o.Decode {
		return b.decodeMany()
	}
	return nil
}

// compare measures the peaks and sets what was measured in relation to them.
func (b *bench) compare() {
	r := &b.report
	pool := kernel.NewPool(b.o.Threads)
	defer pool.Close()
	r.Peaks = kernel.MeasurePeaks(pool, min(b.o.Duration, time.Second))
	for i := range r.Parts {
		p := &r.Parts[i]
		rate := p.Rate()
		p.Peak = r.Peaks.Float32
		rounded := b.weightSize() < 4
		if p.Name == "train" {
			rounded = r.Precision != "fp32"
		}
		if rounded && r.Peaks.BF16Dot > 0 {
			p.Peak = r.Peaks.BF16Dot
		}
		switch p.Name {
		case "train":
			share := p.Stats.FLOPs / p.Median.Seconds() / p.Peak
			r.TrainRate, r.TrainMFU = &rate, &share
		case "prefill":
			r.PrefillRate = &rate
		case "decode":
			bytes := b.readForToken()
			share := rate * bytes / b.readRate(pool, bytes)
			r.DecodeRate, r.DecodeShare = &rate, &share
		default:
			r.Decode8Rate = &rate
		}
	}
}

// readForToken is the bytes of weights read to decode a token: the active ones, as they are kept, but of the embedding one row,
// unless it is the head too.
func (b *bench) readForToken() float64 {
	m := b.o.Recipe.Model
	n := b.report.Active
	if !m.Tied {
		n -= int64(m.Vocab-1) * int64(m.Dim)
	}
	return b.weightSize() * float64(n)
}

// weightSize is the bytes of a weight as it is kept, scales included.
func (b *bench) weightSize() float64 {
	switch b.o.Keep {
	case "bf16":
		return 2
	case "fp8":
		return 1 + 4.0/(backends.Float8Block*backends.Float8Block)
	case "int8":
		return 1 + 2.0/backends.Int8Block
	case weights.AsStored, "":
		if p := b.o.Published; p != nil {
			return p.WeightSize()
		}
	}
	return 4
}

// readRate is how many bytes a second are read from memory that holds as many as a token needs. Small models stay in the caches from
// one token to the next, where far more than the memory's own speed can be had; large ones do not.
func (b *bench) readRate(pool *kernel.Pool, bytes float64) float64 {
	const parts = 64
	values := make([]float32, parts*(1+int(min(bytes, 256<<20))/4/parts))
	for i := range values {
		values[i] = 1 // pages that were never written are not memory yet
	}
	each := len(values) / parts
	read := func() {
		pool.Run(parts, func(part, _ int) { kernel.Sum(values[part*each : (part+1)*each]) })
	}
	read()
	best := time.Duration(math.MaxInt64)
	for start, n := time.Now(), 0; n < 3 || time.Since(start) < min(b.o.Duration, time.Second)/4; n++ {
		before := time.Now()
		read()
		best = min(best, time.Since(before))
	}
	return 4 * float64(len(values)) / best.Seconds()
}

// compile makes a program of a graph and its storage, filled.
func (b *bench) compile(compiled func() ([]compiler.Stored, backends.Program, error)) (backends.Program, error) {
	start := time.Now()
	storage, program, err := compiled()
	if err != nil {
		return nil, err
	}
	b.report.CompileMS += float64(time.Since(start).Microseconds()) / 1000
	if b.filled {
		return program, nil
	}
	b.filled = true
	return program, b.fill(storage)
}

// create makes the storages of a program.
func (b *bench) create(storage []compiler.Stored) error {
	for _, s := range storage {
		if err := b.store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
			return err
		}
	}
	return nil
}

// fill gives weights and states their values. Moments and caches start at zero.
func (b *bench) fill(storage []compiler.Stored) error {
	var file *weights.File
	if b.o.Weights != "" {
		var err error
		if file, err = weights.Open(b.o.Weights); err != nil {
			return err
		}
		defer file.Close()
	}
	var values []float32
	for _, s := range storage {
		if s.Kind != compiler.Weight && s.Kind != compiler.State {
			continue
		}
		if n := s.Shape.Size(); cap(values) < n {
			values = make([]float32, n)
		}
		values = values[:s.Shape.Size()]
		switch {
		case file != nil:
			if err := file.Read(s.Name, values); err != nil {
				return err
			}
		case s.Kind == compiler.State:
			weights.Fill(values, float32(s.Initial))
		default:
			initialize(values, s)
		}
		if err := b.store.Write(s.Name, values); err != nil {
			return err
		}
	}
	return nil
}

// keep puts the weights and states of a program into the store, as they are to be kept.
func (b *bench) keep(storage []compiler.Stored) error {
	if b.filled || b.o.Keep == "" {
		return nil
	}
	b.filled = true
	m := b.o.Recipe.Model
	k, err := weights.NewKeeper(b.store, b.o.Keep, m, b.o.Recipe.Names)
	if err != nil {
		return err
	}
	defer k.Close()
	switch entries := weights.Of(m, false); {
	case b.o.Published != nil:
		return k.Named(b.o.Published, entries)
	case b.o.Weights != "":
		if b.file, err = weights.Open(b.o.Weights); err != nil {
			return err
		}
		if err := weights.Compare(b.file, weights.Of(m, true)); err != nil {
			return err
		}
		return k.File(b.file, entries)
	}
	var values []float32
	for _, s := range storage {
		if s.Kind != compiler.Weight && s.Kind != compiler.State {
			continue
		}
		values = slices.Grow(values[:0], s.Shape.Size())[:s.Shape.Size()]
		if s.Kind == compiler.State {
			weights.Fill(values, float32(s.Initial))
		} else {
			initialize(values, s)
		}
		if err := k.Values(weights.Entry{Name: s.Name, Shape: s.Shape}, values); err != nil {
			return err
		}
	}
	return nil
}

// initialize gives a weight random values. Those of a large one repeat after a prime number, so that no two of its rows or experts are
// the same: drawing billions would take longer than measuring.
func initialize(values []float32, s compiler.Stored) {
	const drawn = 1<<20 + 7 // prime
	n := min(len(values), drawn)
	weights.Initialize(values[:n], s.Name, s.Init, 0)
	for n < len(values) {
		n += copy(values[n:], values[:n/drawn*drawn])
	}
}

func (b *bench) closeFile() {
	if b.file != nil {
		b.file.Close() // it was only read
		b.file = nil
	}
}

// renew gives up the store, so that the next part's memory is not added to the last one's.
func (b *bench) renew() {
	b.store = nil
	b.closeFile()
	runtime.GC()
	debug.FreeOSMemory()
	b.store, b.filled = b.o.Backend.NewStore(), false
}

// measure runs until the time is over, at least three times, after one run to warm up. The operations of the warm-up are in the
// profile, as they are in the program's own.
func (b *bench) measure(p Part, program backends.Program, run func() error) error {
	if err := run(); err != nil {
		return err
	}
	var times []time.Duration
	for start := time.Now(); len(times) < 3 || time.Since(start) < b.o.Duration; {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		before := time.Now()
		if err := run(); err != nil {
			return err
		}
		times = append(times, time.Since(before))
	}
	slices.Sort(times)
	p.Median, p.Best, p.Runs, p.Stats = times[len(times)/2], times[0], len(times), program.Stats()
	b.report.Parts = append(b.report.Parts, p)
	return nil
}

// tokens are n random ones, the same in every run.
func (b *bench) tokens(n int) []int32 {
	stream := random.New(0, "bench")
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(stream.Float64() * float64(b.o.Recipe.Model.Vocab))
	}
	return tokens
}

// setInts fills an input by its name.
func setInts(p backends.Program, inputs map[string][]int32) error {
	for name, values := range inputs {
		if err := p.SetInts(name, values); err != nil {
			return fmt.Errorf("input %s: %w", name, err)
		}
	}
	return nil
}

// precisionOf names what training computes in, the first stage's precision; without training, what the weights are kept as.
func precisionOf(o Options) string {
	switch {
	case o.Train && len(o.Recipe.Stages) > 0:
		return o.Recipe.Stages[0].Precision.Kind
	case o.Keep == "" || o.Keep == "f32":
		return "fp32"
	}
	return o.Keep
}
