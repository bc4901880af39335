package train

import (
	"math"
	"strconv"
	"strings"
	"time"

	"forge/backends/machine"
	"forge/engine/eval"
	"forge/engine/runs"
)

var notANumber = math.NaN()

// Metrics are a step's line of metrics.jsonl.
type Metrics struct {
	Step, Tokens int64
	Loss         float64 // the whole, as it was before the step's update
	Main         float64
	MTP          []float64 // by depth
	Balance      float64   // NaN: the model has no loss lines
	LR           float64
	GradNorm     float64 // before clipping
	TokensSecond float64
	MFU          float64 // share of the device's peak; 0: unknown
	Duration     time.Duration
	MemoryMiB    float64
	Blocks       []BlockMetric
	Eval         *eval.Result // nil: not at this step
}

// BlockMetric is a `metric` line of a block.
type BlockMetric struct {
	Path, Name string // layers[1].ffn.gate, load_max
	Value      float64
}

type metricName struct{ output, path, name string }

// splitMetric takes the output metric/PATH/NAME apart.
func splitMetric(output string) metricName {
	rest := strings.TrimPrefix(output, "metric/")
	if at := strings.LastIndexByte(rest, '/'); at >= 0 {
		return metricName{output, rest[:at], rest[at+1:]}
	}
	return metricName{output, "", rest}
}

// curve measures steps, reusing its memory.
type curve struct {
	metrics Metrics
	line    []byte
	average time.Duration // of a step, over about the last twenty
	memory  machine.Resident
}

// measure reads a step's outputs. The result is valid until the next call.
func (c *curve) measure(p *compiled, s *runs.State, lr float64, d time.Duration, peak float64) *Metrics {
	m := &c.metrics
	tokens := float64(p.batch.B) * float64(p.batch.T)
	*m = Metrics{Step: s.Step, Tokens: s.Tokens, Loss: p.scalar("loss"), Main: p.scalar("main_loss"), Balance: notANumber, LR: lr,
		GradNorm: p.scalar("grad_norm"), TokensSecond: tokens / d.Seconds(), Duration: d, MemoryMiB: float64(c.memory.Bytes()) / (1 << 20),
		MTP: m.MTP[:0], Blocks: m.Blocks[:0]}
	if p.training.Balance {
		m.Balance = p.scalar("balance_loss")
	}
	for _, name := range p.losses {
		m.MTP = append(m.MTP, p.scalar(name))
	}
	for _, name := range p.metrics {
		m.Blocks = append(m.Blocks, BlockMetric{name.path, name.name, p.scalar(name.output)})
	}
	if peak > 0 {
		m.MFU = p.program.Stats().FLOPs / d.Seconds() / peak
	}
	if c.average == 0 {
		c.average = d
	}
	c.average += (d - c.average) / 20
	return m
}

// finite says that training has not diverged.
func (m *Metrics) finite() bool { return isFinite(m.Loss) && isFinite(m.GradNorm) }

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// record appends the line of metrics and tells the caller's observer.
func (t *trainer) record(m *Metrics) error {
	t.curve.line = m.AppendJSON(t.curve.line[:0])
	if err := t.Run.AppendMetrics(t.curve.line); err != nil {
		return err
	}
	if t.OnStep != nil {
		t.OnStep(m)
	}
	return nil
}

// AppendJSON appends the line of metrics.jsonl, with its newline.
func (m *Metrics) AppendJSON(b []byte) []byte {
	field := func(name string, v float64) {
		b = append(b, ',', '"')
		b = append(b, name...)
		b = append(b, '"', ':')
		b = appendNumber(b, v)
	}
	b = append(b, `{"step":`...)
	b = strconv.AppendInt(b, m.Step, 10)
	b = append(b, `,"tokens":`...)
	b = strconv.AppendInt(b, m.Tokens, 10)
	field("loss", m.Loss)
	field("main_loss", m.Main)
	b = append(b, `,"mtp_loss":[`...)
	for i, v := range m.MTP {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, v)
	}
	b = append(b, ']')
	if !math.IsNaN(m.Balance) {
		field("balance_loss", m.Balance)
	}
	field("lr", m.LR)
	field("grad_norm", m.GradNorm)
	field("tok_s", math.Round(m.TokensSecond))
	if m.MFU > 0 {
		field("mfu", m.MFU)
	}
	field("step_ms", math.Round(m.Duration.Seconds()*1e5)/100)
	field("mem_mib", math.Round(m.MemoryMiB*10)/10)
	b = m.appendBlocks(b)
	if m.Eval != nil {
		field("eval_loss", m.Eval.Loss)
		field("eval_bpb", m.Eval.BitsPerByte)
	}
	return append(b, '}', '\n')
}

// appendBlocks appends the blocks' metrics, an object for each name with a value for each block:
// "load_max":{"layers[1].ffn.gate":1.25,…}.
func (m *Metrics) appendBlocks(b []byte) []byte {
	for i, first := range m.Blocks {
		if before(m.Blocks[:i], first.Name) {
			continue
		}
		b = append(b, ',')
		b = strconv.AppendQuote(b, first.Name)
		b = append(b, ':', '{')
		for j, v := range m.Blocks[i:] {
			if v.Name != first.Name {
				continue
			}
			if j > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendQuote(b, v.Path)
			b = append(b, ':')
			b = appendNumber(b, v.Value)
		}
		b = append(b, '}')
	}
	return b
}

func before(list []BlockMetric, name string) bool {
	for _, b := range list {
		if b.Name == name {
			return true
		}
	}
	return false
}

// appendNumber appends a float32's worth of digits; what is no number is null in JSON.
func appendNumber(b []byte, v float64) []byte {
	if !isFinite(v) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', 9, 64)
}
