package plan

import (
	"fmt"
	"sort"

	"forge/compiler/op"
)

// join puts its inputs side by side along an axis and zeros where there are none. Concat and Pad become joins, and so do sums of Pads
// of disjoint ranges, which is what the gradients of slices are. No kernel runs for a join: its inputs are written into place by the
// steps that make them, or copied.
var join = &op.Op{Name: "join", Doc: "The inputs side by side, zeros in the gaps.", Inputs: []string{"x..."}, Outputs: []string{"y"}}

// joinAttrs say where along the axis each input begins, in ascending order.
type joinAttrs struct {
	Axis   int
	Starts []int
}

func concatJoin(a op.ConcatAttrs, in []*Value) joinAttrs {
	j := joinAttrs{Axis: a.Axis}
	at := 0
	for _, v := range in {
		j.Starts = append(j.Starts, at)
		at += v.Shape[a.Axis]
	}
	return j
}

// joinPads makes one join of the Pads of disjoint ranges that an Add adds.
func (l *lowering) joinPads() {
	users := l.users()
	dropped := map[*Step]bool{}
	var steps []*Step
	for _, s := range l.steps {
		if s.Op == op.Add {
			if pads := disjointPads(s, users); len(pads) >= 2 {
				s = l.joinSum(s, pads, dropped, &steps)
			}
		}
		steps = append(steps, s)
	}
	l.steps = without(steps, dropped)
}

func without(steps []*Step, dropped map[*Step]bool) []*Step {
	kept := steps[:0]
	for _, s := range steps {
		if !dropped[s] {
			kept = append(kept, s)
		}
	}
	return kept
}

// disjointPads gives those inputs of an Add that are Pads along one axis which nothing else reads and whose ranges are disjoint, in
// the order of their ranges; none if they overlap.
func disjointPads(add *Step, users map[*Value][]*Step) []*Value {
	var pads []*Value
	axis := -1
	for _, v := range add.In {
		if v.step == nil || v.kept || v.step.Op != join || len(v.step.In) != 1 || len(users[v]) != 1 {
			continue
		}
		if a := v.step.Attrs.(joinAttrs).Axis; axis < 0 || a == axis {
			axis = a
			pads = append(pads, v)
		}
	}
	sort.SliceStable(pads, func(i, j int) bool { return padStart(pads[i]) < padStart(pads[j]) })
	for i := 1; i < len(pads); i++ {
		before := pads[i-1]
		if padStart(before)+before.step.In[0].Shape[axis] > padStart(pads[i]) {
			return nil
		}
	}
	return pads
}

func padStart(v *Value) int { return v.step.Attrs.(joinAttrs).Starts[0] }

// joinSum replaces the Pads among an Add's inputs by one join. It gives the step that makes the sum; the join goes before it if there
// is something left to add.
func (l *lowering) joinSum(add *Step, pads []*Value, dropped map[*Step]bool, steps *[]*Step) *Step {
	j := &Step{Op: join, Node: add.Node, kernel: Kernel{In: Strided, Out: Strided}}
	a := joinAttrs{Axis: pads[0].step.Attrs.(joinAttrs).Axis}
	joined := map[*Value]bool{}
	for _, v := range pads {
		a.Starts = append(a.Starts, padStart(v))
		j.In = append(j.In, v.step.In[0])
		dropped[v.step] = true
		joined[v] = true
	}
	j.Attrs = a
	var rest []*Value
	for _, v := range add.In {
		if !joined[v] {
			rest = append(rest, v)
		}
	}
	if len(rest) == 0 {
		j.Out = add.Out
		j.Out[0].step = j
		return j
	}
	y := add.Out[0]
	sum := &Value{Shape: y.Shape, Dtype: y.Dtype, step: j}
	j.Out = []*Value{sum}
	add.In = append([]*Value{sum}, rest...)
	*steps = append(*steps, j)
	return add
}

// accumulate lets products add themselves to the sum that they are a part of: an Add of products becomes the first product and
// others that accumulate, and where one addend is read for the last time by the Add, they all accumulate onto it.
func (l *lowering) accumulate() {
	users := l.users()
	dropped := map[*Step]bool{}
	copies := map[*Step]*Step{} // of bases, before the first product
	for _, add := range l.steps {
		if add.Op != op.Add {
			continue
		}
		var products []*Step
		var rest []*Value
		for _, v := range add.In {
			if accumulates(v, users) {
				products = append(products, v.step)
			} else {
				rest = append(rest, v)
			}
		}
		if len(products) == 0 {
			continue
		}
		sort.Slice(products, func(i, j int) bool { return products[i].index < products[j].index })
		y := add.Out[0]
		base := takeBase(&rest, add, products[0].index, users)
		switch {
		case base != nil && l.target.KeepAll:
			// The base keeps its value: the products are added to a copy.
			c := &Step{Op: Copy, In: []*Value{base}, Node: add.Node, kernel: Kernel{In: Strided, Out: Strided}}
			c.Out = []*Value{{Shape: y.Shape, Dtype: y.Dtype, step: c, home: &home{in: y, axis: -1}}}
			copies[products[0]] = c
		case base != nil:
			y.home = &home{in: base, axis: -1}
			base.base = true
		case len(products) == 1:
			continue
		}
		for i, s := range products {
			s.Accumulate = base != nil || i > 0
			s.Out[0].home, s.Out[0].merged = &home{in: y, axis: -1}, true
		}
		last := products[len(products)-1]
		if len(rest) == 0 {
			last.Out[0] = y
			y.step = last
			dropped[add] = true
		} else {
			add.In = append([]*Value{last.Out[0]}, rest...)
		}
	}
	var steps []*Step
	for _, s := range without(l.steps, dropped) {
		if c := copies[s]; c != nil {
			steps = append(steps, c)
		}
		steps = append(steps, s)
	}
	l.steps = steps
}

// accumulates reports whether a step can add v to a sum: a product that nothing else reads.
func accumulates(v *Value, users map[*Value][]*Step) bool {
	s := v.step
	return s != nil && s.kernel.Accumulate && !s.Accumulate && len(s.Out) == 1 && len(users[v]) == 1 && !v.kept && v.home == nil
}

// takeBase removes from an Add's other inputs one that the products can be added to: made by a step, and read by nothing but the Add
// from the first product on.
func takeBase(rest *[]*Value, add *Step, first int, users map[*Value][]*Step) *Value {
next:
	for i, v := range *rest {
		if v.step == nil || v.kept || v.base || v.step.index >= first || (v.home != nil && v.home.axis >= 0) {
			continue
		}
		reads := 0
		for _, u := range users[v] {
			if u == add {
				reads++
			} else if u.index >= first {
				continue next
			}
		}
		if reads != 1 {
			continue
		}
		*rest = append(append([]*Value{}, (*rest)[:i]...), (*rest)[i+1:]...)
		return v
	}
	return nil
}

// placePieces lets steps write right into the joins that their outputs are a part of. Later joins come first, so that a join within a
// join knows where it lies.
func (l *lowering) placePieces() {
	users := l.users()
	for i := len(l.steps) - 1; i >= 0; i-- {
		j := l.steps[i]
		if j.Op != join {
			continue
		}
		a := j.Attrs.(joinAttrs)
		strides := futureStrides(j.Out[0])
		for k, piece := range j.In {
			h := &home{in: j.Out[0], axis: a.Axis, start: a.Starts[k]}
			v := piece
			for v.view != nil {
				h.through = append(h.through, v)
				v = v.view.of
			}
			if v.step == nil || v.kept || v.base || v.home != nil || v.Dtype != op.Float {
				continue
			}
			there := h.strides(strides)
			if there != nil && within(v.Shape, there, v.step.kernel.Out) && readable(v, there, users[v], j) {
				v.home = h
			}
		}
	}
}

// futureStrides are the strides that a value which a step makes will have.
func futureStrides(v *Value) []int {
	if v.home == nil {
		return rowMajor(v.Shape)
	}
	return v.home.strides(futureStrides(v.home.in))
}

// readable reports whether every step that reads v can do so with these strides, and j reads it once.
func readable(v *Value, strides []int, users []*Step, j *Step) bool {
	seen := 0
	for _, u := range users {
		if u == j {
			seen++
			continue
		}
		for _, in := range u.In {
			if in.source() != v {
				continue
			}
			if in != v || !within(v.Shape, strides, u.kernel.In) {
				return false
			}
		}
	}
	return seen == 1
}

func (a joinAttrs) String() string { return fmt.Sprintf("axis %d at %v", a.Axis, a.Starts) }
