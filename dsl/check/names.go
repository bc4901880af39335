package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// nameLine is one line of a weights section as written.
type nameLine struct {
	text  *dsl.Str  // the tensor's name in the file; nil for a line that lends the names of one part to another
	key   []dsl.Seg // instead of text
	value dsl.Expr
	env   env
}

// writeLine takes a cell of a weights section that is no setting. In a derived table a line replaces the one of the same text,
// and `= none` drops it.
func (t *Table) writeLine(c *checker, k *dsl.Cell, e env) bool {
	if k.Text == nil && (k.Let || len(k.Key) == 1 && k.Key[0].Index == nil || paramNamed(t.Kind.Params, k.Key[0].Name.Name) != nil) {
		return false
	}
	at := slices.IndexFunc(t.lines, func(l *nameLine) bool {
		return (l.text == nil) == (k.Text == nil) && (&dslKey{l.text, l.key}).String() == keyText(k)
	})
	if n, ok := dsl.Unparen(k.Value).(*dsl.Name); ok && n.Name == "none" {
		if at < 0 {
			c.report(diag.New("E604", k.KeySpan(), "", "there is no such line to drop"))
			return true
		}
		t.lines = slices.Delete(t.lines, at, at+1)
		return true
	}
	line := &nameLine{k.Text, k.Key, k.Value, e}
	if at >= 0 {
		t.lines[at] = line
		return true
	}
	t.lines = append(t.lines, line)
	return true
}

// dslKey is the left side of a line.
type dslKey struct {
	text *dsl.Str
	key  []dsl.Seg
}

func (k *dslKey) String() string { return keyText(&dsl.Cell{Text: k.text, Key: k.key}) }

// pathPart is one name of a weight's path in a line: `layers[i]`, `attn`, `bank[e]`.
type pathPart struct {
	name  string
	index dsl.Expr
}

// variable is the index's name if it stands for all, "" otherwise.
func (p pathPart) variable() string {
	if n, ok := dsl.Unparen(p.index).(*dsl.Name); ok {
		return n.Name
	}
	return ""
}

// tensorLine is a line that names tensors: a template of names, a path, and the order of axes in the file.
type tensorLine struct {
	*nameLine
	path     []pathPart
	axes     []dsl.Ident
	hasAxes  bool
	template []templatePart
	used     bool
	faulty   bool
}

// templatePart is literal text, or an expression in braces.
type templatePart struct {
	text string
	expr dsl.Expr
	name string // of an expression that is a name alone
}

// lentPart is `layers[depth + k] = mtp[k].layer`: what lies below the right path is named by the lines for the left one.
type lentPart struct{ as, path []pathPart }

// leaf is a weight or state of the model with its place.
type leaf struct {
	parts []leafPart
	shape *dsl.Shape // as declared; nil for embed and head
	at    diag.Span
	body  *Body
	axes  []*Axis
}

// leafPart is one name of a leaf's path, with an index (−1: none) or the size of the bank it is (0: none).
type leafPart struct {
	name  string
	index int
	bank  int
}

func stripped(parts []leafPart) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('.')
		b.WriteString(p.name)
	}
	return b.String()
}

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

func (n *checkpointNames) fail(d *diag.Diagnostic) {
	n.failed = true
	n.c.report(d)
}

// read takes one line apart.
func (n *checkpointNames) read(l *nameLine) {
	value := dsl.Unparen(l.value)
	if l.text == nil {
		path, ok := weightPath(value)
		if !ok {
			n.fail(diag.New("E604", l.value.At(), "", "the right side must be the path of a part").Helpf("for example `layers[depth + k] = mtp[k].layer`"))
			return
		}
		var as []pathPart
		for _, s := range l.key {
			as = append(as, pathPart{s.Name.Name, s.Index})
		}
		n.lent = append(n.lent, lentPart{as, path})
		return
	}
	t := &tensorLine{nameLine: l}
	if x, ok := value.(*dsl.Index); ok && !x.Arrow {
		t.hasAxes = true
		for _, a := range x.Axes {
			id, ok := dsl.Unparen(a).(*dsl.Name)
			if !ok {
				n.fail(diag.New("E604", a.At(), "", "the last brackets give the order of axes in the file").Helpf("a line is \"name in the file\" = path.of.weight[axes]"))
				return
			}
			t.axes = append(t.axes, id.Ident)
		}
		value = x.X
	}
	path, ok := weightPath(value)
	if !ok {
		n.fail(diag.New("E604", l.value.At(), "", "a line names a weight by its path").Helpf("a line is \"name in the file\" = path.of.weight[axes]"))
		return
	}
	t.path = path
	if !n.parseTemplate(t) {
		return
	}
	n.lines = append(n.lines, t)
	k := ""
	for _, p := range path {
		k += "." + p.name
	}
	n.byPath[k] = append(n.byPath[k], t)
}

// weightPath reads `layers[i].attn.wq` as a path.
func weightPath(x dsl.Expr) ([]pathPart, bool) {
	switch x := x.(type) {
	case *dsl.Name:
		return []pathPart{{name: x.Name}}, true
	case *dsl.Member:
		path, ok := weightPath(x.X)
		return append(path, pathPart{name: x.Name.Name}), ok
	case *dsl.Index:
		path, ok := weightPath(x.X)
		if !ok || len(x.Axes) != 1 || x.Arrow || path[len(path)-1].index != nil {
			return nil, false
		}
		path[len(path)-1].index = x.Axes[0]
		return path, true
	}
	return nil, false
}

// parseTemplate reads the braces of a line's text.
func (n *checkpointNames) parseTemplate(t *tensorLine) bool {
	rest := t.text.Value
	for rest != "" {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			i = len(rest)
		}
		if i > 0 {
			t.template = append(t.template, templatePart{text: rest[:i]})
		}
		if rest = rest[i:]; rest == "" {
			break
		}
		j := strings.IndexByte(rest, '}')
		if j < 0 {
			n.fail(diag.New("E604", t.text.Span, "", "a `{` of the name is not closed"))
			return false
		}
		x, diags := dsl.ParseExpr(t.text.Span.File, rest[1:j])
		if diags.HasErrors() || x == nil {
			n.fail(diag.New("E604", t.text.Span, "", "`{%s}` does not hold an index or a cell of the model", rest[1:j]))
			return false
		}
		part := templatePart{expr: x}
		if id, ok := x.(*dsl.Name); ok {
			part.name = id.Name
		}
		known := true
		visitNames(x, func(id *dsl.Name) {
			index := slices.ContainsFunc(t.path, func(p pathPart) bool { return p.index != nil && p.variable() == id.Name })
			if !index && n.cells.cells[id.Name] == nil && paramNamed(n.cells.Kind.Params, id.Name) == nil && known {
				known = false
				n.fail(diag.New("E100", t.text.Span, "", "`{%s}`: nothing here is called `%s`", rest[1:j], id.Name).
					Helpf("in braces stand the indices of the right side and the model's cells"))
			}
		})
		if !known {
			return false
		}
		t.template = append(t.template, part)
		rest = rest[j+1:]
	}
	return true
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
					n.failed = true
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

// path is the leaf's path as in WeightInfo.Path.
func (l *leaf) path() string {
	var b strings.Builder
	for i, p := range l.parts {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.name)
		if p.index >= 0 {
			fmt.Fprintf(&b, "[%d]", p.index)
		}
	}
	return b.String()
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

// axisNames are the names of the leaf's axes as declared.
func (l *leaf) axisNames() []string {
	if l.shape == nil {
		return []string{"vocab", "dim"}
	}
	names := make([]string, len(l.shape.Axes))
	for i, a := range l.shape.Axes {
		names[i] = a.Name
	}
	return names
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

// contracted says which axes of the weight are summed by the dot (or conv) that uses it.
func (l *leaf) contracted() []bool {
	sums := make([]bool, len(l.axes))
	if l.body == nil {
		sums[len(sums)-1] = true // embed and head: dim is
		return sums
	}
	name := l.parts[len(l.parts)-1].name
	for _, node := range l.body.Nodes {
		if node.Op != "dot" && node.Op != "conv" {
			continue
		}
		for _, a := range node.Args {
			if a.Op == "weight" && a.Name == name {
				for i, x := range l.axes {
					sums[i] = sums[i] || hasAxis(node.On, x)
				}
			}
		}
	}
	return sums
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

// copies names the copies of the model's own tables that a multi-token prediction module's line asks for.
func (n *checkpointNames) copies(t *tensorLine) {
	if len(t.path) != 2 || t.path[0].name != "mtp" || t.path[0].index == nil || t.path[1].index != nil {
		return
	}
	weight := t.path[1].name
	if weight != "embed" && weight != "head" {
		return
	}
	t.used = true
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

// rest checks a line for weights that this model does not have: some block in reach must declare what it names.
func (n *checkpointNames) rest(t *tensorLine) {
	at := t.value.At()
	reach := n.c.declared()
	wrong := func(name, what string, candidates []string) {
		label, near := didYouMean(name, candidates)
		d := diag.New("E604", at, label, "no block declares %s `%s`", what, name)
		if near == "" {
			d.Labels[0].Text = "no weight of any model is called this"
		}
		n.fail(d)
	}
	first := t.path[0]
	top := []string{"embed", "head", "norm", "layers", "mtp"}
	if !slices.Contains(top, first.name) {
		wrong(first.name, "a part or weight", top)
		return
	}
	if list := first.name == "layers" || first.name == "mtp"; list != (first.index != nil) || len(t.path) == 1 != (first.name == "embed" || first.name == "head") {
		n.fail(diag.New("E604", at, "", "no weight has the path `%s`", sourceText(n.c, at)).Helpf("paths begin with embed, head, norm.…, layers[i].… or mtp[k].…"))
		return
	}
	if len(t.path) == 1 {
		l := &leaf{parts: []leafPart{{first.name, -1, 0}}, at: n.model.Span}
		if n.fits(t, l) {
			n.names.Resting++
		}
		return
	}
	for _, p := range t.path[1 : len(t.path)-1] {
		bank, known := reach.parts[p.name]
		if !known {
			wrong(p.name, "a part", reach.partNames)
			return
		}
		if p.index != nil && !bank {
			n.fail(diag.New("E604", at, "", "the part `%s` is not a bank: it has no index", p.name))
			return
		}
	}
	last := t.path[len(t.path)-1]
	shapes := reach.weights[last.name]
	if shapes == nil || last.index != nil {
		wrong(last.name, "a weight", reach.weightNames)
		return
	}
	given := make([]string, len(t.axes))
	for i, a := range t.axes {
		given[i] = a.Name
	}
	for _, s := range shapes {
		names := (&leaf{shape: s}).axisNames()
		if sameNames(given, names) || !t.hasAxes && len(names) < 2 {
			n.names.Resting++
			return
		}
	}
	n.fail(diag.New("E604", at, "", "no block declares a weight `%s` with the axes [%s]", last.name, strings.Join(given, ", ")))
}

// reach is what the blocks that this run has read declare.
type reach struct {
	parts       map[string]bool // whether some part of that name is a bank
	weights     map[string][]*dsl.Shape
	partNames   []string
	weightNames []string
}

func (c *checker) declared() *reach {
	if c.reach != nil {
		return c.reach
	}
	r := &reach{parts: map[string]bool{}, weights: map[string][]*dsl.Shape{}}
	for _, m := range append([]*Module{c.prelude}, c.opened...) {
		for _, d := range m.order {
			if d.block == nil {
				continue
			}
			for _, s := range d.block.Decl.Body {
				switch s := s.(type) {
				case *dsl.Part:
					r.parts[s.Name.Name] = r.parts[s.Name.Name] || s.Bank != nil
					r.partNames = append(r.partNames, s.Name.Name)
				case *dsl.Weight:
					r.weights[s.Name.Name] = append(r.weights[s.Name.Name], &s.Shape)
					r.weightNames = append(r.weightNames, s.Name.Name)
				case *dsl.State:
					r.weights[s.Name.Name] = append(r.weights[s.Name.Name], &s.Shape)
					r.weightNames = append(r.weightNames, s.Name.Name)
				}
			}
		}
	}
	c.reach = r
	return r
}

// leaves lists every weight and state of a model with its place, in the order of Weights.
func (m *Model) leaves() []*leaf {
	var list []*leaf
	table := func(name string) {
		list = append(list, &leaf{parts: []leafPart{{name, -1, 0}}, at: m.Span, axes: []*Axis{m.VocabAxis(), m.DimAxis()}})
	}
	var walk func(prefix []leafPart, b *Body)
	add := func(prefix []leafPart, b *Body, name string, axes []*Axis) {
		l := &leaf{parts: append(slices.Clone(prefix), leafPart{name, -1, 0}), body: b, axes: axes}
		l.shape, l.at = declaredShape(b.Built.Def, name)
		list = append(list, l)
	}
	walk = func(prefix []leafPart, b *Body) {
		for _, w := range b.Weights {
			add(prefix, b, w.Name, w.Axes)
		}
		for _, s := range b.States {
			add(prefix, b, s.Name, s.Axes)
		}
		for _, p := range b.Parts {
			if inner := b.bodyOf(p); inner != nil {
				part := leafPart{p.Name, -1, 0}
				if p.Bank != nil {
					part.bank = p.Bank.Size
				}
				walk(append(slices.Clone(prefix), part), inner)
			}
		}
	}
	table("embed")
	state := m.stateAxes()
	for i, b := range m.Layers {
		walk([]leafPart{{"layers", i, 0}}, b.Body(state))
	}
	walk([]leafPart{{"norm", -1, 0}}, m.Norm.Body(state))
	if !m.Tied {
		table("head")
	}
	if m.MTP != nil {
		for k := range m.MTPDepth {
			walk([]leafPart{{"mtp", k, 0}}, m.MTP.Body(state, state))
		}
	}
	return list
}

// declaredShape finds the line that declares a weight or state: its shape, and the place of name and shape.
func declaredShape(def *BlockDef, name string) (*dsl.Shape, diag.Span) {
	for _, s := range def.Decl.Body {
		switch s := s.(type) {
		case *dsl.Weight:
			if s.Name.Name == name {
				return &s.Shape, s.Name.Span.To(s.Shape.Span)
			}
		case *dsl.State:
			if s.Name.Name == name {
				return &s.Shape, s.Name.Span.To(s.Shape.Span)
			}
		}
	}
	return nil, diag.Span{}
}
