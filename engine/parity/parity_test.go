package parity

import (
	"os"
	"path/filepath"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
	"forge/backends/reference"
)

// TestFixtures runs every checkpoint under testdata, whose expectations an independent implementation computed in float64, on both
// backends.
func TestFixtures(t *testing.T) {
	for _, name := range fixtures(t) {
		t.Run(name+"/cpu", func(t *testing.T) {
			b, err := cpu.New(2)
			if err != nil {
				t.Fatal(err)
			}
			passes(t, name, b)
		})
		t.Run(name+"/reference", func(t *testing.T) {
			t.Parallel()
			passes(t, name, reference.New())
		})
	}
}

func fixtures(t *testing.T) (names []string) {
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join("testdata", d.Name(), "expected.json")); err == nil {
			names = append(names, d.Name())
		}
	}
	if len(names) != 8 {
		t.Fatalf("testdata has %q, not eight checkpoints", names)
	}
	return names
}

func passes(t *testing.T, name string, b backends.Backend) {
	defer b.Close()
	report, err := Run(filepath.Join("testdata", name), b)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, j := range report.Judgements {
		if !j.OK() {
			if bad++; bad <= 20 {
				t.Error(j)
			}
		}
	}
	t.Logf("%d quantities judged, %d over", len(report.Judgements), bad)
	if len(report.Judgements) < 50 {
		t.Errorf("only %d quantities were judged", len(report.Judgements))
	}
}
