package cpu

import (
	"math"
	"slices"
	"strings"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

var _ = define(op.Reduce, plan.Kernel{In: plan.Strided, Out: plan.Strided}, buildReduce)

// reduction reduces some axes of a tensor. Axes in the result are kept axes, the others reduced axes, merged where the strides allow.
// There are three ways through the input:
//
//  1. along: the entries that lie side by side are reduced. Each result is the reduction of contiguous pieces.
//  2. across: the entries that lie side by side belong to neighbouring results. Pieces are combined entry by entry.
//  3. entries: neither; one entry at a time.
//
// Where there are few results, the longest reduced axis is cut into slices and the slices are combined at the end.
type reduction struct {
	pool    *kernel.Pool
	kind    string
	x, y    []float32
	kept    []reduceAxis
	reduced []reduceAxis
	way     reduceWay
	piece   int // entries side by side
	results int // results, or pieces of results when across
	slices  int
	parts   int
	partial []float32 // of all slices but the first
	factor  float32   // of a mean
}

type reduceWay uint8

const (
	entries reduceWay = iota
	along
	across
)

// reduceAxis is an axis with its strides in the input and in the result (0 if reduced).
type reduceAxis struct{ size, x, y int }

func buildReduce(c *compilation, s *plan.Step) (call, error) {
	attrs := s.Attrs.(op.ReduceAttrs)
	x, y := c.tensor(s.In[0]), c.tensor(s.Out[0])
	k := &reduction{pool: c.pool, kind: attrs.Kind, x: x.data, y: y.data, factor: 1, slices: 1}
	count := 1
	for i := range len(attrs.In) {
		if x.shape[i] == 1 {
			continue
		}
		axis := reduceAxis{size: x.shape[i], x: x.strides[i]}
		if o := strings.IndexByte(attrs.Out, attrs.In[i]); o >= 0 {
			axis.y = y.strides[o]
			k.kept = append(k.kept, axis)
		} else {
			k.reduced = append(k.reduced, axis)
			count *= axis.size
		}
	}
	if attrs.Kind == "mean" {
		k.factor = float32(1 / float64(count))
	}
	if len(k.reduced) == 0 {
		return c.elementwise(op.In(0), y, []tensor{x.along(attrs.In, attrs.Out, y.shape)})
	}
	k.kept, k.reduced = mergeReduceAxes(k.kept), mergeReduceAxes(k.reduced)
	lastReduced := k.reduced[len(k.reduced)-1]
	k.results = s.Out[0].Shape.Size()
	switch {
	case lastReduced.x == 1:
		k.way, k.piece = along, lastReduced.size
		k.reduced = k.reduced[:len(k.reduced)-1]
	case len(k.kept) > 0 && k.kept[len(k.kept)-1].x == 1 && k.kept[len(k.kept)-1].y == 1:
		k.way = across
		k.piece = k.kept[len(k.kept)-1].size
		k.results /= k.piece
		k.kept = k.kept[:len(k.kept)-1]
	}
	k.cut(c, count*s.Out[0].Shape.Size())
	return k, nil
}

func mergeReduceAxes(axes []reduceAxis) []reduceAxis {
	slices.SortStableFunc(axes, func(a, b reduceAxis) int { return b.x - a.x })
	var merged []reduceAxis
	for _, a := range axes {
		if n := len(merged); n > 0 {
			if l := &merged[n-1]; l.x == a.x*a.size && l.y == a.y*a.size {
				*l = reduceAxis{l.size * a.size, a.x, a.y}
				continue
			}
		}
		merged = append(merged, a)
	}
	return merged
}

// cut decides how the work is shared.
func (k *reduction) cut(c *compilation, total int) {
	const nanosecond = 0.15 // an entry
	threads := c.pool.Cuts()
	if threads > 1 && k.results < 2*threads && float64(total)*nanosecond > smallWork {
		// Too few results to share: share what each is made of.
		if k.way == along && len(k.reduced) == 0 {
			// One long piece becomes equal pieces and a rest.
			k.reduced = []reduceAxis{{size: 1}}
		}
		longest := 0
		for i, a := range k.reduced {
			if a.size > k.reduced[longest].size {
				longest = i
			}
		}
		k.reduced[0], k.reduced[longest] = k.reduced[longest], k.reduced[0]
		k.slices = min(4*threads, max(k.reduced[0].size, 1))
		if k.reduced[0].size == 1 {
			k.slices = min(4*threads, max(k.piece/1024, 1))
		}
	}
	if k.slices > 1 {
		k.parts = k.results * k.slices
		n := k.results
		if k.way == across {
			n *= k.piece
		}
		k.partial = make([]float32, n*k.slices)
		return
	}
	k.parts = c.parts(k.results, float64(total)/float64(k.results)*nanosecond+5)
}

func (k *reduction) run() error {
	k.pool.RunTask(k.parts, k)
	if k.slices > 1 {
		k.combine()
	}
	return nil
}

// Do reduces one slice of one result, or several whole results.
func (k *reduction) Do(part, _ int) {
	if k.slices > 1 {
		result, slice := part/k.slices, part%k.slices
		x, _ := k.place(result)
		if k.way == across {
			k.acrossPieces(k.partial[part*k.piece:(part+1)*k.piece], x, slice)
		} else {
			k.partial[part] = float32(k.one(x, slice))
		}
		return
	}
	from, to := bounds(k.results, k.parts, part)
	for i := from; i < to; i++ {
		x, y := k.place(i)
		if k.way == across {
			dst := k.y[y : y+k.piece]
			k.acrossPieces(dst, x, 0)
			if k.factor != 1 {
				kernel.Scale(dst, dst, k.factor)
			}
		} else {
			k.y[y] = float32(k.one(x, 0) * float64(k.factor))
		}
	}
}

// place gives the offsets of a result in the input and in the output.
func (k *reduction) place(i int) (x, y int) {
	for j := len(k.kept) - 1; j >= 0; j-- {
		a := &k.kept[j]
		at := i % a.size
		i /= a.size
		x, y = x+at*a.x, y+at*a.y
	}
	return x, y
}

// combine reduces the slices.
func (k *reduction) combine() {
	for i := range k.results {
		_, y := k.place(i)
		if k.way == across {
			dst := k.y[y : y+k.piece]
			first := i * k.slices * k.piece
			copy(dst, k.partial[first:])
			for s := 1; s < k.slices; s++ {
				k.combinePiece(dst, k.partial[first+s*k.piece:first+(s+1)*k.piece])
			}
			if k.factor != 1 {
				kernel.Scale(dst, dst, k.factor)
			}
			continue
		}
		total := k.start()
		for _, v := range k.partial[i*k.slices : (i+1)*k.slices] {
			total = k.join(total, float64(v))
		}
		k.y[y] = float32(total * float64(k.factor))
	}
}

// start is the reduction of nothing.
func (k *reduction) start() float64 {
	switch k.kind {
	case "max":
		return math.Inf(-1)
	case "min":
		return math.Inf(1)
	}
	return 0
}

func (k *reduction) join(a, b float64) float64 {
	switch k.kind {
	case "max":
		return math.Max(a, b)
	case "min":
		return math.Min(a, b)
	}
	return a + b
}

// combinePiece reduces entry by entry.
func (k *reduction) combinePiece(dst, x []float32) {
	switch k.kind {
	case "max":
		kernel.Max(dst, dst, x)
	case "min":
		kernel.Min(dst, dst, x)
	default:
		kernel.Add(dst, dst, x)
	}
}

// acrossPieces combines the pieces of one result, or of one slice of it.
func (k *reduction) acrossPieces(dst []float32, x, slice int) {
	first := k.reduced[0]
	from, to := bounds(first.size, k.slices, slice)
	fill(dst, float32(k.start()))
	if n := to - from; k.kind != "max" && k.kind != "min" && n*k.reducedRest() > 256 {
		k.acrossBlocks(dst, x, from, to)
		return
	}
	for i := from; i < to; i++ {
		k.acrossRest(dst, k.reduced[1:], x+i*first.x)
	}
}

func (k *reduction) reducedRest() int {
	n := 1
	for _, a := range k.reduced[1:] {
		n *= a.size
	}
	return n
}

// acrossBlocks sums many pieces in blocks, so that the rounding error grows with the root of their number only. Columns are taken in
// strips that fit a buffer on the stack.
func (k *reduction) acrossBlocks(dst []float32, x, from, to int) {
	const strip, block = 256, 64
	var buffer [strip]float32
	for c := 0; c < len(dst); c += strip {
		n := min(strip, len(dst)-c)
		sum := buffer[:n]
		pending := 0
		clear(sum)
		for i := from; i < to; i++ {
			k.acrossRest(sum, k.reduced[1:], x+c+i*k.reduced[0].x)
			if pending++; pending == block {
				kernel.Add(dst[c:c+n], dst[c:c+n], sum)
				clear(sum)
				pending = 0
			}
		}
		kernel.Add(dst[c:c+n], dst[c:c+n], sum)
	}
}

func (k *reduction) acrossRest(dst []float32, axes []reduceAxis, x int) {
	if len(axes) == 0 {
		k.combinePiece(dst, k.x[x:x+len(dst)])
		return
	}
	for i := range axes[0].size {
		k.acrossRest(dst, axes[1:], x+i*axes[0].x)
	}
}

// one reduces the entries of one result, or of one slice of it.
func (k *reduction) one(x, slice int) float64 {
	if k.slices > 1 && k.reduced[0].size == 1 {
		from, to := bounds(k.piece, k.slices, slice)
		return k.pieceOf(x+from, to-from)
	}
	if len(k.reduced) == 0 {
		return k.pieceOf(x, k.piece)
	}
	first := k.reduced[0]
	from, to := bounds(first.size, k.slices, slice)
	total := k.start()
	for i := from; i < to; i++ {
		total = k.join(total, k.oneRest(k.reduced[1:], x+i*first.x))
	}
	return total
}

func (k *reduction) oneRest(axes []reduceAxis, x int) float64 {
	if len(axes) == 0 {
		if k.way == along {
			return k.pieceOf(x, k.piece)
		}
		return float64(k.x[x])
	}
	total := k.start()
	for i := range axes[0].size {
		total = k.join(total, k.oneRest(axes[1:], x+i*axes[0].x))
	}
	return total
}

// pieceOf reduces contiguous entries.
func (k *reduction) pieceOf(x, n int) float64 {
	piece := k.x[x : x+n]
	switch k.kind {
	case "max":
		return float64(kernel.MaxReduce(piece))
	case "min":
		total := float32(math.Inf(1))
		for _, v := range piece {
			total = min(total, v)
		}
		return float64(total)
	}
	return float64(kernel.Sum(piece))
}
