package kernel

import (
	"testing"
	"time"
)

// TestPeaks: every peak that the processor has is measured, and narrower types
// are faster.
func TestPeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 256 MiB")
	}
	p := newPool(t, 1)
	peaks := MeasurePeaks(p, 40*time.Millisecond)
	t.Logf("%.1f GFLOP/s float32, %.1f bf16, %.1f int8; reads %.1f GB/s", peaks.Float32/1e9, peaks.BF16Dot/1e9, peaks.Int8Dot/1e9, peaks.Read/1e9)
	if !(peaks.Float32 > 1e6) || !(peaks.Read > 1e6) {
		t.Error("a peak is too low to be true")
	}
	for _, narrow := range []float64{peaks.BF16Dot, peaks.Int8Dot} {
		if narrow != 0 && narrow < peaks.Float32/2 {
			t.Errorf("dot products of narrow types at %g, of float32 at %g", narrow, peaks.Float32)
		}
	}
}

func TestParseLevel(t *testing.T) {
	for _, level := range Levels() {
		if got, err := parseLevel(level.String()); got != level || err != nil {
			t.Errorf("%s is %v, %v", level, got, err)
		}
	}
	if _, err := parseLevel("mmx"); err == nil {
		t.Error("mmx is a level")
	}
}
