package cpu

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// processor is the model of the processor where the system tells it, else its architecture.
func processor() string {
	if model := fieldOf("/proc/cpuinfo", "model name"); model != "" {
		return model
	}
	return runtime.GOARCH
}

// memorySize is how many bytes the process may use: the machine's memory or its group's limit; a very large number where the system
// does not tell.
func memorySize() int64 {
	size := int64(math.MaxInt64)
	if total, ok := strings.CutSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB"); ok {
		if n, err := strconv.ParseInt(total, 10, 64); err == nil {
			size = n << 10
		}
	}
	if limit, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil {
			size = min(size, n)
		}
	}
	return size
}

// fieldOf is the value of the first line "name: value" of a file, "" without one.
func fieldOf(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if field, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(field) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// checkMemory reports that n values, beside others that are allocated already, are more than the machine holds. Without it the
// process would be killed rather than told.
func checkMemory(what string, n, others int64) error {
	const gib = 1 << 30
	if have := memorySize(); n+others > have/4 {
		return fmt.Errorf("cpu: %s needs %.4g GiB, the machine has %.4g GiB in all", what, float64(n+others)*4/gib, float64(have)/gib)
	}
	return nil
}
