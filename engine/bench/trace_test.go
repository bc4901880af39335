package bench

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"forge/backends"
	"forge/backends/cpu/kernel"
)

// TestTrace reads a trace as a viewer does: what overlaps on a thread is nested, calls are in their order below their parts, and a
// run is as long as its calls.
func TestTrace(t *testing.T) {
	call := func(place string, microseconds int) backends.CallTime {
		return backends.CallTime{Op: "dot", Place: place, Runs: 2, Time: 2 * time.Duration(microseconds) * time.Microsecond, FLOPs: 1000, Bytes: 10}
	}
	r := Report{Peaks: kernel.Peaks{Float32: 1e9, Read: 1e9}, Parts: []Part{
		{Name: "train", Size: "1 × 8", Peak: 1e9, Stats: backends.Stats{Calls: []backends.CallTime{
			call("embedded", 1), call("layers[0].attn.q", 2), call("layers[0].attn", 3), call("layers[0].ffn.gate.s", 4), call("layers[1].attn.q", 5),
			call("", 6), call("the gradient of all", 7), {Op: "never", Place: "layers[9].x"},
		}}},
		{Name: "decode", Size: "1 after 2", Peak: 1e9},
	}}
	var text bytes.Buffer
	if err := r.WriteTrace(&text); err != nil {
		t.Fatal(err)
	}
	var trace struct {
		Events []event `json:"traceEvents"`
		Unit   string  `json:"displayTimeUnit"`
	}
	decoder := json.NewDecoder(&text)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&trace); err != nil {
		t.Fatal(err)
	}
	if trace.Unit != "ms" {
		t.Errorf("the unit is %q", trace.Unit)
	}
	const slack = 1e-6
	var around []event
	names := map[int][]string{}
	for _, e := range trace.Events {
		if e.Phase == "M" {
			around = nil
			continue
		}
		if e.Phase != "X" || e.Process != 1 || e.Start < 0 || e.Duration < 0 {
			t.Errorf("%+v", e)
		}
		for len(around) > 0 && e.Start >= around[len(around)-1].Start+around[len(around)-1].Duration-slack {
			around = around[:len(around)-1]
		}
		if n := len(around); n > 0 && e.Start+e.Duration > around[n-1].Start+around[n-1].Duration+slack {
			t.Errorf("%s (%g to %g) overlaps %s (%g to %g)", e.Name, e.Start, e.Start+e.Duration, around[n-1].Name, around[n-1].Start, around[n-1].Start+around[n-1].Duration)
		}
		path := ""
		for _, a := range around {
			path += a.Name + "/"
		}
		around = append(around, e)
		names[e.Thread] = append(names[e.Thread], path+e.Name)
	}
	want := []string{"train", "train/embedded", "train/embedded/dot", "train/layers[0]", "train/layers[0]/attn", "train/layers[0]/attn/q",
		"train/layers[0]/attn/q/dot", "train/layers[0]/attn/dot", "train/layers[0]/ffn", "train/layers[0]/ffn/gate", "train/layers[0]/ffn/gate/s",
		"train/layers[0]/ffn/gate/s/dot", "train/layers[1]", "train/layers[1]/attn", "train/layers[1]/attn/q", "train/layers[1]/attn/q/dot", "train/dot",
		"train/dot"}
	if !slices.Equal(names[1], want) {
		t.Errorf("%q", names[1])
	}
	if run := trace.Events[1]; run.Duration != 28 {
		t.Errorf("the run takes %g µs of 28", run.Duration)
	}
	if share := trace.Events[3].Args["roofline"]; share != 1.0 {
		t.Errorf("a microsecond for what takes one at the peak is %v of the roofline", share)
	}
}
