package machine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of memory, the largest first.
var units = []struct {
	name  string
	bytes float64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
	{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1},
}

// Size writes a number of bytes with three digits or more: 1.5 GiB, 1023 MiB.
func Size(bytes int64) string {
	n := float64(bytes)
	for _, u := range units[:4] {
		if n >= u.bytes {
			v := n / u.bytes
			return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Log10(v))), 64) + " " + u.name
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// ParseSize reads a number of bytes with a unit: 8GiB, 500 MB, 1.5G (binary, like GiB).
func ParseSize(text string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.ToLower(text), strings.ToLower(u.name))
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n > 0) || n*u.bytes >= math.MaxInt64 {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is no amount of memory: write a number and a unit, such as 8GiB or 500MB", text)
}
