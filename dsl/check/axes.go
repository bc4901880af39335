package check

import (
	"slices"
	"strconv"
	"strings"
)

// The axes that exist only at run time; they are the same everywhere. Key stands for the positions so far, which `cache` gives.
var (
	Batch   = &Axis{Name: "batch"}
	SeqAxis = &Axis{Name: "seq"}
	Key     = &Axis{Name: "key"}
)

// runtimeAxis gives batch, seq or key by name, else nil.
func runtimeAxis(name string) *Axis {
	switch name {
	case "batch":
		return Batch
	case "seq":
		return SeqAxis
	case "key":
		return Key
	}
	return nil
}

// Runtime reports whether the axis has a length only at run time: batch, seq, key.
func (a *Axis) Runtime() bool { return a == Batch || a == SeqAxis || a == Key }

// String is `d=128`, or the name alone for an axis without a size.
func (a *Axis) String() string {
	if a.Size == 0 {
		return a.Name
	}
	return a.Name + "=" + strconv.Itoa(a.Size)
}

// axesText prints axes as errors do: [batch, seq, d=128].
func axesText(axes []*Axis) string {
	names := make([]string, len(axes))
	for i, a := range axes {
		names[i] = a.String()
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func hasAxis(axes []*Axis, a *Axis) bool { return slices.Contains(axes, a) }

// without gives axes less those in drop, in order.
func without(axes []*Axis, drop ...*Axis) []*Axis {
	var left []*Axis
	for _, a := range axes {
		if !hasAxis(drop, a) {
			left = append(left, a)
		}
	}
	return left
}

// union gives x's axes, then those only y has.
func union(x, y []*Axis) []*Axis { return append(slices.Clone(x), without(y, x...)...) }

// contains reports whether every axis of y is in x.
func contains(x, y []*Axis) bool { return len(without(y, x...)) == 0 }

// sameAxes reports whether x and y are the same up to order. No tensor has an axis twice.
func sameAxes(x, y []*Axis) bool { return len(x) == len(y) && contains(x, y) }

// replaceAxes puts new at the place of the first of old and drops the others.
func replaceAxes(axes, old, new []*Axis) []*Axis {
	var result []*Axis
	placed := false
	for _, a := range axes {
		if !hasAxis(old, a) {
			result = append(result, a)
			continue
		}
		if !placed {
			result = append(result, new...)
			placed = true
		}
	}
	return result
}

// twice gives an axis that occurs more than once, or nil.
func twice(axes []*Axis) *Axis {
	for i, a := range axes {
		if hasAxis(axes[:i], a) {
			return a
		}
	}
	return nil
}
