package op

import (
	"fmt"
	"strings"
)

// MapAttrs hold a scalar expression over the inputs and the labels of each input and of the result. An input whose labels lack an
// axis of the result is repeated along it.
type MapAttrs struct {
	Expr *Expr
	In   []string
	Out  string
}

func (a MapAttrs) String() string {
	return a.Expr.String() + " " + strings.Join(a.In, ",") + "->" + a.Out
}

// Map computes a scalar expression for every entry of the result.
var Map = Define(Op{
	Name:    "map",
	Doc:     "a scalar expression of the inputs, entry by entry, inputs repeated along axes that they lack",
	Inputs:  []string{"x..."},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		m, err := attrsAs[MapAttrs](a)
		if err != nil {
			return nil, err
		}
		if m.Expr == nil || m.Expr.Inputs() > len(in) {
			return nil, fmt.Errorf("the expression %v needs more than the %d inputs", m.Expr, len(in))
		}
		if len(m.In) != len(in) {
			return nil, fmt.Errorf("%d inputs and labels for %d", len(in), len(m.In))
		}
		s := sizes{}
		for i, labels := range m.In {
			if err := s.bind(fmt.Sprintf("input %d", i), labels, in[i]); err != nil {
				return nil, err
			}
			if rest := without(labels, m.Out); rest != "" {
				return nil, fmt.Errorf("axis %q of input %d %q is not in the result %q", rest[0], i, labels, m.Out)
			}
		}
		shape, err := s.shape("the result", m.Out)
		return []Type{{shape, Float}}, err
	},
	Gradient: Gradient{Rule: func(b Builder, a Attrs, in, _, grad []Value) []Value {
		m := a.(MapAttrs)
		d := make([]Value, len(in))
		for i := range in {
			d[i] = mapGradient(b, m, in, grad[0], i)
		}
		return d
	}},
	Reference: func(a Attrs, in, out []Tensor) {
		m := a.(MapAttrs)
		steps := make([][]int, len(in))
		for i, labels := range m.In {
			steps[i] = along(m.Out, labels, in[i].Shape)
		}
		x, n := make([]float64, len(in)), 0
		walk(out[0].Shape, func(at []int) {
			for i := range in {
				x[i] = in[i].Data[at[i]]
			}
			out[0].Data[n] = m.Expr.Eval(x)
			n++
		}, steps...)
	},
	Cost: func(a Attrs, in, out []Type) Cost {
		m := a.(MapAttrs)
		return Cost{FLOPs: float64(m.Expr.Calls() * out[0].Shape.Size()), Bytes: moved(in, out)}
	},
	Samples: mapSamples(),
})

// mapGradient is the gradient of input i: the derivative times the gradient of the result, summed over the axes along which the
// input was repeated.
func mapGradient(b Builder, m MapAttrs, in []Value, grad Value, i int) Value {
	apply, labels := Named("map"), m.In[i]
	d := m.Expr.derivative(i, In(len(in))).Simplify()
	if d.isConst() {
		return One(b, apply, MapAttrs{Expr: Const(0), In: []string{labels}, Out: labels}, in[i])
	}
	// Only the inputs that the derivative uses are kept alive for it.
	var kept []Value
	var keptLabels []string
	number := make([]*Expr, len(in)+1)
	for j := range number {
		if !d.Uses(j) {
			continue
		}
		number[j] = In(len(kept))
		if j == len(in) {
			kept, keptLabels = append(kept, grad), append(keptLabels, m.Out)
		} else {
			kept, keptLabels = append(kept, in[j]), append(keptLabels, m.In[j])
		}
	}
	d = d.Renumber(number)
	alone := d.Fn == nil // the gradient itself, no arithmetic
	if without(m.Out, labels) == "" {
		if alone && labels == m.Out {
			return grad
		}
		return One(b, apply, MapAttrs{Expr: d, In: keptLabels, Out: labels}, kept...)
	}
	terms := grad
	if !alone {
		terms = One(b, apply, MapAttrs{Expr: d, In: keptLabels, Out: m.Out}, kept...)
	}
	return One(b, Named("reduce"), ReduceAttrs{Kind: "sum", In: m.Out, Out: labels}, terms)
}

func mapSamples() []Sample {
	x, y, z := In(0), In(1), In(2)
	positive := fill(map[int]func(Type, func() float64) []float64{0: between(0.5, 2), 1: between(0.5, 2)})
	list := []Sample{
		{Name: "residual", Attrs: MapAttrs{Call(FnAdd, x, y), []string{"bsd", "bsd"}, "bsd"}, In: []Type{floats(2, 3, 5), floats(2, 3, 5)}},
		{Name: "silu(g)·u", Attrs: MapAttrs{Call(FnMul, Call(FnSilu, x), y), []string{"nf", "nf"}, "nf"},
			In: []Type{floats(7, 33), floats(7, 33)}},
		{Name: "bias", Attrs: MapAttrs{Call(FnAdd, x, y), []string{"bsd", "d"}, "bsd"}, In: []Type{floats(2, 3, 5), floats(5)}},
		{Name: "per row", Attrs: MapAttrs{Call(FnMul, x, y), []string{"nd", "n"}, "nd"}, In: []Type{floats(4, 6), floats(4)}},
		{Name: "outer", Attrs: MapAttrs{Call(FnMul, x, y), []string{"a", "b"}, "ba"}, In: []Type{floats(3), floats(5)}},
		{Name: "permuted", Attrs: MapAttrs{Call(FnSub, x, y), []string{"abc", "cab"}, "bca"}, In: []Type{floats(2, 3, 4), floats(4, 2, 3)}},
		{Name: "by a scalar", Attrs: MapAttrs{Call(FnDiv, x, y), []string{"ab", ""}, "ab"}, In: []Type{floats(2, 3), floats()}, Fill: positive},
		{Name: "scalars", Attrs: MapAttrs{Call(FnMul, Const(3), x), []string{""}, ""}, In: []Type{floats()}},
		{Name: "size 1", Attrs: MapAttrs{Call(FnAdd, x, y), []string{"ab", "b"}, "ab"}, In: []Type{floats(1, 1), floats(1)}},
		{Name: "unused input", Attrs: MapAttrs{Call(FnSquare, x), []string{"a", "ab"}, "ab"}, In: []Type{floats(2), floats(2, 3)}},
		{Name: "constant", Attrs: MapAttrs{Const(2), []string{"ab"}, "ab"}, In: []Type{floats(2, 3)}},
		{Name: "same input twice in the expression", Attrs: MapAttrs{Call(FnMul, x, Call(FnExp, Call(FnNeg, x))), []string{"a"}, "a"}, In: []Type{floats(9)}},
		{Name: "where", Attrs: MapAttrs{Call(FnWhere, z, x, Call(FnExp, y)), []string{"ab", "ab", "b"}, "ab"},
			In:   []Type{floats(3, 4), floats(3, 4), floats(4)},
			Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0, 1)}), NoGradientCheck: "a condition has no derivative"},
		{Name: "where never multiplies infinity", Attrs: MapAttrs{Call(FnExp, Call(FnWhere, y, x, Const(negativeInfinity))), []string{"ab", "ab"}, "ab"},
			In:   []Type{floats(3, 5), floats(3, 5)},
			Fill: fill(map[int]func(Type, func() float64) []float64{1: values(0, 1, 1)}), NoGradientCheck: "a condition has no derivative"},
		{Name: "pow", Attrs: MapAttrs{Call(FnPow, x, y), []string{"a", "a"}, "a"}, In: []Type{floats(6), floats(6)}, Fill: positive},
		{Name: "max and min", Attrs: MapAttrs{Call(FnMax, x, Call(FnMin, y, Const(0.3))), []string{"ab", "a"}, "ab"}, In: []Type{floats(5, 6), floats(5)}},
		{Name: "greater", Attrs: MapAttrs{Call(FnGreater, x, y), []string{"ab", "a"}, "ab"}, In: []Type{floats(5, 6), floats(5)}},
		{Name: "equal", Attrs: MapAttrs{Call(FnEqual, x, y), []string{"ab", "a"}, "ab"}, In: []Type{floats(3, 4), floats(3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(0, 2), 1: indices(0, 2)}), NoGradientCheck: "jumps"},
		{Name: "sign at 0", Attrs: MapAttrs{Call(FnSign, x), []string{"a"}, "a"}, In: []Type{floats(5)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(-2, 0, 3)}), NoGradientCheck: "jumps"},
	}
	for _, f := range []*Func{FnNeg, FnExp, FnLog, FnSqrt, FnSquare, FnAbs, FnErf, FnSigmoid, FnTanh, FnRelu, FnSilu, FnGelu} {
		s := Sample{Name: f.Name, Attrs: MapAttrs{Call(f, x), []string{"ab"}, "ab"}, In: []Type{floats(3, 35)}}
		if f == FnLog || f == FnSqrt {
			s.Fill = positive
		}
		list = append(list, s)
	}
	return list
}
