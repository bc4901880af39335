// Package memory says before a program is made whether the memory is there, by what it is for and what would need less. In flow a
// graph with its storages and the backend that would run it; an error lists sizes. Nothing is allocated.
package memory

import (
	"fmt"
	"strings"

	"forge/backends"
	"forge/backends/machine"
	"forge/compiler"
	"forge/compiler/graph"
)

// Work is a program that is to be made.
type Work struct {
	What    string // is to be done, as the beginning of a sentence: "training `quick`"
	Backend backends.Backend
	Store   backends.Store
	Graph   *graph.Graph
	Storage []compiler.Stored
	// Beside is what other programs will hold at the same time, and BesideWhat what they do.
	Beside     int64
	BesideWhat string

	// Kept is how weights are kept and KeptBytes what that takes, where it is not as numbers of the backend's; weights that are read
	// where they lie in a file take nothing.
	Kept      string
	KeptBytes int64

	// Batch is how many sequences of Seq tokens the program reads at once. Larger batches take more; SetBatch is what a user writes to
	// have another, nil if there is no choice. SetSeq is the same for the length of a sequence.
	Batch, Seq       int
	SetBatch, SetSeq func(n int) string
	// Cures are other things that would need less.
	Cures []string
}

// Check measures the program. An error says that it does not fit, with all sizes and what to change. Backends that do not bound
// memory have no footprint, which is nil then.
func (w *Work) Check() (*backends.Footprint, error) {
	measurer, ok := w.Backend.(backends.Measurer)
	if !ok {
		return nil, nil
	}
	f, err := measurer.Measure(w.Graph, w.Store)
	if err != nil {
		return nil, err
	}
	if w.Kept != "" {
		// Weights that the store has already are among neither.
		f.Storages -= f.EntrySize * w.missing()
		f.Held += w.KeptBytes
	}
	if f.Total()+w.Beside <= f.Limit.Bytes {
		return f, nil
	}
	return f, fmt.Errorf("%s", w.tooLarge(f))
}

// tooLarge is the text of the error.
func (w *Work) tooLarge(f *backends.Footprint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s needs about %s of memory, and %s %s:\n", w.What, machine.Size(f.Total()+w.Beside), f.Limit.Whose, machine.Size(f.Limit.Bytes))
	entries := w.entries()
	named := int64(0)
	for _, n := range entries {
		named += f.EntrySize * n
	}
	row := func(name string, bytes int64, what string) {
		if bytes > 0 {
			fmt.Fprintf(&b, "  %-12s %10s  %s\n", name, machine.Size(bytes), what)
		}
	}
	if kept := f.EntrySize * entries[compiler.Weight]; w.Kept == "" {
		row("weights", kept, fmt.Sprintf("%s in float%d", count(entries[compiler.Weight]), 8*f.EntrySize))
	} else {
		fmt.Fprintf(&b, "  %-12s %10s  %s\n", "weights", machine.Size(w.KeptBytes), fmt.Sprintf("%s %s", count(entries[compiler.Weight]), w.Kept))
		named += w.KeptBytes - kept
	}
	row("moments", f.EntrySize*entries[compiler.Moment], "two of the optimizer for each weight")
	row("states", f.EntrySize*entries[compiler.State], "kept and not trained")
	row("caches", f.EntrySize*entries[compiler.Cache], "of keys and values")
	row("held", f.Held+f.Storages-named, "for other programs")
	row("gradients", f.Gradients, "of all weights at once")
	row("activations", f.Values-f.Gradients, fmt.Sprintf("%s of %s", sequences(w.Batch), tokens(w.Seq)))
	row(w.BesideWhat, w.Beside, "at the same time")
	if cures := w.cures(f); len(cures) > 0 {
		fmt.Fprintf(&b, "what needs less:\n  %s\n", strings.Join(cures, "\n  "))
	}
	fmt.Fprintf(&b, "another bound: --memory SIZE")
	return b.String()
}

// entries counts the numbers in the storages by what they are for.
func (w *Work) entries() map[compiler.StoredKind]int64 {
	entries := map[compiler.StoredKind]int64{}
	for _, s := range w.Storage {
		entries[s.Kind] += int64(s.Shape.Size())
	}
	return entries
}

// missing counts the weights that the store does not have yet.
func (w *Work) missing() int64 {
	n := int64(0)
	for _, s := range w.Storage {
		if s.Kind != compiler.Weight {
			continue
		}
		if _, ok := w.Store.Type(s.Name); !ok {
			n += int64(s.Shape.Size())
		}
	}
	return n
}

// cures are what a user can change. Activations are taken to grow with the tokens of a batch.
func (w *Work) cures(f *backends.Footprint) []string {
	var cures []string
	activations := f.Values - f.Gradients
	left := f.Limit.Bytes - (f.Total() + w.Beside - activations)
	fits := func(n int) int { // of n, in one direction
		if left <= 0 || activations <= 0 {
			return 0
		}
		return int(float64(n) * min(1, float64(left)/float64(activations)))
	}
	if batch := fits(w.Batch); w.SetBatch != nil && batch >= 1 {
		cures = append(cures, fmt.Sprintf("a smaller batch; %s would fit: %s", sequences(batch), w.SetBatch(batch)))
	} else if seq := fits(w.Batch*w.Seq) / 16 * 16; w.SetSeq != nil && seq >= 16 {
		cures = append(cures, fmt.Sprintf("one sequence at a time, and a shorter one; %d tokens would fit: %s %s", seq, w.SetBatch(1), w.SetSeq(seq)))
	}
	return append(cures, w.Cures...)
}

func sequences(n int) string {
	if n == 1 {
		return "1 sequence"
	}
	return fmt.Sprintf("%d sequences", n)
}

func tokens(n int) string {
	if n == 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", n)
}

// count writes a number of weights with its unit.
func count(n int64) string {
	switch v := float64(n); {
	case v >= 1e9:
		return fmt.Sprintf("%.4gB", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.4gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.4gk", v/1e3)
	}
	return fmt.Sprint(n)
}

// Crowded says that a program fits into the machine but not into what other programs leave of it; "" if it fits.
func Crowded(f *backends.Footprint, beside int64) string {
	if f == nil {
		return ""
	}
	need, free := f.Total()-f.Held+beside, machine.Available()
	if need <= free {
		return ""
	}
	return fmt.Sprintf("%s more are needed and %s are free at the moment, because other programs hold the rest: this may become slow, or be ended by the system",
		machine.Size(need), machine.Size(free))
}
