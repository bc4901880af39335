package cpu

import (
	"fmt"

	"forge/backends/cpu/kernel"
	"forge/compiler/op"
)

const (
	// tileSize is the number of values in a register: large enough that calling a loop costs little beside running it, small
	// enough that the registers of an expression stay in the first cache.
	tileSize = 1024
	// longRow is the length from which a tile is a piece of one row, so that rows can be read where they lie. Shorter rows are
	// gathered, several a tile, unless the whole tensor is contiguous.
	longRow = 256
	// maxAxes is the number of axes that are left after merging, at most.
	maxAxes = 16
)

// access says how the tiles of an operand are found.
type access uint8

const (
	single   access = iota // one entry; no tile
	direct                 // where it lies
	gathered               // copied to a tile
	resident               // copied to a tile once: the same for all tiles
)

// operand is an input or the output of an elementwise call.
type operand struct {
	data    []float32
	strides [maxAxes]int
	access  access
}

// elementwise computes a scalar expression for every entry of a tensor. Axes along which all operands step alike are merged; what
// is left is rows (the last axis) within outer axes. A unit of work is a tile: a piece of a long row, or several short rows.
type elementwise struct {
	pool  *kernel.Pool
	code  registers
	in    []operand
	out   operand
	axes  int          // outer axes
	sizes [maxAxes]int // of the outer axes
	rows  int          // product of sizes
	width int          // of a row

	chunks  int // tiles a row; 1 with short rows
	perTile int // rows a tile; 1 with long rows
	units   int
	parts   int

	files    [][][]float32 // registers by worker
	uniforms []float32
	work     []float64
}

// elementwise makes a call that computes e; the inputs have the axes of out.
func (c *compilation) elementwise(e *op.Expr, out tensor, in []tensor) (call, error) {
	k := &elementwise{pool: c.pool}
	sizes, strides := mergeAxes(out, in)
	if len(sizes) > maxAxes {
		return nil, fmt.Errorf("%d axes along which the operands step differently, at most %d are possible", len(sizes), maxAxes)
	}
	last := len(sizes) - 1
	k.width = sizes[last]
	k.axes = last
	k.rows = 1
	for i := range last {
		k.sizes[i] = sizes[i]
		k.rows *= sizes[i]
	}
	long := k.width >= longRow
	k.chunks, k.perTile = 1, 1
	if long {
		k.chunks = (k.width + tileSize - 1) / tileSize
	} else {
		k.perTile = max(1, tileSize/max(k.width, 1))
	}
	place := func(data []float32, steps []int) operand {
		o := operand{data: data, access: gathered}
		copy(o.strides[:], steps)
		outer, all, linear := false, false, true
		size := 1
		for i := last; i >= 0; i-- {
			all = all || steps[i] != 0
			outer = outer || i < last && steps[i] != 0
			linear = linear && steps[i] == size
			size *= sizes[i]
		}
		switch {
		case !all:
			o.access = single
		case linear || long && steps[last] == 1:
			o.access = direct
		case !outer && k.chunks == 1:
			o.access = resident
		}
		return o
	}
	singles := make([]bool, len(in))
	for i, t := range in {
		o := place(t.data, strides[i+1])
		singles[i] = o.access == single
		k.in = append(k.in, o)
	}
	k.out = place(out.data, strides[0])
	if k.out.access != direct {
		k.out.access = gathered
	}
	k.code = compileScalar(e, singles)
	k.uniforms = make([]float32, len(k.code.uniforms)+1)
	k.work = make([]float64, len(k.code.uniforms)+3)
	k.units = k.chunks * ((k.rows + k.perTile - 1) / k.perTile)
	entries := float64(k.rows) * float64(k.width)
	k.parts = c.parts(k.units, entries/float64(max(k.units, 1))*(0.3+0.25*float64(len(k.code.body))))
	if s := k.small(); s != nil {
		return s, nil
	}
	k.files = make([][][]float32, c.pool.Threads())
	for w := range k.files {
		k.files[w] = make([][]float32, k.code.count)
	}
	return k, nil
}

// mergeAxes drops axes of size 1 and merges neighbours along which every operand steps as along one axis. The first strides are the
// output's. There is always at least one axis.
func mergeAxes(out tensor, in []tensor) (sizes []int, strides [][]int) {
	all := append([]tensor{out}, in...)
	strides = make([][]int, len(all))
	for axis, n := range out.shape {
		if n == 1 {
			continue
		}
		last := len(sizes) - 1
		merge := last >= 0
		for i, t := range all {
			merge = merge && strides[i][last] == t.strides[axis]*n
		}
		if merge {
			sizes[last] *= n
		} else {
			sizes = append(sizes, n)
		}
		for i, t := range all {
			if merge {
				strides[i][last] = t.strides[axis]
			} else {
				strides[i] = append(strides[i], t.strides[axis])
			}
		}
	}
	if len(sizes) == 0 {
		sizes = []int{1}
		for i := range strides {
			strides[i] = []int{1}
			if i > 0 {
				strides[i][0] = 0
			}
		}
	}
	return sizes, strides
}

func (k *elementwise) run() error {
	k.code.evaluate(k.uniforms, k.work, k.first)
	k.pool.RunTask(k.parts, k)
	return nil
}

// first is the entry of an input of one entry.
func (k *elementwise) first(i int) float32 { return k.in[i].data[0] }

// Do computes the tiles of one part.
func (k *elementwise) Do(part, worker int) {
	file := k.files[worker]
	memory := k.pool.Scratch(worker, k.code.count*tileSize)
	for r := range file {
		file[r] = memory[r*tileSize : (r+1)*tileSize]
	}
	k.execute(k.code.prologue, file)
	for i := range k.in {
		if o := &k.in[i]; o.access == resident {
			k.gather(file[i], o, 0, min(k.perTile, k.rows), 0, k.width)
		}
	}
	from, to := bounds(k.units, k.parts, part)
	for unit := from; unit < to; unit++ {
		row, at, rows, width := k.tile(unit)
		n := rows * width
		for i := range k.in {
			switch o := &k.in[i]; o.access {
			case direct:
				offset := k.offset(o, row) + at
				file[i] = o.data[offset : offset+n]
			case gathered:
				file[i] = memory[i*tileSize : i*tileSize+n]
				k.gather(file[i], o, row, rows, at, width)
			case resident:
				file[i] = memory[i*tileSize : i*tileSize+n]
			}
		}
		result := len(k.in)
		if k.out.access == direct {
			offset := k.offset(&k.out, row) + at
			file[result] = k.out.data[offset : offset+n]
		} else {
			file[result] = memory[result*tileSize : result*tileSize+n]
		}
		for r := result + 1; r < len(file); r++ {
			file[r] = memory[r*tileSize : r*tileSize+n]
		}
		k.execute(k.code.body, file)
		if k.out.access != direct {
			k.scatter(file[result], row, rows, at, width)
		}
	}
}

func (k *elementwise) execute(code []instruction, file [][]float32) {
	for i := range code {
		c := &code[i]
		c.run(file[c.dst], file[c.x], file[c.y], file[c.z], k.uniforms[c.s])
	}
}

// tile is the place of a unit: its first row, where in the row it begins, how many rows and how much of a row it has.
func (k *elementwise) tile(unit int) (row, at, rows, width int) {
	if k.chunks > 1 {
		row, at = unit/k.chunks, unit%k.chunks*tileSize
		return row, at, 1, min(tileSize, k.width-at)
	}
	row = unit * k.perTile
	return row, 0, min(k.perTile, k.rows-row), k.width
}

// offset is where a row begins.
func (k *elementwise) offset(o *operand, row int) int {
	offset := 0
	for i := k.axes - 1; i >= 0; i-- {
		n := k.sizes[i]
		offset += row % n * o.strides[i]
		row /= n
	}
	return offset
}

// gather copies pieces of rows to a tile.
func (k *elementwise) gather(dst []float32, o *operand, row, rows, at, width int) {
	step := o.strides[k.axes]
	walk := k.walk(o, row)
	for i := range rows {
		copyIn(dst[i*width:(i+1)*width], o.data[walk.offset+at*step:], step)
		walk.next(k, o)
	}
}

// scatter copies a tile to pieces of the output's rows.
func (k *elementwise) scatter(src []float32, row, rows, at, width int) {
	o := &k.out
	step := o.strides[k.axes]
	walk := k.walk(o, row)
	for i := range rows {
		copyOut(o.data[walk.offset+at*step:], src[i*width:(i+1)*width], step)
		walk.next(k, o)
	}
}

// copyIn reads values that lie step apart.
func copyIn(dst, src []float32, step int) {
	switch step {
	case 1:
		copy(dst, src)
	case 0:
		fill(dst, src[0])
	default:
		for i, at := 0, 0; i < len(dst); i, at = i+1, at+step {
			dst[i] = src[at]
		}
	}
}

// copyOut writes values that lie step apart.
func copyOut(dst, src []float32, step int) {
	if step == 1 {
		copy(dst, src)
		return
	}
	for i, at := 0, 0; i < len(src); i, at = i+1, at+step {
		dst[at] = src[i]
	}
}

// rowWalk goes from row to row.
type rowWalk struct {
	index  [maxAxes]int
	offset int
}

func (k *elementwise) walk(o *operand, row int) rowWalk {
	var w rowWalk
	for i := k.axes - 1; i >= 0; i-- {
		n := k.sizes[i]
		w.index[i] = row % n
		w.offset += w.index[i] * o.strides[i]
		row /= n
	}
	return w
}

func (w *rowWalk) next(k *elementwise, o *operand) {
	for i := k.axes - 1; i >= 0; i-- {
		w.index[i]++
		w.offset += o.strides[i]
		if w.index[i] < k.sizes[i] {
			return
		}
		w.offset -= k.sizes[i] * o.strides[i]
		w.index[i] = 0
	}
}
