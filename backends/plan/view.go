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

// home is the place of a value inside another one: the entries from start on of an axis, or all of it when axis is negative. What lies
// there is the first of the views through which the value is seen, or, without any, the value itself.
type home struct {
	in          *Value
	axis, start int
	through     []*Value // each a view of the next, the last of the value
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
	case Matrices:
		last := len(s) - 1
		if last >= 0 && s[last] > 1 && strides[last] != 1 {
			return false
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

// settle gives v, which has a home, its place in it.
func (v *Value) settle() {
	h := v.home
	v.Buffer, v.Offset, v.Strides = h.in.Buffer, h.in.Offset, h.strides(h.in.Strides)
	if h.axis >= 0 && v.Shape.Size() > 0 {
		v.Offset += h.start * h.in.Strides[h.axis]
	}
}

// strides are those of the value in a home that has the given ones; nil if the views can't be undone.
func (h *home) strides(of []int) []int {
	for _, w := range h.through {
		if of = undo(w, of); of == nil {
			return nil
		}
	}
	return of
}

// undo gives the strides of what a view shows from the strides of the view; nil if they don't say.
func undo(w *Value, strides []int) []int {
	from := w.view.of
	switch w.view.op {
	case op.StopGradient:
		return strides
	case op.Transpose:
		out := make([]int, len(strides))
		for i, axis := range w.view.attrs.(op.TransposeAttrs).Perm {
			out[axis] = strides[i]
		}
		return out
	case op.Reshape:
		out, _ := reshaped(w.Shape, strides, from.Shape)
		return out
	}
	return nil
}
