package bench

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"

	"forge/backends"
)

// event is one of Chrome's trace events, in microseconds.
type event struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Start    float64        `json:"ts"`
	Duration float64        `json:"dur,omitempty"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Args     map[string]any `json:"args,omitempty"`
}

// WriteTrace writes the mean run of each part as Chrome trace events (chrome://tracing, Perfetto): a row a part, in it the run, in
// the run the calls in their order below the parts of the model that they belong to, as layers[3] and, in that, attn.
func (r *Report) WriteTrace(out io.Writer) error {
	events := []event{}
	for i := range r.Parts {
		p := &r.Parts[i]
		thread := i + 1
		events = append(events, event{Name: "thread_name", Phase: "M", Process: 1, Thread: thread, Args: map[string]any{"name": p.Name + " " + p.Size}})
		events = append(events, p.timeline(r, thread)...)
	}
	return json.NewEncoder(out).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ms"})
}

// timeline is the mean run: an event a call, and around calls that follow each other those of the model's parts.
func (p *Part) timeline(r *Report, thread int) []event {
	events := []event{{Name: p.Name, Phase: "X", Process: 1, Thread: thread}}
	open, names := []int{0}, []string{} // the events around the next call, the run first, and the names of all but the run
	at := 0.0
	closeTo := func(depth int) {
		for len(names) > depth {
			last := open[len(open)-1]
			events[last].Duration = at - events[last].Start
			open, names = open[:len(open)-1], names[:len(names)-1]
		}
	}
	for i := range p.Stats.Calls {
		call := &p.Stats.Calls[i]
		if call.Runs == 0 {
			continue
		}
		path := partsOf(call.Place)
		shared := 0
		for shared < min(len(path), len(names)) && path[shared] == names[shared] {
			shared++
		}
		closeTo(shared)
		for _, name := range path[shared:] {
			open, names = append(open, len(events)), append(names, name)
			events = append(events, event{Name: name, Phase: "X", Start: at, Process: 1, Thread: thread})
		}
		duration := call.Time.Seconds() * 1e6 / float64(call.Runs)
		events = append(events, event{call.Op, "X", at, duration, 1, thread, p.args(r, call, duration)})
		at += duration
	}
	closeTo(0)
	events[0].Duration = at
	return events
}

// args are what is shown of a call that is chosen.
func (p *Part) args(r *Report, call *backends.CallTime, microseconds float64) map[string]any {
	args := map[string]any{"flop": call.FLOPs, "bytes": call.Bytes}
	if call.Place != "" {
		args["place"] = call.Place
	}
	if microseconds > 0 && p.Peak > 0 && r.Peaks.Read > 0 {
		args["roofline"] = max(call.FLOPs/p.Peak, call.Bytes/r.Peaks.Read) / (microseconds / 1e6)
	}
	return args
}

// path is a path of parts, as most places are: layers[3].attn.q.
var path = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\[\d+\])?(\.[\pL_][\pL\pN_]*(\[\d+\])?)*$`)

// partsOf are the parts of the model that a place lies in, the outermost first, and the value that is made there.
func partsOf(place string) []string {
	if found := path.FindString(place); found != "" {
		return strings.Split(found, ".")
	}
	return nil
}
