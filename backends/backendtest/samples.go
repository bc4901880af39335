package backendtest

import (
	"forge/compiler/op"
)

// more gives samples beyond an operation's own: large enough that a backend shares the work among threads or blocks, with sizes
// that no tile divides.
func more(o *op.Op) []op.Sample {
	mul := op.Call(op.FnMul, op.Call(op.FnSilu, op.In(0)), op.In(1))
	switch o {
	case op.Map:
		add := op.Call(op.FnAdd, op.In(0), op.In(1))
		return []op.Sample{
			{Name: "long rows", Attrs: op.MapAttrs{Expr: mul, In: []string{"nd", "nd"}, Out: "nd"}, In: []op.Type{floats(37, 1501), floats(37, 1501)}},
			{Name: "a row for all", Attrs: op.MapAttrs{Expr: mul, In: []string{"nd", "d"}, Out: "nd"}, In: []op.Type{floats(211, 131), floats(131)}},
			{Name: "a column for all", Attrs: op.MapAttrs{Expr: mul, In: []string{"nd", "n"}, Out: "nd"}, In: []op.Type{floats(130, 517), floats(130)}},
			{Name: "heads", Attrs: op.MapAttrs{Expr: add, In: []string{"bhsd", "bshd"}, Out: "bshd"}, In: []op.Type{floats(3, 5, 17, 33), floats(3, 17, 5, 33)}},
			{Name: "narrow", Attrs: op.MapAttrs{Expr: add, In: []string{"nd", "dn"}, Out: "nd"}, In: []op.Type{floats(5003, 3), floats(3, 5003)}},
			{Name: "one long axis", Attrs: op.MapAttrs{Expr: add, In: []string{"n", "n"}, Out: "n"}, In: []op.Type{floats(50001), floats(50001)}},
		}
	case op.Add:
		return []op.Sample{{Name: "large", In: []op.Type{floats(67, 1001), floats(67, 1001), floats(67, 1001)}}}
	case op.Dot:
		return []op.Sample{
			{Name: "large", Attrs: op.DotAttrs{A: "nd", B: "df", Out: "nf"}, In: []op.Type{floats(131, 401), floats(401, 77)}, Tolerance: 1e-4},
			{Name: "weights' gradient", Attrs: op.DotAttrs{A: "bsd", B: "bsf", Out: "df"}, In: []op.Type{floats(3, 67, 33), floats(3, 67, 65)}, Tolerance: 1e-4},
			{Name: "scores", Attrs: op.DotAttrs{A: "bshe", B: "bkhe", Out: "bhsk"}, In: []op.Type{floats(2, 33, 3, 16), floats(2, 35, 3, 16)}, Tolerance: 1e-4},
			{Name: "one row", Attrs: op.DotAttrs{A: "nd", B: "fd", Out: "nf"}, In: []op.Type{floats(1, 301), floats(203, 301)}, Tolerance: 1e-4},
			{Name: "rows with rows", Attrs: op.DotAttrs{A: "nd", B: "nd", Out: "n"}, In: []op.Type{floats(205, 67), floats(205, 67)}, Tolerance: 1e-4},
			{Name: "six axes", Attrs: op.DotAttrs{A: "abcxyk", B: "cbakz", Out: "zxaybc"}, In: []op.Type{floats(2, 3, 2, 3, 2, 5), floats(2, 3, 2, 5, 3)}, Tolerance: 1e-4},
		}
	case op.Reduce:
		return []op.Sample{
			{Name: "large rows", Attrs: op.ReduceAttrs{Kind: "sum", In: "nd", Out: "n"}, In: []op.Type{floats(201, 515)}, Tolerance: 1e-5},
			{Name: "large columns", Attrs: op.ReduceAttrs{Kind: "mean", In: "nd", Out: "d"}, In: []op.Type{floats(1511, 131)}},
			{Name: "all of many", Attrs: op.ReduceAttrs{Kind: "sum", In: "n", Out: ""}, In: []op.Type{floats(150001)}},
			{Name: "largest of many", Attrs: op.ReduceAttrs{Kind: "max", In: "nd", Out: ""}, In: []op.Type{floats(301, 307)}},
			{Name: "middle", Attrs: op.ReduceAttrs{Kind: "sum", In: "bsd", Out: "bd"}, In: []op.Type{floats(5, 301, 70)}},
			{Name: "outer and inner", Attrs: op.ReduceAttrs{Kind: "min", In: "bsd", Out: "s"}, In: []op.Type{floats(31, 33, 35)}},
		}
	case op.Softmax:
		return []op.Sample{
			{Name: "large", Attrs: op.SoftmaxAttrs{Axis: 1}, In: []op.Type{floats(301, 129)}},
			{Name: "large, first axis", Attrs: op.SoftmaxAttrs{Axis: 0}, In: []op.Type{floats(67, 301)}},
		}
	case op.RMSNorm:
		return []op.Sample{{Name: "large", Attrs: op.RMSNormAttrs{Eps: 1e-6}, In: []op.Type{floats(7, 61, 129), floats(129)}}}
	case op.RMSNormGrad:
		return []op.Sample{{Name: "large", Attrs: op.RMSNormAttrs{Eps: 1e-6}, In: []op.Type{floats(7, 61, 129), floats(129), floats(7, 61, 129)}, Tolerance: 1e-4}}
	case op.SumSquares:
		return []op.Sample{{Name: "large", In: []op.Type{floats(301, 307), floats(5), floats(70001)}}}
	case op.AdamW:
		p, s := floats(203, 301), floats()
		return []op.Sample{{Name: "large", Attrs: op.AdamWAttrs{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, LRScale: 1}, In: []op.Type{p, p, p, p, s, s, s, s},
			Fill: func(i int, t op.Type, random func() float64) []float64 {
				data := make([]float64, t.Shape.Size())
				for k := range data {
					data[k] = 0.1 + random()
				}
				return data
			}}}
	}
	return nil
}
