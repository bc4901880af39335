package check

import (
	"slices"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// nameLine is one line of a weights section as written.
type nameLine struct {
	text  *dsl.Str // the tensor's name in the file; nil for a line that lends the names of one part to another
	value dsl.Expr
	cell  *dsl.Cell
}

// writeLine takes a cell of a weights section that is no setting. In a derived table a line replaces the one of the same text,
// and `= none` drops it.
func (t *Table) writeLine(c *checker, k *dsl.Cell) bool {
	if k.Text == nil && (k.Let || len(k.Key) == 1 && k.Key[0].Index == nil || paramNamed(t.Kind.Params, k.Key[0].Name.Name) != nil) {
		return false
	}
	at := slices.IndexFunc(t.lines, func(l *nameLine) bool {
		return (l.text == nil) == (k.Text == nil) && keyText(l.cell) == keyText(k)
	})
	if n, ok := dsl.Unparen(k.Value).(*dsl.Name); ok && n.Name == "none" {
		if at < 0 {
			c.report(diag.New("E604", k.KeySpan(), "", "there is no such line to drop"))
			return true
		}
		t.lines = slices.Delete(t.lines, at, at+1)
		return true
	}
	line := &nameLine{k.Text, k.Value, k}
	if at >= 0 {
		t.lines[at] = line
		return true
	}
	t.lines = append(t.lines, line)
	return true
}

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
		for _, s := range l.cell.Key {
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
			if known && !index && n.cells != nil && n.cells.cells[id.Name] == nil && paramNamed(n.cells.Kind.Params, id.Name) == nil {
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
