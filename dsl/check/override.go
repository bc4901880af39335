package check

import (
	"maps"
	"slices"

	"forge/dsl"
	"forge/dsl/diag"
)

// `from`, a call of a table and `--set` are one operation: the same table with these cells replaced, everything else computed anew.
// A path that goes into a cell's value is a change of it. All changes of a value are made together: what is built while they are
// put in is a draft, whose rules (a block's `require` lines, the ranges of a builder) are checked once, when all are in place.

// callTable evaluates `table(cell = value, …)`: the same table with these cells replaced.
func (c *checker) callTable(sc scope, t *Table, x *dsl.Call) Value {
	n := t.copyOf(c)
	for _, a := range x.Args {
		if a.Name.Name == "" {
			return c.fail(diag.New("E109", a.Span, "", "the cells of a section are given by name").Helpf("write `%s(name = value)`", t.Name))
		}
		if t.cells[a.Name.Name] == nil && paramNamed(t.Kind.Params, a.Name.Name) == nil {
			return c.noSetting(t, a.Name)
		}
		n.replace(&cell{name: a.Name.Name, let: paramNamed(t.Kind.Params, a.Name.Name) == nil, value: a.Value,
			env: env{module: t.module, outer: sc}, key: a.Name.Span})
	}
	return n
}

// with is the table with what lies at a path replaced.
func (t *Table) with(c *checker, path []pathStep, p *patch) Value {
	first := path[0]
	if first.index != nil {
		return c.fail(diag.New("E108", first.span, "", "a section has cells, not items"))
	}
	setting := paramNamed(t.Kind.Params, first.name) != nil
	if t.cells[first.name] == nil && !setting {
		return c.noSetting(t, dsl.Ident{Name: first.name, Span: first.span})
	}
	n := t.copyOf(c)
	if len(path) == 1 {
		n.replace(&cell{name: first.name, let: !setting, value: p.value, env: p.env, key: p.key})
		return n
	}
	n.patches = append(n.patches, &patch{path: path, value: p.value, env: p.env, key: p.key})
	return n
}

// change is what a path replaces in a value: the path from there, and where the new value is read.
type change struct {
	*patch
	path  []pathStep
	scope scope
}

// changesOf are the changes inside a cell's value, in the order in which they are made.
func (t *Table) changesOf(c *checker, name string) []change {
	var changes []change
	for _, p := range t.patches {
		if p.path[0].name == name {
			changes = append(changes, change{p, p.path[1:], &cellScope{c, t, name, p.env}})
		}
	}
	return changes
}

// inside is the change seen from one step further in.
func (ch change) inside() change { return change{ch.patch, ch.path[1:], ch.scope} }

// changedValue makes the changes of a drafted value and checks what they come to.
func (c *checker) changedValue(v Value, changes []change) Value {
	if len(changes) == 0 {
		return v
	}
	v = c.replaceIn(v, changes)
	c.drafting = false
	if !c.settled(v) {
		return bad
	}
	return v
}

// replaceIn is a value with what lies at the paths replaced. What is replaced must exist; a path creates nothing.
func (c *checker) replaceIn(v Value, changes []change) Value {
	if n := lastWhole(changes); n >= 0 {
		c.used[changes[n].key] = true
		v, changes = c.eval(changes[n].scope, changes[n].value), changes[n+1:]
	}
	if len(changes) == 0 || isOpen(v) {
		return v
	}
	if t, ok := v.(*Table); ok {
		return c.replaceCells(t, changes)
	}
	for _, ch := range changes {
		if _, isList := v.(List); !isList && ch.path[0].index != nil {
			return c.fail(diag.New("E108", ch.path[0].span, "", "the path asks for an item, but there is %s", typeName(v)))
		}
	}
	first := changes[0].path[0]
	switch v := v.(type) {
	case List:
		return c.replaceItems(v, changes)
	case *Built:
		g, open := c.replaceAttributes(v.Def.Name, v.Def.Params, v.Def.Module, v.givens(), changes)
		if open != nil {
			return open
		}
		return c.finishBlock(&viewScope{changes[0].scope}, v.Def, g, v.Span)
	case *Record:
		g, open := c.replaceAttributes(v.Builder, v.builder.Params, v.builder.module, v.given, changes)
		if open != nil {
			return open
		}
		return c.finishRecord(v.builder, g, v.span)
	case Nothing:
		return c.fail(diag.New("E108", first.span, "", "there is nothing to change inside `none`").Helpf("replace the whole value"))
	}
	return c.fail(diag.New("E108", first.span, "", "a path can't go into %s", typeName(v)).Helpf("replace the whole value"))
}

// lastWhole is the place of the last change that replaces the value as a whole, -1 if none does. What was changed inside the old
// value before is gone with it.
func lastWhole(changes []change) int {
	for i := len(changes) - 1; i >= 0; i-- {
		if len(changes[i].path) == 0 {
			return i
		}
	}
	return -1
}

// replaceCells is a table with changes in it.
func (c *checker) replaceCells(t *Table, changes []change) Value {
	for _, ch := range changes {
		next, ok := t.with(c, ch.path, ch.patch).(*Table)
		if !ok {
			return bad
		}
		t = next
	}
	return t
}

// replaceItems is a list with changes in its items.
func (c *checker) replaceItems(l List, changes []change) Value {
	items := map[int64][]change{}
	var order []int64
	for _, ch := range changes {
		step := ch.path[0]
		if step.index == nil {
			return c.fail(diag.New("E108", step.span, "", "a path can't go into %s", typeName(l)).Helpf("replace the whole value"))
		}
		n := c.eval(ch.scope, step.index)
		if isOpen(n) {
			return n
		}
		if isBad(c.listItem(l, n, step.span)) {
			return bad
		}
		i, _ := whole(n)
		if items[i] == nil {
			order = append(order, i)
		}
		items[i] = append(items[i], ch.inside())
	}
	l = slices.Clone(l)
	for _, i := range order {
		if l[i] = c.replaceIn(l[i], items[i]); isOpen(l[i]) {
			return l[i]
		}
	}
	return l
}

// replaceAttributes are the attributes of a built value with changes in them, in the header's order: a default that is changed
// inside is first computed from the attributes before it as they are now. Of two values the second is what could not be judged.
func (c *checker) replaceAttributes(name string, params []*Param, m *Module, g given, changes []change) (given, Value) {
	inside := map[string][]change{}
	for _, ch := range changes {
		step := ch.path[0]
		if paramNamed(params, step.name) == nil {
			c.noAttribute(name, params, dsl.Ident{Name: step.name, Span: step.span})
			return g, bad
		}
		inside[step.name] = append(inside[step.name], ch.inside())
	}
	attrs := map[string]Value{}
	sc := &viewScope{&attrScope{attrs, m}}
	g = given{maps.Clone(g.values), maps.Clone(g.spans)}
	for _, p := range params {
		v, isGiven := g.values[p.Name]
		list := inside[p.Name]
		if !isGiven && lastWhole(list) < 0 {
			v = c.evalFit(sc, p.Default, p.Type, p.Name)
		}
		if len(list) > 0 {
			last := list[len(list)-1]
			raw := ""
			if len(last.path) == 0 {
				raw = rawNumber(last.value)
			}
			v = c.fit(c.replaceIn(v, list), p.Type, p.Name, last.value.At(), raw)
			g.values[p.Name], g.spans[p.Name] = v, last.value.At()
		}
		if isOpen(v) {
			return g, v
		}
		attrs[p.Name] = v
	}
	return g, nil
}

// givens are the attributes that were written, all of them for a block that does not say.
func (b *Built) givens() given {
	if b.view != nil {
		return b.view.given
	}
	g := given{map[string]Value{}, map[string]diag.Span{}}
	for n, v := range b.Attrs {
		g.values[n], g.spans[n] = v, b.spans[n]
	}
	return g
}

// settled checks the rules of everything drafted in a value, the innermost first.
func (c *checker) settled(v Value) bool {
	ok := true
	switch v := v.(type) {
	case *Built:
		b := v.canonical()
		if b.rules == unchecked {
			for _, p := range b.Def.Params {
				ok = c.settled(b.Attrs[p.Name]) && ok
			}
		}
		return ok && c.rulesHold(b)
	case *Record:
		for _, n := range v.Order {
			ok = c.settled(v.Attrs[n]) && ok
		}
		return ok && c.checkRecord(v)
	case List:
		for _, x := range v {
			ok = c.settled(x) && ok
		}
	}
	return ok
}
