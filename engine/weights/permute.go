package weights

// permute writes the axes of src, which has the given shape, in another order: axis i of dst is axis order[i] of src. Both are dense,
// the last axis runs fastest.
func permute(dst, src []float32, shape, order []int) {
	if len(src) == 0 {
		return
	}
	shape, order = merge(shape, order)
	last := len(order) - 1
	if last < 1 {
		copy(dst, src)
		return
	}
	from := strides(shape)
	sizes := make([]int, len(order))
	for i, o := range order {
		sizes[i] = shape[o]
	}
	to := strides(sizes)
	// Two axes are walked in tiles: the one that runs fastest in dst and the one that runs fastest in src.
	fast := 0 // the place in dst of src's last axis
	for i, o := range order {
		if o == last {
			fast = i
		}
	}
	outer := make([]int, 0, len(order))
	for i := range order {
		if i != last && i != fast {
			outer = append(outer, i)
		}
	}
	at := make([]int, len(outer))
	for {
		s, d := 0, 0
		for k, i := range outer {
			s += at[k] * from[order[i]]
			d += at[k] * to[i]
		}
		if fast == last {
			copy(dst[d:d+sizes[last]], src[s:s+sizes[last]])
		} else {
			transpose(dst[d:], src[s:], sizes[last], sizes[fast], from[order[last]], to[fast])
		}
		k := len(outer) - 1
		for ; k >= 0; k-- {
			if at[k]++; at[k] < sizes[outer[k]] {
				break
			}
			at[k] = 0
		}
		if k < 0 {
			return
		}
	}
}

// transpose writes dst[j·to + i] = src[i·from + j] for i < rows and j < columns, in tiles that fit the first cache.
func transpose(dst, src []float32, rows, columns, from, to int) {
	const tile = 32
	for i0 := 0; i0 < rows; i0 += tile {
		i1 := min(i0+tile, rows)
		for j0 := 0; j0 < columns; j0 += tile {
			j1 := min(j0+tile, columns)
			for i := i0; i < i1; i++ {
				row := src[i*from:]
				for j := j0; j < j1; j++ {
					dst[j*to+i] = row[j]
				}
			}
		}
	}
}

// merge joins axes that stay neighbours.
func merge(shape, order []int) (merged, reordered []int) {
	follows := make([]bool, len(shape)) // the axis comes right after the one before it in dst as well
	for i := 1; i < len(order); i++ {
		follows[order[i]] = order[i] == order[i-1]+1
	}
	number := make([]int, len(shape))
	for i, n := range shape {
		if follows[i] {
			merged[len(merged)-1] *= n
		} else {
			merged = append(merged, n)
		}
		number[i] = len(merged) - 1
	}
	for _, o := range order {
		if !follows[o] {
			reordered = append(reordered, number[o])
		}
	}
	return merged, reordered
}

func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// inverse is the order that undoes an order of axes.
func inverse(order []int) []int {
	back := make([]int, len(order))
	for i, o := range order {
		back[o] = i
	}
	return back
}
