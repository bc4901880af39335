package train

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
)

// memory measures what the process holds in memory, without allocating after the first call.
type memory struct {
	statm  *os.File // Linux: sizes in pages, the second is what is resident
	buffer [128]byte
	tried  bool
	sample [1]metrics.Sample
}

// resident is the memory of the process in bytes: what is resident where the system tells, else what Go took from the system.
func (m *memory) resident() int64 {
	if !m.tried {
		m.tried = true
		m.statm, _ = os.Open("/proc/self/statm") // absent elsewhere
		m.sample[0].Name = "/memory/classes/total:bytes"
	}
	if m.statm != nil {
		n, _ := m.statm.ReadAt(m.buffer[:], 0)
		_, rest, _ := bytes.Cut(m.buffer[:n], []byte(" "))
		second, _, _ := bytes.Cut(rest, []byte(" "))
		if pages, err := strconv.ParseInt(string(second), 10, 64); err == nil {
			return pages * int64(os.Getpagesize())
		}
	}
	metrics.Read(m.sample[:])
	return int64(m.sample[0].Value.Uint64())
}

func (m *memory) close() {
	if m.statm != nil {
		m.statm.Close()
	}
}
