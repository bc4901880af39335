//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// endSignals are those that end work in order: Ctrl-C, the system's wish (a shutdown, a container or batch system that ends), and a
// terminal that closes, unless the command was started to outlive it (nohup).
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// ignoreSignals makes errors of what would end the process in the middle of its work: a write beyond the file size limit (ulimit -f)
// is like one to a full disk, and training goes on when whoever read its lines has gone (`forge train tiny | head`).
func ignoreSignals() { signal.Ignore(syscall.SIGXFSZ, syscall.SIGPIPE) }
