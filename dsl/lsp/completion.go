package lsp

import (
	"slices"
	"strings"

	"forge/dsl"
	"forge/dsl/check"
	"forge/recipes"
)

// Completion must answer within a keystroke, in a file that is mostly broken just there. So the place is read from the text before
// it, the declaration around it is parsed by itself, and everything else comes from the newest trees there are: those of the open
// document may be some keys old.

// completion lists what may stand at a place.
func (s *server) completion(name string, p *documentParams) (any, error) {
	d := s.docs[name]
	if d == nil {
		return completionList{Items: []completionItem{}}, nil
	}
	s.typing = true
	defer func() { s.typing = false }()
	c := s.complete(d, p.Position)
	if c.items == nil {
		c.items = []completionItem{}
	}
	return completionList{Items: c.items}, nil
}

// completer collects items for one place.
type completer struct {
	s     *server
	file  string
	items []completionItem
	taken map[string]bool
}

func (c *completer) add(label string, kind int, detail, insert string) {
	if label == "" || c.taken[label] || label == ".." {
		return
	}
	c.taken[label] = true
	c.items = append(c.items, completionItem{Label: label, Kind: kind, Detail: detail, InsertText: insert})
}

// place is the text before the cursor as completion reads it.
type before struct {
	line    string // before the cursor
	path    string // `model.attn.` right before the word being typed, "" if there is none
	bracket byte   // the innermost open one on the lines of the declaration: '[', '(' or 0
	callee  string // the path before it
	indent  bool   // the line begins with a blank: it is inside a declaration
}

func (s *server) complete(d *document, at position) *completer {
	offset := d.text.offset(at)
	start := d.text.starts[min(max(at.Line, 0), len(d.text.starts)-1)]
	head, from := chunk(d.text, at.Line)
	b := readBefore(d.text.source[from:offset], d.text.source[start:offset])
	c := &completer{s: s, file: d.name, taken: map[string]bool{}}
	if insideQuotes(b.line) {
		c.quoted(b)
		return c
	}
	decl := s.declAround(d, head)
	switch {
	case decl == nil && !b.indent:
		c.topLevel()
	case decl == nil:
	default:
		c.within(decl, b)
	}
	return c
}

// chunk is the declaration around a line: from the line at the margin at or above it to the next one. from is its first byte.
func chunk(t *text, line int) (source string, from int) {
	line = min(max(line, 0), len(t.starts)-1)
	first := line
	for first > 0 && !margin(t.line(first)) {
		first--
	}
	last := line + 1
	for last < len(t.starts) && !margin(t.line(last)) {
		last++
	}
	end := len(t.source)
	if last < len(t.starts) {
		end = t.starts[last]
	}
	return t.source[t.starts[first]:end], t.starts[first]
}

// margin reports whether a declaration begins on a line.
func margin(line string) bool {
	return line != "" && isWord(line[0]) && (line[0] < '0' || line[0] > '9')
}

// declAround is the declaration around a line. It is parsed by itself; the line being typed may be missing from it.
func (s *server) declAround(d *document, source string) dsl.Decl {
	if len(source) > 64<<10 {
		return nil
	}
	file, _ := dsl.Parse(d.name, source)
	for _, x := range file.Decls {
		switch x.(type) {
		case *dsl.Section, *dsl.Block:
			return x
		}
	}
	return nil
}

// readBefore reads what stands before the cursor, within the declaration and on its line.
func readBefore(decl, line string) before {
	b := before{line: line, indent: line != "" && (line[0] == ' ' || line[0] == '\t')}
	word := len(line)
	for word > 0 && isWord(line[word-1]) {
		word--
	}
	b.path = pathBefore(line[:word])
	depth := 0
	inQuotes := false
scan:
	for i := len(decl) - 1; i >= 0; i-- {
		switch c := decl[i]; {
		case c == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case c == ')' || c == ']' || c == '}':
			depth++
		case (c == '(' || c == '[' || c == '{') && depth > 0:
			depth--
		case c == '(' || c == '[':
			b.bracket = c
			b.callee = strings.TrimSuffix(pathBefore(decl[:i]+"."), ".")
			break scan
		case c == '{':
			break scan
		}
	}
	return b
}

// pathBefore is the chain of names, dots and indices at the end of a text that ends with a dot.
func pathBefore(s string) string {
	if !strings.HasSuffix(s, ".") {
		return ""
	}
	i := len(s)
	for i > 0 {
		switch c := s[i-1]; {
		case isWord(c) || c == '.':
			i--
			continue
		case c == ']':
			if j := strings.LastIndexByte(s[:i], '['); j >= 0 && !strings.ContainsAny(s[j:i], "\n") {
				i = j
				continue
			}
		}
		break
	}
	return strings.TrimLeft(s[i:], ".")
}

func insideQuotes(line string) bool {
	if i := strings.IndexByte(line, '#'); i >= 0 && strings.Count(line[:i], `"`)%2 == 0 {
		return true // a comment: nothing is completed in it
	}
	return strings.Count(line, `"`)%2 == 1
}

// quoted completes the shipped recipes after `use`.
func (c *completer) quoted(b before) {
	if strings.HasPrefix(strings.TrimSpace(b.line), "use") {
		for _, name := range recipes.Names() {
			c.add(name, itemModule, "shipped recipe", name)
		}
	}
}

func (c *completer) topLevel() {
	for _, w := range []string{"forge", "use", "block"} {
		c.add(w, itemKeyword, "", "")
	}
	for _, k := range c.s.kinds() {
		c.add(k, itemClass, "section", "")
	}
}

// within completes inside a section or block.
func (c *completer) within(d dsl.Decl, b before) {
	e := env{file: c.file}
	var block *dsl.Block
	switch d := d.(type) {
	case *dsl.Section:
		e.section = d
	case *dsl.Block:
		block = d
		e.block = d
	}
	if b.path != "" {
		c.members(c.pathValue(strings.TrimSuffix(b.path, "."), e))
		return
	}
	if !b.indent { // the header
		if _, after, found := strings.Cut(b.line, " from "); found && !strings.Contains(after, "{") {
			c.top(nil)
			return
		}
		if block == nil {
			c.topLevel()
		}
	}
	if b.bracket == '(' && b.callee != "" {
		v := c.pathValue(b.callee, e)
		v.built = v.decl != nil
		c.attributes(v)
	}
	trimmed := strings.TrimLeft(b.line, " \t")
	if e.section != nil && b.bracket == 0 && !strings.Contains(b.line, "=") {
		if strings.HasPrefix(trimmed, "let ") {
			return
		}
		c.add("let", itemKeyword, "a helper cell", "")
		c.members(thing{file: c.file, section: e.section})
		return
	}
	if block != nil {
		c.block(block, b, trimmed)
	}
	if e.section != nil {
		// A path's value is read in the table whose cell it replaces.
		if key, _, found := strings.Cut(trimmed, "="); found && strings.Contains(key, ".") {
			key = strings.TrimSpace(key)
			if v := c.pathValue(key[:strings.LastIndexByte(key, '.')], e); v.section != nil {
				c.cells(v.section, v.file)
			}
		}
		c.cells(e.section, c.file)
	}
	if b.bracket == '[' && b.callee != "" && block != nil {
		return // axes only
	}
	c.top(e.section)
	for _, w := range []string{"if", "else", "for", "in", "then", "and", "or", "not", "true", "false", "none"} {
		c.add(w, itemKeyword, "", "")
	}
	if fields := strings.Fields(b.line); len(fields) > 0 && fields[len(fields)-1] != "" && b.line[len(b.line)-1] == ' ' {
		if last := fields[len(fields)-1]; last[0] >= '0' && last[0] <= '9' {
			for _, u := range dsl.Units {
				c.add(u, itemUnit, "unit", "")
			}
		}
	}
}

// pathValue is what a path like `model.layers[0]` gives, as a key of a section or as a value.
func (c *completer) pathValue(path string, e env) thing {
	x, faults := dsl.ParseExpr(c.file, path)
	if faults.HasErrors() || x == nil {
		return thing{}
	}
	return c.s.value(x, e, 0)
}

// members completes after a dot.
func (c *completer) members(v thing) {
	switch {
	case v.module != "":
		if t := c.s.tree(v.module); t != nil {
			for _, d := range t.file.Decls {
				if x := declared(d); x != nil && x.kind != kindImport {
					c.target(x)
				}
			}
		}
	case v.section != nil:
		for _, p := range c.s.settings(v.section.Kind.Name) {
			c.add(p.Name.Name, itemProperty, c.s.between(p.Span), "")
		}
		c.cells(v.section, v.file)
	case v.built:
		for _, p := range v.params {
			c.add(p.Name.Name, itemField, c.s.between(p.Span), "")
		}
	}
}

// attributes completes the names of a call's arguments.
func (c *completer) attributes(v thing) {
	switch {
	case v.section != nil:
		c.members(v)
	case v.decl != nil:
		for _, p := range v.params {
			c.add(p.Name.Name, itemField, c.s.between(p.Span), p.Name.Name+" = ")
		}
	}
}

// cells completes the cells of a section and of those that it is made from.
func (c *completer) cells(section *dsl.Section, file string) {
	for range maxSteps {
		for _, k := range section.Cells {
			if k.Text == nil && len(k.Key) == 1 && k.Key[0].Index == nil {
				detail := "cell"
				if file != c.file { // the declaration at hand is parsed by itself, so its places are not the file's
					detail = clip(c.s.between(k.Span))
				}
				c.add(k.Key[0].Name.Name, itemVariable, detail, "")
			}
		}
		var ok bool
		if file, section, ok = c.s.base(file, section); !ok {
			return
		}
	}
}

// block completes the lines of a block: its words, its names and, in brackets, axes alone.
func (c *completer) block(d *dsl.Block, b before, trimmed string) {
	if b.bracket == '[' && b.callee != "" {
		for _, p := range d.Params {
			if p.Type != nil && slices.ContainsFunc(p.Type.Atoms, func(a dsl.TypeAtom) bool { return a.Name == "axis" }) {
				c.add(p.Name.Name, itemConstant, "axis", "")
			}
		}
		for _, in := range d.Inputs {
			for _, a := range in.Shape.Axes {
				c.add(a.Name, itemConstant, "axis", "")
			}
		}
		for _, st := range d.Body {
			if q, ok := st.(*dsl.Equation); ok && isNumber(q.Value) {
				for _, id := range q.Names {
					c.add(id.Name, itemConstant, "axis", "")
				}
			}
		}
		for _, a := range []string{"batch", "seq", "key"} {
			c.add(a, itemConstant, "axis", "")
		}
		return
	}
	if b.indent && !strings.ContainsAny(trimmed, " =(") {
		for _, w := range []string{"weight", "state", "part", "require", "update", "loss", "metric", "return"} {
			c.add(w, itemKeyword, "", "")
		}
	}
	for _, p := range d.Params {
		c.add(p.Name.Name, itemVariable, "attribute", "")
	}
	for _, t := range locals(d) {
		c.add(t.name, itemVariable, string(t.kind), "")
	}
	for _, p := range check.Primitives() {
		c.add(p.Name, itemFunction, p.Usage, "")
	}
}

// isNumber tells from its form that an equation gives a number, which may be an axis.
func isNumber(x dsl.Expr) bool {
	switch x := dsl.Unparen(x).(type) {
	case *dsl.Number, *dsl.Name, *dsl.Member:
		return true
	case *dsl.Binary:
		return isNumber(x.X) && isNumber(x.Y)
	}
	return false
}

// top completes what the file and the prelude declare.
func (c *completer) top(own *dsl.Section) {
	files := []string{c.file}
	files = append(files, preludeFiles()...)
	for _, f := range files {
		t := c.s.tree(f)
		if t == nil {
			continue
		}
		for _, d := range t.file.Decls {
			if x := declared(d); x != nil && x.kind != kindKind && (own == nil || x.name != own.Name.Name) {
				c.target(x)
			}
		}
	}
	for _, f := range functions {
		c.add(f, itemFunction, "a function on numbers", "")
	}
}

func (c *completer) target(t *target) {
	switch n := t.node.(type) {
	case *dsl.Block:
		c.add(t.name, itemFunction, c.s.header(n.Span, n.Body), "")
	case *dsl.Builtin:
		c.add(t.name, itemFunction, c.s.between(n.Span), "")
	case *dsl.Section:
		c.add(t.name, itemValue, n.Kind.Name, "")
	case *dsl.Use:
		c.add(t.name, itemModule, n.Path.Value, "")
	}
}
