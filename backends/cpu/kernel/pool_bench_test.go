package kernel

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain makes the test binary the busy process of BenchmarkBesideBusyProcess
// when it is started as one.
func TestMain(m *testing.M) {
	if text := os.Getenv("FORGE_TEST_BUSY"); text != "" {
		duration, err := time.ParseDuration(text)
		if err != nil {
			os.Exit(2)
		}
		for end := time.Now().Add(duration); time.Now().Before(end); {
			multiplyAddPortable(100000)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkBesideBusyProcess runs loads like those of decoding (many tasks of
// some microseconds) and training (tasks of milliseconds in many parts), in turn
// alone and beside a process that burns one core, and reports the speed beside
// it as a share of the speed alone. Meaningful on an otherwise quiet machine.
func BenchmarkBesideBusyProcess(b *testing.B) {
	for _, load := range []struct {
		name  string
		shape [3]int
		calls int
	}{{"decode", [3]int{1, 768, 512}, 150}, {"train", [3]int{512, 512, 512}, 8}} {
		b.Run(load.name, func(b *testing.B) {
			p := newPool(b, 2)
			m, n, k := load.shape[0], load.shape[1], load.shape[2]
			x, y, z := testMatrix(1, "rows", m, k), testMatrix(2, "columns", k, n), testMatrix(3, "rows", m, n)
			steps := func(duration time.Duration) float64 {
				start, count := time.Now(), 0
				for ; time.Since(start) < duration; count++ {
					for range load.calls {
						Gemm(p, 1, x, y, 0, z)
					}
				}
				return float64(count) / time.Since(start).Seconds()
			}
			const window = 150 * time.Millisecond
			var alone, beside float64
			for b.Loop() {
				alone = max(alone, steps(window))
				busy := exec.Command(os.Args[0])
				busy.Env = append(os.Environ(), "FORGE_TEST_BUSY=400ms", "GOMAXPROCS=1")
				if err := busy.Start(); err != nil {
					b.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
				beside += steps(300 * time.Millisecond)
				if err := busy.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(alone, "steps/s-alone")
			b.ReportMetric(beside/float64(b.N), "steps/s-beside")
			b.ReportMetric(beside/float64(b.N)/alone, "share")
		})
	}
}
