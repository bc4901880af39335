//go:build unix

package machine

import (
	"math"
	"syscall"
)

// addressLimit is how many bytes of addresses the process may have, math.MaxInt64 without a bound.
func addressLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &limit); err != nil || uint64(limit.Cur) > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(limit.Cur)
}
