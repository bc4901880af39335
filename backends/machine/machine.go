// Package machine says what the machine is that forge runs on: its processor, how much memory a process may use and who bounds it,
// and how much this process uses. It reads what the system tells (on Linux, files of /proc and /sys) and changes nothing. Where the
// system tells nothing, memory is unbounded.
package machine

import (
	"bufio"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// system is a view of the files in which the system tells about itself: the root folder of a machine, or of a test's.
type system struct{ root string }

var here = system{"/"}

// Processor is the model of the processor where the system tells it, else its architecture.
func Processor() string {
	if model := here.field("proc/cpuinfo", "model name"); model != "" {
		return model
	}
	return runtime.GOARCH
}

// Unbounded is the memory of a process that nothing is known to bound.
const Unbounded = math.MaxInt64

// Memory is how many bytes of memory the process may use.
type Memory struct {
	Bytes int64
	// Whose says who bounds it, as the beginning of a sentence that goes on with an amount: "the machine has".
	Whose string
}

// The bounds of memory.
const (
	ofMachine = "the machine has"
	ofGroup   = "the control group of this process (a container's or a service's) allows"
	ofProcess = "the limit of this process (ulimit -v) leaves"
	ofUser    = "--memory allows"
)

// Limit is the lowest bound of the process: the machine's memory, that of any control group that the process is in, or its own
// limit of addresses, of which 1 GiB is left to the program itself.
func Limit() Memory {
	m := here.limit()
	if n := addressLimit(); n < math.MaxInt64 {
		const own = 1 << 30
		if left := max(n-own, 0); left < m.Bytes {
			m = Memory{left, ofProcess}
		}
	}
	return m
}

// Given is a bound that a user gives.
func Given(bytes int64) Memory { return Memory{bytes, ofUser} }

func (s system) limit() Memory {
	m := Memory{Unbounded, ofMachine}
	if n, ok := s.kibibytes("proc/meminfo", "MemTotal"); ok {
		m.Bytes = n
	}
	for _, file := range s.groupFiles() {
		if n, ok := s.number(file); ok && n < m.Bytes {
			m = Memory{n, ofGroup}
		}
	}
	return m
}

// groupFiles are the files that hold the bounds of the process's control groups, from the innermost to the root: a group may use
// no more than any group around it. In a container the path of the group is often one of the host's; then only the root is there.
func (s system) groupFiles() []string {
	text, err := os.ReadFile(filepath.Join(s.root, "proc/self/cgroup"))
	if err != nil {
		return []string{"sys/fs/cgroup/memory.max"}
	}
	var files []string
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "memory.max"
		switch controllers := strings.Split(fields[1], ","); {
		case fields[1] == "": // version 2
		case slices.Contains(controllers, "memory"): // version 1
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(folder, group, file))
			if group == "/" {
				break
			}
		}
	}
	return files
}

// Available is how many bytes the system could give without taking them from other programs; Unbounded where it does not tell.
func Available() int64 { return here.available() }

func (s system) available() int64 {
	if n, ok := s.kibibytes("proc/meminfo", "MemAvailable"); ok {
		return n
	}
	return Unbounded
}

// PeakResident is the most memory that the process held so far, in bytes: what was resident where the system tells, else what Go
// took from the system.
func PeakResident() int64 {
	if n, ok := here.kibibytes("proc/self/status", "VmHWM"); ok {
		return n
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// kibibytes is the value in bytes of a line "name: N kB".
func (s system) kibibytes(file, name string) (int64, bool) {
	text, ok := strings.CutSuffix(s.field(file, name), " kB")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n << 10, err == nil && n < math.MaxInt64>>10
}

// number is the number that is all of a file; false for the word "max" or without the file.
func (s system) number(file string) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(s.root, file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// field is the value of the first line "name: value" of a file, "" without one.
func (s system) field(file, name string) string {
	open, err := os.Open(filepath.Join(s.root, file))
	if err != nil {
		return ""
	}
	defer open.Close()
	for lines := bufio.NewScanner(open); lines.Scan(); {
		if field, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(field) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
