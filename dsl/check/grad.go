package check

import (
	"forge/dsl"
	"forge/dsl/diag"
)

// returned is the place of what the block returns.
func (w *walker) returned() diag.Span {
	for _, s := range w.def.Decl.Body {
		if r, ok := s.(*dsl.Return); ok {
			return r.Value.At()
		}
	}
	return diag.Span{}
}

// checkSchedules reports schedules in what is returned: they may stand in effects only (E217).
func (w *walker) checkSchedules() {
	if w.body.Out == nil {
		return
	}
	for _, n := range w.reach([]*Node{w.body.Out}, func(*Node, int) bool { return true }) {
		if n.Op == "schedule" {
			w.fail(diag.New("E217", n.Span, "this is a schedule", "what `%s` returns depends on a schedule", w.def.Name).
				Helpf("values that change while training stand in `update`, `loss` and `metric` lines only"))
		}
	}
}

// checkGradients reports weights that no gradient can reach, or none unless a schedule whose default is 0 is given: they would never
// be trained (E219).
func (w *walker) checkGradients() {
	if w.body.Out == nil {
		return // implemented outside
	}
	from := []*Node{w.body.Out}
	for _, e := range w.body.Effects {
		if e.Kind == "loss" {
			from = append(from, e.Value)
		}
	}
	facts := w.factsOf()
	reached := map[*Node]bool{}
	switched := false
	for _, n := range w.reach(from, func(n *Node, i int) bool {
		if n.Op == "mul" && facts[n.Args[1-i]].off {
			switched = true
			return false
		}
		p := primitives[n.Op]
		return p == nil || p.grad(i)
	}) {
		reached[n] = true
	}
	for _, n := range w.body.Nodes {
		if n.Op != "weight" || reached[n] || !w.lines[n.Name].used {
			continue
		}
		d := diag.New("E219", n.Span, "", "no gradient can reach the weight `%s`: it would never be trained", n.Name).
			Helpf("`top`, `sign`, `stop_grad`, `metric` and `update` lines pass no gradient on")
		if switched {
			d.Helpf("nor does a loss times a schedule that is 0 unless it is given")
		}
		w.fail(d)
	}
}

// reach lists the nodes that others are computed from, following the operands that through admits, in the body's order.
func (w *walker) reach(from []*Node, through func(n *Node, operand int) bool) []*Node {
	seen := map[*Node]bool{}
	for _, n := range from {
		seen[n] = true
	}
	var list []*Node
	for i := len(w.body.Nodes) - 1; i >= 0; i-- {
		n := w.body.Nodes[i]
		if !seen[n] {
			continue
		}
		list = append(list, n)
		for k, a := range n.Args {
			if through(n, k) {
				seen[a] = true
			}
		}
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}
