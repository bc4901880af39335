package kernel

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Pool is a fixed set of workers that run the parts of one task at a time.
//
// The goroutine that calls Run is worker 0; the others are goroutines of the
// pool that wait between tasks, first spinning for some tens of microseconds,
// then parked. Each worker begins with its own contiguous slice of the parts,
// so that it meets the same memory in every step, and takes parts of the
// others when it is done. A worker whose core is taken away by another process
// therefore delays a task by at most one part, and workers that are not awake
// yet are not waited for. Where even that costs milliseconds, the pool does
// without its workers for a while; see pool_late.go.
//
// Concurrent calls wait for each other. A task must not start another task on
// its own pool. The zero value is not usable; see NewPool.
type Pool struct {
	mu    sync.Mutex // held while a task runs
	lanes []lane
	cuts  int          // for how many workers work is cut
	task  Task         // valid while pending > 0
	left  atomic.Int64 // parts that are not finished
	epoch atomic.Uint32

	// callerParked is 1 while the caller waits on done.
	callerParked atomic.Uint32
	done         chan struct{}
	closed       atomic.Bool
	workers      sync.WaitGroup
	fault        atomic.Bool // see pool_fault.go
	late         lateness

	shared   scratch // scratch used by all workers of a task
	logits   scratch // of one chunk of rows of a head
	function functionTask

	// The task structures of this package's kernels, kept so that starting
	// one allocates nothing.
	gemm             gemmTask
	softmax          softmaxTask
	norm             normTask
	rotate           rotateTask
	adamW            adamWTask
	crossEntropy     crossEntropyTask
	weight           weightTask
	attention        attentionTask
	attentionGrad    attentionGradTask
	attentionRounded roundedAttentionTask
}

// lane is one worker's slice of the parts and its scratch memory.
type lane struct {
	// span holds the first unclaimed part in the high half and the end in
	// the low half. Taking a part is one compare-and-swap, by whichever
	// worker; a span with parts in it exists only while its task runs.
	span   atomic.Uint64
	parked atomic.Uint32
	wake   chan struct{}
	own    scratch
	panels scratch    // packed operands of products
	kept   keptPanels // what panels holds
	result scratch    // a block of a product that is stored from there, or of X
	inputs []inputBlock
	turn   scratch  // rows of a weight before they are packed
	_      [64]byte // keeps the spans of two workers on different cache lines
}

// Task is work in independent parts.
type Task interface {
	// Do runs one part; worker is below Threads() and no two parts run on
	// the same worker at the same time. The results must not depend on it.
	Do(part, worker int)
}

// functionTask makes a function a Task.
type functionTask struct{ f func(part, worker int) }

func (t *functionTask) Do(part, worker int) { t.f(part, worker) }

// NewPool starts threads-1 workers beside the caller; threads < 1 means
// GOMAXPROCS. Close stops them; a pool that is not closed is never collected.
func NewPool(threads int) *Pool {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{lanes: make([]lane, threads), cuts: threads, done: make(chan struct{}, 1)}
	for w := 1; w < threads; w++ {
		p.lanes[w].wake = make(chan struct{}, 1)
		p.workers.Add(1)
		go p.work(w)
	}
	return p
}

// Threads is the number of workers, the caller among them.
func (p *Pool) Threads() int { return len(p.lanes) }

// fixedCuts is for how many workers work is cut by a pool whose results do not
// depend on how many it has.
const fixedCuts = 8

// Fix makes results independent of the number of workers: work is cut as if
// there were a certain number of them, so that sums are always made of the same
// parts in the same order. It is called before the first task.
func (p *Pool) Fix() { p.cuts = fixedCuts }

// Cuts is for how many workers work is to be cut: all that decides about the
// order of sums asks for this, and memory for each worker for Threads.
func (p *Pool) Cuts() int { return p.cuts }

// Close stops the workers and waits until they have. Run must not be called
// afterwards. A second call does nothing.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Swap(true) {
		return
	}
	p.epoch.Add(1)
	p.wakeParked()
	p.workers.Wait()
}

// Run calls f once for every part below parts and returns when all calls have
// returned. It does not allocate; a closure given to it may.
func (p *Pool) Run(parts int, f func(part, worker int)) {
	p.mu.Lock()
	p.function.f = f
	p.run(parts, &p.function)
	p.function.f = nil
	p.mu.Unlock()
}

// RunTask is Run for a task that the caller keeps, so that nothing is
// allocated.
func (p *Pool) RunTask(parts int, task Task) {
	p.mu.Lock()
	p.run(parts, task)
	p.mu.Unlock()
}

// run executes a task; p.mu is held.
func (p *Pool) run(parts int, task Task) {
	if parts <= 0 {
		return
	}
	if len(p.lanes) == 1 || parts == 1 || p.closed.Load() || p.late.alone() {
		for done := 0; done < parts; {
			done += p.doParts(task, done, parts)
		}
		return
	}
	p.task = task
	p.left.Store(int64(parts))
	threads := len(p.lanes)
	for w := range p.lanes {
		first, end := w*parts/threads, (w+1)*parts/threads
		p.lanes[w].span.Store(uint64(first)<<32 | uint64(end))
	}
	p.epoch.Add(1)
	p.wakeParked()
	start := ticks()
	taken := p.takeParts(0)
	if taken == parts {
		p.late.absent()
	} else {
		p.late.missed = 0
	}
	p.await(start, taken)
	p.task = nil
}

func (p *Pool) wakeParked() {
	for w := 1; w < len(p.lanes); w++ {
		l := &p.lanes[w]
		if l.parked.CompareAndSwap(1, 0) {
			l.wake <- struct{}{}
		}
	}
}

// takeParts runs parts until none is unclaimed, the worker's own first, and
// returns how many it ran.
func (p *Pool) takeParts(worker int) (taken int) {
	for whole := false; !whole; {
		whole = p.claimParts(worker, &taken)
	}
	return taken
}

// claimParts is takeParts up to a part that could not read its memory.
func (p *Pool) claimParts(worker int, taken *int) (whole bool) {
	defer func() {
		if !whole && p.isFault(recover()) {
			p.finished(worker, taken)
		}
	}()
	for i := range p.lanes {
		l := &p.lanes[(worker+i)%len(p.lanes)]
		for {
			span := l.span.Load()
			first, end := span>>32, span&0xffffffff
			if first >= end {
				break
			}
			if !l.span.CompareAndSwap(span, (first+1)<<32|end) {
				continue
			}
			// An unclaimed part means that its task is the current one.
			p.task.Do(int(first), worker)
			p.finished(worker, taken)
		}
	}
	return true
}

// finished counts a part, and wakes the caller after the last.
func (p *Pool) finished(worker int, taken *int) {
	*taken++
	if p.left.Add(-1) == 0 && worker != 0 && p.callerParked.CompareAndSwap(1, 0) {
		p.done <- struct{}{}
	}
}

// Waiting spins spinRounds times for spinPauses pauses each, about 20 to 40
// microseconds in all, before it parks.
const (
	spinRounds = 64
	spinPauses = 24
)

// await returns when no part is left. The caller began at start and ran so many
// parts.
func (p *Pool) await(start uint64, taken int) {
	waiting := ticks()
	for round := range spinRounds {
		if p.left.Load() == 0 {
			return
		}
		if round < spinRounds-1 {
			pause(spinPauses)
		}
	}
	since := time.Now()
	for p.left.Load() != 0 {
		p.park()
	}
	if taken > 0 {
		p.late.waited(time.Since(since), ticks()-waiting, (waiting-start)/uint64(taken))
	}
}

// park sleeps until the last part is finished, or a little less.
func (p *Pool) park() {
	p.callerParked.Store(1)
	if p.left.Load() == 0 && p.callerParked.CompareAndSwap(1, 0) {
		return
	}
	// The token may come from a worker that finished the previous task
	// and was slow to look for a parked caller: await checks again.
	<-p.done
}

// work is the life of a worker.
func (p *Pool) work(worker int) {
	defer p.workers.Done()
	debug.SetPanicOnFault(true)
	l := &p.lanes[worker]
	seen := uint32(0)
	for {
		for round := 0; p.epoch.Load() == seen; round++ {
			if round < spinRounds {
				pause(spinPauses)
				continue
			}
			l.parked.Store(1)
			if p.epoch.Load() != seen && l.parked.CompareAndSwap(1, 0) {
				break
			}
			<-l.wake
		}
		if p.closed.Load() {
			return
		}
		seen = p.epoch.Load()
		p.takeParts(worker)
	}
}

// Scratch returns n values of memory that belongs to the worker until its part
// returns: aligned to 64 bytes, not cleared, valid until the next call with
// the same worker. The kernels of this package use it too, so a task must not
// hold on to it.
func (p *Pool) Scratch(worker, n int) []float32 { return p.lanes[worker].own.get(n) }

// scratch is memory that grows to the largest size asked for and stays.
type scratch struct{ values []float32 }

func (s *scratch) get(n int) []float32 {
	if n > len(s.values) {
		s.values = alignedSlice(n + n/4)
	}
	return s.values[:n]
}

// cacheLine is the number of float32 values in a cache line.
const cacheLine = 16

// alignedSlice returns n values that begin on a cache line.
func alignedSlice(n int) []float32 {
	raw := make([]float32, n+cacheLine)
	skip := 0
	if rest := uintptr(unsafe.Pointer(&raw[0])) % 64; rest != 0 {
		skip = int(64-rest) / 4
	}
	return raw[skip : skip+n : skip+n]
}
