package op

import "testing"

// TestGradientThroughADecomposition compares the two ways to a gradient: an operation's rule, and its decomposition taken backward.
func TestGradientThroughADecomposition(t *testing.T) {
	for _, o := range []*Op{RMSNorm, CrossEntropy, HeadLoss, Attention} {
		through := *o
		through.Gradient = Gradient{Through: true}
		for _, s := range o.Samples {
			var in, grads []Value
			for i, x := range s.Inputs() {
				in = append(in, &evaluated{s.In[i], x})
			}
			out := evaluator{}.Apply(o, s.Attrs, in...)
			shape := out[0].Type().Shape
			g := Tensor{Shape: shape, Data: normals(floats(shape...), func() float64 { return 0.3 })}
			grads = append(grads, &evaluated{floats(shape...), g})
			grads = append(grads, make([]Value, len(out)-1)...)
			want, got := Backward(evaluator{}, o, s.Attrs, in, out, grads), Backward(evaluator{}, &through, s.Attrs, in, out, grads)
			for i := range in {
				if s.In[i].Dtype == Int32 {
					if got[i] != nil || want[i] != nil {
						t.Errorf("%s/%s: a gradient of integers", o, s.Name)
					}
					continue
				}
				allowed := 1e-10
				if s.Attrs != nil && o == HeadLoss {
					allowed = s.Tolerance // the rule rounds before the factor comes in, the decomposition after
				}
				if a, ok := s.Attrs.(AttentionAttrs); ok && a.Format != Float32 {
					allowed = 0.05 // the two ways round at different places
				}
				if d := difference(got[i].(*evaluated).tensor.Data, want[i].(*evaluated).tensor.Data); !(d < allowed) {
					t.Errorf("%s/%s: the gradients of input %d differ by %g", o, s.Name, i, d)
				}
			}
		}
	}
}

func TestDifferentiable(t *testing.T) {
	in := []Type{floats(2), ints(2), floats(2)}
	o := &Op{Gradient: Gradient{Through: true, Except: []int{2}}}
	if got := Differentiable(o, in); !got[0] || got[1] || got[2] {
		t.Errorf("a gradient flows to %v, want the first only", got)
	}
	if got := Differentiable(Top, in[:1]); got[0] {
		t.Error("a gradient flows through top")
	}
}

func TestEvaluateRefuses(t *testing.T) {
	if _, err := Evaluate(Add, nil, []Type{floats(2), floats(3)}, []Tensor{newTensor(Shape{2}), newTensor(Shape{3})}); err == nil {
		t.Error("shapes that do not fit are evaluated")
	}
}
