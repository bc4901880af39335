package op

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryFunctionHasADerivative(t *testing.T) {
	names := map[string]bool{}
	for _, f := range Functions() {
		if derivatives[f] == nil {
			t.Errorf("%s has no derivative", f)
		}
		if names[f.Name] {
			t.Errorf("two functions %s", f)
		}
		names[f.Name] = true
	}
	if len(derivatives) != len(Functions()) {
		t.Errorf("%d derivatives of %d functions", len(derivatives), len(Functions()))
	}
}

// expressions draws trees over three inputs; depth bounds their height.
func expressions(depth int) *rapid.Generator[*Expr] {
	return rapid.Custom(func(t *rapid.T) *Expr {
		if depth == 0 || rapid.IntRange(0, 4).Draw(t, "leaf") == 0 {
			if rapid.Bool().Draw(t, "input") {
				return In(rapid.IntRange(0, 2).Draw(t, "number"))
			}
			return Const(rapid.SampledFrom([]float64{0, 1, 2, -1, 0.5}).Draw(t, "constant"))
		}
		// functions that are finite and differentiable almost everywhere
		f := rapid.SampledFrom([]*Func{FnAdd, FnSub, FnMul, FnNeg, FnSquare, FnSigmoid, FnTanh, FnSilu, FnGelu, FnErf, FnRelu,
			FnAbs, FnMax, FnMin, FnWhere}).Draw(t, "function")
		args := make([]*Expr, f.Arity)
		for i := range args {
			args[i] = expressions(depth-1).Draw(t, "argument")
		}
		return Call(f, args...)
	})
}

func TestSimplifyKeepsTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := expressions(4).Draw(t, "e")
		in := []float64{0.3, -1.7, 2.4}
		a, b := e.Eval(in), e.Simplify().Eval(in)
		if math.Abs(a-b) > 1e-9*max(1, math.Abs(a)) {
			t.Fatalf("%v is %v, simplified to %v it is %v", e, a, e.Simplify(), b)
		}
	})
}

func TestDerivatives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := expressions(3).Draw(t, "e")
		in := []float64{0.31, -1.73, 0.57}
		const h = 1e-6
		for i := range in {
			at := in[i]
			in[i] = at + h
			up := e.Eval(in)
			in[i] = at - h
			down := e.Eval(in)
			in[i] = at
			left, right := (e.Eval(in)-down)/h, (up-e.Eval(in))/h
			scale := max(1, math.Abs(left), math.Abs(right), math.Abs(e.Eval(in)))
			if math.Abs(left-right) > 1e-3*scale {
				continue // a kink or a jump
			}
			if got := e.Derivative(i).Eval(in); math.Abs(got-(up-down)/(2*h)) > 1e-3*scale {
				t.Fatalf("d/dx%d of %v is %v = %v, by differences %v", i, e, e.Derivative(i), got, (up-down)/(2*h))
			}
		}
	})
}

func TestDerivativesAtKinks(t *testing.T) {
	x, y := In(0), In(1)
	for _, c := range []struct {
		e     *Expr
		input int
		in    []float64
		want  float64
	}{
		{Call(FnRelu, x), 0, []float64{0}, 0},
		{Call(FnAbs, x), 0, []float64{0}, 0},
		{Call(FnMax, x, y), 0, []float64{2, 2}, 1},
		{Call(FnMax, x, y), 1, []float64{2, 2}, 0},
		{Call(FnMin, x, y), 0, []float64{2, 2}, 1},
		{Call(FnMin, x, y), 1, []float64{2, 2}, 0},
		{Call(FnWhere, y, x, Const(negativeInfinity)), 0, []float64{5, 0}, 0},
		{Call(FnExp, Call(FnWhere, y, x, Const(negativeInfinity))), 0, []float64{5, 0}, 0},
		{Call(FnWhere, Call(FnGreater, x, Const(0)), Call(FnLog, x), Const(0)), 0, []float64{0}, 0},
		{Call(FnPow, x, Const(2)), 0, []float64{-3}, -6},
		{Call(FnPow, x, Const(1)), 0, []float64{0}, 1},
		{Call(FnPow, x, y), 1, []float64{0, 2}, 0},
	} {
		if got := c.e.Derivative(c.input).Eval(c.in); got != c.want {
			t.Errorf("d/dx%d of %v at %v is %v = %v, want %v", c.input, c.e, c.in, c.e.Derivative(c.input), got, c.want)
		}
	}
}

func TestFunctionsAtInfinity(t *testing.T) {
	for f, want := range map[*Func]float64{FnExp: 0, FnSigmoid: 0, FnRelu: 0, FnSilu: 0, FnGelu: 0, FnTanh: -1, FnErf: -1, FnSign: -1} {
		if got := f.Eval([]float64{negativeInfinity}); got != want {
			t.Errorf("%s(−∞) is %v, want %v", f, got, want)
		}
	}
	if got := FnSigmoid.Eval([]float64{-1000}); got != 0 {
		t.Errorf("sigmoid(−1000) is %v", got)
	}
	if got := FnGelu.Eval([]float64{1}); math.Abs(got-0.8413447460685429) > 1e-15 {
		t.Errorf("gelu(1) is %v, want the exact form 0.8413…", got)
	}
}

func TestExpressionText(t *testing.T) {
	e := Call(FnWhere, Call(FnGreater, In(0), Const(0.5)), Call(FnMul, In(1), In(10)), Const(negativeInfinity))
	if got, want := e.String(), "where(greater(x0, 0.5), mul(x1, x10), -Inf)"; got != want {
		t.Errorf("the text is %s, want %s", got, want)
	}
	if e.Inputs() != 11 || !e.Uses(1) || e.Uses(2) || e.Calls() != 3 {
		t.Errorf("%d inputs, %d calls", e.Inputs(), e.Calls())
	}
	renumbered := Call(FnAdd, In(1), In(0)).Renumber([]*Expr{Const(2), In(0)})
	if got, want := renumbered.String(), "add(x0, 2)"; got != want {
		t.Errorf("renumbered it is %s, want %s", got, want)
	}
}
