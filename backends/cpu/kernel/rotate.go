package kernel

import "fmt"

// Rotation turns pairs of features by an angle that depends on the position
// (RoPE, Su et al., 2021).
type Rotation struct {
	// Cos and Sin have a row of Pairs values for each position.
	Cos, Sin []float32
	Pairs    int
	// Halves pairs feature i with i+Pairs; otherwise 2i with 2i+1.
	Halves bool
	// Inverse turns the other way, which is also the gradient.
	Inverse bool
}

// RotateDims is the number of axes of the rows that Rotate turns.
const RotateDims = 4

// RotateRows says which rows are turned: Counts[d] along axis d, by the
// strides of the destination and the source. The index on axis Position is
// the row of the rotation's tables. Axes that are not used have count 1.
type RotateRows struct {
	Counts   [RotateDims]int
	Dst, X   [RotateDims]int
	Position int
}

// rotateTask is one call of Rotate.
type rotateTask struct {
	routines *rowRoutines
	rotation Rotation
	rows     RotateRows
	dst, x   []float32
	total    int
	parts    int
}

// Rotate sets each row of 2·Pairs contiguous features of dst to the row of x,
// turned. dst may be x with the same strides.
func Rotate(p *Pool, r Rotation, rows RotateRows, dst, x []float32) {
	total, lastDst, lastX := 1, 2*r.Pairs, 2*r.Pairs
	for d, count := range rows.Counts {
		total *= count
		lastDst += (count - 1) * rows.Dst[d]
		lastX += (count - 1) * rows.X[d]
	}
	if total <= 0 || r.Pairs <= 0 {
		return
	}
	if table := rows.Counts[rows.Position] * r.Pairs; lastDst > len(dst) || lastX > len(x) || table > len(r.Cos) || table > len(r.Sin) {
		panic(fmt.Sprintf("kernel: rotation of %v rows of %d pairs: dst has %d of %d values, x %d of %d, the tables %d and %d of %d",
			rows.Counts, r.Pairs, len(dst), lastDst, len(x), lastX, len(r.Cos), len(r.Sin), table))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rotate = rotateTask{&active.Load().rows, r, rows, dst, x, total, rowParts(p, total, 2*r.Pairs)}
	p.run(p.rotate.parts, &p.rotate)
	p.rotate = rotateTask{}
}

func (t *rotateTask) Do(part, _ int) {
	pairs := t.rotation.Pairs
	sign := float32(1)
	if t.rotation.Inverse {
		sign = -1
	}
	from, to := rowRange(t.total, t.parts, part)
	for i := from; i < to; i++ {
		rest, dst, x, position := i, 0, 0, 0
		for d := RotateDims - 1; d >= 0; d-- {
			index := rest % t.rows.Counts[d]
			rest /= t.rows.Counts[d]
			dst += index * t.rows.Dst[d]
			x += index * t.rows.X[d]
			if d == t.rows.Position {
				position = index * pairs
			}
		}
		if t.rotation.Halves {
			t.routines.rotateHalves(&t.dst[dst], &t.x[x], &t.rotation.Cos[position], &t.rotation.Sin[position], sign, pairs, pairs)
		} else {
			t.routines.rotatePairs(&t.dst[dst], &t.x[x], &t.rotation.Cos[position], &t.rotation.Sin[position], sign, pairs)
		}
	}
}
