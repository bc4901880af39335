//go:build unix

package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the resolution of the system's accounts, in seconds.
const clockTick = 0.03

// rssUnit is the unit of the largest resident size in a process's accounts.
var rssUnit = map[bool]float64{true: 1, false: 1024}[runtime.GOOS == "darwin"]

// busySeconds is the time that all processors together were busy since the system started; 0 where it does not tell, so that
// nothing seems to disturb.
func busySeconds() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0
	}
	ticks := 0.0
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user, nice, system, irq, softirq, steal
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return ticks / 100
}

// ownSeconds is the time that this process and its finished children were busy.
func ownSeconds() float64 {
	total := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if syscall.Getrusage(who, &usage) == nil {
			total += seconds(usage.Utime) + seconds(usage.Stime)
		}
	}
	return total
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// waitForQuiet waits until others use less than the limit of a core, at most so long.
func waitForQuiet(ctx context.Context, patience time.Duration) {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		busy, own, start := busySeconds(), ownSeconds(), time.Now()
		time.Sleep(500 * time.Millisecond)
		if (busySeconds()-busy-(ownSeconds()-own))/time.Since(start).Seconds() < limit {
			return
		}
	}
}
