package backendtest

import (
	"testing"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// aliasing checks single situations in which sharing memory is tempting and wrong.
func aliasing(t *testing.T, b backends.Backend) {
	square := func(g *graph.Graph, v op.Value) op.Value {
		return op.One(g.At(graph.Place{}), op.Map, op.MapAttrs{Expr: op.Call(op.FnSquare, op.In(0)), In: []string{"ab"}, Out: "ab"}, v)
	}
	dot := func(g *graph.Graph, x, y op.Value) op.Value {
		return op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: "ab", B: "bc", Out: "ac"}, x, y)
	}
	cases := map[string]func(g *graph.Graph, x op.Value, w *graph.Node){
		// A value is read as it is and transposed by the step that could overwrite it.
		"transposed operand": func(g *graph.Graph, x op.Value, w *graph.Node) {
			y := square(g, x)
			sum := op.MapAttrs{Expr: op.Call(op.FnSub, op.In(0), op.In(1)), In: []string{"ab", "ba"}, Out: "ab"}
			g.Output("y", op.One(g.At(graph.Place{}), op.Map, sum, y, y).(*graph.Node))
		},
		// The same by a view.
		"transposed view": func(g *graph.Graph, x op.Value, w *graph.Node) {
			at := g.At(graph.Place{})
			y := square(g, x)
			turned := op.One(at, op.Transpose, op.TransposeAttrs{Perm: []int{1, 0}}, y)
			sub := op.MapAttrs{Expr: op.Call(op.FnSub, op.In(0), op.In(1)), In: []string{"ab", "ab"}, Out: "ab"}
			g.Output("y", op.One(at, op.Map, sub, y, turned).(*graph.Node))
		},
		// A part of a concatenation is later the base of a sum.
		"part and base": func(g *graph.Graph, x op.Value, w *graph.Node) {
			at := g.At(graph.Place{})
			part := square(g, x)
			whole := op.One(at, op.Concat, op.ConcatAttrs{Axis: 0}, part, square(g, part))
			g.Output("sum", op.One(at, op.Add, nil, part, dot(g, x, w)).(*graph.Node))
			g.Output("whole", square(g, whole).(*graph.Node))
		},
		// The new value of a storage is a product of its old one.
		"product of the old": func(g *graph.Graph, x op.Value, w *graph.Node) {
			g.Update(w, dot(g, w, w).(*graph.Node))
		},
		// A later step reads the old value.
		"old value later": func(g *graph.Graph, x op.Value, w *graph.Node) {
			changed := square(g, w)
			g.Update(w, changed.(*graph.Node))
			g.Output("y", dot(g, changed, w).(*graph.Node))
		},
		// A product that is an output of its own is also part of a sum.
		"output within a sum": func(g *graph.Graph, x op.Value, w *graph.Node) {
			y := dot(g, x, w)
			g.Output("y", y.(*graph.Node))
			g.Output("sum", op.One(g.At(graph.Place{}), op.Add, nil, y, dot(g, w, x)).(*graph.Node))
		},
		// A sum of two products into the storage that both read.
		"sum of products of the old": func(g *graph.Graph, x op.Value, w *graph.Node) {
			g.Update(w, op.One(g.At(graph.Place{}), op.Add, nil, dot(g, x, w), dot(g, w, x)).(*graph.Node))
		},
	}
	for name, build := range cases {
		t.Run(name, func(t *testing.T) {
			grown := func(float64s bool) *grower {
				g := &grower{fed: newFed(name, float64s)}
				const n = 67 // more than a tile of any kernel
				data := func(seed int) []float64 {
					d := make([]float64, n*n)
					for i := range d {
						d[i] = float64((i*i+seed*i)%17-8) / 16
					}
					return d
				}
				x := g.input("x", floats(n, n), data(3))
				w := g.graph.Storage("w", floats(n, n))
				g.data["w"], g.types["w"] = data(5), floats(n, n)
				if err := graph.Catch(func() {
					build(g.graph, x, w)
					g.graph.Output("x", square(g.graph, x).(*graph.Node)) // x is used in every case
				}); err != nil {
					t.Fatal(err)
				}
				g.seal(t)
				return g
			}
			want := grown(true).reference(t)
			g := grown(false)
			planned := g.step(t, b, backends.Options{}, nil)
			near(t, planned, want, defaultTolerance)
			sameBits(t, "keeping all values", g.step(t, b, backends.Options{KeepAll: true}, nil), planned)
		})
	}
}
