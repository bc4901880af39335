package plan

import (
	"forge/compiler/op"
)

// view says which part of another value a value shows.
type view struct {
	of    *Value
	op    *op.Op
	attrs op.Attrs
	index int // which output, for Split
}

// home is the place of a value inside another one: the entries from start on of an axis, or all of it when axis is negative.
type home struct {
	in          *Value
	axis, start int
}

// rowMajor are the strides of a contiguous tensor.
func rowMajor(s op.Shape) []int {
	strides := make([]int, len(s))
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		strides[i] = n
		n *= s[i]
	}
	return strides
}

func contiguous(s op.Shape, strides []int) bool {
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == 0 {
			return true
		}
		if s[i] != 1 && strides[i] != n {
			return s.Size() == 0
		}
		n *= s[i]
	}
	return true
}

// within reports whether the strides are of the layout or narrower.
func within(s op.Shape, strides []int, l Layout) bool {
	switch l {
	case Strided:
		return true
	case Rows, Matrices:
		last := len(s) - 1
		if last >= 0 && s[last] > 1 && strides[last] != 1 {
			return false
		}
		if l == Rows || last < 0 {
			return true
		}
		next := -1 // the leading axis to the right that is longer than 1
		for i := last - 1; i >= 0; i-- {
			if s[i] == 1 {
				continue
			}
			if next >= 0 && strides[i] != strides[next]*s[next] {
				return false
			}
			next = i
		}
		return true
	}
	return contiguous(s, strides)
}

// show sets the offset and strides of a view of a value that has them; false if no strides express it.
func (v *Value) show() bool {
	w := v.view
	p := w.of
	strides := p.Strides
	offset := p.Offset
	switch w.op {
	case op.Transpose:
		perm := w.attrs.(op.TransposeAttrs).Perm
		strides = make([]int, len(perm))
		for i, from := range perm {
			strides[i] = p.Strides[from]
		}
	case op.Slice:
		a := w.attrs.(op.SliceAttrs)
		offset += a.Start * p.Strides[a.Axis]
	case op.Split:
		a := w.attrs.(op.SplitAttrs)
		for _, n := range a.Sizes[:w.index] {
			offset += n * p.Strides[a.Axis]
		}
	case op.Reshape:
		var ok bool
		if strides, ok = reshaped(p.Shape, p.Strides, v.Shape); !ok {
			return false
		}
	}
	if v.Shape.Size() == 0 {
		// An empty view may begin behind its buffer.
		offset, strides = p.Offset, rowMajor(v.Shape)
	}
	v.Buffer, v.Offset, v.Strides = p.Buffer, offset, strides
	return true
}

// reshaped gives the strides that show a strided tensor under another shape, if there are any: axes of the new shape must lie within
// runs of old axes that follow each other without gaps.
func reshaped(from op.Shape, strides []int, to op.Shape) ([]int, bool) {
	if to.Size() == 0 {
		return rowMajor(to), true
	}
	// Axes of size 1 have no say.
	var sizes, steps []int
	for i, n := range from {
		if n != 1 {
			sizes, steps = append(sizes, n), append(steps, strides[i])
		}
	}
	out := make([]int, len(to))
	i := 0 // the next old axis
	for j := 0; j < len(to); {
		if to[j] == 1 {
			out[j] = 1
			j++
			continue
		}
		// The shortest runs of old and new axes with the same size.
		oldEnd, newEnd := i+1, j+1
		oldSize, newSize := sizes[i], to[j]
		for oldSize != newSize {
			if oldSize < newSize {
				oldSize *= sizes[oldEnd]
				oldEnd++
			} else {
				newSize *= to[newEnd]
				newEnd++
			}
		}
		for k := i; k+1 < oldEnd; k++ {
			if steps[k] != steps[k+1]*sizes[k+1] {
				return nil, false
			}
		}
		step := steps[oldEnd-1]
		for k := newEnd - 1; k >= j; k-- {
			out[k] = step
			step *= to[k]
		}
		i, j = oldEnd, newEnd
	}
	return out, true
}

// part sets v to the entries from start on of an axis of w, or to all of w when axis is negative.
func (v *Value) part(w *Value, axis, start int) {
	v.Buffer, v.Offset, v.Strides = w.Buffer, w.Offset, w.Strides
	if axis >= 0 && v.Shape.Size() > 0 {
		v.Offset += start * w.Strides[axis]
	}
}
