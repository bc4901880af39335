package op

import (
	"math"
	"math/rand/v2"
)

// Inputs are the sample's input tensors, the same on every call.
func (s Sample) Inputs() []Tensor {
	source := rand.New(rand.NewPCG(1, uint64(len(s.Name))))
	in := make([]Tensor, len(s.In))
	for i, t := range s.In {
		in[i] = newTensor(t.Shape)
		var data []float64
		if s.Fill != nil {
			data = s.Fill(i, t, source.Float64)
		}
		if data == nil {
			data = normals(t, source.Float64)
		}
		copy(in[i].Data, data)
	}
	return in
}

// normals are standard normal numbers by the Box–Muller transform.
func normals(t Type, random func() float64) []float64 {
	data := make([]float64, t.Shape.Size())
	for i := range data {
		data[i] = math.Sqrt(-2*math.Log(1-random())) * math.Cos(2*math.Pi*random())
	}
	return data
}

// fill chooses the data of some inputs by number; the others are standard normal.
func fill(by map[int]func(t Type, random func() float64) []float64) func(int, Type, func() float64) []float64 {
	return func(i int, t Type, random func() float64) []float64 {
		if f := by[i]; f != nil {
			return f(t, random)
		}
		return nil
	}
}

// each fills a tensor entry by entry.
func each(f func(i int, random func() float64) float64) func(Type, func() float64) []float64 {
	return func(t Type, random func() float64) []float64 {
		data := make([]float64, t.Shape.Size())
		for i := range data {
			data[i] = f(i, random)
		}
		return data
	}
}

// values fills a tensor with a list, repeated.
func values(v ...float64) func(Type, func() float64) []float64 {
	return each(func(i int, _ func() float64) float64 { return v[i%len(v)] })
}

// indices fills a tensor with whole numbers in [low, high).
func indices(low, high int) func(Type, func() float64) []float64 {
	return each(func(_ int, random func() float64) float64 {
		return float64(low + int(random()*float64(high-low)))
	})
}

// between fills a tensor with uniform numbers in [low, high).
func between(low, high float64) func(Type, func() float64) []float64 {
	return each(func(_ int, random func() float64) float64 { return low + random()*(high-low) })
}

func floats(shape ...int) Type { return Type{Shape: shape, Dtype: Float} }
func ints(shape ...int) Type   { return Type{Shape: shape, Dtype: Int32} }
