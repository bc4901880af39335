package main

import (
	"errors"
	"math"

	"github.com/spf13/cobra"

	"forge/engine/parity"
)

// parityOptions are the flags of `forge parity`.
type parityOptions struct {
	dir  string
	dump string
}

func newParityCommand(a *app) *cobra.Command {
	o := parityOptions{}
	cmd := &cobra.Command{
		Use:   "parity DIR",
		Short: "Run a published checkpoint against stored expectations",
		Long: `parity reads DIR with config.json, safetensors, expected.safetensors and expected.json (made elsewhere), computes every quantity
that the expectation holds, and prints for each the largest difference and the tolerance. It exits with 1 if any is over.`,
		Example: `  forge parity checkpoints/small
  forge parity checkpoints/small --device reference --dump got`,
		Args: oneArgument,
		RunE: func(_ *cobra.Command, args []string) error {
			o.dir = args[0]
			return runParity(a, o)
		},
	}
	cmd.Flags().StringVar(&o.dump, "dump", "", "write what was computed to got.safetensors and got.json in `DIR`")
	return cmd
}

func runParity(a *app, o parityOptions) (err error) {
	backend, err := a.openBackend(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	report, err := parity.Run(o.dir, backend)
	if err != nil {
		return err
	}
	if o.dump != "" {
		if err := report.Dump(o.dump); err != nil {
			return err
		}
	}
	if a.json {
		err = a.printParity(o.dir, backend.Name(), report)
	} else {
		over := 0
		for _, j := range report.Judgements {
			a.printf("%s\n", j)
			if !j.OK() {
				over++
			}
		}
		a.printf("%s within tolerance, %d over, on %s\n", countOf(len(report.Judgements)-over, "quantity", "quantities"), over, backend.Name())
	}
	if err == nil && !report.OK() {
		err = exitCode(exitFailed)
	}
	return err
}

// printParity writes a report as one document. A difference that is no number is null.
func (a *app) printParity(dir, device string, report *parity.Report) error {
	type quantity struct {
		Name      string   `json:"name"`
		Worst     *float64 `json:"worst"`
		Tolerance float64  `json:"tolerance"`
		OK        bool     `json:"ok"`
	}
	document := struct {
		Dir        string     `json:"dir"`
		Device     string     `json:"device"`
		OK         bool       `json:"ok"`
		Over       int        `json:"over"`
		Quantities []quantity `json:"quantities"`
	}{Dir: dir, Device: device, OK: report.OK()}
	for _, j := range report.Judgements {
		q := quantity{Name: j.Name, Tolerance: j.Of, OK: j.OK()}
		if worst := j.Worst; !math.IsInf(worst, 0) {
			q.Worst = &worst
		}
		if !q.OK {
			document.Over++
		}
		document.Quantities = append(document.Quantities, q)
	}
	return a.printJSON(document)
}
