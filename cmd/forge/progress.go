package main

import (
	"fmt"
	"time"
)

// progress shows on standard error how far long work has come and how long the rest will take: one line that is written over on a
// terminal, nothing elsewhere.
type progress struct {
	a     *app
	what  string
	start time.Time
	shown time.Time
}

func newProgress(a *app, what string) *progress {
	return &progress{a: a, what: what, start: time.Now()}
}

// at is called with how much is done of all, as often as there is news; it writes at most ten times a second.
func (p *progress) at(done, all int) {
	if p.a.quiet || !isTerminal(p.a.stderr) || time.Since(p.shown) < 100*time.Millisecond || done <= 0 {
		return
	}
	p.shown = time.Now()
	left := time.Duration(float64(time.Since(p.start)) * float64(all-done) / float64(done))
	fmt.Fprintf(p.a.stderr, "\r%s %d of %d, %s left \x1b[K", p.what, done, all, left.Round(time.Second))
}

// end takes the line away.
func (p *progress) end() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.a.stderr, "\r\x1b[K")
	}
}
