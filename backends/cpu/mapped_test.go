//go:build linux || darwin || freebsd || netbsd || openbsd

package cpu_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/edsrzf/mmap-go"

	"forge/backends"
	"forge/backends/cpu"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// TestShortenedFile: a file of weights that is shortened between two runs is an error of the second, whichever thread meets it, and
// the backend works on.
func TestShortenedFile(t *testing.T) {
	const rows, columns = 512, 1024
	for _, format := range []backends.Format{backends.Float32, backends.BFloat16} {
		for _, threads := range []int{1, 3} {
			for _, n := range []int{1, 40} {
				path := filepath.Join(t.TempDir(), "weights")
				if err := os.WriteFile(path, make([]byte, rows*columns*format.Size()), 0o600); err != nil {
					t.Fatal(err)
				}
				file, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				values, err := mmap.Map(file, mmap.RDONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer values.Unmap()
				b, err := cpu.New(threads)
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				s := b.NewStore()
				err = s.Put("w", backends.Stored{Type: op.Type{Shape: op.Shape{columns, rows}}, Strides: []int{1, columns}, Mapped: true,
					Pieces: []backends.Piece{{Format: format, Rows: rows, Columns: columns, Values: values}}})
				if err != nil {
					t.Fatal(err)
				}
				g := graph.New("mapped", false)
				x, w := g.Input("x", op.Type{Shape: op.Shape{n, columns}}), g.Storage("w", op.Type{Shape: op.Shape{columns, rows}})
				g.Output("y", op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: "ab", B: "bc", Out: "ac"}, x, w).(*graph.Node))
				if err := g.Seal(); err != nil {
					t.Fatal(err)
				}
				p, err := b.Compile(g, s, backends.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if err := p.RunAll(); err != nil {
					t.Fatal(err)
				}
				if err := file.Truncate(4096); err != nil {
					t.Fatal(err)
				}
				if err := p.RunAll(); !errors.Is(err, backends.ErrMapped) {
					t.Errorf("%v, %d threads, %d rows: a run on a shortened file gives the error %v", format, threads, n, err)
				}
				if err := s.Read("w", make([]float32, rows*columns)); !errors.Is(err, backends.ErrMapped) {
					t.Errorf("reading from a shortened file gives the error %v", err)
				}
				if err := file.Truncate(int64(len(values))); err != nil {
					t.Fatal(err)
				}
				if err := p.RunAll(); err != nil {
					t.Errorf("%v, %d threads, %d rows: after a fault, with the file whole: %v", format, threads, n, err)
				}
			}
		}
	}
}
