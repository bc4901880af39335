//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreFileLimit makes a write beyond the file size limit (ulimit -f) an error like a full disk; Go's runtime would end the process
// with a stack trace.
func ignoreFileLimit() { signal.Ignore(syscall.SIGXFSZ) }
