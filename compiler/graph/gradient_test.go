package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"forge/compiler/op"
)

// sampleGraph is one application of an operation in a float64 graph. With gradients, its loss is the sum of all outputs that
// have a gradient, each times fixed random weights.
type sampleGraph struct {
	g       *Graph
	in      []*Node
	out     []*Node
	bind    map[string]op.Tensor
	weights [][]float64 // nil: the output is not in the loss
	grads   []*Node     // by input, nil without gradient
}

func floatType(shape ...int) op.Type { return op.Type{Shape: shape} }

func intType(shape ...int) op.Type { return op.Type{Shape: shape, Dtype: op.Int32} }

// lossOutputs says which outputs of an operation have gradients: all floats but attention's lse, and what head_loss gives besides
// the loss.
func lossOutputs(o *op.Op, out []op.Type) []bool {
	in := make([]bool, len(out))
	for i, t := range out {
		in[i] = t.Dtype == op.Float && !((o == op.Attention || o == op.HeadLoss) && i > 0)
	}
	return in
}

func buildSample(t *testing.T, o *op.Op, s op.Sample, differentiate bool) sampleGraph {
	t.Helper()
	x := sampleGraph{g: New(o.Name, true), bind: map[string]op.Tensor{}}
	b := x.g.At(Place{Span: "test.forge:1:1", Text: o.Name})
	values := make([]op.Value, len(s.In))
	for i, data := range s.Inputs() {
		name := fmt.Sprintf("x%d", i)
		x.in = append(x.in, x.g.Input(name, s.In[i]))
		values[i], x.bind[name] = x.in[i], data
	}
	err := Catch(func() {
		for i, v := range b.Apply(o, s.Attrs, values...) {
			x.out = append(x.out, v.(*Node))
			x.g.Output(fmt.Sprintf("y%d", i), x.out[i])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	x.weights, x.grads = make([][]float64, len(x.out)), make([]*Node, len(x.in))
	if differentiate {
		x.differentiate(t, b, o, s)
	}
	if err := x.g.Seal(); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *sampleGraph) differentiate(t *testing.T, b op.Builder, o *op.Op, s op.Sample) {
	random := rand.New(rand.NewPCG(3, 5))
	var terms []op.Value
	types := make([]op.Type, len(x.out))
	for i, y := range x.out {
		types[i] = y.Type()
	}
	for i, used := range lossOutputs(o, types) {
		if !used {
			continue
		}
		x.weights[i] = make([]float64, types[i].Shape.Size())
		for j := range x.weights[i] {
			x.weights[i][j] = random.NormFloat64()
		}
		name, labels := fmt.Sprintf("w%d", i), "abcdefgh"[:len(types[i].Shape)]
		x.bind[name] = op.Tensor{Shape: types[i].Shape, Data: x.weights[i]}
		terms = append(terms, op.One(b, op.Dot, op.DotAttrs{A: labels, B: labels}, x.out[i], x.g.Input(name, types[i])))
	}
	if len(terms) == 0 {
		t.Fatal("nothing to differentiate")
	}
	var wrt []*Node
	for i, flows := range op.Differentiable(o, s.In) {
		if flows {
			wrt = append(wrt, x.in[i])
		}
	}
	grads, err := x.g.Differentiate(op.One(b, op.Add, nil, terms...).(*Node), wrt)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range x.in {
		for j, w := range wrt {
			if w == n {
				x.grads[i] = grads[j]
				x.g.Output(fmt.Sprintf("dx%d", i), grads[j])
			}
		}
	}
}

// TestGradients compares the gradient that Differentiate finds for every sample of every operation with central differences of the
// reference.
func TestGradients(t *testing.T) {
	for _, o := range op.All() {
		if o.Gradient.None != "" {
			continue
		}
		checked := false
		for _, s := range o.Samples {
			if flows := op.Differentiable(o, s.In); !slices.Contains(flows, true) {
				continue // integers
			}
			t.Run(o.Name+"/"+s.Name, func(t *testing.T) {
				x := buildSample(t, o, s, true)
				values, err := x.g.Interpret(x.bind)
				if err != nil {
					t.Fatal(err)
				}
				for i, d := range x.grads {
					if d == nil {
						continue
					}
					got := values[d][0]
					if !got.Shape.Equal(s.In[i].Shape) {
						t.Fatalf("the gradient of input %d is %v, want %v", i, got.Shape, s.In[i].Shape)
					}
					for _, v := range got.Data {
						if math.IsNaN(v) {
							t.Fatalf("the gradient of input %d has a NaN: %v", i, got.Data)
						}
					}
					if s.NoGradientCheck != "" {
						continue
					}
					checked = true
					at, want := centralDifferences(t, o, s, i, x.weights)
					some := make([]float64, len(at))
					for j, k := range at {
						some[j] = got.Data[k]
					}
					if d := difference(some, want); !(d < 1e-6) {
						t.Errorf("the gradient of input %d differs by %g:\n got %v\nwant %v", i, d, some, want)
					}
				}
			})
		}
		if !checked {
			t.Errorf("no sample of %s checks its gradient", o)
		}
	}
}

// centralDifferences is the gradient of the weighted sum of outputs with respect to some entries of one input, all of a small one.
func centralDifferences(t *testing.T, o *op.Op, s op.Sample, input int, weights [][]float64) (at []int, d []float64) {
	t.Helper()
	in := s.Inputs()
	loss := func() float64 {
		out, err := op.Evaluate(o, s.Attrs, s.In, in)
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for i, w := range weights {
			for j, v := range w {
				total += v * out[i].Data[j]
			}
		}
		return total
	}
	const h = 1e-5
	step := 1 + len(in[input].Data)/100
	for i := 0; i < len(in[input].Data); i += step {
		v := in[input].Data[i]
		in[input].Data[i] = v + h
		up := loss()
		in[input].Data[i] = v - h
		down := loss()
		in[input].Data[i] = v
		at, d = append(at, i), append(d, (up-down)/(2*h))
	}
	return at, d
}

// difference is the largest difference relative to the largest magnitude, of at least 1.
func difference(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	scale, worst := 1.0, 0.0
	for i, v := range want {
		if got[i] == v {
			continue
		}
		d := math.Abs(got[i] - v)
		if math.IsNaN(d) {
			return d
		}
		scale, worst = max(scale, math.Abs(v)), max(worst, d)
	}
	return worst / scale
}

// TestInterpretMatchesReferences runs every sample through gorgonia's LispMachine in float64, twice.
func TestInterpretMatchesReferences(t *testing.T) {
	for _, o := range op.All() {
		for _, s := range o.Samples {
			t.Run(o.Name+"/"+s.Name, func(t *testing.T) {
				x := buildSample(t, o, s, false)
				want, err := op.Evaluate(o, s.Attrs, s.In, s.Inputs())
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					values, err := x.g.Interpret(x.bind)
					if err != nil {
						t.Fatal(err)
					}
					for i, y := range x.out {
						if d := difference(values[y][0].Data, want[i].Data); d != 0 {
							t.Errorf("output %d differs by %g", i, d)
						}
					}
				}
			})
		}
	}
}
