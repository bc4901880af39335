package main

import (
	"math"

	"github.com/spf13/cobra"

	"forge/engine/parity"
)

// parityOptions are the flags of `forge parity`.
type parityOptions struct {
	folder string
	dump   string
}

func newParityCommand(a *app) *cobra.Command {
	o := parityOptions{}
	cmd := &cobra.Command{
		Use:   "parity DIR",
		Short: "Run a published-style checkpoint against stored expectations",
		Long: `parity imports the checkpoint in DIR (config.json, safetensors), computes every quantity that expected.safetensors and expected.json
hold (logits, states, routing, greedy text, losses, gradients, training steps), prints a line for each with the largest difference
and the tolerance, and exits with 1 if one is over.`,
		Example: `  forge parity engine/parity/testdata/moe
  forge parity engine/parity/testdata/moe --dump got`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.folder = args[0]
			return runParity(a, o)
		},
	}
	cmd.Flags().StringVar(&o.dump, "dump", "", "write what was computed as got.safetensors and got.json into `DIR`")
	return cmd
}

// judged is one line of `forge parity --json`. A difference that is no number is left out, and not within.
type judged struct {
	Name       string   `json:"name"`
	Difference *float64 `json:"difference,omitempty"`
	Tolerance  float64  `json:"tolerance"`
	OK         bool     `json:"ok"`
}

func runParity(a *app, o parityOptions) error {
	backend, err := a.openBackend(nil)
	if err != nil {
		return err
	}
	defer backend.Close()
	report, err := parity.Run(o.folder, backend)
	if err != nil {
		return err
	}
	if o.dump != "" {
		if err := report.Dump(o.dump); err != nil {
			return err
		}
	}
	if err := a.printParity(report); err != nil {
		return err
	}
	if !report.OK() {
		return exitCode(exitFailed)
	}
	return nil
}

func (a *app) printParity(report *parity.Report) error {
	over := 0
	lines := []judged{}
	for _, j := range report.Judgements {
		line := judged{Name: j.Name, Tolerance: j.Of, OK: j.OK()}
		if !math.IsInf(j.Worst, 0) {
			line.Difference = &j.Worst
		}
		lines = append(lines, line)
		if !j.OK() {
			over++
		}
		if !a.json {
			a.printf("%s\n", j)
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"ok": report.OK(), "quantities": lines})
	}
	a.printf("%s within, %d over\n", countOf(len(lines)-over, "quantity", "quantities"), over)
	return nil
}
