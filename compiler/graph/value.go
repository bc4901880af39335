package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"forge/compiler/op"
)

// value makes a gorgonia value of the graph's type, in fresh memory.
func (g *Graph) value(t op.Type, data []float64) gorgonia.Value {
	if len(t.Shape) == 0 {
		switch g.dtype(t) {
		case tensor.Int32:
			return gorgonia.NewI32(int32(data[0]))
		case tensor.Float32:
			return gorgonia.NewF32(float32(data[0]))
		}
		return gorgonia.NewF64(data[0])
	}
	var backing any
	switch g.dtype(t) {
	case tensor.Int32:
		backing = convert[int32](data)
	case tensor.Float32:
		backing = convert[float32](data)
	default:
		backing = convert[float64](data)
	}
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(backing))
}

func convert[To, From int32 | float32 | float64](data []From) []To {
	c := make([]To, len(data))
	for i, v := range data {
		c[i] = To(v)
	}
	return c
}

// floats copies a gorgonia value.
func floats(v gorgonia.Value) []float64 {
	switch d := v.Data().(type) {
	case []float64:
		return append([]float64{}, d...)
	case []float32:
		return convert[float64](d)
	case []int32:
		return convert[float64](d)
	case float64:
		return []float64{d}
	case float32:
		return []float64{float64(d)}
	case int32:
		return []float64{float64(d)}
	default:
		panic(fmt.Sprintf("graph: a value of %T", d))
	}
}
