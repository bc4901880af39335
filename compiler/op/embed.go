package op

import "fmt"

// Embed looks up rows of a table. A number outside the table gives a row of zeros.
var Embed = Define(Op{
	Name:    "embed",
	Doc:     "the rows of a table at the given numbers",
	Inputs:  []string{"ids", "table"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		if in[0].Dtype != Int32 {
			return nil, fmt.Errorf("ids are %v, want int32", in[0])
		}
		if err := wantRank("table", in[1], 2, Float); err != nil {
			return nil, err
		}
		shape := append(append(Shape{}, in[0].Shape...), in[1].Shape[1])
		return []Type{{shape, Float}}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		return []Value{nil, One(b, EmbedGrad, EmbedGradAttrs{in[1].Type().Shape[0]}, in[0], grad[0])}
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		ids, table := in[0], in[1]
		d := table.Shape[1]
		for i, id := range ids.Data {
			if id >= 0 && int(id) < table.Shape[0] {
				copy(out[0].Data[i*d:(i+1)*d], table.Data[int(id)*d:])
			}
		}
	},
	Cost: func(_ Attrs, in, out []Type) Cost {
		return Cost{Bytes: 4 * float64(in[0].Shape.Size()+2*out[0].Shape.Size())}
	},
	Samples: []Sample{
		{Name: "batch", In: []Type{ints(2, 5), floats(7, 3)}, Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(0, 7)})},
		{Name: "repeated and outside", In: []Type{ints(6), floats(4, 2)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(3, 3, -1, 0, 4, 3)})},
		{Name: "one", In: []Type{ints(), floats(3, 1)}, Fill: fill(map[int]func(Type, func() float64) []float64{0: values(2)})},
	},
})

// EmbedGradAttrs give the number of rows of the table.
type EmbedGradAttrs struct{ Rows int }

// EmbedGrad adds gradients to the rows they came from.
var EmbedGrad = Define(Op{
	Name:    "embed_grad",
	Doc:     "the gradient of embed's table: rows added where they were looked up",
	Inputs:  []string{"ids", "g"},
	Outputs: []string{"dtable"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		e, err := attrsAs[EmbedGradAttrs](a)
		if err != nil {
			return nil, err
		}
		if in[0].Dtype != Int32 {
			return nil, fmt.Errorf("ids are %v, want int32", in[0])
		}
		rank := len(in[0].Shape)
		if len(in[1].Shape) != rank+1 || !in[1].Shape[:rank].Equal(in[0].Shape) || in[1].Dtype != Float {
			return nil, fmt.Errorf("g is %v, want the axes of the ids %v and one more", in[1], in[0])
		}
		return []Type{{Shape{e.Rows, in[1].Shape[rank]}, Float}}, nil
	},
	Gradient: Gradient{None: secondDerivative},
	Reference: func(_ Attrs, in, out []Tensor) {
		d := out[0].Shape[1]
		for i, id := range in[0].Data {
			if id < 0 || int(id) >= out[0].Shape[0] {
				continue
			}
			for j := range d {
				out[0].Data[int(id)*d+j] += in[1].Data[i*d+j]
			}
		}
	},
	Cost: costInput(1, 1),
	Samples: []Sample{
		{Name: "batch", Attrs: EmbedGradAttrs{7}, In: []Type{ints(2, 5), floats(2, 5, 3)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: indices(0, 7)})},
		{Name: "repeated and outside", Attrs: EmbedGradAttrs{4}, In: []Type{ints(6), floats(6, 2)},
			Fill: fill(map[int]func(Type, func() float64) []float64{0: values(3, 3, -1, 0, 4, 3)})},
	},
})
