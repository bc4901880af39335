package machine

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
)

// Resident measures what the process holds in memory, again and again without allocating. The zero value is ready.
type Resident struct {
	statm  *os.File // Linux: sizes in pages, the second is what is resident
	buffer [128]byte
	tried  bool
	sample [1]metrics.Sample
}

// Bytes is what is resident where the system tells, else what Go took from the system.
func (r *Resident) Bytes() int64 {
	if !r.tried {
		r.tried = true
		r.statm, _ = os.Open("/proc/self/statm") // absent elsewhere
		r.sample[0].Name = "/memory/classes/total:bytes"
	}
	if r.statm != nil {
		n, _ := r.statm.ReadAt(r.buffer[:], 0)
		_, rest, _ := bytes.Cut(r.buffer[:n], []byte(" "))
		second, _, _ := bytes.Cut(rest, []byte(" "))
		if pages, err := strconv.ParseInt(string(second), 10, 64); err == nil {
			return pages * int64(os.Getpagesize())
		}
	}
	metrics.Read(r.sample[:])
	return int64(r.sample[0].Value.Uint64())
}

// Close gives up the file.
func (r *Resident) Close() {
	if r.statm != nil {
		r.statm.Close()
	}
}
