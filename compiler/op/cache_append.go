package op

import "fmt"

// CacheAppendAttrs name the axis that grows.
type CacheAppendAttrs struct{ Axis int }

// CacheAppend writes new entries into a cache of fixed size, from a position on. What would lie outside the cache is dropped.
var CacheAppend = Define(Op{
	Name:    "cache_append",
	Doc:     "the cache with new entries written from a position on",
	Inputs:  []string{"state", "new", "position"},
	Outputs: []string{"state"},
	InPlace: map[int]int{0: 0},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		c, err := attrsAs[CacheAppendAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantAxis("axis", c.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
		if len(in[1].Shape) != len(in[0].Shape) {
			return nil, fmt.Errorf("new is %v for a cache of %v", in[1], in[0])
		}
		n := in[1].Shape[c.Axis]
		if err := wantType("new", in[1], Type{resized(in[0].Shape, c.Axis, n), in[0].Dtype}); err != nil {
			return nil, err
		}
		if n > in[0].Shape[c.Axis] {
			return nil, fmt.Errorf("%d new entries for a cache of %d", n, in[0].Shape[c.Axis])
		}
		return in[:1:1], wantRank("position", in[2], 0, Int32)
	},
	Gradient: Gradient{None: "caches are for generation"},
	Reference: func(a Attrs, in, out []Tensor) {
		axis, position := a.(CacheAppendAttrs).Axis, int(in[2].Data[0])
		copy(out[0].Data, in[0].Data)
		first, last := max(0, -position), min(in[1].Shape[axis], in[0].Shape[axis]-position)
		if last > first {
			copyRun(in[1], axis, first, out[0], position+first, last-first)
		}
	},
	Cost: costInput(1, 0),
	Samples: []Sample{
		{Name: "one token", Attrs: CacheAppendAttrs{1}, In: []Type{floats(2, 6, 3), floats(2, 1, 3), ints()}, Fill: offsetFill(2, 4)},
		{Name: "a few", Attrs: CacheAppendAttrs{0}, In: []Type{floats(6, 2), floats(3, 2), ints()}, Fill: offsetFill(2, 0)},
		{Name: "all", Attrs: CacheAppendAttrs{1}, In: []Type{floats(1, 4), floats(1, 4), ints()}, Fill: offsetFill(2, 0)},
		{Name: "over the end", Attrs: CacheAppendAttrs{0}, In: []Type{floats(4), floats(3), ints()}, Fill: offsetFill(2, 2)},
	},
})
