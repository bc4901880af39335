package machine

import (
	"os"
	"path/filepath"
	"testing"
)

// files writes a machine's files.
func files(t *testing.T, texts map[string]string) system {
	t.Helper()
	root := t.TempDir()
	for name, text := range texts {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return system{root}
}

const meminfo = "MemTotal:        8000000 kB\nMemFree:          100 kB\nMemAvailable:    3000000 kB\n"

// TestLimit: the machine's memory, or less by the control groups around the process, of either version, wherever they are seen.
func TestLimit(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  Memory
	}{
		{"nothing told", nil, Memory{Unbounded, ofMachine}},
		{"no groups", map[string]string{"proc/meminfo": meminfo}, Memory{8000000 << 10, ofMachine}},
		{"version 2, unbounded", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
			Memory{8000000 << 10, ofMachine}},
		{"version 2, in a container", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/12ab\n",
			"sys/fs/cgroup/memory.max": "1000000\n"}, Memory{1000000, ofGroup}},
		{"version 2, by a group around", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/user.slice/run.service\n",
			"sys/fs/cgroup/user.slice/memory.max": "2000000\n", "sys/fs/cgroup/user.slice/run.service/memory.max": "max\n"}, Memory{2000000, ofGroup}},
		{"version 1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a/b\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "3000000\n"}, Memory{3000000, ofGroup}},
		{"larger than the machine", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "9000000000000\n"},
			Memory{8000000 << 10, ofMachine}},
		{"damaged", map[string]string{"proc/meminfo": "MemTotal: many kB\n:\n", "proc/self/cgroup": "0\n::\nx:y:z\n", "sys/fs/cgroup/memory.max": ""},
			Memory{Unbounded, ofMachine}},
	}
	for _, test := range tests {
		if got := files(t, test.files).limit(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if n := files(t, map[string]string{"proc/meminfo": meminfo}).available(); n != 3000000<<10 {
		t.Errorf("available are %d", n)
	}
	if n := files(t, nil).available(); n != Unbounded {
		t.Errorf("available are %d where nothing is told", n)
	}
}

// TestThisProcess: what is resident is at most what was, and the limit is no less.
func TestThisProcess(t *testing.T) {
	var r Resident
	defer r.Close()
	held := r.Bytes()
	if peak := PeakResident(); held <= 0 || peak < held/2 {
		t.Errorf("resident are %d, at most %d", held, peak)
	}
	if limit := Limit(); limit.Bytes < held {
		t.Errorf("resident are %d, and %s %d", held, limit.Whose, limit.Bytes)
	}
	if n := testing.AllocsPerRun(10, func() { r.Bytes() }); n != 0 {
		t.Errorf("measuring allocates %g times", n)
	}
	if Processor() == "" {
		t.Error("no processor")
	}
}
