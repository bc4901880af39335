//go:build !amd64

package kernel

import "runtime"

func supportedRoutines() []*routines { return []*routines{&portableRoutines} }

// pause gives the processor to another goroutine.
func pause(int) { runtime.Gosched() }
