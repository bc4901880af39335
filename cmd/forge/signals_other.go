//go:build !unix

package main

import (
	"os"
	"syscall"
)

// endSignals are those that end work in order.
func endSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// ignoreSignals has nothing to do where these signals are unknown.
func ignoreSignals() {}
