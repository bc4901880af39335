//go:build !unix

package machine

import "math"

// addressLimit is not told by this system.
func addressLimit() int64 { return math.MaxInt64 }
