package backendtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"forge/backends"
	"forge/compiler/graph"
	"forge/compiler/op"
)

// storedCase is a graph around a storage that lies in pieces.
type storedCase struct {
	name          string
	t             op.Type
	strides       []int
	pieces        int
	rows, columns int // of a piece
	// graph adds what is computed from the storage, for n rows of activations, and gives the inputs that it declared.
	graph func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type
}

var storedCases = []storedCase{
	{"inputs side by side", floats(96, 160), []int{1, 96}, 1, 160, 96, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		return product(g, "ab", "bc", "ac", op.Shape{n, 96}, w)
	}},
	{"outputs side by side", floats(70, 160), nil, 1, 70, 160, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		return product(g, "ab", "bc", "ac", op.Shape{n, 70}, w)
	}},
	{"storage first", floats(160, 70), nil, 1, 160, 70, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		x := g.Input("x", floats(n, 70))
		g.Output("y", op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: "cb", B: "ab", Out: "ac"}, w, x).(*graph.Node))
		return map[string]op.Type{"x": x.Type()}
	}},
	{"result turned", floats(96, 40), []int{1, 96}, 1, 40, 96, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		return product(g, "ab", "bc", "ca", op.Shape{n, 96}, w)
	}},
	{"keys and values of heads", floats(64, 3, 96), []int{1, 96 * 64, 64}, 1, 3 * 96, 64, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		b := g.At(graph.Place{})
		parts := b.Apply(op.Split, op.SplitAttrs{Axis: 2, Sizes: []int{32, 64}}, w)
		x, p := g.Input("x", floats(n, 3, 32)), g.Input("p", floats(n, 3, 64))
		g.Output("query", op.One(b, op.Dot, op.DotAttrs{A: "abd", B: "cbd", Out: "abc"}, x, parts[0]).(*graph.Node))
		g.Output("value", op.One(b, op.Dot, op.DotAttrs{A: "abc", B: "cbd", Out: "abd"}, p, parts[1]).(*graph.Node))
		return map[string]op.Type{"x": x.Type(), "p": p.Type()}
	}},
	{"two summed axes", floats(4, 32, 48), []int{32, 1, 128}, 1, 48, 128, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		return product(g, "abc", "bcd", "ad", op.Shape{n, 4, 32}, w)
	}},
	{"part of a block", floats(80, 40), []int{1, 80}, 1, 40, 80, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		b := g.At(graph.Place{})
		part := op.One(b, op.Slice, op.SliceAttrs{Axis: 0, Start: 5, Stop: 45}, w)
		return product(g, "ab", "bc", "ac", op.Shape{n, 40}, part)
	}},
	{"experts", floats(5, 64, 48), []int{48 * 64, 1, 64}, 5, 48, 64, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		b := g.At(graph.Place{})
		x, offsets := g.Input("x", floats(n+24, 64)), g.Input("offsets", ints(6))
		g.Output("y", op.One(b, op.GroupedDot, op.GroupedDotAttrs{X: "ra", W: "eab", Out: "rb"}, x, w, offsets).(*graph.Node))
		return map[string]op.Type{"x": x.Type(), "offsets": offsets.Type()}
	}},
	{"one expert", floats(3, 64, 48), []int{48 * 64, 1, 64}, 3, 48, 64, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		b := g.At(graph.Place{})
		second := op.One(b, op.Slice, op.SliceAttrs{Axis: 0, Start: 1, Stop: 2}, w)
		return product(g, "ab", "cbd", "acd", op.Shape{n, 64}, second)
	}},
	{"rows", floats(50, 40), nil, 1, 50, 40, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		ids := g.Input("ids", ints(n))
		g.Output("y", op.One(g.At(graph.Place{}), op.Embed, nil, ids, w).(*graph.Node))
		return map[string]op.Type{"ids": ids.Type()}
	}},
	{"other operations", floats(50, 3, 40), []int{40, 50 * 40, 1}, 3, 50, 40, func(g *graph.Graph, w *graph.Node, n int) map[string]op.Type {
		b := g.At(graph.Place{})
		x := g.Input("x", floats(n, 3, 40))
		part := op.One(b, op.Slice, op.SliceAttrs{Axis: 0, Start: 2, Stop: 3}, w)
		flat := op.One(b, op.Reshape, op.ReshapeAttrs{Shape: op.Shape{3, 40}}, part)
		sum := op.Call(op.FnAdd, op.In(0), op.In(1))
		g.Output("y", op.One(b, op.Map, op.MapAttrs{Expr: sum, In: []string{"abc", "bc"}, Out: "abc"}, x, flat).(*graph.Node))
		g.Output("total", op.One(b, op.Reduce, op.ReduceAttrs{Kind: "sum", In: "abc", Out: "b"}, w).(*graph.Node))
		g.Output("w", w)
		return map[string]op.Type{"x": x.Type()}
	}},
}

// product is one Dot of an input and the storage.
func product(g *graph.Graph, a, b, out string, x op.Shape, w op.Value) map[string]op.Type {
	in := g.Input("x", op.Type{Shape: x})
	g.Output("y", op.One(g.At(graph.Place{}), op.Dot, op.DotAttrs{A: a, B: b, Out: out}, in, w).(*graph.Node))
	return map[string]op.Type{"x": in.Type()}
}

// stored checks that a storage which is used as it is stored gives what the same values in float32 give.
func stored(t *testing.T, b backends.Backend) {
	for _, c := range storedCases {
		for format := backends.Float32; format <= backends.Int8; format++ {
			for _, n := range []int{3, 21} {
				t.Run(fmt.Sprintf("%s/%v/%d", c.name, format, n), func(t *testing.T) { storedAs(t, b, c, format, n) })
			}
		}
	}
	t.Run("rules", func(t *testing.T) { storedRules(t, b) })
}

func storedAs(t *testing.T, b backends.Backend, c storedCase, format backends.Format, n int) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	s := backends.Stored{Type: c.t, Strides: c.strides}
	for range c.pieces {
		s.Pieces = append(s.Pieces, randomPiece(random, format, c.rows, c.columns))
	}
	must(t, s.Check())
	wide := make([]float32, c.t.Shape.Size())
	must(t, s.Read(wide))

	g := graph.New("stored", false)
	w := g.Storage("w", c.t)
	inputs := c.graph(g, w, n)
	must(t, g.Seal())
	var programs []backends.Program
	for _, put := range []bool{true, false} {
		store := b.NewStore()
		if put {
			must(t, store.Put("w", s))
			got := make([]float32, len(wide))
			must(t, store.Read("w", got))
			same(t, "what was put", got, wide)
		} else {
			must(t, store.Create("w", c.t))
			must(t, store.Write("w", wide))
		}
		p, err := b.Compile(g, store, backends.Options{})
		must(t, err)
		defer p.Close()
		programs = append(programs, p)
	}
	for name, ty := range inputs {
		values, whole := make([]float32, ty.Shape.Size()), make([]int32, ty.Shape.Size())
		for i := range values {
			values[i], whole[i] = random.Float32()*2-1, int32(random.IntN(60)-5)
		}
		if name == "offsets" { // experts with some rows, with none, with one, with many, and rows of none
			copy(whole, []int32{0, 2, 2, 3, int32(n) + 20, int32(n) + 22})
		}
		for _, p := range programs {
			if ty.Dtype == op.Int32 {
				must(t, p.SetInts(name, whole))
			} else {
				must(t, p.SetFloats(name, values))
			}
		}
	}
	for _, p := range programs {
		must(t, p.RunAll())
	}
	if b.Name() != "reference" {
		if allocated := testing.AllocsPerRun(3, func() { must(t, programs[0].RunAll()) }); allocated > 0 {
			t.Errorf("a run allocates %v times", allocated)
		}
	}
	// Products of many rows may round both operands to bfloat16.
	tolerance := 2e-6
	if format != backends.Float32 {
		tolerance = 4e-3
	}
	for _, o := range g.Outputs() {
		got, err := programs[0].Output(o.Name)
		must(t, err)
		want, err := programs[1].Output(o.Name)
		must(t, err)
		largest := float32(0)
		for _, v := range want {
			largest = max(largest, max(v, -v))
		}
		allowed := float32(tolerance)
		if n <= 3 && c.name != "experts" {
			allowed = 2e-6
		}
		for i := range want {
			if d := got[i] - want[i]; !(max(d, -d) <= allowed*largest) {
				t.Fatalf("%s: value %d is %v and with float32 %v, the largest is %v", o.Name, i, got[i], want[i], largest)
			}
		}
	}
}

// randomPiece is a matrix of random values in a format.
func randomPiece(random *rand.Rand, format backends.Format, rows, columns int) backends.Piece {
	p := backends.Piece{Format: format, Rows: rows, Columns: columns, Values: make([]byte, rows*columns*format.Size())}
	for i := range rows * columns {
		switch bits := math.Float32bits(random.Float32()*2 - 1); format {
		case backends.Float32:
			binary.LittleEndian.PutUint32(p.Values[4*i:], bits)
		case backends.BFloat16:
			binary.LittleEndian.PutUint16(p.Values[2*i:], uint16(bits>>16))
		case backends.Float16:
			binary.LittleEndian.PutUint16(p.Values[2*i:], uint16(random.IntN(2))<<15|uint16(random.IntN(0x3c00))) // below 1
		case backends.Float8:
			p.Values[i] = byte(random.IntN(2))<<7 | byte(random.IntN(0x7f)) // 0x7f is not a number
		case backends.Int8:
			p.Values[i] = byte(random.IntN(255) - 127)
		}
	}
	blocks := func(n, size int) int { return (n + size - 1) / size }
	switch format {
	case backends.Float8:
		for range blocks(rows, backends.Float8Block) * blocks(columns, backends.Float8Block) {
			p.Scales = append(p.Scales, (random.Float32()+0.5)/256)
		}
	case backends.Int8:
		for range rows * blocks(columns, backends.Int8Block) {
			p.HalfScales = append(p.HalfScales, uint16(0x2000+random.IntN(0x400))) // 1/128 to 1/64
		}
	}
	return p
}

// storedRules: such a storage is neither written, nor made twice, nor updated; sizes that disagree are told.
func storedRules(t *testing.T, b backends.Backend) {
	piece := randomPiece(rand.New(rand.NewPCG(1, 2)), backends.BFloat16, 4, 6)
	good := backends.Stored{Type: floats(4, 6), Pieces: []backends.Piece{piece}}
	s := b.NewStore()
	must(t, s.Put("w", good))
	wants(t, s.Put("w", good), "w")
	wants(t, s.Write("w", make([]float32, 24)), "w")
	// Values that begin anywhere.
	odd := piece
	odd.Values = append([]byte{0}, piece.Values...)[1:]
	must(t, s.Put("odd", backends.Stored{Type: floats(4, 6), Pieces: []backends.Piece{odd}}))
	want, got := make([]float32, 24), make([]float32, 24)
	must(t, s.Read("w", want))
	must(t, s.Read("odd", got))
	same(t, "odd", got, want)
	for _, bad := range []backends.Stored{
		{Type: floats(4, 6)},
		{Type: floats(4, 7), Pieces: good.Pieces},
		{Type: ints(4, 6), Pieces: good.Pieces},
		{Type: floats(4, 6), Strides: []int{6}, Pieces: good.Pieces},
		{Type: floats(4, 6), Strides: []int{6, 2}, Pieces: good.Pieces},
		{Type: floats(4, 6), Strides: []int{6, -1}, Pieces: good.Pieces},
		{Type: floats(4, 6), Pieces: []backends.Piece{{Format: backends.Int8, Rows: 4, Columns: 6, Values: make([]byte, 24)}}},
		{Type: floats(4, 6), Pieces: []backends.Piece{{Format: backends.Float8, Rows: 4, Columns: 6, Values: make([]byte, 24)}}},
		{Type: floats(4, 6), Pieces: []backends.Piece{{Format: backends.Float32, Rows: 4, Columns: 6, Values: make([]byte, 95)}}},
		{Type: floats(4, 6), Pieces: []backends.Piece{{Format: 9, Rows: 4, Columns: 6}}},
		{Type: floats(2, 4, 6), Pieces: []backends.Piece{piece, randomPiece(rand.New(rand.NewPCG(1, 2)), backends.BFloat16, 4, 5)}},
	} {
		wants(t, s.Put("bad", bad), "bad")
	}
	if _, ok := s.Type("bad"); ok {
		t.Error("a storage was made of pieces that do not fit")
	}
	g := graph.New("update", false)
	w, x := g.Storage("w", floats(4, 6)), g.Input("x", floats(4, 6))
	g.Update(w, x)
	must(t, g.Seal())
	_, err := b.Compile(g, s, backends.Options{})
	wants(t, err, "w")
}
