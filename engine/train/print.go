package train

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"forge/dsl/check"
)

// printStep prints the line of a step, and of the evaluation that came with it.
func (t *trainer) printStep(m *Metrics, last bool) {
	all := t.totalSteps()
	every := t.LineEvery
	if every == 0 {
		every = max(t.stage().NumSteps/100, 1)
	}
	if m.Step%every == 0 || m.Step == 1 || last || m.Eval != nil {
		t.printf("%s\n", m.line(all, t.curve.average*time.Duration(all-m.Step)))
	}
	if m.Eval != nil {
		t.printf("%sheld out: loss %.4f  perplexity %.2f  %.4f bits per byte  (%d tokens, %s)\n", t.indent(),
			m.Eval.Loss, m.Eval.Perplexity, m.Eval.BitsPerByte, m.Eval.Tokens, m.Eval.Time.Round(10*time.Millisecond))
	}
}

func (t *trainer) totalSteps() int64 {
	last := t.Recipe.Stages[len(t.Recipe.Stages)-1]
	return last.StartSteps + last.NumSteps
}

// indent is the width of the first column of step lines, in blanks.
func (t *trainer) indent() string { return strings.Repeat(" ", len(stepColumn(0, t.totalSteps()))+2) }

func stepColumn(step, all int64) string {
	width := len(strconv.FormatInt(all, 10))
	return fmt.Sprintf("step %*d/%d (%5.1f %%)", width, step, all, 100*float64(step)/float64(max(all, 1)))
}

// line is the step in stable columns.
func (m *Metrics) line(all int64, left time.Duration) string {
	var b strings.Builder
	b.WriteString(stepColumn(m.Step, all))
	fmt.Fprintf(&b, "  loss %7.4f", m.Main)
	if len(m.MTP) > 0 {
		b.WriteString("  mtp")
		for _, v := range m.MTP {
			fmt.Fprintf(&b, " %7.4f", v)
		}
	}
	fmt.Fprintf(&b, "  lr %8.2e  grad %7.3f  %7.0f tok/s  %6.0f ms", m.LR, m.GradNorm, m.TokensSecond, 1000*m.Duration.Seconds())
	if m.MFU > 0 {
		fmt.Fprintf(&b, "  mfu %4.1f %%", 100*m.MFU)
	}
	fullest := 0.0
	for _, v := range m.Blocks {
		if v.Name == "load_max" {
			fullest = math.Max(fullest, v.Value)
		}
	}
	if fullest > 0 {
		fmt.Fprintf(&b, "  expert %5.2f×", fullest)
	}
	fmt.Fprintf(&b, "  %5.0f MiB  left %s", m.MemoryMiB, short(left))
	return b.String()
}

// short writes a duration in at most two units: 45s, 3m05s, 2h10m, 4d03h.
func short(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}

// begin prints the summary and writes the record of the run.
func (t *trainer) begin() error {
	t.printf("%s\n", t.summary())
	for _, w := range append(t.Data.Warnings, t.warnings...) {
		t.warnf("%s", w)
	}
	if t.From == nil {
		t.Run.Logf("begins: %s", strings.Join(t.Args, " "))
	} else {
		if err := t.Run.TakeBack(t.From); err != nil {
			return err
		}
		t.printf("going on after step %d from %s\n\n", t.state.Step, t.From.Dir)
		t.Run.Logf("goes on after step %d from %s: %s", t.state.Step, t.From.Dir, strings.Join(t.Args, " "))
	}
	return t.writeRecord()
}

func (t *trainer) warnf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.printf("warning: %s\n", text)
	t.Run.Logf("warning: %s", text)
}

// summary says what is about to happen: device, model, work, data, memory, place.
func (t *trainer) summary() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	stage, model := t.stage(), t.stage().Model
	stats := t.compiled.program.Stats()
	row("device", "%s: %s", t.Backend.Name(), t.Backend.Device())
	n := model.Count()
	row("model", "%s: %s parameters, %s active per token, %s more for multi-token prediction, %d of state", model.Name, large(float64(n.Params)),
		large(float64(n.Active)), large(float64(n.MTP)), n.State)
	row("", "%s", strings.Join(groups(model), ", "))
	row("compute", "%s FLOPs a token in training, %d kernels a step", large(stats.FLOPs/float64(t.compiled.batch.B*t.compiled.batch.T)), stats.Kernels)
	var names []string
	tokens := int64(0)
	for _, s := range t.Recipe.Stages {
		names = append(names, s.Name)
		tokens += s.NumTokens
	}
	row("training", "%s: %d steps, %s tokens, %.2f a parameter", strings.Join(names, ", "), t.totalSteps(), large(float64(tokens)), float64(tokens)/float64(max(n.Params, 1)))
	row("batch", "%d sequences × accumulation 1 × workers %d, %d tokens each", t.compiled.batch.B, t.state.Workers, stage.Seq)
	row("precision", "%s", precisionText(stage.Precision))
	for _, s := range t.Data.Sources() {
		row("data", "%s: %s; %d documents, %s bytes, checksum %s", s.Kind, s.Detail, s.Documents, large(float64(s.Bytes)), s.Checksum)
	}
	row("", "%s tokens to train on, %s held out, shuffled with seed %d", large(float64(t.Data.TrainTokens())), large(float64(t.Data.HeldOutTokens())), t.Recipe.Data.ShuffleSeed)
	row("tokenizer", "%s, %d tokens, hash %s", t.Tokenizer.Name(), t.Tokenizer.Vocab(), t.Tokenizer.Hash())
	row("memory", "%s of weights, moments and states, %s of values", mebibytes(stats.StoreBytes), mebibytes(stats.ArenaBytes))
	row("run", "%s, seed %d", t.Run.Dir, t.state.Seed)
	return b.String()
}

// precisionText says what a stage computes in.
func precisionText(p check.Precision) string {
	var products string
	switch p.Kind {
	case "bf16":
		products = "products of bf16"
	case "fp8":
		format := "e4m3"
		if p.Format == "hybrid" {
			format = "e4m3, gradients e5m2"
		}
		products = fmt.Sprintf("products with weights of fp8 (%s, activations by %v, weights by %v), others of bf16", format, p.ActTile, p.WeightTile)
	default:
		return "float32"
	}
	return fmt.Sprintf("%s, emulated: operands rounded, sums in float32; master weights %s, moments %s", products, kept(p.Master), kept(p.Moments))
}

// kept is the text of a format in which numbers are kept.
func kept(format string) string {
	if format == "bf16" {
		return "bf16"
	}
	return "float32"
}

func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

// large writes a number with at most four digits before the unit: 753,664 is 753.7k.
func large(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.size {
			return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", v/u.size), "0"), ".") + u.name
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// groups counts the parameters by what they belong to: the part of a layer and, in it, the bank, gate and so on. Gains of norms
// make one group.
func groups(m *check.Model) []string {
	count := map[string]int64{}
	var order []string
	for _, w := range m.Weights() {
		if w.State {
			continue
		}
		name := groupOf(w)
		if count[name] == 0 {
			order = append(order, name)
		}
		count[name] += w.Entries()
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%s %s", name, large(float64(count[name])))
	}
	return order
}

func groupOf(w check.WeightInfo) string {
	segments := strings.Split(w.Path, ".")
	switch {
	case w.MTP:
		return "multi-token prediction"
	case segments[len(segments)-1] == "gain":
		return "norms"
	case strings.HasPrefix(w.Path, "layers[") && len(segments) > 2:
		return strings.Join(segments[1:len(segments)-1], ".")
	}
	return segments[0]
}
