package cpu

import (
	"forge/backends"
	"forge/backends/machine"
)

// tooLarge says that n values, beside others that are allocated already, are more than the backend may hold; nil if they are not.
// Without it the process would be killed rather than told.
func tooLarge(limit machine.Memory, what string, n, others int64) *backends.TooLarge {
	if n+others > limit.Bytes/4 {
		return &backends.TooLarge{What: what, Need: 4 * (n + others), Have: limit.Bytes, Whose: limit.Whose}
	}
	return nil
}
