//go:build !amd64

package kernel

import "runtime"

func bestRoutines() *routines { return &portableRoutines }

// pause gives the processor to another goroutine.
func pause(int) { runtime.Gosched() }
