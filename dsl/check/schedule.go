package check

import (
	"math"
	"strconv"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// Schedule is a value that changes while training (language.md section 10): pieces one after the other, the last holding to the
// end. Positions are counted in tokens; lengths given in steps are converted through the batch schedule when the stage is
// resolved. A plain number is a schedule of one piece.
type Schedule struct {
	Pieces []Piece
}

// Piece is one stretch of a schedule. Kind is "ramp", "linear", "cosine", "hold" or "number".
type Piece struct {
	Kind     string
	From, To float64
	Multiple int64 // ramp: rounded down to a multiple; 1: not rounded
	// Length or end as written; Unit None means to the end.
	Over  Quantity
	Until Quantity
	// Start and End in tokens from the start of the stage (of the first stage inside a model), set when the stage is resolved.
	// End < 0: no end.
	Start, End int64

	follows bool      // From is where the piece before ends, not yet known
	span    diag.Span // of the piece
	length  diag.Span // of `over` or `until`
}

// At is the value where tokens have been read: from the start of the stage, or of the first stage for a schedule in a model. It
// holds the last value after the last piece. The schedule must have been resolved (every schedule of a Recipe is).
func (s *Schedule) At(tokens int64) float64 {
	for i := range s.Pieces {
		p := &s.Pieces[i]
		if p.End < 0 || tokens < p.End {
			return p.at(tokens)
		}
	}
	return s.Pieces[len(s.Pieces)-1].final()
}

func (p *Piece) at(tokens int64) float64 {
	if p.constant() {
		return p.From
	}
	share := float64(tokens-p.Start) / float64(p.End-p.Start)
	share = min(max(share, 0), 1)
	if p.Kind == "cosine" {
		return p.To + (p.From-p.To)*(1+math.Cos(math.Pi*share))/2
	}
	return p.rounded(p.From + (p.To-p.From)*share)
}

func (p *Piece) rounded(x float64) float64 {
	if p.Kind != "ramp" || p.Multiple <= 1 {
		return x
	}
	m := float64(p.Multiple)
	return math.Floor(x/m) * m
}

// final is the value at the end of the piece: where the next one begins.
func (p *Piece) final() float64 {
	if p.constant() {
		return p.From
	}
	return p.rounded(p.To)
}

func (p *Piece) constant() bool { return p.Kind == "hold" || p.Kind == "number" }

// endless says that nothing can follow the piece.
func (p *Piece) endless() bool { return p.Over.Unit == None && p.Until.Unit == None }

// Constant gives the value of a schedule that never changes.
func (s *Schedule) Constant() (float64, bool) {
	v := s.Pieces[0].From
	for i := range s.Pieces {
		if p := &s.Pieces[i]; p.From != v || p.final() != v {
			return 0, false
		}
	}
	return v, true
}

// digits15 keeps 15 significant digits. The numbers of a schedule are those that can be printed: 3e-3 / 10 is 0.0003, and the
// resolved recipe that a run keeps reads to the same schedule, bit for bit.
func digits15(f float64) float64 {
	g, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64)
	if err != nil {
		return f
	}
	return g
}

func numberSchedule(f float64) *Schedule {
	f = digits15(f)
	return &Schedule{[]Piece{{Kind: "number", From: f, To: f, End: -1}}}
}

// piece makes the schedule of one call of ramp, linear, cosine or hold.
func (c *checker) piece(kind string, attrs map[string]Value, spans map[string]diag.Span, at diag.Span) Value {
	p := Piece{Kind: kind, End: -1, span: at, length: at}
	f := func(name string) float64 { x, _ := number(attrs[name]); return digits15(x) }
	p.From, p.To = f("from"), f("to")
	p.Over, _ = attrs["over"].(Quantity)
	p.Until, _ = attrs["until"].(Quantity)
	for _, n := range []string{"over", "until"} {
		if s, ok := spans[n]; ok {
			p.length = s
		}
	}
	for _, n := range []string{"from", "to", "value"} {
		if math.IsInf(f(n), 0) {
			return c.fail(diag.New("E309", spans[n], "", "`%s` of a schedule is a finite number", n))
		}
	}
	switch kind {
	case "ramp":
		p.Multiple, _ = whole(attrs["multiple"])
		if p.Multiple < 1 {
			return c.fail(diag.New("E303", spans["multiple"], "", "`multiple` must be at least 1"))
		}
	case "linear", "cosine":
		p.follows = true
	case "hold":
		p.follows = isNone(attrs["value"])
		p.From = f("value")
		p.To = p.From
		if p.Over.Unit != None && p.Until.Unit != None {
			return c.fail(diag.New("E102", spans["until"], "", "`hold` takes `over` or `until`, not both").Note(spans["over"], "the length is given here"))
		}
	}
	if p.Over.Unit == Epochs {
		return c.fail(diag.New("E308", p.length, "", "how long an epoch is, is known only when the data is read").
			Helpf("write the length in tokens or steps"))
	}
	return &Schedule{[]Piece{p}}
}

// then joins two schedules, or a schedule and the number it ends with.
func (c *checker) then(a, b Value, x *dsl.Binary) Value {
	left, ok := c.asSchedule(a, x.X)
	if !ok {
		return bad
	}
	right, ok := c.asSchedule(b, x.Y)
	if !ok {
		return bad
	}
	s := &Schedule{append([]Piece{}, left.Pieces...)}
	last := &s.Pieces[len(s.Pieces)-1]
	if last.endless() {
		return c.fail(diag.New("E300", x.Y.At(), "so nothing can come after it", "a piece without a length holds to the end").
			Note(last.place(x.X.At()), "this has no length").
			Helpf("give it one: `hold(…, over = …)` or `hold(…, until = …)`"))
	}
	next := right.Pieces[0]
	if next.follows && !last.follows {
		next.From, next.follows = last.final(), false
		if next.Kind == "hold" {
			next.To = next.From
		}
	}
	s.Pieces = append(append(s.Pieces, next), right.Pieces[1:]...)
	return s
}

// place is where the piece was written, or another place for a number.
func (p *Piece) place(other diag.Span) diag.Span {
	if p.span.IsZero() {
		return other
	}
	return p.span
}

func (c *checker) asSchedule(v Value, x dsl.Expr) (*Schedule, bool) {
	if s, ok := v.(*Schedule); ok {
		return s, true
	}
	if f, ok := number(v); ok && !math.IsInf(f, 0) {
		s := numberSchedule(f)
		s.Pieces[0].span = x.At()
		return s, true
	}
	c.report(diag.New("E300", x.At(), "this is "+typeName(v), "`then` joins pieces of a schedule and numbers"))
	return nil, false
}

// finishSchedule checks that a schedule given to a setting or attribute knows where it begins.
func (c *checker) finishSchedule(s *Schedule, at diag.Span) Value {
	if p := &s.Pieces[0]; p.follows {
		d := diag.New("E104", p.place(at), "nothing is before it", "`%s` begins where the piece before it ends", p.Kind)
		if p.Kind == "hold" {
			return c.fail(d.Helpf("give the value first: `hold(0.1, until = …)`"))
		}
		return c.fail(d.Helpf("write `hold(…, over = …) then %s(…)`, or a `ramp`", p.Kind))
	}
	return s
}

// timeline says how many tokens have been read at every step: runs of steps with the same batch, the last one without end.
type timeline struct {
	runs []batchRun
}

// batchRun begins at a step, where tokens have been read; every step of it reads perStep tokens in batch sequences.
type batchRun struct{ step, tokens, batch, perStep int64 }

// tokensAt is the number of tokens read before a step.
func (l *timeline) tokensAt(step int64) int64 {
	r := l.last(func(r batchRun) bool { return r.step <= step })
	return addSat(r.tokens, mulSat(step-r.step, r.perStep))
}

// stepAt is the step that a token lies in, and how many tokens of the step come before it.
func (l *timeline) stepAt(tokens int64) (step, into int64, r batchRun) {
	r = l.last(func(r batchRun) bool { return r.tokens <= tokens })
	return r.step + (tokens-r.tokens)/r.perStep, (tokens - r.tokens) % r.perStep, r
}

// advance is the position a number of steps after a position. Inside a step the share of the step is kept.
func (l *timeline) advance(tokens, steps int64) int64 {
	step, into, r := l.stepAt(tokens)
	end := addSat(step, steps)
	at := l.tokensAt(end)
	if into > 0 {
		next := addSat(l.tokensAt(addSat(end, 1)), -at)
		at = addSat(at, int64(float64(into)/float64(r.perStep)*float64(next)))
	}
	return at
}

// last is the last run that holds; the first one if none does.
func (l *timeline) last(holds func(batchRun) bool) batchRun {
	lo, hi := 0, len(l.runs)
	for lo+1 < hi {
		mid := (lo + hi) / 2
		if holds(l.runs[mid]) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return l.runs[lo]
}

// addSat and mulSat stay at the largest number instead of wrapping around.
func addSat(a, b int64) int64 {
	s := a + b
	if (s > a) != (b > 0) && b != 0 {
		if b > 0 {
			return math.MaxInt64
		}
		return math.MinInt64
	}
	return s
}

func mulSat(a, b int64) int64 {
	if p, ok := mulWhole(a, b); ok {
		return p
	}
	if (a < 0) != (b < 0) {
		return math.MinInt64
	}
	return math.MaxInt64
}

// scheduleSite is where a schedule stands, for its errors: the setting or attribute, its place, and the stage.
type scheduleSite struct {
	name  string
	stage string
	seq   int64
	total Quantity
	at    diag.Span // of the stage's total
	given diag.Span // of the schedule's own value; zero if unknown
}

// runBatch resolves a stage's batch schedule and counts its steps: training ends with the first step that reaches total.
func (c *checker) runBatch(s *Schedule, site scheduleSite) (l *timeline, steps, tokens int64, ok bool) {
	l = &timeline{}
	i := 0
	c.startPiece(s, 0, 0, 0, 0, site)
	for {
		if (site.total.Unit == Tokens && tokens >= site.total.N) || (site.total.Unit == Steps && steps >= site.total.N) {
			break
		}
		for i < len(s.Pieces)-1 && s.Pieces[i].End >= 0 && tokens >= s.Pieces[i].End {
			i++
			if !c.startPiece(s, i, s.Pieces[i-1].End, steps, tokens, site) {
				return nil, 0, 0, false
			}
		}
		p := &s.Pieces[i]
		value := p.final()
		ended := p.End >= 0 && tokens >= p.End
		if !ended {
			value = p.at(tokens)
		}
		batch := int64(math.Floor(value))
		if batch < 1 || value > math.MaxInt32 {
			c.report(diag.New("E303", p.place(site.given), "", "`batch` would be %s sequences", floatText(value)))
			return nil, 0, 0, false
		}
		per, fits := mulWhole(batch, site.seq)
		if !fits {
			c.report(diag.New("E303", p.place(site.at), "", "a step would read more tokens than 63 bits count"))
			return nil, 0, 0, false
		}
		if n := len(l.runs); n == 0 || l.runs[n-1].batch != batch {
			l.runs = append(l.runs, batchRun{steps, tokens, batch, per})
		}
		n := int64(1)
		if p.constant() || ended {
			n = math.MaxInt64
			if site.total.Unit == Tokens {
				n = ceilDiv(site.total.N-tokens, per)
			} else {
				n = site.total.N - steps
			}
			if !ended && p.End >= 0 {
				n = min(n, ceilDiv(p.End-tokens, per))
			}
		} else if !c.step(p.place(site.at)) {
			return nil, 0, 0, false
		}
		read, fits := mulWhole(n, per)
		if !fits || tokens+read < tokens {
			c.report(diag.New("E303", site.at, "", "`%s` would read more tokens than 63 bits count", site.stage))
			return nil, 0, 0, false
		}
		steps, tokens = steps+n, tokens+read
	}
	for i++; i < len(s.Pieces); i++ { // never reached in training, but placed
		c.placePiece(s, i, s.Pieces[i-1].End, l)
	}
	return l, steps, tokens, true
}

func ceilDiv(a, b int64) int64 { return (a-1)/b + 1 }

// startPiece places piece i of a batch schedule where training has come to it. A length in steps is measured in the batches of
// the piece itself.
func (c *checker) startPiece(s *Schedule, i int, start, steps, tokens int64, site scheduleSite) bool {
	p := &s.Pieces[i]
	p.Start = start
	switch {
	case p.endless():
		p.End = -1
		return true
	case p.Over.Unit == Tokens:
		p.End = addSat(start, p.Over.N)
		return true
	case p.Until.Unit == Tokens:
		p.End = p.Until.N
		return true
	}
	n := p.Over.N
	if p.Until.Unit == Steps {
		n = p.Until.N - steps
	}
	n = max(n, 0)
	if p.constant() {
		p.End = addSat(tokens, mulSat(n, mulSat(int64(p.From), site.seq)))
		return true
	}
	// The end is where, with values taken by tokens, n steps have been made: found by halving.
	count := func(end int64) (made int64) {
		p.End = end
		for t := tokens; t < end; made++ {
			batch := int64(math.Floor(p.at(t)))
			if made > n || batch < 1 || !c.step(p.place(site.at)) {
				return n + 1
			}
			t += mulSat(batch, site.seq)
		}
		return made
	}
	lo, hi := start, addSat(tokens, mulSat(n, mulSat(int64(max(p.From, p.To)), site.seq)))
	for lo < hi {
		mid := lo + (hi-lo)/2
		if count(mid) >= n {
			hi = mid
		} else {
			lo = mid + 1
		}
		if c.steps > maxSteps {
			return false
		}
	}
	p.End = max(lo, start)
	return true
}

// placePiece sets where a piece begins and ends, on a timeline.
func (c *checker) placePiece(s *Schedule, i int, start int64, l *timeline) {
	p := &s.Pieces[i]
	p.Start = start
	switch {
	case p.Over.Unit == Tokens:
		p.End = addSat(start, p.Over.N)
	case p.Over.Unit == Steps:
		p.End = l.advance(start, p.Over.N)
	case p.Until.Unit == Tokens:
		p.End = p.Until.N
	case p.Until.Unit == Steps:
		p.End = l.tokensAt(p.Until.N)
	default:
		p.End = -1
	}
}

// resolve places every piece of a schedule on a timeline and checks their order and lengths, and that the schedule lasts.
// placed: the pieces are placed already (a batch schedule).
func (c *checker) resolve(s *Schedule, l *timeline, site scheduleSite, end int64, placed bool) bool {
	start := int64(0)
	for i := range s.Pieces {
		p := &s.Pieces[i]
		if !placed {
			c.placePiece(s, i, start, l)
		}
		if p.End < 0 {
			return true
		}
		if p.Until.Unit != None && p.End <= p.Start {
			c.report(diag.New("E507", p.length, "", "this piece of `%s` ends at %s but begins at %s", site.name, p.Until, inUnit(p.Start, p.Until.Unit, l)))
			return false
		}
		_, _, r := l.stepAt(p.Start)
		if p.End-p.Start < r.perStep || (p.Over.Unit == Steps && p.Over.N < 1) {
			c.report(c.tooShort(p, r, site))
			return false
		}
		start = p.End
	}
	if start >= end {
		return true
	}
	p := &s.Pieces[len(s.Pieces)-1]
	c.report(diag.New("E501", p.span, "nothing is said about what comes after this", "`%s` ends at %s, but `%s` trains for %s",
		site.name, inUnit(start, site.total.Unit, l), site.stage, site.total).
		Note(site.at, "training ends here").
		Helpf("add another `then …`; a plain number holds to the end"))
	return false
}

// inUnit gives a position in tokens in a unit.
func inUnit(tokens int64, u Unit, l *timeline) Quantity {
	if u == Steps {
		step, _, _ := l.stepAt(tokens)
		return Quantity{step, Steps}
	}
	return Quantity{tokens, Tokens}
}

func (c *checker) tooShort(p *Piece, r batchRun, site scheduleSite) *diag.Diagnostic {
	q := p.Over
	if p.Until.Unit != None {
		q = inUnit(p.End-p.Start, Tokens, nil)
	}
	d := diag.New("E307", p.length, "", "%s is less than one step", q)
	if q.Unit != Tokens {
		return d
	}
	if raw := sourceText(c, p.length); strings.HasSuffix(raw, " tokens") && p.Over.Unit != None {
		near := strings.TrimSuffix(raw, "tokens") + "steps"
		d.Labels[0].Text = "did you mean `" + near + "`?"
		d.FixWith(p.length, near)
	}
	which := "a step of `" + site.stage + "` then"
	if p.Start == 0 {
		which = "the first step of `" + site.stage + "` already"
	}
	return d.Helpf("%s reads %s (batch %d × seq %d)", which, Quantity{r.perStep, Tokens}, r.batch, r.perStep/r.batch)
}
