package check

import (
	"fmt"
	"math/big"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// What an attribute is where its block is defined: unknown, but not quite. A number has a size to compute with, a block a
// signature, a position its scale. Everything else is the value `unknown`. None of these reaches the evaluator of plain values:
// lookup turns them into `unknown`.

// symNumber is a number over the attributes.
type symNumber struct {
	r        ratio
	positive bool // certainly above zero
}

// symBlock is a block that is given later (a signature) or whose attributes are (a definition).
type symBlock struct {
	name    string
	def     *BlockDef
	in, out *dsl.Shape // both nil: the result has the input's shape
}

// symPos is a position encoding.
type symPos struct{ name string }

// symSchedule is an attribute of type schedule.
type symSchedule struct{ name string }

func (*symNumber) value()   {}
func (*symBlock) value()    {}
func (*symPos) value()      {}
func (*symSchedule) value() {}

// reading is one combination of a block's switches: whether the attribute is there (not none) and, for a bool, true.
type reading map[string]Value

// symbolic gives what an attribute is in this reading.
func (w *walker) symbolic(p *Param) Value {
	if v, ok := w.reading[p.Name]; ok && v != unknown {
		return v
	}
	t := p.Type
	switch {
	case t.has("axis"):
		return &symNumber{variable(p.Name), true}
	case t.has("int"), t.has("float"), t.has("number"):
		return &symNumber{variable(p.Name), false}
	case t.has("schedule"):
		return &symSchedule{p.Name}
	case t.has("block"):
		in, out := t.signature()
		return &symBlock{name: p.Name, in: in, out: out}
	case t.has("pos"):
		return &symPos{p.Name}
	}
	return unknown
}

// readings lists the combinations of a block's switches.
func (def *BlockDef) readings() []reading {
	list := []reading{{}}
	for _, p := range def.switches {
		var values []Value
		if p.Type.has("bool") {
			values = append(values, Bool(true), Bool(false))
		} else {
			values = append(values, unknown) // there, of its own type
		}
		if p.Type.canBeNone() {
			values = append(values, Nothing{})
		}
		var more []reading
		for _, r := range list {
			for _, v := range values {
				next := reading{p.Name: v}
				for n, x := range r {
					next[n] = x
				}
				more = append(more, next)
			}
		}
		list = more
	}
	return list
}

// checkReadings reads the body once for each combination of switches and reports what it finds, saying when it is so.
func (c *checker) checkReadings(def *BlockDef) {
	type finding struct {
		d  *diag.Diagnostic
		in map[int]bool
	}
	var order []string
	found := map[string]*finding{}
	readings := def.readings()
	usedAnywhere := map[string]bool{}
	var walkers []*walker
	for _, r := range readings {
		w := newWalker(c, def, nil)
		w.reading = r
		w.definition()
		for _, e := range w.order {
			if e.used {
				usedAnywhere[e.kind+" "+e.id.Name] = true
			}
		}
		walkers = append(walkers, w)
	}
	for i, w := range walkers {
		if len(w.diags) == 0 { // else the nodes are not all there
			w.checkPeeking()
			w.checkSchedules()
			w.checkGradients()
			if len(w.diags) == 0 { // a value that peeks mostly is no number either
				w.checkMeaning()
			}
		}
		w.unused(usedAnywhere)
		for _, d := range w.diags {
			k := fmt.Sprint(d.Code, d.Main(), d.Message)
			f := found[k]
			if f == nil {
				f = &finding{d, map[int]bool{}}
				found[k] = f
				order = append(order, k)
			}
			f.in[i] = true
		}
	}
	for _, k := range order {
		f := found[k]
		if when := whenText(def.switches, readings, f.in); when != "" {
			switch f.d.Code {
			case "E209", "E212", "E213":
				f.d.Message += " when " + when
			default:
				f.d.Helpf("this is so when %s", when)
			}
		}
		c.report(f.d)
	}
}

// whenText says which values of the switches the readings in common have: "`q_rank` is none". "" if all readings are in.
func whenText(switches []*Param, readings []reading, in map[int]bool) string {
	if len(in) == len(readings) {
		return ""
	}
	var parts []string
	for _, p := range switches {
		values := map[string]bool{}
		text := ""
		for i := range readings {
			if !in[i] {
				continue
			}
			switch v := readings[i][p.Name].(type) {
			case Nothing:
				text = "`" + p.Name + "` is none"
			case Bool:
				text = fmt.Sprintf("`%s` is %t", p.Name, bool(v))
			default:
				text = "`" + p.Name + "` is not none"
			}
			values[text] = true
		}
		if len(values) == 1 {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " and ")
}

// definition reads the body with unknown attributes.
func (w *walker) definition() {
	w.rest = []*Axis{}
	named := map[string]bool{}
	for _, in := range w.def.Decl.Inputs {
		for _, id := range in.Shape.Axes {
			named[id.Name] = true
		}
	}
	// `..` stands for batch and seq as far as the inputs don't name them.
	for _, a := range []*Axis{Batch, SeqAxis} {
		if !named[a.Name] {
			w.rest = append(w.rest, a)
		}
	}
	for i, in := range w.def.Decl.Inputs {
		var axes []*Axis
		from := map[*Axis]diag.Span{}
		add := func(a *Axis, id dsl.Ident) {
			if hasAxis(axes, a) {
				w.fail(diag.New("E207", id.Span, "", "`%s` comes twice in one shape", id.Name))
				return
			}
			axes = append(axes, a)
			from[a] = id.Span
		}
		if len(in.Shape.Axes) > maxAxes {
			w.tooLarge(in.Shape.Span, "a tensor with more than 64 axes")
			return
		}
		dots := false
		for _, id := range in.Shape.Axes {
			if id.Name == ".." {
				if dots {
					w.fail(diag.New("E207", id.Span, "", "`..` comes twice in one shape"))
				}
				dots = true
				for _, a := range w.rest {
					add(a, id)
				}
				continue
			}
			a := runtimeAxis(id.Name)
			if a == nil {
				if a = w.axes[id.Name]; a == nil {
					if p := w.def.param(id.Name); p != nil && p.Type.has("axis") {
						a = w.axis(id)
					} else {
						a = &Axis{Name: id.Name}
						w.axes[id.Name], w.local[a], w.sizes[a] = a, id.Name, variable(id.Name)
					}
				}
			}
			if a != nil {
				add(a, id)
			}
		}
		w.addInput(in, i, axes, from)
	}
	w.statements()
}

// unused reports what is given and not used. Attributes and numbers can't be guarded: they must be used in some reading; the rest in
// each reading in which it is there.
func (w *walker) unused(anywhere map[string]bool) {
	outside := w.def.outside()
	reported := map[string]bool{}
	for _, e := range w.order {
		if e.used || e.absent || w.silent {
			continue
		}
		what := ""
		switch e.kind {
		case "attribute":
			if outside || w.axisTypo || anywhere["attribute "+e.id.Name] || anywhere["part "+e.id.Name] {
				continue
			}
			what = "the attribute "
		case "input", "weight", "state":
			if outside || w.bridges(e) {
				continue
			}
			what = "the " + e.kind + " "
		case "part":
			what = "the part "
		case "equation":
			_, isTensor := e.value.(*tensor)
			if !isTensor && (w.axisTypo || anywhere["equation "+e.id.Name]) {
				continue
			}
		}
		if reported[e.id.Name] {
			continue
		}
		reported[e.id.Name] = true
		w.fail(diag.New("E209", e.id.Span, "", "%s`%s` is never used", what, e.id.Name))
	}
}

// bridges reports whether a weight leads from one side of a reported misfit to the other.
func (w *walker) bridges(e *entry) bool {
	t, ok := e.value.(*tensor)
	if !ok {
		return false
	}
	for _, g := range w.gaps {
		if len(without(t.axes, g.has...)) < len(t.axes) && len(without(t.axes, g.wants...)) < len(t.axes) {
			return true
		}
	}
	return false
}

// symArith computes with numbers of which one at least is over attributes.
func symArith(op string, x, y Value) Value {
	a, oka := symbolOf(x)
	b, okb := symbolOf(y)
	if !oka || !okb {
		return unknown
	}
	both := a.positive && b.positive
	switch op {
	case "+":
		return &symNumber{a.r.add(b.r), both}
	case "-":
		return &symNumber{a.r.sub(b.r), false}
	case "*":
		return &symNumber{a.r.mul(b.r), both}
	case "/":
		if q, ok := a.r.div(b.r); ok {
			return &symNumber{q, both}
		}
		return unknown
	case "^":
		if n, ok := y.(Int); ok && n >= 0 && n <= 4 {
			p := intRatio(1)
			for range n {
				p = p.mul(a.r)
			}
			return &symNumber{p, a.positive}
		}
		return &symNumber{opaqueRatio("(" + a.r.String() + ") ^ (" + b.r.String() + ")"), a.positive}
	case "%":
		return &symNumber{opaqueRatio("(" + a.r.String() + ") % (" + b.r.String() + ")"), false}
	}
	return unknown
}

// symbolOf gives a number as a polynomial.
func symbolOf(v Value) (*symNumber, bool) {
	switch v := v.(type) {
	case *symNumber:
		return v, true
	case Int:
		return &symNumber{intRatio(int64(v)), v > 0}, true
	case Float:
		r := new(big.Rat).SetFloat64(float64(v))
		if r == nil {
			return nil, false
		}
		return &symNumber{constRatio(r), v > 0}, true
	}
	return nil, false
}
