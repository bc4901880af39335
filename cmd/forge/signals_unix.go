//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreSignals makes errors of what would end the process in the middle of its work: a write beyond the file size limit (ulimit -f)
// is like one to a full disk, and training goes on when whoever read its lines has gone (`forge train tiny | head`).
func ignoreSignals() { signal.Ignore(syscall.SIGXFSZ, syscall.SIGPIPE) }
