package memory

import (
	"fmt"
	"strings"
	"testing"

	"forge/backends"
	"forge/backends/machine"
	"forge/backends/reference"
	"forge/compiler"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// measured is a backend that says what a program takes.
type measured struct {
	backends.Backend
	footprint backends.Footprint
}

func (m measured) Measure(*graph.Graph, backends.Store) (*backends.Footprint, error) {
	return &m.footprint, nil
}

const mib = 1 << 20

func work(limit int64) *Work {
	return &Work{
		What: "training `long`",
		Backend: measured{footprint: backends.Footprint{
			Storages: 12 * mib, Values: 100 * mib, Gradients: 4 * mib, EntrySize: 4, Limit: machine.Memory{Bytes: limit, Whose: "the machine has"},
		}},
		Storage: []compiler.Stored{
			{Name: "w", Shape: op.Shape{1024, 1024}, Kind: compiler.Weight},
			{Name: "w.m", Shape: op.Shape{1024, 1024}, Kind: compiler.Moment},
			{Name: "w.v", Shape: op.Shape{1024, 1024}, Kind: compiler.Moment},
		},
		Beside: 8 * mib, BesideWhat: "evaluation", Batch: 8, Seq: 256,
		SetBatch: func(n int) string { return fmt.Sprintf("--batch %d", n) }, SetSeq: func(n int) string { return fmt.Sprintf("--seq %d", n) },
		Cures: []string{"a smaller model"},
	}
}

// TestCheck: what fits to the byte is allowed; what does not is told with all its parts, and the cure that it names would fit.
func TestCheck(t *testing.T) {
	if f, err := work(120 * mib).Check(); err != nil || f.Total() != 112*mib {
		t.Errorf("%+v, %v", f, err)
	}
	tests := []struct {
		limit int64
		want  []string
	}{
		{120*mib - 1, []string{"training `long` needs about 120 MiB of memory, and the machine has 120 MiB", "7 sequences would fit: --batch 7"}},
		{72 * mib, []string{"weights        4.00 MiB  1.049M in float32", "moments        8.00 MiB", "gradients      4.00 MiB",
			"activations    96.0 MiB  8 sequences of 256 tokens", "evaluation     8.00 MiB", "4 sequences would fit: --batch 4", "a smaller model", "--memory SIZE"}},
		{30 * mib, []string{"128 tokens would fit: --batch 1 --seq 128"}},
	}
	for _, test := range tests {
		_, err := work(test.limit).Check()
		if err == nil {
			t.Errorf("%d bytes are enough", test.limit)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("with %d bytes there is no %q in\n%v", test.limit, want, err)
			}
		}
	}
	if _, err := work(20 * mib).Check(); err == nil || strings.Contains(err.Error(), "would fit") {
		t.Errorf("nothing fits beside the weights: %v", err)
	}
	fixed := work(30 * mib)
	fixed.SetBatch, fixed.SetSeq = nil, nil
	if _, err := fixed.Check(); err == nil || strings.Contains(err.Error(), "would fit") {
		t.Errorf("a batch that nobody can choose: %v", err)
	}
	kept := work(20 * mib)
	kept.Kept, kept.KeptBytes, kept.Store = "as int8", mib, reference.New().NewStore()
	if _, err := kept.Check(); err == nil || !strings.Contains(err.Error(), "needs about 117 MiB") || !strings.Contains(err.Error(), "weights        1.00 MiB  1.049M as int8\n") ||
		strings.Contains(err.Error(), "held") {
		t.Errorf("weights of another size: %v", err)
	}
	unbounded := work(1)
	unbounded.Backend = unbounded.Backend.(measured).Backend
	if f, err := unbounded.Check(); f != nil || err != nil {
		t.Errorf("a backend that bounds nothing: %v, %v", f, err)
	}
}

// TestCrowded: more than other programs leave is told, and what is there already does not count.
func TestCrowded(t *testing.T) {
	if machine.Available() == machine.Unbounded {
		t.Skip("the system does not tell how much memory is free")
	}
	large := &backends.Footprint{Storages: 1 << 60}
	if text := Crowded(large, 0); !strings.Contains(text, "1048576 TiB more are needed") {
		t.Errorf("%q", text)
	}
	for _, f := range []*backends.Footprint{nil, {}, {Held: 1 << 60}} {
		if text := Crowded(f, 0); text != "" {
			t.Errorf("%+v: %q", f, text)
		}
	}
}
