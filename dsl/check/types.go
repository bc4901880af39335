package check

import (
	"fmt"
	"math"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// typ is a type of a header: a union of atoms.
type typ struct{ atoms []typeAtom }

// typeAtom is a word ("sigmoid"), or a type's name, with a block's signature where one is stated.
type typeAtom struct {
	word    string
	isWord  bool
	name    string
	in, out *dsl.Shape
}

// typeOf reads a header's type. A default of `none` adds none to it; without a type anything fits.
func typeOf(t *dsl.Type, def dsl.Expr) typ {
	var u typ
	if t != nil {
		for _, a := range t.Atoms {
			if a.Text != nil {
				u.atoms = append(u.atoms, typeAtom{word: a.Text.Value, isWord: true})
				continue
			}
			u.atoms = append(u.atoms, typeAtom{name: a.Name, in: a.In, out: a.Out})
		}
	}
	if n, ok := dsl.Unparen(def).(*dsl.Name); ok && n.Name == "none" && !u.canBeNone() && len(u.atoms) > 0 {
		u.atoms = append(u.atoms, typeAtom{name: "none"})
	}
	return u
}

// has reports whether the union has the type of that name.
func (t typ) has(name string) bool {
	for _, a := range t.atoms {
		if !a.isWord && a.name == name {
			return true
		}
	}
	return false
}

// canBeNone reports whether `none` fits.
func (t typ) canBeNone() bool { return t.has("none") }

// words are the texts that the union allows, in order.
func (t typ) words() []string {
	var w []string
	for _, a := range t.atoms {
		if a.isWord {
			w = append(w, a.word)
		}
	}
	if t.has("dtype") {
		w = append(w, "fp32", "bf16")
	}
	return w
}

// signature is the block signature stated in the type; nil, nil where the result has the input's shape.
func (t typ) signature() (in, out *dsl.Shape) {
	for _, a := range t.atoms {
		if a.name == "block" {
			return a.in, a.out
		}
	}
	return nil, nil
}

// units are the units of the quantities that fit, in order.
func (t typ) units() []Unit {
	var u []Unit
	for _, a := range t.atoms {
		if !a.isWord && isUnit(a.name) {
			u = append(u, Unit(a.name))
		}
	}
	return u
}

var allUnits = []Unit{Tokens, Steps, Seqs, Epochs, Seconds, Minutes, Hours}

func isUnit(name string) bool {
	for _, u := range allUnits {
		if string(u) == name {
			return true
		}
	}
	return false
}

// isKind reports whether a type's name is a kind of section.
func isKind(name string) bool {
	switch name {
	case "model", "data", "train", "plan", "run", "recipe", "weights", "sweep":
		return true
	}
	return false
}

// String names the type for errors: "a whole number or `none`".
func (t typ) String() string {
	var parts []string
	for _, a := range t.atoms {
		if a.isWord {
			parts = append(parts, fmt.Sprintf("%q", a.word))
			continue
		}
		switch a.name {
		case "axis", "int":
			parts = append(parts, "a whole number")
		case "float", "number":
			parts = append(parts, "a number")
		case "bool":
			parts = append(parts, "true or false")
		case "str":
			parts = append(parts, "a text")
		case "list":
			parts = append(parts, "a list")
		case "none":
			parts = append(parts, "`none`")
		case "dtype":
			parts = append(parts, `"fp32"`, `"bf16"`)
		case "schedule":
			parts = append(parts, "a schedule")
		case "block":
			parts = append(parts, "a block")
		default:
			switch {
			case isUnit(a.name):
				parts = append(parts, "a number of "+a.name)
			case isKind(a.name):
				parts = append(parts, "a "+a.name+" section")
			default:
				parts = append(parts, article(a.name))
			}
		}
	}
	return orList(parts)
}

// orList joins as people do: a, b or c.
func orList(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}

// fit checks a value against a type and converts it (a whole number to a float, a number to a schedule). name is the setting or
// attribute, at the place of the value, raw its text as written ("" if computed).
func (c *checker) fit(v Value, t typ, name string, at diag.Span, raw string) Value {
	w, fault := c.converted(v, t, name, at, raw)
	if fault != nil {
		return c.fail(fault)
	}
	return w
}

// converted is fit for a caller who has more to say about a misfit.
func (c *checker) converted(v Value, t typ, name string, at diag.Span, raw string) (Value, *diag.Diagnostic) {
	if isOpen(v) || len(t.atoms) == 0 {
		return v, nil
	}
	if a, ok := v.(*Any); ok {
		return bad, diag.New("E111", a.Span, "", "`any` stands for several values: only a sweep has those").
			Helpf("in a sweep section write `recipe.… = any([…])`, or give it to `forge sweep --set`")
	}
	for _, a := range t.atoms {
		if w, ok := fitAtom(v, a); ok {
			if s, isS := w.(*Schedule); isS {
				return c.finishSchedule(s, at), nil
			}
			return w, nil
		}
	}
	return bad, c.misfit(v, t, name, at, raw)
}

// fitAtom converts v to one type, or reports that it does not fit.
func fitAtom(v Value, a typeAtom) (Value, bool) {
	if a.isWord {
		s, ok := v.(Text)
		return v, ok && string(s) == a.word
	}
	switch a.name {
	case "axis":
		n, ok := whole(v)
		return Int(n), ok && n >= 1 && n <= math.MaxInt32
	case "int":
		n, ok := whole(v)
		return Int(n), ok
	case "float":
		f, ok := finite(v)
		return Float(f), ok
	case "number":
		_, ok := finite(v)
		return v, ok
	case "bool":
		_, ok := v.(Bool)
		return v, ok
	case "str":
		_, ok := v.(Text)
		return v, ok
	case "list":
		_, ok := v.(List)
		return v, ok
	case "none":
		return v, isNone(v)
	case "dtype":
		s, ok := v.(Text)
		return v, ok && (s == "fp32" || s == "bf16")
	case "schedule":
		if s, ok := v.(*Schedule); ok {
			return s, true
		}
		if f, ok := finite(v); ok {
			return numberSchedule(f), true
		}
		return v, false
	case "block":
		_, ok := v.(*Built)
		return v, ok
	}
	switch {
	case isUnit(a.name):
		q, ok := v.(Quantity)
		return v, ok && string(q.Unit) == a.name
	case isKind(a.name):
		tb, ok := v.(*Table)
		return v, ok && tb.Kind.Name == a.name
	}
	r, ok := v.(*Record)
	return v, ok && r.Type == a.name
}

// misfit words the error of a value that fits none of the types.
func (c *checker) misfit(v Value, t typ, name string, at diag.Span, raw string) *diag.Diagnostic {
	units := t.units()
	if _, isNumber := number(v); isNumber && len(units) > 0 {
		if raw == "" {
			raw = c.text(v)
		}
		both := make([]string, len(units))
		for i, u := range units {
			both[i] = fmt.Sprintf("`%s %s`", raw, u)
		}
		return diag.New("E301", at, "write "+orList(both), "`%s` counts something: say what", name)
	}
	if q, ok := v.(Quantity); ok && len(units) > 0 {
		names := make([]string, len(units))
		for i, u := range units {
			names[i] = string(u)
		}
		return diag.New("E308", at, "this is "+q.String(), "`%s` counts %s, not %s", name, orList(names), q.Unit)
	}
	if s, ok := v.(Text); ok {
		if words := t.words(); len(words) > 0 {
			quoted := make([]string, len(words))
			for i, w := range words {
				quoted[i] = fmt.Sprintf("%q", w)
			}
			label := ""
			near := suggest(string(s), words)
			if near != "" {
				label = fmt.Sprintf("did you mean %q?", near)
			}
			d := diag.New("E302", at, label, "`%s` must be %s", name, oneOf(quoted))
			if near != "" {
				d.FixWith(at, fmt.Sprintf("%q", near))
			}
			return d
		}
	}
	if t.has("axis") {
		if f, ok := number(v); ok {
			if _, isWhole := whole(v); !isWhole {
				return diag.New("E304", at, "a size is a whole number", "the axis `%s` would have %s entries", name, floatText(f))
			}
			if f < 1 {
				return diag.New("E303", at, "a size is at least 1", "the axis `%s` would have %s entries", name, floatText(f))
			}
			return diag.New("E303", at, "a size is below 2^31", "the axis `%s` would have %s entries", name, floatText(f))
		}
	}
	if _, isNumber := number(v); isNumber && t.has("schedule") {
		return diag.New("E309", at, "", "`%s` must be a finite number, or a schedule of finite numbers", name)
	}
	if _, isNumber := number(v); isNumber && (t.has("float") || t.has("number")) {
		d := diag.New("E309", at, "this is "+c.text(v), "`%s` must be a finite number", name)
		if t.canBeNone() {
			d.Helpf("for no limit write `none`")
		}
		return d
	}
	d := diag.New("E300", at, "this is "+typeName(v), "`%s` must be %s", name, t)
	switch v.(type) {
	case *BlockDef, *builder:
		d.Helpf("a value is built by a call: write `%s(…)`", strings.Trim(strings.Fields(typeName(v))[2], "`,"))
	}
	return d
}

// oneOf is "one of a, b or c", or just the one.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + orList(words)
}

// suggest finds the candidate nearest to a misspelt name; "" if none is near.
func suggest(name string, candidates []string) string { return diag.Suggest(name, candidates) }

// didYouMean is the label for a misspelt name: "" if nothing is near.
func didYouMean(name string, candidates []string) (label, near string) {
	if near = suggest(name, candidates); near != "" {
		label = "did you mean `" + near + "`?"
	}
	return label, near
}
