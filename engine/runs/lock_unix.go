//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package runs

import (
	"os"
	"syscall"
)

// lock takes a run for this process until the file is closed or the process ends, however it ends. It fails only if another has it:
// file systems without locks go without.
func lock(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return err != syscall.EWOULDBLOCK
}
