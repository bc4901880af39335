package bench

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
)

// peakResident is the most memory that the process held so far, in bytes: what was resident where the system tells, else what Go
// took from the system.
func peakResident() float64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range bytes.Lines(status) {
			fields := bytes.Fields(line)
			if len(fields) == 3 && string(fields[0]) == "VmHWM:" {
				if kib, err := strconv.ParseFloat(string(fields[1]), 64); err == nil {
					return kib * 1024
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys)
}
