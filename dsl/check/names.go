package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forge/dsl/diag"
)

// binding are the values of a line's indices for one leaf, by name; bank indices run over a bank's entries.
type binding struct {
	names  []string
	values []int
	banks  []int // sizes; 0: values holds
	bankOf []int // the places of bank indices in the lists, in the path's order
}

func (b *binding) set(name string, value, bank int) {
	if bank > 0 {
		b.bankOf = append(b.bankOf, len(b.names))
	}
	b.names, b.values, b.banks = append(b.names, name), append(b.values, value), append(b.banks, bank)
}

// nameScope is the scope of the expressions in braces: a line's indices, then the model's cells.
type nameScope struct {
	b     *binding
	model *Table
	c     *checker
}

func (s *nameScope) lookup(name string) (Value, diag.Span, bool) {
	if i := slices.Index(s.b.names, name); i >= 0 {
		return Int(s.b.values[i]), diag.Span{}, true
	}
	if r := s.model.result(s.c, name); r != nil {
		return r.value, r.at, true
	}
	return nil, diag.Span{}, false
}

func (s *nameScope) names() []string {
	return append(append([]string{}, s.b.names...), s.model.order...)
}

// checkpointNames is the work on one weights section.
type checkpointNames struct {
	c      *checker
	table  *Table
	model  *Model
	cells  *Table // of the model
	lines  []*tensorLine
	byPath map[string][]*tensorLine
	lent   []lentPart
	names  *Names
	failed bool
	files  map[string]*tensorLine // by tensor name
	told   map[string]bool        // faults that one report stands for
}

// checkpoint names every tensor of a model's checkpoint by a weights section (language.md section 14). nil after a fault.
func (c *checker) checkpoint(w, cells *Table, m *Model) *Names {
	rs, ok := c.cellsOf(w)
	if !ok {
		return nil
	}
	n := &checkpointNames{c: c, table: w, model: m, cells: cells, byPath: map[string][]*tensorLine{}, files: map[string]*tensorLine{}, told: map[string]bool{}}
	n.names = &Names{Name: w.Name, Span: w.Span, Scales: textOf(rs["scales"].value)}
	block := wholes(rs["scale_block"].value)
	if len(block) != 2 || block[0] < 1 || block[1] < 1 {
		c.report(diag.New("E303", rs["scale_block"].at, "", "`scale_block` must be two whole numbers, each at least 1"))
		return nil
	}
	n.names.ScaleBlock = [2]int(block)
	for _, l := range w.lines {
		n.read(l)
	}
	if n.failed {
		return nil
	}
	for _, leaf := range m.leaves() {
		n.leaf(leaf)
	}
	for _, l := range n.lines {
		if !l.used {
			n.copies(l)
		}
	}
	for _, l := range n.lines {
		if !l.used && !l.faulty {
			n.rest(l)
		}
	}
	if n.failed {
		return nil
	}
	return n.names
}

// checkTable checks a weights section by itself: every line must name what some block in reach declares.
func (c *checker) checkTable(w *Table) {
	n := &checkpointNames{c: c, table: w, model: &Model{Span: w.Span}, byPath: map[string][]*tensorLine{}, names: &Names{}}
	for _, l := range w.lines {
		n.read(l)
	}
	for _, l := range n.lines {
		if !l.isCopy() {
			n.rest(l)
		}
	}
}

func (n *checkpointNames) fail(d *diag.Diagnostic) {
	n.failed = true
	n.c.report(d)
}

// leaf finds the line of one weight and names its tensors.
func (n *checkpointNames) leaf(l *leaf) {
	var found *tensorLine
	var bound binding
	forms := append([][]leafPart{l.parts}, n.lentForms(l.parts)...)
	for _, parts := range forms {
		for _, t := range n.byPath[stripped(parts)] {
			b, ok := n.match(t.path, parts)
			if !ok || t.faulty {
				if t.faulty && ok {
					return // told already
				}
				continue
			}
			if found == nil {
				found, bound = t, b
				continue
			}
			t.used = true
			if k := fmt.Sprint("E602", found.text.Span, t.text.Span); !n.told[k] {
				n.told[k] = true
				n.fail(diag.New("E602", t.text.Span, "this is the second", "`%s` has two lines", l.path()).Note(found.text.Span, "the first"))
			}
		}
	}
	if found == nil {
		n.unnamed(l)
		return
	}
	found.used = true
	if !n.fits(found, l) {
		return
	}
	order, rows := n.order(found, l)
	n.add(found, l, &bound, order, rows)
}

// lentForms are the paths under which a leaf is also known through lines that lend names.
func (n *checkpointNames) lentForms(parts []leafPart) [][]leafPart {
	var forms [][]leafPart
	for _, lend := range n.lent {
		if len(parts) <= len(lend.path) {
			continue
		}
		b, ok := n.match(lend.path, parts[:len(lend.path)])
		if !ok {
			continue
		}
		form := make([]leafPart, 0, len(parts))
		sc := &nameScope{&b, n.cells, n.c}
		for _, p := range lend.as {
			index := -1
			if p.index != nil {
				i, isWhole := whole(n.c.eval(sc, p.index))
				if !isWhole {
					n.fail(diag.New("E604", p.index.At(), "", "an index is a whole number"))
					return nil
				}
				index = int(i)
			}
			form = append(form, leafPart{name: p.name, index: index})
		}
		forms = append(forms, append(form, parts[len(lend.path):]...))
	}
	return forms
}

// match compares a line's path with a leaf's and binds the indices.
func (n *checkpointNames) match(path []pathPart, parts []leafPart) (binding, bool) {
	var b binding
	if len(path) != len(parts) {
		return b, false
	}
	for i, p := range path {
		q := parts[i]
		indexed := q.index >= 0 || q.bank > 0
		if p.name != q.name || indexed != (p.index != nil) {
			return b, false
		}
		if !indexed {
			continue
		}
		if v := p.variable(); v != "" {
			if j := slices.Index(b.names, v); j >= 0 && (b.banks[j] > 0 || b.values[j] != q.index) {
				return b, false
			}
			b.set(v, max(q.index, 0), q.bank)
			continue
		}
		want, isWhole := whole(n.c.eval(&nameScope{&b, n.cells, n.c}, p.index))
		if !isWhole || q.bank > 0 || int(want) != q.index {
			return b, false
		}
	}
	return b, true
}

// unnamed reports a weight without a line, once for all that one declaration makes.
func (n *checkpointNames) unnamed(l *leaf) {
	n.failed = true
	k := fmt.Sprint("E601", l.at, l.parts[len(l.parts)-1].name)
	if n.told[k] {
		return
	}
	n.told[k] = true
	n.c.report(diag.New("E601", n.table.Span, "no line of this table names it", "`%s` has no name in the checkpoint", l.path()).
		Note(l.at, "declared here").
		Helpf("add a line `\"name in the file\" = %s`", n.lineFor(l)))
}

// lineFor writes the right side that a leaf would need.
func (n *checkpointNames) lineFor(l *leaf) string {
	var b strings.Builder
	for i, p := range l.parts {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.name)
		switch {
		case p.bank > 0:
			b.WriteString("[e]")
		case p.index >= 0 && p.name == "mtp":
			b.WriteString("[k]")
		case p.index >= 0:
			b.WriteString("[i]")
		}
	}
	if names := l.axisNames(); len(names) > 1 {
		b.WriteString("[" + strings.Join(names, ", ") + "]")
	}
	return b.String()
}

// fits checks that a line orders exactly the weight's axes.
func (n *checkpointNames) fits(t *tensorLine, l *leaf) bool {
	names := l.axisNames()
	if !t.hasAxes && len(names) < 2 {
		return true
	}
	given := make([]string, len(t.axes))
	for i, a := range t.axes {
		given[i] = a.Name
	}
	if sameNames(given, names) {
		return true
	}
	t.faulty = true
	label := "this orders other axes"
	if !t.hasAxes {
		label = "say their order in the file"
	}
	n.fail(diag.New("E603", t.value.At(), label, "`%s` has the axes [%s]", l.path(), strings.Join(names, ", ")).Note(l.at, "declared here"))
	return false
}

func sameNames(x, y []string) bool {
	x, y = slices.Clone(x), slices.Clone(y)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// order gives for each axis in the file its position in the weight, and how many leading axes make the file's first dimension:
// the axes contracted by the dot that uses the weight are one dimension, the others another.
func (n *checkpointNames) order(t *tensorLine, l *leaf) (order []int, rows int) {
	names := l.axisNames()
	if !t.hasAxes {
		for i := range names {
			order = append(order, i)
		}
		return order, len(names)
	}
	for _, a := range t.axes {
		order = append(order, slices.Index(names, a.Name))
	}
	if len(order) < 2 {
		return order, len(order)
	}
	contracted := l.contracted()
	rows = 1
	for rows < len(order)-1 && contracted[order[rows]] == contracted[order[0]] {
		rows++
	}
	return order, rows
}

// add puts the tensors of one leaf into the table: one, or one for each entry of its banks.
func (n *checkpointNames) add(t *tensorLine, l *leaf, b *binding, order []int, rows int) {
	bank := slices.IndexFunc(b.banks, func(size int) bool { return size > 0 })
	if bank < 0 {
		n.append(t, b, NamedTensor{Weight: l.pathWith(b), Order: order, Rows: rows})
		return
	}
	// The names of a bank's entries differ in the index only, on both sides.
	size := b.banks[bank]
	inner := binding{b.names, slices.Clone(b.values), slices.Clone(b.banks), b.bankOf}
	inner.banks[bank] = 0
	for e := range size {
		inner.values[bank] = e
		n.add(t, l, &inner, order, rows)
		if n.failed {
			return
		}
	}
}

// pathWith is the leaf's path with the entries of its banks as bound: the indexed parts are bound in order.
func (l *leaf) pathWith(b *binding) string {
	buf := make([]byte, 0, 64)
	bound := 0
	for i, p := range l.parts {
		if i > 0 {
			buf = append(buf, '.')
		}
		buf = append(buf, p.name...)
		switch {
		case p.bank > 0:
			buf = append(strconv.AppendInt(append(buf, '['), int64(b.values[b.bankOf[bound]]), 10), ']')
			bound++
		case p.index >= 0:
			buf = append(strconv.AppendInt(append(buf, '['), int64(p.index), 10), ']')
		}
	}
	return string(buf)
}

// maxTensors bounds a checkpoint's table; DeepSeek-V3 has 46 thousand.
const maxTensors = 2_000_000

// append names one tensor.
func (n *checkpointNames) append(t *tensorLine, b *binding, tensor NamedTensor) {
	name := make([]byte, 0, 80)
	for _, p := range t.template {
		switch i := slices.Index(b.names, p.name); {
		case p.expr == nil:
			name = append(name, p.text...)
		case i >= 0 && p.name != "":
			name = strconv.AppendInt(name, int64(b.values[i]), 10)
		default:
			switch v := n.c.eval(&nameScope{b, n.cells, n.c}, p.expr).(type) {
			case badValue:
				n.failed = true
				return
			case Text:
				name = append(name, v...)
			default:
				if _, ok := whole(v); !ok {
					n.fail(diag.New("E604", t.text.Span, "", "in braces stand whole numbers and texts, not %s", typeName(v)))
					return
				}
				name = append(name, n.c.text(v)...)
			}
		}
	}
	tensor.File = string(name)
	if first := n.files[tensor.File]; first != nil {
		if k := fmt.Sprint("twice", first.text.Span, t.text.Span); !n.told[k] {
			n.told[k] = true
			d := diag.New("E602", t.text.Span, "", "the tensor \"%s\" would hold two weights", tensor.File)
			if first != t {
				d.Note(first.text.Span, "one is named here")
			} else {
				d.Helpf("write the index into the name: `{i}`")
			}
			n.fail(d)
		}
		return
	}
	if len(n.names.Tensors) >= maxTensors {
		n.fail(diag.New("E506", t.value.At(), "", "the checkpoint would have more than two million tensors"))
		return
	}
	n.files[tensor.File] = t
	n.names.Tensors = append(n.names.Tensors, tensor)
}

// isCopy recognises `mtp[k].embed` and `mtp[k].head`.
func (t *tensorLine) isCopy() bool {
	return len(t.path) == 2 && t.path[0].name == "mtp" && t.path[0].index != nil && t.path[1].index == nil &&
		(t.path[1].name == "embed" || t.path[1].name == "head")
}

// copies names the copies of the model's own tables that a multi-token prediction module's line asks for.
func (n *checkpointNames) copies(t *tensorLine) {
	if !t.isCopy() {
		return
	}
	t.used = true
	weight := t.path[1].name
	l := &leaf{parts: []leafPart{{weight, -1, 0}}, at: n.model.Span, axes: []*Axis{n.model.VocabAxis(), n.model.DimAxis()}}
	if !n.fits(t, l) {
		return
	}
	if n.model.MTP == nil {
		n.names.Resting++
		return
	}
	if weight == "head" && n.model.Tied {
		l.parts[0].name = "embed"
	}
	order, rows := n.order(t, l)
	for k := range n.model.MTPDepth {
		if b, ok := n.match(t.path[:1], []leafPart{{"mtp", k, 0}}); ok {
			n.append(t, &b, NamedTensor{Weight: l.path(), Order: order, Rows: rows, Copy: true})
		}
	}
}
