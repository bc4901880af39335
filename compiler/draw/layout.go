package draw

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"
)

// The layout is the plain layered one (Sugiyama, Tagawa and Toda, 1981): ranks by the longest way from the top, points in the ranks
// that a long arrow crosses, order within a rank by the mean of the neighbours, places by moving towards them. Boxes within boxes are
// laid out first, from the inside.

// Sizes, in pixels.
const (
	lineHeight  = 17.0
	titleHeight = 22.0
	charWidth   = 6.6
	titleWidth  = 8.0
	padding     = 12.0
	rankGap     = 40.0 // room for the shape beside the arrow
	boxGap      = 26.0
)

// point is a place.
type point struct{ x, y float64 }

// placed is a box with its place inside its parent, and the ways of its arrows.
type placed struct {
	box        *Box
	x, y, w, h float64
	boxes      []*placed
	ways       [][]point // one for each edge, from its source to its target
}

// layout places a box and all that is in it. The box itself lies at 0, 0.
func layout(b *Box) *placed {
	p := &placed{box: b}
	head := header(b)
	if len(b.Boxes) == 0 {
		p.w, p.h = textWidth(b)+2*padding, head+padding
		if b.Role == Input || b.Role == Equation && b.Title == "" {
			p.h = max(p.h, 28)
		}
		p.w = max(p.w, 84)
		if b.Role == Equation && b.Title == "" {
			p.w = 40
		}
		return p
	}
	for _, c := range b.Boxes {
		p.boxes = append(p.boxes, layout(c))
	}
	g := newGraph(p)
	g.order()
	w, h := g.place()
	p.w = max(w, textWidth(b)) + 2*padding
	shift := point{(p.w - w) / 2, head + padding}
	for _, c := range p.boxes {
		c.x += shift.x
		c.y += shift.y
	}
	for _, way := range p.ways {
		for i := range way {
			way[i].x += shift.x
			way[i].y += shift.y
		}
	}
	p.h = head + h + 2*padding
	return p
}

// header is the height of what is written at the top of a box.
func header(b *Box) float64 {
	h := padding / 2
	if b.Title != "" {
		h += titleHeight
	}
	if b.caption() != "" {
		h += lineHeight
	}
	return h + float64(len(b.Lines))*lineHeight
}

func textWidth(b *Box) float64 {
	w := float64(utf8.RuneCountInString(b.heading())) * titleWidth
	for _, l := range append(slices.Clone(b.Lines), b.caption()) {
		w = max(w, float64(utf8.RuneCountInString(l))*charWidth)
	}
	return w
}

// vertex is a box, or a point that a long arrow passes through.
type vertex struct {
	box      *placed // nil for a point
	rank     int
	x        float64
	half     float64 // of the width that it needs
	up, down []int
}

type layered struct {
	p     *placed
	v     []*vertex
	ranks [][]int
	chain [][]int // the vertices of each edge
}

func newGraph(p *placed) *layered {
	g := &layered{p: p}
	for _, c := range p.boxes {
		half := c.w / 2
		if c.box.Shape != "" {
			half = max(half, float64(utf8.RuneCountInString(c.box.Shape))*charWidth*0.92+8)
		}
		g.v = append(g.v, &vertex{box: c, half: half})
	}
	// Edges lead from earlier boxes to later ones, so one pass finds the longest ways.
	for _, e := range p.box.Edges {
		g.v[e.To].rank = max(g.v[e.To].rank, g.v[e.From].rank+1)
	}
	for range p.box.Boxes { // until nothing changes, at most once a box
		changed := false
		for _, e := range p.box.Edges {
			if r := g.v[e.From].rank + 1; g.v[e.To].rank < r {
				g.v[e.To].rank, changed = r, true
			}
		}
		if !changed {
			break
		}
	}
	for _, e := range p.box.Edges {
		chain := []int{e.From}
		for r := g.v[e.From].rank + 1; r < g.v[e.To].rank; r++ {
			g.v = append(g.v, &vertex{rank: r, half: 4})
			chain = append(chain, len(g.v)-1)
		}
		chain = append(chain, e.To)
		for i := 0; i+1 < len(chain); i++ {
			a, b := chain[i], chain[i+1]
			g.v[a].down = append(g.v[a].down, b)
			g.v[b].up = append(g.v[b].up, a)
		}
		g.chain = append(g.chain, chain)
	}
	for i, v := range g.v {
		for len(g.ranks) <= v.rank {
			g.ranks = append(g.ranks, nil)
		}
		g.ranks[v.rank] = append(g.ranks[v.rank], i)
	}
	return g
}

// order sorts every rank by the mean position of the neighbours above, then below, a few times.
func (g *layered) order() {
	position := make([]float64, len(g.v))
	number := func(rank []int) {
		for i, v := range rank {
			position[v] = float64(i) - float64(len(rank)-1)/2
		}
	}
	for _, rank := range g.ranks {
		number(rank)
	}
	sweep := func(rank []int, near func(*vertex) []int) {
		mean := map[int]float64{}
		for _, i := range rank {
			mean[i] = position[i]
			if n := near(g.v[i]); len(n) > 0 {
				sum := 0.0
				for _, j := range n {
					sum += position[j]
				}
				mean[i] = sum / float64(len(n))
			}
		}
		slices.SortStableFunc(rank, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
		number(rank)
	}
	for range 4 {
		for _, rank := range g.ranks {
			sweep(rank, func(v *vertex) []int { return v.up })
		}
		for i := len(g.ranks) - 1; i >= 0; i-- {
			sweep(g.ranks[i], func(v *vertex) []int { return v.down })
		}
	}
}

// place gives every box its place and every edge its way, and returns the size of it all.
func (g *layered) place() (width, height float64) {
	for _, rank := range g.ranks {
		x := 0.0
		for _, i := range rank {
			v := g.v[i]
			v.x = x + v.half
			x = v.x + v.half + boxGap
		}
		for _, i := range rank {
			g.v[i].x -= (x - boxGap) / 2
		}
	}
	for round := range 24 {
		for k := range g.ranks {
			rank := g.ranks[k]
			if round%2 == 1 {
				rank = g.ranks[len(g.ranks)-1-k]
			}
			g.pull(rank)
		}
	}
	y := 0.0
	for _, rank := range g.ranks {
		tallest := 0.0
		for _, i := range rank {
			if b := g.v[i].box; b != nil {
				b.y = y
				tallest = max(tallest, b.h)
			}
		}
		y += tallest + rankGap
	}
	height = y - rankGap
	left, right := math.Inf(1), math.Inf(-1)
	for _, v := range g.v {
		left, right = min(left, v.x-v.half), max(right, v.x+v.half)
	}
	for _, v := range g.v {
		v.x -= left
		if v.box != nil {
			v.box.x = v.x - v.box.w/2
		}
	}
	g.ways()
	return right - left, height
}

// pull moves the vertices of a rank towards their neighbours, in order and without overlap.
func (g *layered) pull(rank []int) {
	want := make([]float64, len(rank))
	for k, i := range rank {
		v := g.v[i]
		want[k] = v.x
		sum, n := 0.0, 0.0
		for _, j := range append(slices.Clone(v.up), v.down...) {
			sum += g.v[j].x
			n++
		}
		if n > 0 {
			want[k] = sum / n
		}
	}
	// Blocks of vertices that touch move to the mean of what they want.
	type block struct {
		from, to int
		sum      float64 // of what the vertices want, less their offset in the block
		width    float64 // offset of the next vertex
	}
	offset := make([]float64, len(rank))
	var blocks []block
	for k := range rank {
		offset[k] = 0
		b := block{k, k + 1, want[k], 0}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			gap := g.v[rank[last.to-1]].half + boxGap + g.v[rank[b.from]].half
			if last.sum/float64(last.to-last.from)+last.width+gap <= b.sum/float64(b.to-b.from) {
				break
			}
			move := last.width + gap
			for j := b.from; j < b.to; j++ {
				offset[j] += move
			}
			b = block{last.from, b.to, last.sum + b.sum - move*float64(b.to-b.from), move + b.width}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	for _, b := range blocks {
		x := b.sum / float64(b.to-b.from)
		for j := b.from; j < b.to; j++ {
			g.v[rank[j]].x = x + offset[j]
		}
	}
}

// ways follows every edge: out of the bottom of a box, past the boxes of the ranks between, into the top of another.
func (g *layered) ways() {
	top, bottom := make([]float64, len(g.ranks)), make([]float64, len(g.ranks))
	for r, rank := range g.ranks {
		top[r] = math.Inf(1)
		for _, i := range rank {
			if b := g.v[i].box; b != nil {
				top[r], bottom[r] = min(top[r], b.y), max(bottom[r], b.y+b.h)
			}
		}
	}
	for _, chain := range g.chain {
		var way []point
		for k, i := range chain {
			v := g.v[i]
			switch {
			case k == 0:
				way = append(way, point{v.x, v.box.y + v.box.h})
			case k == len(chain)-1:
				way = append(way, point{v.x, v.box.y})
			default:
				way = append(way, point{v.x, top[v.rank]}, point{v.x, bottom[v.rank]})
			}
		}
		g.p.ways = append(g.p.ways, way)
	}
}
