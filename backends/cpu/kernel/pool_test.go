package kernel

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

func TestPoolRunsEveryPartOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := newPool(t, threads)
		if p.Threads() != threads {
			t.Fatalf("%d threads, want %d", p.Threads(), threads)
		}
		for _, parts := range []int{0, 1, 2, 3, 7, 100, 1000} {
			counts := make([]atomic.Int32, parts)
			var busy [8]atomic.Int32
			p.Run(parts, func(part, worker int) {
				if busy[worker].Add(1) != 1 {
					t.Errorf("two parts at once on worker %d", worker)
				}
				counts[part].Add(1)
				busy[worker].Add(-1)
			})
			for part := range counts {
				if n := counts[part].Load(); n != 1 {
					t.Fatalf("%d threads, %d parts: part %d ran %d times", threads, parts, part, n)
				}
			}
		}
	}
}

// Workers sleep and wake between tasks, parts take uneven times, and several
// goroutines use the pool.
func TestPoolUnderStrain(t *testing.T) {
	p := newPool(t, 4)
	var callers sync.WaitGroup
	var total atomic.Int64
	for caller := range 3 {
		callers.Go(func() {
			for i := range 200 {
				p.Run(5, func(part, _ int) {
					if part == i%5 {
						time.Sleep(time.Duration(i%7) * 20 * time.Microsecond)
					}
					total.Add(1)
				})
				if i%(20+caller) == 0 {
					time.Sleep(300 * time.Microsecond)
				}
			}
		})
	}
	callers.Wait()
	if total.Load() != 3*200*5 {
		t.Errorf("%d parts ran, want %d", total.Load(), 3*200*5)
	}
}

func TestPoolAfterClose(t *testing.T) {
	p := NewPool(3)
	p.Close()
	p.Close()
	ran := 0
	p.Run(4, func(_, worker int) {
		if worker != 0 {
			t.Errorf("part on worker %d", worker)
		}
		ran++
	})
	if ran != 4 {
		t.Errorf("%d parts ran, want 4", ran)
	}
}

func TestScratchGrowsAndIsAligned(t *testing.T) {
	p := newPool(t, 2)
	for _, n := range []int{1, 100, 7, 5000} {
		s := p.Scratch(1, n)
		if len(s) != n || uintptr(unsafe.Pointer(&s[0]))%64 != 0 {
			t.Errorf("scratch of %d: length %d at %p", n, len(s), &s[0])
		}
	}
	if n := testing.AllocsPerRun(10, func() { p.Scratch(1, 5000) }); n != 0 {
		t.Errorf("%g allocations for scratch that exists", n)
	}
}

// TestLateness: waits that are long for the task's parts, and workers that do
// not come, make the caller work alone, each time for longer.
func TestLateness(t *testing.T) {
	var l lateness
	l.waited(lateWait/2, 1000, 1) // short
	l.waited(time.Second, 1000, 900)
	if l.alone() {
		t.Fatal("alone after waits that mean nothing")
	}
	for i, want := range []time.Duration{shortestRest, 2 * shortestRest, 4 * shortestRest} {
		l.waited(lateWait, 1000, 10)
		if l.rest != want || !l.alone() {
			t.Fatalf("rest %d of %v, want %v", i+1, l.rest, want)
		}
		l.until = time.Now()
		if l.alone() {
			t.Fatal("alone after the rest")
		}
	}
	l.until = time.Now().Add(-time.Minute)
	l.waited(lateWait, 1000, 10)
	if l.rest != shortestRest {
		t.Errorf("rest of %v after a long time without a wait", l.rest)
	}

	l = lateness{}
	for range absentTasks {
		l.absent()
	}
	if l.alone() {
		t.Error("alone at once, when a worker had no time to wake")
	}
	l.since = l.since.Add(-absentTime)
	l.absent()
	if !l.alone() {
		t.Error("not alone when no worker comes")
	}
}

// TestPoolAlone: a pool that does without its workers runs every part, and they
// come back.
func TestPoolAlone(t *testing.T) {
	p := newPool(t, 3)
	p.late.begin(time.Now())
	ran := 0
	p.Run(6, func(_, worker int) {
		if worker != 0 {
			t.Errorf("part on worker %d", worker)
		}
		ran++
	})
	if ran != 6 {
		t.Errorf("%d parts ran, want 6", ran)
	}
	p.late = lateness{}
	var helped atomic.Bool
	p.Run(2, func(_, worker int) {
		if worker != 0 {
			helped.Store(true)
			return
		}
		for end := time.Now().Add(5 * time.Second); !helped.Load() && time.Now().Before(end); {
			time.Sleep(100 * time.Microsecond)
		}
	})
	if !helped.Load() {
		t.Error("the workers did not come back")
	}
}

type countTask struct{ n atomic.Int64 }

func (c *countTask) Do(int, int) { c.n.Add(1) }

func TestRunTaskAllocatesNothing(t *testing.T) {
	p := newPool(t, 2)
	task := new(countTask)
	if n := testing.AllocsPerRun(100, func() { p.RunTask(8, task) }); n != 0 {
		t.Errorf("%g allocations a task", n)
	}
}

func BenchmarkRunTask(b *testing.B) {
	p := newPool(b, 2)
	task := new(countTask)
	for b.Loop() {
		p.RunTask(2, task)
	}
}
