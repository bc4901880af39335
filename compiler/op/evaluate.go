package op

import "fmt"

// Evaluate computes an operation by its reference, or, if it has none, by the references of its decomposition. types are those of
// the inputs. It returns an error for inputs that the shape rule refuses.
func Evaluate(o *Op, a Attrs, types []Type, in []Tensor) ([]Tensor, error) {
	out, err := InferTypes(o, a, types)
	if err != nil {
		return nil, err
	}
	result := make([]Tensor, len(out))
	if o.Reference == nil {
		values := make([]Value, len(in))
		for i := range in {
			values[i] = &evaluated{types[i], in[i]}
		}
		for i, v := range o.Decompose(evaluator{}, a, values) {
			result[i] = v.(*evaluated).tensor
		}
		return result, nil
	}
	for i, t := range out {
		result[i] = newTensor(t.Shape)
	}
	o.Reference(a, in, result)
	return result, nil
}

// evaluator is a Builder whose values are computed at once.
type evaluator struct{}

type evaluated struct {
	t      Type
	tensor Tensor
}

func (e *evaluated) Type() Type { return e.t }

func (evaluator) Apply(o *Op, a Attrs, in ...Value) []Value {
	types, tensors := make([]Type, len(in)), make([]Tensor, len(in))
	for i, v := range in {
		types[i], tensors[i] = v.Type(), v.(*evaluated).tensor
	}
	result, err := Evaluate(o, a, types, tensors)
	if err != nil {
		panic(fmt.Sprintf("op: %s(%s): %v", o.Name, AttrText(a), err))
	}
	out, _ := InferTypes(o, a, types)
	values := make([]Value, len(result))
	for i := range result {
		values[i] = &evaluated{out[i], result[i]}
	}
	return values
}

// Differentiable reports for each input whether a gradient flows to it: it is Float, not in Except, and the operation has a
// gradient.
func Differentiable(o *Op, in []Type) []bool {
	flows := make([]bool, len(in))
	for i, t := range in {
		flows[i] = t.Dtype == Float && o.Gradient.None == ""
	}
	for _, i := range o.Gradient.Except {
		if i < len(flows) {
			flows[i] = false
		}
	}
	return flows
}

// Backward builds the gradient of each input, by the operation's rule or through its decomposition; nil where none flows.
// out are the operation's outputs and grad their gradients, nil where nothing depends on the output.
func Backward(b Builder, o *Op, a Attrs, in, out, grad []Value) []Value {
	if o.Gradient.Rule != nil {
		return o.Gradient.Rule(b, a, in, out, grad)
	}
	t := &tape{Builder: b}
	return t.backward(in, o.Decompose(t, a, in), grad)
}

// tape records what is applied through it, to walk back over it.
type tape struct {
	Builder
	applied []application
}

type application struct {
	op      *Op
	attrs   Attrs
	in, out []Value
}

func (t *tape) Apply(o *Op, a Attrs, in ...Value) []Value {
	out := t.Builder.Apply(o, a, in...)
	t.applied = append(t.applied, application{o, a, in, out})
	return out
}

func (t *tape) backward(wrt, out, grad []Value) []Value {
	terms := map[Value][]Value{}
	total := func(v Value) Value {
		switch list := terms[v]; len(list) {
		case 0:
			return nil
		case 1:
			return list[0]
		default:
			return One(t.Builder, Add, nil, list...)
		}
	}
	for i, v := range out {
		if grad[i] != nil {
			terms[v] = append(terms[v], grad[i])
		}
	}
	for n := len(t.applied) - 1; n >= 0; n-- {
		x := t.applied[n]
		g, any := make([]Value, len(x.out)), false
		for i, v := range x.out {
			g[i] = total(v)
			any = any || g[i] != nil
		}
		types := make([]Type, len(x.in))
		for i, v := range x.in {
			types[i] = v.Type()
		}
		flows := Differentiable(x.op, types)
		if !any || !containsTrue(flows) {
			continue
		}
		for i, d := range Backward(t.Builder, x.op, x.attrs, x.in, x.out, g) {
			if d != nil && flows[i] {
				terms[x.in[i]] = append(terms[x.in[i]], d)
			}
		}
	}
	result := make([]Value, len(wrt))
	for i, v := range wrt {
		result[i] = total(v)
	}
	return result
}

func containsTrue(list []bool) bool {
	for _, b := range list {
		if b {
			return true
		}
	}
	return false
}
