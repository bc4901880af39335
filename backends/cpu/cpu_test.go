package cpu

import (
	"testing"

	"forge/backends/backendtest"
	"forge/backends/cpu/kernel"
)

// TestConformance runs the suite on every level that the processor has, with one thread and with more than there may be cores.
func TestConformance(t *testing.T) {
	for _, level := range kernel.Levels() {
		for _, threads := range []int{1, 3} {
			t.Run(level.String()+"/"+map[int]string{1: "one thread", 3: "three threads"}[threads], func(t *testing.T) {
				previous, err := kernel.SetLevel(level)
				if err != nil {
					t.Fatal(err)
				}
				defer kernel.SetLevel(previous)
				b, err := New(threads)
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				backendtest.Run(t, b)
			})
		}
	}
}
