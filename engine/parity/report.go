package parity

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"forge/compiler/op"
	"forge/engine/weights"
)

// Report is what a run against an expectation found.
type Report struct {
	Judgements []Judgement
	Numbers    Numbers

	tensors []weights.Entry
	values  map[string][]float32
	judged  map[string]bool
}

// Numbers are the computed quantities that are no tensors, with expected.json's keys.
type Numbers struct {
	Greedy    *greedy           `json:"greedy,omitempty"`
	Loss      *losses           `json:"loss,omitempty"`
	GradNorms map[string]number `json:"grad_norms,omitempty"`
	Train     *trained          `json:"train,omitempty"`
}

type trained struct {
	Steps []losses         `json:"steps"`
	Final map[string]final `json:"final"`
}

func newReport() *Report {
	return &Report{values: map[string][]float32{}, judged: map[string]bool{}}
}

// OK reports whether every quantity is within its tolerance.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Judgements, func(j Judgement) bool { return !j.OK() })
}

func (r *Report) add(name string, worst, of float64) {
	if math.IsNaN(worst) {
		worst = math.Inf(1)
	}
	r.judged[name] = true
	r.Judgements = append(r.Judgements, Judgement{name, worst, of})
}

func (r *Report) has(name string) bool { return r.judged[name] }

// keep remembers a computed tensor; the values are copied.
func (r *Report) keep(name string, shape op.Shape, values []float32) {
	r.tensors = append(r.tensors, weights.Entry{Name: name, Shape: shape})
	r.values[name] = slices.Clone(values)
}

// Dump writes what was computed into a folder: got.safetensors, all tensors as float32, and got.json, for another tool to judge. A
// number that is none (a diverged loss) is written as null.
func (r *Report) Dump(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	text, err := json.Marshal(r.Numbers)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "got.json"), append(text, '\n'), 0o666); err != nil {
		return err
	}
	return writeTo(filepath.Join(dir, "got.safetensors"), func(w io.Writer) error {
		return weights.Write(w, r.tensors, nil, func(name string, dst []float32) error {
			copy(dst, r.values[name])
			return nil
		})
	})
}

// number is written to JSON as null where JSON has no word for it.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

func writeTo(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
