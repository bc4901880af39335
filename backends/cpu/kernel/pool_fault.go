package kernel

// Weights may lie in memory that is mapped from a file, and a file that is
// shortened while it is mapped makes reading fail. A part that meets such
// memory ends there, the others run, and the pool remembers it. What the task
// has computed is then of no use. The caller's goroutine takes part only if it
// has asked for panics instead of signals, by debug.SetPanicOnFault.

// TakeFault reports whether a part could not read its memory since the last
// call.
func (p *Pool) TakeFault() bool { return p.fault.Load() && p.fault.Swap(false) }

// isFault reports whether what was recovered came from memory that can't be
// read, and remembers it. Other panics go on.
func (p *Pool) isFault(recovered any) bool {
	if recovered == nil {
		return false
	}
	if _, ok := recovered.(interface{ Addr() uintptr }); !ok {
		panic(recovered)
	}
	p.fault.Store(true)
	return true
}

// doParts runs the parts from one on by itself and returns how many it ran: all
// of them, or those up to one that could not read its memory.
func (p *Pool) doParts(task Task, from, parts int) (ran int) {
	defer func() {
		if from+ran < parts && p.isFault(recover()) {
			ran++
		}
	}()
	for part := from; part < parts; part++ {
		task.Do(part, 0)
		ran++
	}
	return ran
}
