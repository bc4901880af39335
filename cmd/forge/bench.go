package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forge/backends"
	"forge/dsl/check"
	"forge/engine/bench"
	"forge/engine/huggingface"
	"forge/engine/runs"
	"forge/engine/weights"
)

// benchOptions are the flags of `forge bench`.
type benchOptions struct {
	measure bench.Options
	seconds float64
	trace   string
}

func newBenchCommand(a *app) *cobra.Command {
	o := benchOptions{}
	cmd := &cobra.Command{
		Use:   "bench RECIPE|CHECKPOINT",
		Short: "Speed of training, prefill and decoding, as a share of the machine",
		Long: `bench measures how many tokens a second a model trains, reads as a prompt and decodes, with random weights or those of a
CHECKPOINT directory. Without flags it measures all three. Each figure is that of the median run, after one to warm up; shares are of
the machine's own peaks, measured in the same run. Measure on a quiet machine, and compare only figures of the same run.

forge bench kernels measures matrix products and other kernels.`,
		Example: `  forge bench tiny
  forge bench tiny --train --batch 8 --seq 256 --threads 2 --json
  forge bench tiny --train --set 'train.precision=bf16()'
  forge bench tiny --decode --profile --trace decode.json`,
		Args:        oneArgument,
		Annotations: map[string]string{readsRecipe: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return runBench(cmd.Context(), a, o, args[0])
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.measure.Train, "train", false, "measure training steps")
	flags.BoolVar(&o.measure.Prefill, "prefill", false, "measure reading a prompt")
	flags.BoolVar(&o.measure.Decode, "decode", false, "measure decoding, of one sequence and of eight at once")
	flags.IntVar(&o.measure.Batch, "batch", 0, "sequences `N` of a training step (default: the recipe's)")
	flags.IntVar(&o.measure.Seq, "seq", 0, "tokens `N` of a sequence in a training step (default: the recipe's)")
	flags.IntVar(&o.measure.Prompt, "prompt", 0, "tokens `N` of the prompt (default: 512 for prefill, 128 before decoding)")
	flags.Float64Var(&o.seconds, "seconds", 2, "measure each part for `N` seconds or three runs")
	flags.StringVar(&o.measure.Keep, "dtype", weights.AsStored, "in prefill and decoding, keep the weights `AS` "+joinComma(weights.Keepings)+"; random ones are stored as f32")
	flags.BoolVar(&o.measure.Profile, "profile", false, "a table of the operations: time, arithmetic, memory, share of the roofline")
	flags.StringVar(&o.trace, "trace", "", "write the mean run, call by call, as Chrome trace events to a `FILE`, for Perfetto")
	cmd.AddCommand(newBenchKernelsCommand(a))
	return cmd
}

// check refuses sizes that no run can have.
func (o *benchOptions) check(cmd *cobra.Command) error {
	for name, value := range map[string]int{"batch": o.measure.Batch, "seq": o.measure.Seq, "prompt": o.measure.Prompt} {
		if value < 0 || value == 0 && cmd.Flags().Changed(name) {
			return usagef("--%s wants a number of at least 1, not %d", name, value)
		}
		if most := 1 << 20; value > most {
			return usagef("--%s wants at most %d, not %d", name, most, value)
		}
	}
	some := o.measure.Train || o.measure.Prefill || o.measure.Decode
	if some && !o.measure.Train {
		for _, name := range []string{"batch", "seq"} {
			if cmd.Flags().Changed(name) {
				return usagef("--%s is of training steps, which are not measured without --train; decoding is measured with 1 sequence and with 8", name)
			}
		}
	}
	if o.measure.Train && !o.measure.Prefill && !o.measure.Decode && cmd.Flags().Changed("prompt") {
		return usagef("--prompt is of prefill and decoding, which are not measured with --train alone")
	}
	return checkSeconds(o.seconds)
}

func checkSeconds(seconds float64) error {
	if !(seconds > 0 && seconds <= 3600) {
		return usagef("--seconds wants a number above 0, at most 3600, not %g", seconds)
	}
	return nil
}

func runBench(ctx context.Context, a *app, o benchOptions, name string) error {
	m := o.measure
	if err := checkKeeping(m.Keep); err != nil {
		return err
	}
	recipe, err := a.openModel(name, &m)
	if err != nil {
		return err
	}
	if m.Published != nil {
		defer m.Published.Close()
	}
	backend, err := a.openBackend(recipe.Run)
	if err != nil {
		return err
	}
	defer backend.Close()
	m.Recipe, m.Backend, m.Threads = recipe, backend, a.threadCount()
	if m.Weights == "" && m.Published == nil && m.Keep == weights.AsStored {
		m.Keep = "" // random weights of a program's own
	}
	m.Duration = time.Duration(o.seconds * float64(time.Second))
	m.Profile = m.Profile || o.trace != ""
	var trace *os.File
	if o.trace != "" {
		// A name that can't be written to is told before the measurement, not after.
		if trace, err = os.Create(o.trace); err != nil {
			return err
		}
		defer trace.Close()
	}
	report, err := bench.Run(ctx, m)
	if err != nil {
		return err
	}
	report.Git = readVersion().Commit
	if trace != nil {
		if err := errors.Join(report.WriteTrace(trace), trace.Close()); err != nil {
			return fmt.Errorf("%s: %w", o.trace, err)
		}
	}
	if a.json {
		if o.measure.Profile {
			if err := report.WriteProfile(a.stderr); err != nil {
				return err
			}
		}
		return a.printLine(report)
	}
	a.printReport(report, backend)
	if o.measure.Profile {
		return report.WriteProfile(a.stdout)
	}
	return nil
}

// openModel gives the recipe of a RECIPE or of a CHECKPOINT directory, and says where the checkpoint's weights are.
func (a *app) openModel(name string, o *bench.Options) (*check.Recipe, error) {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return a.loadRecipe(name)
	}
	if huggingface.Is(name) {
		checkpoint, err := openFolder(name, huggingface.OpenToUse)
		if err != nil {
			return nil, err
		}
		o.Published = checkpoint.Weights
		return checkpoint.Recipe, nil
	}
	checkpoint, err := runs.Find(name, "runs")
	if err != nil {
		return nil, err
	}
	o.Weights = checkpoint.ModelPath()
	return a.loadRecipe(filepath.Join(checkpoint.Dir, "recipe.forge"))
}

// threadCount is how many threads the CPU backend uses.
func (a *app) threadCount() int {
	if a.threads > 0 {
		return a.threads
	}
	return runtime.GOMAXPROCS(0)
}

func (a *app) printReport(r *bench.Report, backend backends.Backend) {
	a.printf("%s: %d parameters, %d for a token, %s\n%s\n", r.Recipe, r.Params, r.Active, r.Precision, backend.Device())
	a.printf("peaks        %.1f GFLOP/s float32 multiply-adds, %.1f GB/s reading memory, measured\n", r.Peaks.Float32/1e9, r.Peaks.Read/1e9)
	for _, p := range r.Parts {
		a.printf("%-12s %-12s %8.0f tokens/s  %9.3f ms a run, best %.3f, of %d", p.Name, p.Size, p.Rate(),
			1000*p.Median.Seconds(), 1000*p.Best.Seconds(), p.Runs)
		switch p.Name {
		case "train":
			a.printf("; %.0f %% of the peak", 100**r.TrainMFU)
		case "decode":
			a.printf("; weights at %.0f %% of the memory's speed", 100**r.DecodeShare)
		}
		a.printf("\n")
	}
	a.printf("memory       %.0f MiB at most; compiled in %.0f ms\n", r.PeakRSS, r.CompileMS)
}

// benchKernelsOptions are the flags of `forge bench kernels`.
type benchKernelsOptions struct {
	shapes  []string
	seconds float64
}

func newBenchKernelsCommand(a *app) *cobra.Command {
	o := benchKernelsOptions{}
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "Matrix products, attention, norms and memory, as shares of the measured peaks",
		Example: `  forge bench kernels
  forge bench kernels --shape 512x512x512 --shape 1x8192x2048 --json`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSeconds(o.seconds); err != nil {
				return err
			}
			return runBenchKernels(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringArrayVar(&o.shapes, "shape", nil, "the product `MxNxK` of an M×K and a K×N matrix; may be repeated")
	cmd.Flags().Float64Var(&o.seconds, "seconds", 0.2, "measure each kernel for `N` seconds or three runs, and take the best")
	return cmd
}

func runBenchKernels(ctx context.Context, a *app, o benchKernelsOptions) error {
	shapes := bench.Shapes
	if len(o.shapes) > 0 {
		shapes = nil
	}
	for _, text := range o.shapes {
		s, err := bench.ParseShape(text)
		if err != nil {
			return usagef("--shape: %v", err)
		}
		shapes = append(shapes, s)
	}
	figures, err := bench.Kernels(ctx, a.threadCount(), shapes, time.Duration(o.seconds*float64(time.Second)))
	if err != nil {
		return err
	}
	if !a.json {
		for _, f := range figures {
			if f.Text != "" {
				a.printf("%s\n", f.Text)
			}
		}
		return nil
	}
	var fields []string
	for _, f := range figures {
		fields = append(fields, fmt.Sprintf("%q:%g", f.Key, f.Value))
	}
	a.printf("{%s}\n", strings.Join(fields, ","))
	return nil
}
