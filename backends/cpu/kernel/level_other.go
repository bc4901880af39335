//go:build !amd64

package kernel

import (
	"runtime"
	"time"
)

func supportedRoutines() []*routines { return []*routines{&portableRoutines} }

// prefetch does nothing here.
func prefetch(uintptr, int, int, int) {}

// pause gives the processor to another goroutine.
func pause(int) { runtime.Gosched() }

var programStart = time.Now()

// ticks is a clock of an unknown but constant rate.
func ticks() uint64 { return uint64(time.Since(programStart)) }
