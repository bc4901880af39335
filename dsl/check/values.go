package check

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"forge/dsl/diag"
)

// Values that exist only while a recipe is checked.
type (
	badValue      struct{}              // a fault was reported: silence what follows
	unknownValue  struct{}              // not known yet: an attribute where a block is defined
	moduleValue   struct{ m *Module }   // an import's name
	functionValue struct{ name string } // sqrt exp log abs min max
)

var (
	bad     Value = badValue{}
	unknown Value = unknownValue{}
)

func (badValue) value()      {}
func (unknownValue) value()  {}
func (moduleValue) value()   {}
func (functionValue) value() {}

// Any is `any([…])`: the values of one line of a sweep.
type Any struct {
	Values List
	Texts  []string // as written
	Span   diag.Span
}

func isBad(v Value) bool { _, b := v.(badValue); return b || v == nil }

// isOpen says that v can't be judged: bad or not known yet.
func isOpen(v Value) bool {
	switch v.(type) {
	case nil, badValue, unknownValue:
		return true
	}
	return false
}

func isNone(v Value) bool { _, n := v.(Nothing); return n }

// number gives a bare number as a float.
func number(v Value) (float64, bool) {
	switch v := v.(type) {
	case Int:
		return float64(v), true
	case Float:
		return float64(v), true
	}
	return 0, false
}

// finite gives a bare number that is no infinity.
func finite(v Value) (float64, bool) {
	f, ok := number(v)
	return f, ok && !math.IsInf(f, 0)
}

// whole gives a bare number that is whole.
func whole(v Value) (int64, bool) {
	switch v := v.(type) {
	case Int:
		return int64(v), true
	case Float:
		f := float64(v)
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), true
		}
	}
	return 0, false
}

// equalValues compares by content: blocks built alike, numbers of equal value.
func equalValues(x, y Value) bool { return key(x) == key(y) }

// key is a canonical text of a value: equal values have equal keys, and only they. Places play no part.
func key(v Value) string {
	var b strings.Builder
	writeKey(&b, v)
	return b.String()
}

func writeKey(b *strings.Builder, v Value) {
	switch v := v.(type) {
	case Int:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case Float:
		b.WriteString(keyFloat(float64(v)))
	case Quantity:
		b.WriteString(strconv.FormatInt(v.N, 10))
		b.WriteByte(' ')
		b.WriteString(string(v.Unit))
	case Text:
		b.WriteString(strconv.Quote(string(v)))
	case Bool:
		b.WriteString(strconv.FormatBool(bool(v)))
	case Nothing:
		b.WriteString("none")
	case List:
		b.WriteByte('[')
		for _, x := range v {
			writeKey(b, x)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case *Schedule:
		for i, p := range v.Pieces {
			if i > 0 {
				b.WriteString(" then ")
			}
			fmt.Fprintf(b, "%s(%s,%s,%d,%d%s,%d%s)", p.Kind, keyFloat(p.From), keyFloat(p.To), p.Multiple,
				p.Over.N, p.Over.Unit, p.Until.N, p.Until.Unit)
		}
	case *Built:
		b.WriteByte('#')
		b.WriteString(strconv.Itoa(v.ID))
	case *Record:
		b.WriteString(v.Builder)
		b.WriteByte('(')
		for _, n := range v.Order {
			writeKey(b, v.Attrs[n])
			b.WriteByte(',')
		}
		b.WriteByte(')')
	case *Table:
		fmt.Fprintf(b, "%s %p", v.Kind.Name, v)
	case *Any:
		b.WriteString("any")
		writeKey(b, v.Values)
	default:
		fmt.Fprintf(b, "%T%v", v, v)
	}
}

// keyFloat writes a whole float as the whole number: 1 and 1.0 are equal.
func keyFloat(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// attrsKey is the key of attributes, in the order of their names.
func attrsKey(attrs map[string]Value) string {
	names := make([]string, 0, len(attrs))
	for n := range attrs {
		names = append(names, n)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte('=')
		writeKey(&b, attrs[n])
		b.WriteByte(';')
	}
	return b.String()
}

// typeName says what a value is, with its article: "a whole number", "the block `mla`".
func typeName(v Value) string {
	switch v := v.(type) {
	case Int:
		return "a whole number"
	case Float:
		return "a number"
	case Quantity:
		return "a quantity in " + string(v.Unit)
	case Text:
		return "a text"
	case Bool:
		return "a truth value"
	case Nothing:
		return "`none`"
	case List:
		return "a list"
	case *Schedule:
		return "a schedule"
	case *Built:
		return "a block (" + v.Def.Name + ")"
	case *Record:
		return article(v.Type) + " (" + v.Builder + ")"
	case *Table:
		return "a " + v.Kind.Name + " section"
	case *Any:
		return "a choice of a sweep"
	case *BlockDef:
		return "the block `" + v.Name + "`, not yet built"
	case *builder:
		return "the builder `" + v.Name + "`, not yet called"
	case moduleValue:
		return "an imported file"
	case functionValue:
		return "the function `" + v.name + "`"
	}
	return "not a value"
}

func article(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// printer writes values as recipe text, so that reading it back gives an equal value.
type printer struct {
	literals map[float64]string
	block    func(*BlockDef) string // what a block is called where the text will stand
	limit    int                    // of bytes, about; 0: none
}

// text is a value for a message: as recipe text, and not too long.
func (c *checker) text(v Value) string {
	t := (&printer{literals: c.literals, limit: maxText}).text(v)
	if len(t) > maxText {
		return strings.ToValidUTF8(t[:maxText], "") + "…"
	}
	return t
}

const maxText = 200

func (p *printer) text(v Value) string {
	var b strings.Builder
	p.write(&b, v)
	return b.String()
}

func (p *printer) write(b *strings.Builder, v Value) {
	if p.limit > 0 && b.Len() > p.limit {
		return
	}
	switch v := v.(type) {
	case Int:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case Float:
		b.WriteString(p.float(float64(v)))
	case Quantity:
		b.WriteString(exactCount(v.N))
		b.WriteByte(' ')
		b.WriteString(string(v.Unit))
	case Text:
		b.WriteString(strconv.Quote(string(v)))
	case Bool:
		b.WriteString(strconv.FormatBool(bool(v)))
	case Nothing:
		b.WriteString("none")
	case List:
		b.WriteByte('[')
		for i := 0; i < len(v); i++ {
			if i > 0 {
				b.WriteString(", ")
			}
			p.write(b, v[i])
		}
		b.WriteByte(']')
	case *Schedule:
		p.schedule(b, v)
	case *Built:
		name := v.Def.Name
		if p.block != nil {
			name = p.block(v.Def)
		}
		names := make([]string, 0, len(v.Def.Params))
		for _, q := range v.Def.Params {
			names = append(names, q.Name)
		}
		p.call(b, name, names, v.Attrs)
	case *Record:
		p.call(b, v.Builder, v.Order, v.Attrs)
	case *Table:
		b.WriteString(v.Name)
	case *Any:
		b.WriteString("any([" + strings.Join(v.Texts, ", ") + "])")
	default:
		b.WriteString("…")
	}
}

func (p *printer) call(b *strings.Builder, name string, order []string, attrs map[string]Value) {
	b.WriteString(name)
	b.WriteByte('(')
	for i, n := range order {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(n)
		b.WriteString(" = ")
		p.write(b, attrs[n])
	}
	b.WriteByte(')')
}

func (p *printer) schedule(b *strings.Builder, s *Schedule) {
	for i, q := range s.Pieces {
		if i > 0 {
			b.WriteString(" then ")
		}
		over := ", over = " + exactCount(q.Over.N) + " " + string(q.Over.Unit)
		switch q.Kind {
		case "ramp":
			fmt.Fprintf(b, "ramp(from = %s, to = %s%s, multiple = %d)", p.float(q.From), p.float(q.To), over, q.Multiple)
		case "linear", "cosine":
			fmt.Fprintf(b, "%s(to = %s%s)", q.Kind, p.float(q.To), over)
		case "hold":
			b.WriteString("hold(value = " + p.float(q.From))
			if q.Over.Unit != None {
				b.WriteString(over)
			}
			if q.Until.Unit != None {
				b.WriteString(", until = " + exactCount(q.Until.N) + " " + string(q.Until.Unit))
			}
			b.WriteByte(')')
		default:
			b.WriteString(p.float(q.From))
		}
	}
}

// float writes a number as the files wrote it, else in its shortest form.
func (p *printer) float(f float64) string {
	if t, ok := p.literals[f]; ok {
		return t
	}
	if f < 0 {
		if t, ok := p.literals[-f]; ok {
			return "-" + t
		}
	}
	return floatText(f)
}

func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	t := strconv.FormatFloat(f, 'g', -1, 64)
	if i := strings.IndexByte(t, 'e'); i >= 0 {
		m, e := t[:i], t[i+1:]
		sign := ""
		if e[0] == '-' {
			sign = "-"
		}
		t = m + "e" + sign + strings.TrimLeft(e, "+-0")
	}
	return t
}

var countSuffixes = []struct {
	value  float64
	suffix string
}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}}

// countText writes a count for people: plain below a million, else with four decimals at most and a suffix.
func countText(n int64) string {
	for _, s := range countSuffixes {
		if math.Abs(float64(n)) >= s.value {
			t := strconv.FormatFloat(float64(n)/s.value, 'f', 4, 64)
			return strings.TrimRight(strings.TrimRight(t, "0"), ".") + s.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// exactCount is countText where that loses nothing, else all digits.
func exactCount(n int64) string {
	for _, s := range countSuffixes {
		unit := int64(s.value)
		if n >= unit && n%(unit/10000) == 0 {
			return countText(n)
		}
	}
	return strconv.FormatInt(n, 10)
}

// String is the quantity for people: 14.8T tokens.
func (q Quantity) String() string {
	if q.Unit == None {
		return countText(q.N)
	}
	return countText(q.N) + " " + string(q.Unit)
}

// Pos gives a record of type pos as the encoding it stands for.
func (r *Record) Pos() *Pos {
	f := func(n string) float64 { x, _ := number(r.Attrs[n]); return x }
	pairs, _ := r.Attrs["pairs"].(Text)
	p := &Pos{Kind: r.Builder, Theta: f("theta"), Pairs: string(pairs)}
	if r.Builder == "yarn" {
		p.Factor, p.Original = f("factor"), f("original")
		p.BetaFast, p.BetaSlow = f("beta_fast"), f("beta_slow")
		p.MScale, p.MScaleAllDim = f("mscale"), f("mscale_all_dim")
	}
	return p
}

// Scale is what attention multiplies into its softmax scale: m(mscale_all_dim)² for yarn, 1 for rotary (language.md section 11;
// YaRN, arXiv 2309.00071, section 3.4).
func (p *Pos) Scale() float64 {
	if p.Kind != "yarn" || p.Factor <= 1 {
		return 1
	}
	m := 0.1*p.MScaleAllDim*math.Log(p.Factor) + 1
	return m * m
}

// init gives a record of type init as what it stands for.
func (r *Record) init() Init {
	i := Init{Kind: r.Builder}
	i.Std, _ = number(r.Attrs["std"])
	i.Mean, _ = number(r.Attrs["mean"])
	return i
}
