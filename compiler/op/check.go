package op

import (
	"fmt"
	"strings"
)

// Shape rules call these helpers. All of them return errors that name the input and show its type; compiler/graph adds the place
// in the recipe.

func (t Type) String() string { return t.Dtype.String() + t.Shape.String() }

// checkInputs reports whether the inputs are as many as o names and all axes are at least 1 long.
func checkInputs(o *Op, in []Type) error {
	fewest, most := 0, 0
	for _, name := range o.Inputs {
		switch {
		case strings.HasSuffix(name, "..."):
			fewest, most = fewest+1, 1<<30
		case strings.HasSuffix(name, "?"):
			most++
		default:
			fewest, most = fewest+1, most+1
		}
	}
	if len(in) < fewest || len(in) > most {
		return fmt.Errorf("%d inputs, want (%s)", len(in), strings.Join(o.Inputs, ", "))
	}
	for i, t := range in {
		for _, n := range t.Shape {
			if n < 1 {
				return fmt.Errorf("input %d is %v: every axis must be at least 1 long", i, t)
			}
		}
	}
	return nil
}

// InferTypes is o.Infer with the checks that all operations share: the number of inputs, axes at least 1 long in inputs and outputs.
func InferTypes(o *Op, a Attrs, in []Type) ([]Type, error) {
	if err := checkInputs(o, in); err != nil {
		return nil, err
	}
	out, err := o.Infer(a, in)
	if err != nil {
		return nil, err
	}
	for i, t := range out {
		for _, n := range t.Shape {
			if n < 1 {
				return nil, fmt.Errorf("output %d would be %v: every axis must be at least 1 long", i, t)
			}
		}
	}
	return out, nil
}

// attrsAs gives the attributes as the operation's own type, by value.
func attrsAs[T any](a Attrs) (T, error) {
	t, ok := a.(T)
	if !ok {
		return t, fmt.Errorf("attributes are %T, want %T", a, t)
	}
	return t, nil
}

func noAttrs(a Attrs) error {
	if a != nil {
		return fmt.Errorf("attributes are %T, want none", a)
	}
	return nil
}

func wantRank(what string, t Type, rank int, d Dtype) error {
	if len(t.Shape) != rank || t.Dtype != d {
		return fmt.Errorf("%s is %v, want %v with %d axes", what, t, d, rank)
	}
	return nil
}

func wantType(what string, t, want Type) error {
	if t.Dtype != want.Dtype || !t.Shape.Equal(want.Shape) {
		return fmt.Errorf("%s is %v, want %v", what, t, want)
	}
	return nil
}

func wantFloat(what string, t Type) error {
	if t.Dtype != Float {
		return fmt.Errorf("%s is %v, want floats", what, t)
	}
	return nil
}

func wantAxis(what string, axis, rank int) error {
	if axis < 0 || axis >= rank {
		return fmt.Errorf("%s is %d, the input has %d axes", what, axis, rank)
	}
	return nil
}

// sizes are the axis lengths that labels stand for.
type sizes map[byte]int

// bind records the lengths of the labelled axes of a float tensor and checks them against those bound before.
func (s sizes) bind(what, labels string, t Type) error {
	if err := wantFloat(what, t); err != nil {
		return err
	}
	if len(labels) != len(t.Shape) {
		return fmt.Errorf("%s is %v, its labels %q name %d axes", what, t, labels, len(labels))
	}
	if err := checkLabels(what, labels); err != nil {
		return err
	}
	for i := range len(labels) {
		c, n := labels[i], t.Shape[i]
		if have, ok := s[c]; ok && have != n {
			return fmt.Errorf("%s is %v: axis %q is %d long here and %d before", what, t, c, n, have)
		}
		s[c] = n
	}
	return nil
}

// shape gives the shape of labels that are all bound.
func (s sizes) shape(what, labels string) (Shape, error) {
	if err := checkLabels(what, labels); err != nil {
		return nil, err
	}
	shape := make(Shape, len(labels))
	for i := range len(labels) {
		n, ok := s[labels[i]]
		if !ok {
			return nil, fmt.Errorf("%s %q has axis %q, which no input has", what, labels, labels[i])
		}
		shape[i] = n
	}
	return shape, nil
}

func checkLabels(what, labels string) error {
	for i := range len(labels) {
		c := labels[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return fmt.Errorf("%s %q: labels are letters", what, labels)
		}
		if strings.IndexByte(labels[i+1:], c) >= 0 {
			return fmt.Errorf("%s %q has axis %q twice", what, labels, c)
		}
	}
	return nil
}

func has(labels string, c byte) bool { return strings.IndexByte(labels, c) >= 0 }

// without is labels less those in drop, in order.
func without(labels, drop string) string {
	var b strings.Builder
	for i := range len(labels) {
		if !has(drop, labels[i]) {
			b.WriteByte(labels[i])
		}
	}
	return b.String()
}

// contains reports whether every label of part is in labels.
func contains(labels, part string) bool { return without(part, labels) == "" }

const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// positional labels for a tensor of that many axes, at most 52.
func positional(rank int) string { return alphabet[:rank] }
