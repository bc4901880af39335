package kernel

import "time"

// A worker that loses its core in the middle of a part holds up the whole task
// until it gets the core back: some milliseconds, again and again, for as long
// as another process wants that core. And a worker that is woken while all cores
// are taken gets there when its parts are done, having cost the caller a system
// call and a share of its core. Tasks of microseconds are then slower with the
// worker than without. So after such a wait, or when workers have been of no
// help for a while, the caller runs all parts itself, on the core that it has;
// the next time soon after, for twice as long. What a part computes does not
// depend on who runs it, so results stay the same.
const (
	lateWait     = 500 * time.Microsecond // a shorter wait is no sign
	absentTime   = 400 * time.Microsecond // waking takes less on an idle core
	absentTasks  = 4
	shortestRest = 4 * time.Millisecond
	longestRest  = 128 * time.Millisecond
)

// lateness is what the caller knows of workers that came late. It is used by
// the goroutine that holds Pool.mu.
type lateness struct {
	resting bool
	until   time.Time     // end of the rest
	rest    time.Duration // length of the last rest

	missed int       // tasks since the last one that a worker helped with
	since  time.Time // when the first of them ended
}

// alone reports whether the caller should do without the workers now.
func (l *lateness) alone() bool {
	if l.resting && !time.Now().Before(l.until) {
		l.resting = false
	}
	return l.resting
}

// waited notes that the caller waited for others, which took that many ticks,
// after parts of its own that took part ticks each. A wait that is long beside
// the time of a part means a lost core.
func (l *lateness) waited(wait time.Duration, waitTicks, part uint64) {
	if wait < lateWait || waitTicks < 2*part {
		return
	}
	l.begin(time.Now())
}

// absent notes that no worker helped with a task.
func (l *lateness) absent() {
	now := time.Now()
	if l.missed == 0 {
		l.since = now
	}
	l.missed++
	if l.missed >= absentTasks && now.Sub(l.since) >= absentTime {
		l.begin(now)
	}
}

// begin starts a rest.
func (l *lateness) begin(now time.Time) {
	l.missed = 0
	if l.rest > 0 && now.Sub(l.until) < 2*l.rest {
		l.rest = min(2*l.rest, longestRest)
	} else {
		l.rest = shortestRest
	}
	l.resting, l.until = true, now.Add(l.rest)
}
