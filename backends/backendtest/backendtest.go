// Package backendtest is the suite that every backend passes. It runs each operation on each of its samples, and on larger and
// odder ones of its own, and compares with the reference in float64; it feeds operations with views of all kinds, writes results
// into storages, and checks that the plan changes nothing: sharing memory gives the same bits as keeping every value.
//
// A backend's test calls Run. Nothing here knows a backend.
package backendtest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// Run runs the whole suite.
func Run(t *testing.T, b backends.Backend) {
	t.Run("operations", func(t *testing.T) { operations(t, b) })
	t.Run("updates", func(t *testing.T) { updates(t, b) })
	t.Run("graphs", func(t *testing.T) { graphs(t, b) })
	t.Run("aliasing", func(t *testing.T) { aliasing(t, b) })
	t.Run("programs", func(t *testing.T) { programs(t, b) })
	t.Run("stored", func(t *testing.T) { stored(t, b) })
	t.Run("allocations", func(t *testing.T) { allocations(t, b) })
}

// defaultTolerance is that of samples without one.
const defaultTolerance = 2e-5

// operations runs every operation on every sample, with inputs as they are and as views.
func operations(t *testing.T, b backends.Backend) {
	for _, o := range op.All() {
		samples := append(append([]op.Sample{}, o.Samples...), more(o)...)
		t.Run(o.Name, func(t *testing.T) {
			for _, s := range samples {
				for _, v := range []variant{plain, transposed, sliced} {
					t.Run(s.Name+"/"+v.name, func(t *testing.T) { sample(t, b, o, s, v) })
				}
			}
		})
	}
}

// variant is a way to feed an operation: the input is declared with another shape, its data is arranged accordingly, and views lead
// to what the operation sees.
type variant struct {
	name  string
	shape func(s op.Shape) op.Shape
	view  func(b op.Builder, v op.Value, s op.Shape) op.Value
}

var plain = variant{"plain", func(s op.Shape) op.Shape { return s }, func(_ op.Builder, v op.Value, _ op.Shape) op.Value { return v }}

// transposed inputs have their axes in reverse.
var transposed = variant{"transposed",
	func(s op.Shape) op.Shape {
		r := make(op.Shape, len(s))
		for i, n := range s {
			r[len(s)-1-i] = n
		}
		return r
	},
	func(b op.Builder, v op.Value, s op.Shape) op.Value {
		if len(s) < 2 {
			return v
		}
		perm := make([]int, len(s))
		for i := range perm {
			perm[i] = len(s) - 1 - i
		}
		return op.One(b, op.Transpose, op.TransposeAttrs{Perm: perm}, v)
	},
}

// sliced inputs are the middle of a tensor that is longer on every axis.
var sliced = variant{"sliced",
	func(s op.Shape) op.Shape {
		r := make(op.Shape, len(s))
		for i, n := range s {
			r[i] = n + 3
		}
		return r
	},
	func(b op.Builder, v op.Value, s op.Shape) op.Value {
		for i, n := range s {
			v = op.One(b, op.Slice, op.SliceAttrs{Axis: i, Start: 1, Stop: n + 1}, v)
		}
		return v
	},
}

// arrange gives the data that a variant's input needs for the operation to see data.
func (v variant) arrange(data []float64, s op.Shape) []float64 {
	from := v.shape(s)
	switch v.name {
	case transposed.name:
		if len(s) < 2 {
			return data
		}
		out := make([]float64, len(data))
		each(s, func(i int, index []int) {
			at := 0
			for k := len(index) - 1; k >= 0; k-- {
				at = at*s[k] + index[k]
			}
			out[at] = data[i]
		})
		return out
	case sliced.name:
		out := make([]float64, from.Size())
		for i := range out {
			out[i] = 1 // what the slices leave out
		}
		each(s, func(i int, index []int) {
			at := 0
			for k := range index {
				at = at*from[k] + index[k] + 1
			}
			out[at] = data[i]
		})
		return out
	}
	return data
}

// each calls f for every index of a shape in row-major order.
func each(s op.Shape, f func(i int, index []int)) {
	index := make([]int, len(s))
	for i := range s.Size() {
		f(i, index)
		for k := len(s) - 1; k >= 0; k-- {
			if index[k]++; index[k] < s[k] {
				break
			}
			index[k] = 0
		}
	}
}

// fed is a graph with the data of its inputs.
type fed struct {
	graph *graph.Graph
	data  map[string][]float64
	types map[string]op.Type
}

func (f *fed) input(name string, t op.Type, data []float64) *graph.Node {
	f.data[name], f.types[name] = data, t
	return f.graph.Input(name, t)
}

func newFed(name string, float64s bool) *fed {
	return &fed{graph.New(name, float64s), map[string][]float64{}, map[string]op.Type{}}
}

// seal fails the test on an error of the graph.
func (f *fed) seal(t *testing.T) *fed {
	t.Helper()
	if err := f.graph.Seal(); err != nil {
		t.Fatal(err)
	}
	return f
}

// interpret gives the value of every node, in the graph's type.
func (f *fed) interpret(t *testing.T) map[*graph.Node][]op.Tensor {
	t.Helper()
	bind := map[string]op.Tensor{}
	for name, data := range f.data {
		bind[name] = op.Tensor{Shape: f.types[name].Shape, Data: data}
	}
	values, err := f.graph.Interpret(bind)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// kept picks the outputs and the new values of storages.
func (f *fed) kept(values map[*graph.Node][]op.Tensor) map[string][]float64 {
	out := map[string][]float64{}
	for _, o := range f.graph.Outputs() {
		out[o.Name] = values[o.Node][0].Data
	}
	for _, u := range f.graph.Updates() {
		out["new "+u.Storage.Name] = values[u.Value][0].Data
	}
	return out
}

// reference interprets the graph and gives its outputs and the new values of its storages.
func (f *fed) reference(t *testing.T) map[string][]float64 {
	t.Helper()
	return f.kept(f.interpret(t))
}

// fill sets a program's inputs.
func (f *fed) fill(t *testing.T, p backends.Program) {
	t.Helper()
	for name, data := range f.data {
		var err error
		if f.types[name].Dtype == op.Int32 {
			v := make([]int32, len(data))
			for i, x := range data {
				v[i] = int32(x)
			}
			err = p.SetInts(name, v)
		} else {
			err = p.SetFloats(name, rounded(data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func rounded(data []float64) []float32 {
	v := make([]float32, len(data))
	for i, x := range data {
		v[i] = float32(x)
	}
	return v
}

// run compiles the graph, runs it and gives its outputs. Running twice must give the same.
func (f *fed) run(t *testing.T, b backends.Backend, o backends.Options) map[string][]float32 {
	t.Helper()
	p, err := b.Compile(f.graph, b.NewStore(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	f.fill(t, p)
	var first map[string][]float32
	for range 2 {
		if err := p.RunAll(); err != nil {
			t.Fatal(err)
		}
		out := map[string][]float32{}
		for _, o := range f.graph.Outputs() {
			v, err := p.Output(o.Name)
			if err != nil {
				t.Fatal(err)
			}
			out[o.Name] = append([]float32{}, v...)
		}
		if first == nil {
			first = out
		} else {
			sameBits(t, "a second run", out, first)
		}
		p.Reset()
	}
	return first
}

func sameBits(t *testing.T, what string, got, want map[string][]float32) {
	t.Helper()
	for name, w := range want {
		g := got[name]
		if len(g) != len(w) {
			t.Fatalf("%s: output %s has %d values, not %d", what, name, len(g), len(w))
		}
		for i := range w {
			if math.Float32bits(g[i]) != math.Float32bits(w[i]) && !(g[i] != g[i] && w[i] != w[i]) {
				t.Fatalf("%s: output %s differs at %d: %v and %v", what, name, i, g[i], w[i])
			}
		}
	}
}

// build makes the graph of one operation.
func build(o *op.Op, s op.Sample, v variant, float64s bool) *fed {
	f := newFed(o.Name, float64s)
	b := f.graph.At(graph.Place{Span: "sample", Text: s.Name})
	in := make([]op.Value, len(s.In))
	for i, x := range s.Inputs() {
		shape := s.In[i].Shape
		t := op.Type{Shape: v.shape(shape), Dtype: s.In[i].Dtype}
		data := v.arrange(x.Data, shape)
		if t.Dtype == op.Float {
			data = append([]float64{}, data...)
			for k := range data {
				data[k] = float64(float32(data[k]))
			}
		}
		in[i] = v.view(b, f.input(fmt.Sprintf("in%d", i), t, data), shape)
	}
	for i, out := range b.Apply(o, s.Attrs, in...) {
		f.graph.Output(fmt.Sprintf("out%d", i), out.(*graph.Node))
	}
	return f
}

func sample(t *testing.T, b backends.Backend, o *op.Op, s op.Sample, v variant) {
	var f, exact *fed
	if err := graph.Catch(func() { f, exact = build(o, s, v, false), build(o, s, v, true) }); err != nil {
		t.Fatal(err)
	}
	f.seal(t)
	want := exact.seal(t).reference(t)
	got := f.run(t, b, backends.Options{})
	tolerance := s.Tolerance
	if tolerance == 0 {
		tolerance = defaultTolerance
	}
	near(t, got, want, tolerance)
	sameBits(t, "keeping all values", f.run(t, b, backends.Options{KeepAll: true}), got)
}

// near compares outputs with the reference: the largest difference relative to the largest magnitude of the output.
func near(t *testing.T, got map[string][]float32, want map[string][]float64, tolerance float64) {
	t.Helper()
	for name, w := range want {
		g := got[name]
		if len(g) != len(w) {
			t.Fatalf("output %s has %d values, not %d", name, len(g), len(w))
		}
		largest := 0.0
		for _, x := range w {
			if !math.IsInf(x, 0) && !math.IsNaN(x) {
				largest = math.Max(largest, math.Abs(x))
			}
		}
		wrong := 0
		for i, x := range w {
			y := float64(g[i])
			if x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= tolerance*largest {
				continue
			}
			if wrong++; wrong <= 5 {
				t.Errorf("output %s at %d is %v, the reference %v", name, i, y, x)
			}
		}
		if wrong > 0 {
			t.Errorf("output %s: %d of %d values differ by more than %v", name, wrong, len(w), tolerance*largest)
		}
	}
}

// updates writes the results of operations that work in place into the storages that they read, with the storage read before,
// after, or not at all.
func updates(t *testing.T, b backends.Backend) {
	for _, o := range op.All() {
		if len(o.InPlace) == 0 {
			continue
		}
		for _, s := range o.Samples {
			for _, reader := range []string{"none", "before", "after"} {
				t.Run(o.Name+"/"+s.Name+"/"+reader, func(t *testing.T) { updateSample(t, b, o, s, reader) })
			}
		}
	}
}

// updateSample makes the inputs that the operation may overwrite storages, and compares them after the run with the reference.
func updateSample(t *testing.T, b backends.Backend, o *op.Op, s op.Sample, reader string) {
	inputs := s.Inputs()
	out, err := op.Evaluate(o, s.Attrs, s.In, inputs)
	if err != nil {
		t.Fatal(err)
	}
	f := newFed(o.Name, false)
	store := b.NewStore()
	storages := map[int]int{} // input to output
	for k, i := range o.InPlace {
		storages[i] = k
	}
	builder := f.graph.At(graph.Place{Text: s.Name})
	read := func(what string, n op.Value) {
		labels := "abcdefgh"[:len(n.Type().Shape)]
		double := op.MapAttrs{Expr: op.Call(op.FnMul, op.Const(2), op.In(0)), In: []string{labels}, Out: labels}
		f.graph.Output(what, op.One(builder, op.Map, double, n).(*graph.Node))
	}
	if err := graph.Catch(func() {
		in := make([]op.Value, len(s.In))
		for i, ty := range s.In {
			name := fmt.Sprintf("in%d", i)
			if _, ok := storages[i]; !ok {
				in[i] = f.input(name, ty, inputs[i].Data)
				continue
			}
			n := f.graph.Storage(name, ty)
			in[i] = n
			if reader == "before" {
				read("old "+name, n)
			}
		}
		results := builder.Apply(o, s.Attrs, in...)
		for i, k := range storages {
			f.graph.Update(in[i].(*graph.Node), results[k].(*graph.Node))
			if reader == "after" {
				read(fmt.Sprintf("old in%d", i), in[i])
				read(fmt.Sprintf("new in%d", i), results[k])
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	f.seal(t)
	for _, n := range f.graph.Storages() {
		if err := store.Create(n.Name, n.Type()); err != nil {
			t.Fatal(err)
		}
		var i int
		fmt.Sscanf(n.Name, "in%d", &i)
		if err := store.Write(n.Name, rounded(inputs[i].Data)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.Compile(f.graph, store, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	f.fill(t, p)
	if err := p.RunAll(); err != nil {
		t.Fatal(err)
	}
	got, want := map[string][]float32{}, map[string][]float64{}
	for i, k := range storages {
		name := fmt.Sprintf("in%d", i)
		v := make([]float32, len(inputs[i].Data))
		if err := store.Read(name, v); err != nil {
			t.Fatal(err)
		}
		got[name], want[name] = v, out[k].Data
	}
	for _, o := range f.graph.Outputs() {
		v, err := p.Output(o.Name)
		if err != nil {
			t.Fatal(err)
		}
		var i int
		what, data := "", []float64(nil)
		fmt.Sscanf(o.Name, "%s in%d", &what, &i)
		if what == "old" {
			data = inputs[i].Data
		} else {
			data = out[storages[i]].Data
		}
		doubled := make([]float64, len(data))
		for k, x := range data {
			doubled[k] = 2 * x
		}
		got[o.Name], want[o.Name] = v, doubled
	}
	near(t, got, want, max(s.Tolerance, defaultTolerance))
}

// allocations checks that runs allocate nothing.
func allocations(t *testing.T, b backends.Backend) {
	for _, o := range op.All() {
		samples := append(append([]op.Sample{}, o.Samples...), more(o)...)
		for _, s := range samples[max(0, len(samples)-2):] {
			var f *fed
			if err := graph.Catch(func() { f = build(o, s, transposed, false) }); err != nil {
				t.Fatal(err)
			}
			f.seal(t)
			p, err := b.Compile(f.graph, b.NewStore(), backends.Options{})
			if err != nil {
				t.Fatal(err)
			}
			f.fill(t, p)
			if n := testing.AllocsPerRun(3, func() {
				if err := p.RunAll(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s (%s): %v allocations a run", o.Name, s.Name, n)
			}
			p.Close()
		}
	}
}

// wants fails unless the error mentions all words.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not mention %q", err, w)
		}
	}
}
