package kernel

// Weights whose outputs are contiguous, as those of a recipe's `x · w` are, are
// read in blocks of inputs that stay in the first cache while the strips of
// outputs and the rows take their turns, and while the next block is on its way
// from memory. So memory is read in the order in which it lies, however narrow
// the strips are that the sums of several rows leave room for.

const (
	stripBlock   = 8 << 10 // bytes of a block of weights
	stripInputs  = 64      // inputs of a block, at most
	stripOutputs = 1024    // outputs of a block, at most
)

// strips adds outputs [from, to) of a Float32 or BFloat16 weight by input; next
// as for compute.
func (t *weightTask) strips(q *WeightProduct, from, to int, next uintptr) {
	w := &q.W
	list := t.routines.weight.strip[w.Format]
	whole := from
	if len(list) > 0 {
		grain := list[len(list)-1].cols
		whole += (to - from) / grain * grain
	}
	row := w.Stride * w.Format.bytes()
	for o := from; o < whole; o += stripOutputs {
		n := min(stripOutputs, whole-o)
		inputs := min(stripInputs, max(8, stripBlock/(n*w.Format.bytes())))
		for i := 0; i < w.Inputs; i += inputs {
			count := min(inputs, w.Inputs-i)
			ahead := inputs * row
			if i+inputs >= w.Inputs {
				// The next outputs, or the next product, which lies alike if it
				// is another expert's; requests may go anywhere.
				ahead = 0
				if o+n < whole {
					ahead = (n - i*w.Stride) * w.Format.bytes()
				} else if next != 0 {
					ahead = int(next - address(w.address(i*w.Stride+o)))
				}
			}
			for r := 0; r < q.X.Rows; {
				rows := 0
				for j := 0; j < n; {
					s := weightStripFor(list, q.X.Rows-r, n-j)
					s.run(count, &q.X.Data[r*q.X.RowStride+i], 4*q.X.RowStride, w.address(i*w.Stride+o+j), row,
						&q.Y.Data[r*q.Y.RowStride+o+j], 4*q.Y.RowStride, ahead)
					j, rows = j+s.cols, s.rows
				}
				r, ahead = r+rows, 0
			}
		}
	}
	if whole < to {
		t.plainStrips(q, whole, to)
	}
}

// plainStrips adds the products of outputs [from, to) one by one.
func (t *weightTask) plainStrips(q *WeightProduct, from, to int) {
	w := &q.W
	for i := range w.Inputs {
		first, end := i*w.Stride+from, i*w.Stride+to
		for r := range q.X.Rows {
			x, y := q.X.Data[r*q.X.RowStride+i], q.Y.Data[r*q.Y.RowStride+from:]
			if w.Format == BFloat16 {
				for j, v := range w.BFloat16s[first:end] {
					y[j] += x * FromBFloat16(v)
				}
				continue
			}
			for j, v := range w.Float32s[first:end] {
				y[j] += x * v
			}
		}
	}
}

// weightStripFor is the first routine that fits into rows × outputs.
func weightStripFor(list []weightStripRoutine, rows, outputs int) *weightStripRoutine {
	for i := range list {
		if s := &list[i]; s.rows <= rows && s.cols <= outputs {
			return s
		}
	}
	return &list[len(list)-1]
}
