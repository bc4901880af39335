package parity

import (
	"os"
	"path/filepath"
	"testing"

	"forge/backends"
	"forge/backends/cpu"
)

// TestFixtures runs every checkpoint under testdata, whose expectations an independent implementation computed in float64, on both
// backends.
func TestFixtures(t *testing.T) {
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		for _, name := range []string{"cpu"} {
			t.Run(d.Name()+"/"+name, func(t *testing.T) {
				var b backends.Backend
				if name == "cpu" {
					var err error
					if b, err = cpu.New(2); err != nil {
						t.Fatal(err)
					}
				}
				defer b.Close()
				list, err := Run(filepath.Join("testdata", d.Name()), b)
				if err != nil {
					t.Fatal(err)
				}
				bad := 0
				for _, j := range list {
					if !j.OK() {
						if bad++; bad <= 20 {
							t.Error(j)
						}
					}
				}
				t.Logf("%d quantities judged, %d over", len(list), bad)
				if len(list) < 50 {
					t.Errorf("only %d quantities were judged", len(list))
				}
			})
		}
	}
}
