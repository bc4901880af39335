package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	hugePage = 2 << 20
	// leastHuge is the size in bytes from which memory is worth huge pages.
	leastHuge = 256 << 10
)

// adviseHugePages asks for huge pages for memory that nothing was written to yet. Weights are read once a token, and without them
// the processor looks up as many addresses of pages as it reads rows of an expert. The pages at the ends hold other memory too, to
// which the advice does no harm.
func adviseHugePages(v []float32) {
	if 4*len(v) < leastHuge {
		return
	}
	begin := uintptr(unsafe.Pointer(&v[0])) &^ (hugePage - 1)
	end := (uintptr(unsafe.Pointer(&v[0])) + uintptr(4*len(v)) + hugePage - 1) &^ (hugePage - 1)
	// Advice: where the system refuses, pages stay small.
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, begin, end-begin, unix.MADV_HUGEPAGE)
}
