package check

import (
	"fmt"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// checkMeaning refuses equations that fit and can't be meant, by the facts of facts.go.
func (w *walker) checkMeaning() {
	facts := w.factsOf()
	told := map[*Node]bool{} // faulty, or computed from what is
	for _, n := range w.body.Nodes {
		in := make([]fact, len(n.Args))
		for i, a := range n.Args {
			in[i] = facts[a]
			told[n] = told[n] || told[a]
		}
		if told[n] {
			continue
		}
		d := w.notNumber(n, in)
		if d == nil {
			d = w.pointless(n, in)
		}
		if d == nil {
			d = w.turnedAside(n, in)
		}
		if d != nil {
			told[n] = true
			w.fail(d)
		}
	}
	w.checkWidths(facts)
	w.checkStates()
	w.checkDoubles()
}

// notNumber reports operations that certainly meet what they give no number for (E223, E309).
func (w *walker) notNumber(n *Node, in []fact) *diag.Diagnostic {
	holds := func(i int, why string) *diag.Diagnostic {
		return diag.New("E223", n.Span, why, "`%s` meets −∞ here", written(n.Op)).
			Note(n.Args[i].Span, "entries of this may be −∞").
			Helpf("`softmax`, `max`, `top`, `exp`, `sigmoid`, `relu`, `where` and sums with finite values take −∞")
	}
	switch n.Op {
	case "sqrt", "log":
		if in[0].linear != 0 {
			what := "root"
			if n.Op == "log" {
				what = "logarithm"
			}
			return diag.New("E223", n.Span, "", "the %s of what may be negative", what).
				Note(n.Args[0].Span, "training can make this negative: it follows %s in proportion", w.weightNames(in[0].linear)).
				Helpf("`square`, `abs`, `exp` and `x * x` are never negative")
		}
		if len(in[0].infinite) > 0 {
			return holds(0, "")
		}
	case "silu", "gelu":
		if len(in[0].infinite) > 0 {
			return holds(0, "")
		}
	case "sum", "mean", "cumsum":
		if len(common(in[0].infinite, n.On)) > 0 {
			return holds(0, "the result would be −∞")
		}
	case "dot":
		for i := range in {
			if len(common(in[i].infinite, n.On)) > 0 {
				return holds(i, "the result would be −∞, or no number")
			}
		}
	case "mul":
		for i := range in {
			if other := in[1-i]; len(in[i].infinite) > 0 && (other.marks || other.chosen != nil) {
				return holds(i, "and 0 · −∞ is no number")
			}
		}
	case "div":
		if in[1].zero {
			return diag.New("E309", n.Span, "", "division by zero").
				Note(n.Args[1].Span, "this is 0 when training starts")
		}
	}
	return nil
}

// pointless reports operations whose result is known before they are computed (E222).
func (w *walker) pointless(n *Node, in []fact) *diag.Diagnostic {
	says := func(label, format string, args ...any) *diag.Diagnostic {
		return diag.New("E222", n.Span, label, format, args...)
	}
	switch n.Op {
	case "max":
		if n.Args[0].Op == "top" && hasAxis(n.On, n.Args[0].On[0]) {
			return says("", "this is always 1").Note(n.Args[0].Span, "the largest entries are marked with 1 here")
		}
	case "sign":
		switch {
		case in[0].positive:
			return says("", "this is always 1").Note(n.Args[0].Span, "this is never 0 or negative")
		case in[0].marks:
			return says("", "`sign` changes nothing here").Note(n.Args[0].Span, "this is 0 and 1 only")
		}
	case "square":
		if in[0].marks {
			return says("", "`square` changes nothing here").Note(n.Args[0].Span, "this is 0 and 1 only")
		}
	case "mul":
		if in[0].marks && n.Args[0] == n.Args[1] {
			return says("", "marks times themselves are the same marks").Note(n.Args[0].Span, "this is 0 and 1 only")
		}
	case "top":
		// Of what is 0 outside the marks of a `top` that is alike, the largest are those marked.
		first := in[0].chosen
		if first != nil && in[0].atLeast0 && sameAxes(first.On, n.On) && w.sameCount(first, n) {
			return says("", "this marks what is marked already").Note(first.Span, "only entries marked here are not 0")
		}
	}
	return nil
}

// turnedAside reports a softmax over one axis while another one is still turned by positions (E224): its entries are mixed, and no
// product of what was turned ever compares the positions.
func (w *walker) turnedAside(n *Node, in []fact) *diag.Diagnostic {
	if n.Op != "softmax" {
		return nil
	}
	left := without(in[0].turned, n.On...)
	if len(left) == 0 {
		return nil
	}
	return diag.New("E224", n.Span, "", "positions have turned %s, and nothing contracts it before this softmax", w.quoted(left)).
		Helpf("`pos[a](x)` turns pairs of entries of `a`; a product over `a` of what was turned then knows how far tokens are apart")
}

// checkWidths reports weights that are added up before anything of the data meets them (E225): a smaller weight says the same.
func (w *walker) checkWidths(facts map[*Node]fact) {
	users := map[*Node][]*Node{}
	for _, n := range w.body.Nodes {
		for _, a := range n.Args {
			users[a] = append(users[a], n)
		}
	}
	final := map[*Node]bool{w.body.Out: true}
	for _, e := range w.body.Effects {
		final[e.Value] = true
	}
	for _, leaf := range w.body.Nodes {
		if leaf.Op != "weight" {
			continue
		}
		var narrow []*Node // what of the weight meets the data
		whole := false
		seen := map[*Node]bool{leaf: true}
		for work := []*Node{leaf}; len(work) > 0 && !whole; {
			n := work[len(work)-1]
			work = work[:len(work)-1]
			if n != leaf && !reducesOnly(n) {
				whole = true
				break
			}
			for _, u := range users[n] {
				switch {
				case !facts[u].data:
					if !seen[u] {
						seen[u] = true
						work = append(work, u)
					}
				case len(n.Axes) < len(leaf.Axes) && contains(leaf.Axes, n.Axes):
					narrow = append(narrow, n)
				default:
					whole = true
				}
			}
			whole = whole || final[n]
		}
		if whole || len(narrow) == 0 {
			continue
		}
		n := narrow[0]
		w.fail(diag.New("E225", n.Span, "of `"+leaf.Name+"` only "+w.text(n.Axes)+" is left here", "the weight `%s` %s meets no value of the data", leaf.Name, w.text(leaf.Axes)).
			Note(leaf.Span, "declared here").
			Helpf("it is used only through numbers that are the same for every token: a weight %s says the same", w.text(n.Axes)))
	}
}

// reducesOnly reports whether the axes that an operation takes away are reduced, not cut or renamed.
func reducesOnly(n *Node) bool {
	switch n.Op {
	case "split", "take", "view", "rename", "concat", "apply", "route", "scan", "conv", "where":
		return false
	}
	return true
}

// checkStates reports states that reach nothing but their own next value (E209).
func (w *walker) checkStates() {
	if w.body.Out == nil {
		return // implemented outside
	}
	from := []*Node{w.body.Out}
	updates := map[string]*Node{}
	for _, e := range w.body.Effects {
		if e.Kind == "update" {
			updates[e.Name] = e.Value
		} else {
			from = append(from, e.Value)
		}
	}
	live := map[string]bool{}
	for more := true; more; {
		more = false
		for _, n := range w.reach(from, func(*Node, int) bool { return true }) {
			if n.Op == "state" && !live[n.Name] {
				live[n.Name], more = true, true
				if u := updates[n.Name]; u != nil {
					from = append(from, u)
				}
			}
		}
	}
	for _, n := range w.body.Nodes {
		if n.Op == "state" && !live[n.Name] && w.lines[n.Name].used {
			w.fail(diag.New("E209", n.Span, "", "the state `%s` is used only to update itself", n.Name).
				Helpf("nothing that is returned, and no `loss` or `metric`, depends on it"))
		}
	}
}

// checkDoubles reports equations that say what another one says (E226).
func (w *walker) checkDoubles() {
	class := map[*Node]string{} // equal for nodes that certainly have the same value
	classes := map[string]string{}
	for i, n := range w.body.Nodes {
		k := w.alike(n, class)
		if k == "" {
			class[n] = fmt.Sprint(i)
			continue
		}
		if classes[k] == "" {
			classes[k] = fmt.Sprint(i)
		}
		class[n] = classes[k]
	}
	first := map[string]*entry{}
	for _, e := range w.order {
		t, isTensor := e.value.(*tensor)
		if e.kind != "equation" || !isTensor {
			continue
		}
		switch f := first[class[t.node]]; {
		case f == nil:
			first[class[t.node]] = e
		case f.value.(*tensor).node != t.node && f.stmt != e.stmt:
			w.fail(diag.New("E226", e.id.Span, "computed again here", "`%s` is the same as `%s`", e.id.Name, f.id.Name).
				Note(f.id.Span, "first computed here"))
		}
	}
}

// alike describes a node by its operation and the classes of its operands, "" if it is like no other.
func (w *walker) alike(n *Node, class map[*Node]string) string {
	switch n.Op {
	case "input", "weight", "state", "number", "schedule", "either", "pos", "prev", "route", "scan":
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %p", n.Op, n.N, n.Part)
	if c, ok := w.counts[n]; ok {
		s, known := symbolOf(c)
		if !known {
			return ""
		}
		b.WriteString(" " + s.r.String())
	}
	for _, a := range append(append([]*Axis{}, n.On...), n.To...) {
		fmt.Fprintf(&b, " %p", a)
	}
	for _, a := range n.Args {
		b.WriteString(" " + class[a])
	}
	return b.String()
}

// sameCount reports whether two `top` certainly mark as many.
func (w *walker) sameCount(a, b *Node) bool {
	x, okX := symbolOf(w.counts[a])
	y, okY := symbolOf(w.counts[b])
	return okX && okY && x.r.equal(y.r) == yes
}

// offByDefault reports whether a schedule is the attribute of a block, with the default 0.
func (w *walker) offByDefault(n *Node) bool {
	p := w.def.param(n.Name)
	if p == nil || p.Default == nil {
		return false
	}
	x, isNumber := p.Default.(*dsl.Number)
	return isNumber && x.Unit == "" && strings.Trim(x.Raw, "0.") == ""
}

// stateIsNumber reports whether a state starts with a number that is written, not computed from attributes.
func (w *walker) stateIsNumber(name string) bool {
	s, ok := w.lines[name].stmt.(*dsl.State)
	if !ok {
		return false
	}
	_, isNumber := dsl.Unparen(s.Value).(*dsl.Number)
	return isNumber
}

// weightNames lists the weights of a set.
func (w *walker) weightNames(set weights) string {
	var names []string
	bit := weights(1)
	for _, n := range w.body.Nodes {
		if n.Op == "weight" {
			if set&bit != 0 {
				names = append(names, "`"+n.Name+"`")
			}
			bit <<= 1
		}
	}
	return strings.Join(names, " and ")
}

// written is how people write an operation.
func written(op string) string {
	for symbol, name := range elementwiseOps {
		if name == op {
			return symbol
		}
	}
	return op
}
