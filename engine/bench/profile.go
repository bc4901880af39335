package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// WriteProfile prints a table of the operations of each part, most time first: their share of the time, the rates they ran at,
// and the share of the roofline, the time that the measured peaks would allow as a share of the time it took. The memory's peak is
// that beyond the caches: what runs on values that were just made can be faster, and is above 100 %.
func (r *Report) WriteProfile(out io.Writer) error {
	for i := range r.Parts {
		p := &r.Parts[i]
		runs := p.profiled()
		total := time.Duration(0)
		for _, o := range p.Stats.Profile {
			total += o.Time
		}
		fmt.Fprintf(out, "\n%s %s: %d calls, %.3f ms a run, %.3f GFLOP, arena %.1f MiB\n", p.Name, p.Size, p.Stats.Kernels,
			total.Seconds()*1000/runs, p.Stats.FLOPs/1e9, float64(p.Stats.ArenaBytes)/(1<<20))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "operation\tcalls\tms\tshare\tGFLOP\tGFLOP/s\tMB\tGB/s\troofline\t")
		for _, o := range p.Stats.Profile {
			s := o.Time.Seconds()
			if s == 0 {
				continue
			}
			fmt.Fprintf(w, "%s\t%.0f\t%.3f\t%.1f %%\t%.4f\t%.1f\t%.2f\t%.1f\t%.0f %%\t\n", o.Op, float64(o.Calls)/runs, s*1000/runs,
				100*s/total.Seconds(), o.FLOPs/runs/1e9, o.FLOPs/s/1e9, o.Bytes/runs/1e6, o.Bytes/s/1e9,
				100*max(o.FLOPs/p.Peak, o.Bytes/r.Peaks.Read)/s)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// profiled is how many runs the profile holds: those that were measured, the warm-up, and what a program did before, as the reading of
// a prompt.
func (p *Part) profiled() float64 {
	calls := 0
	for _, o := range p.Stats.Profile {
		calls += o.Calls
	}
	return float64(calls) / float64(max(p.Stats.Kernels, 1))
}
