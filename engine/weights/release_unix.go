//go:build linux || darwin || freebsd || netbsd || openbsd

package weights

import (
	"os"

	"golang.org/x/sys/unix"
)

// release says that the whole pages between begin and end of a mapping are not needed now. They are read again if they are.
func release(mapping []byte, begin, end int64) {
	page := int64(os.Getpagesize())
	begin = begin / page * page // reading goes forward: the first page was needed last here
	end = end / page * page
	if begin < end {
		_ = unix.Madvise(mapping[begin:end], unix.MADV_DONTNEED) // advice: a refusal costs memory only
	}
}
