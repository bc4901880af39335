package op

// References and the evaluation of scalar expressions walk tensors with these loops. They favour plain text over speed.

// strides are the distances between neighbours along each axis of a contiguous tensor.
func strides(s Shape) []int {
	d := make([]int, len(s))
	step := 1
	for i := len(s) - 1; i >= 0; i-- {
		d[i] = step
		step *= s[i]
	}
	return d
}

// along gives, for each letter of order, the stride of an operand with the given labels, 0 where it lacks the letter.
func along(order, labels string, s Shape) []int {
	d := strides(s)
	steps := make([]int, len(order))
	for i := range len(order) {
		for j := range len(labels) {
			if labels[j] == order[i] {
				steps[i] = d[j]
			}
		}
	}
	return steps
}

// walk calls body once for every index of shape in row-major order with the offset of each operand; steps holds the operands'
// strides along the axes of shape. The slice of offsets is reused.
func walk(shape Shape, body func(at []int), steps ...[]int) {
	at := make([]int, len(steps))
	index := make([]int, len(shape))
	total := shape.Size()
	for n := range total {
		body(at)
		if n == total-1 {
			return
		}
		for axis := len(shape) - 1; ; axis-- {
			index[axis]++
			for k := range steps {
				at[k] += steps[k][axis]
			}
			if index[axis] < shape[axis] {
				break
			}
			for k := range steps {
				at[k] -= steps[k][axis] * shape[axis]
			}
			index[axis] = 0
		}
	}
}

// rows calls body for every row along the axis: the offset of its first entry, the distance between entries, their number.
func rows(s Shape, axis int, body func(start, step, n int)) {
	n, step := s[axis], 1
	for _, d := range s[axis+1:] {
		step *= d
	}
	for outer := 0; outer < s.Size(); outer += n * step {
		for inner := range step {
			body(outer+inner, step, n)
		}
	}
}

func newTensor(s Shape) Tensor { return Tensor{Shape: s, Data: make([]float64, s.Size())} }
