package check

import (
	"fmt"
	"maps"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

// Param is an attribute of a block or builder, or a setting of a kind.
type Param struct {
	Name    string
	Type    typ
	Default dsl.Expr // nil: must be given
	Decl    *dsl.Param
}

func paramsOf(list []*dsl.Param) []*Param {
	params := make([]*Param, len(list))
	for i, p := range list {
		params[i] = &Param{Name: p.Name.Name, Type: typeOf(p.Type, p.Default), Default: p.Default, Decl: p}
	}
	return params
}

func paramNames(params []*Param) []string {
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.Name
	}
	return names
}

func paramNamed(params []*Param, name string) *Param {
	for _, p := range params {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// builder is a `builtin` header (a value is built by calling it) or a `kind` header (what sections of the kind may hold).
type builder struct {
	Name   string
	Type   string // of the values built; "" for a kind
	IsKind bool
	Params []*Param
	module *Module
	decl   *dsl.Builtin
}

func (*builder) value() {}

func newBuilder(m *Module, d *dsl.Builtin) *builder {
	b := &builder{Name: d.Name.Name, IsKind: d.IsKind, Params: paramsOf(d.Params), module: m, decl: d}
	if d.Type != nil && len(d.Type.Atoms) > 0 {
		b.Type = d.Type.Atoms[0].Name
	}
	return b
}

// given are the attributes written in a call or replaced through a path, with the place of each value.
type given struct {
	values map[string]Value
	spans  map[string]diag.Span
}

func (g given) with(name string, v Value, at diag.Span) given {
	h := given{maps.Clone(g.values), maps.Clone(g.spans)}
	if h.values == nil {
		h = given{map[string]Value{}, map[string]diag.Span{}}
	}
	h.values[name], h.spans[name] = v, at
	return h
}

// view is what a table's cell holds of a built block: the canonical block, and which attributes were given rather than
// defaulted, so that replacing one of them computes the defaults anew.
type view struct {
	of    *Built
	given given
}

// canonical gives the interned block.
func (b *Built) canonical() *Built {
	if b != nil && b.view != nil {
		return b.view.of
	}
	return b
}

// canonical replaces views of blocks by the blocks themselves, at any depth of lists.
func canonical(v Value) Value {
	switch v := v.(type) {
	case *Built:
		return v.canonical()
	case List:
		for i, x := range v {
			if y := canonical(x); y != x {
				w := append(List{}, v...)
				for j := i; j < len(w); j++ {
					w[j] = canonical(w[j])
				}
				return w
			}
		}
	}
	return v
}

// callee evaluates what a call calls: a block, builder, function or table.
func (c *checker) callee(sc scope, fn dsl.Expr) Value {
	return c.eval(sc, fn)
}

// call evaluates a call of a block, builder, function or table.
func (c *checker) call(sc scope, x *dsl.Call) Value {
	switch f := c.callee(sc, x.Fn).(type) {
	case badValue, unknownValue:
		for _, a := range x.Args { // faults in the arguments are faults of their own
			c.eval(sc, a.Value)
		}
		return f
	case *BlockDef:
		g, ok := c.bind(sc, f.Name, f.Params, x)
		if !ok {
			return bad
		}
		return c.finishBlock(sc, f, g, x.Span)
	case *builder:
		if f.IsKind {
			return c.fail(diag.New("E300", x.Fn.At(), "", "`%s` is a kind of section, not a builder", f.Name))
		}
		if f.Name == "any" {
			return c.anyOf(sc, f, x)
		}
		g, ok := c.bind(sc, f.Name, f.Params, x)
		if !ok {
			return bad
		}
		return c.finishRecord(f, g, x.Span)
	case functionValue:
		args, spans := make([]Value, len(x.Args)), make([]diag.Span, len(x.Args))
		for i, a := range x.Args {
			if a.Name.Name != "" {
				return c.fail(diag.New("E101", a.Name.Span, "", "`%s` takes numbers by position", f.name))
			}
			args[i], spans[i] = c.eval(sc, a.Value), a.Value.At()
		}
		return c.function(f.name, args, spans, x.Span)
	case *Table:
		return c.callTable(sc, f, x)
	default:
		return c.fail(diag.New("E300", x.Fn.At(), "this is "+typeName(f), "only blocks, builders and sections can be called"))
	}
}

// bind matches the arguments of a call to a header and evaluates them in the caller's scope.
func (c *checker) bind(sc scope, name string, params []*Param, x *dsl.Call) (given, bool) {
	g := given{map[string]Value{}, map[string]diag.Span{}}
	ok := true
	named := false
	for i, a := range x.Args {
		var p *Param
		switch {
		case a.Name.Name != "":
			named = true
			if p = paramNamed(params, a.Name.Name); p == nil {
				c.noAttribute(name, params, a.Name)
				c.eval(sc, a.Value)
				ok = false
				continue
			}
		case named:
			c.report(diag.New("E109", a.Span, "", "values by position come before those by name"))
			ok = false
			continue
		case i >= len(params):
			c.report(diag.New("E109", a.Span, "one too many", "`%s` takes at most %s", name, counted(len(params), "value")).
				Helpf("`%s` takes: %s", name, strings.Join(paramNames(params), ", ")))
			ok = false
			continue
		default:
			p = params[i]
		}
		if first, twice := g.spans[p.Name]; twice {
			c.report(diag.New("E109", a.Span, "given again here", "`%s` is given twice to `%s`", p.Name, name).
				Note(first, "first given here"))
			ok = false
			continue
		}
		v := c.evalFit(sc, a.Value, p.Type, p.Name)
		if isBad(v) {
			ok = false
		}
		g.values[p.Name], g.spans[p.Name] = v, a.Value.At()
	}
	if ok {
		ok = c.allGiven(name, params, g, x.Span)
	}
	return g, ok
}

func (c *checker) noAttribute(name string, params []*Param, id dsl.Ident) {
	label, near := didYouMean(id.Name, paramNames(params))
	d := diag.New("E101", id.Span, label, "`%s` has no attribute `%s`", name, id.Name)
	if len(params) == 0 {
		d.Helpf("`%s` takes no attributes", name)
	} else {
		d.Helpf("`%s` takes: %s", name, strings.Join(paramNames(params), ", "))
	}
	if near != "" {
		d.FixWith(id.Span, near)
	}
	c.report(d)
}

func (c *checker) allGiven(name string, params []*Param, g given, at diag.Span) bool {
	var missing []string
	for _, p := range params {
		if _, ok := g.values[p.Name]; !ok && p.Default == nil {
			missing = append(missing, "`"+p.Name+"`")
		}
	}
	if len(missing) == 0 {
		return true
	}
	last := len(missing) - 1
	list := missing[last]
	if last > 0 {
		list = strings.Join(missing[:last], ", ") + " and " + list
	}
	c.report(diag.New("E104", at, "", "`%s` needs %s", name, list).
		Helpf("`%s` takes: %s", name, strings.Join(paramNames(params), ", ")))
	return false
}

// evalFit evaluates an expression for an attribute or setting and checks its type. What does not fit and was written in another file,
// or on the command line, is told there: most likely somebody has replaced it.
func (c *checker) evalFit(sc scope, x dsl.Expr, t typ, name string) Value {
	v := c.eval(sc, x)
	at := x.At()
	if id, isName := dsl.Unparen(x).(*dsl.Name); isName && !isOpen(v) {
		if _, origin, ok := sc.lookup(id.Name); ok && !origin.IsZero() && origin.File != at.File {
			at = origin
		}
	}
	w, fault := c.converted(v, t, name, at, rawNumber(x))
	if fault == nil {
		return w
	}
	if at != x.At() {
		fault.Note(x.At(), "used here")
	}
	return c.fail(fault)
}

// rawNumber is a literal's text, "" for anything else.
func rawNumber(x dsl.Expr) string {
	if n, ok := dsl.Unparen(x).(*dsl.Number); ok {
		return n.Raw
	}
	return ""
}

// attrScope is where a default is evaluated: the attributes before it, then the names of the header's file.
type attrScope struct {
	attrs  map[string]Value
	module *Module
}

func (s *attrScope) lookup(name string) (Value, diag.Span, bool) {
	if v, ok := s.attrs[name]; ok {
		return v, diag.Span{}, true
	}
	return s.module.lookup(name)
}

// complete adds the defaults of what was not given.
func (c *checker) complete(params []*Param, m *Module, g given, views bool) (map[string]Value, bool) {
	attrs := make(map[string]Value, len(params))
	var sc scope = &attrScope{attrs, m}
	if views {
		sc = &viewScope{sc}
	}
	ok := true
	for _, p := range params {
		v, set := g.values[p.Name]
		if !set {
			v = c.evalFit(sc, p.Default, p.Type, p.Name)
		}
		if isBad(v) {
			ok = false
		}
		attrs[p.Name] = v
	}
	return attrs, ok
}

// viewScope marks a scope of tables, whose cells keep what was given (see view).
type viewScope struct{ scope }

// wantsViews reports whether values evaluated in sc end in a table's cell.
func wantsViews(sc scope) bool {
	for {
		switch s := sc.(type) {
		case *viewScope, *cellScope:
			return true
		case *varScope:
			sc = s.parent
		default:
			return false
		}
	}
}

// finishBlock completes the attributes and builds the block.
func (c *checker) finishBlock(sc scope, def *BlockDef, g given, at diag.Span) Value {
	views := wantsViews(sc)
	attrs, ok := c.complete(def.Params, def.Module, g, views)
	if !ok {
		return bad
	}
	exact, cloned := attrs, false
	for n, v := range attrs {
		if v == unknown {
			return unknown
		}
		if w := canonical(v); views && w != v {
			if !cloned {
				exact, cloned = maps.Clone(attrs), true
			}
			exact[n] = w
		}
	}
	spans := maps.Clone(g.spans)
	for _, p := range def.Params {
		if _, ok := spans[p.Name]; !ok && p.Default != nil {
			spans[p.Name] = p.Default.At()
		}
	}
	b := c.build(def, exact, spans, at)
	if b == nil {
		return bad
	}
	if !views {
		return b
	}
	return &Built{Def: def, Attrs: attrs, Span: at, ID: b.ID, view: &view{b, g}}
}

// finishRecord completes the attributes and makes the builder's value.
func (c *checker) finishRecord(f *builder, g given, at diag.Span) Value {
	attrs, ok := c.complete(f.Params, f.module, g, false)
	if !ok {
		return bad
	}
	for _, p := range f.Params {
		if attrs[p.Name] == unknown {
			return unknown
		}
	}
	if f.Type == "schedule" {
		return c.piece(f.Name, attrs, g.spans, at)
	}
	r := &Record{Builder: f.Name, Type: f.Type, Attrs: attrs, Order: paramNames(f.Params), builder: f, given: g, span: at}
	if !c.checkRecord(r) {
		return bad
	}
	return r
}

// anyOf is the value of `any([…])`.
func (c *checker) anyOf(sc scope, f *builder, x *dsl.Call) Value {
	g, ok := c.bind(sc, f.Name, f.Params, x)
	if !ok {
		return bad
	}
	a := &Any{Span: x.Span}
	a.Values, _ = g.values["choices"].(List)
	if l, isList := dsl.Unparen(x.Args[0].Value).(*dsl.List); isList {
		for _, it := range l.Items {
			if it.Over == nil {
				a.Texts = append(a.Texts, sourceText(c, it.Value.At()))
			}
		}
	}
	if len(a.Texts) != len(a.Values) {
		a.Texts = nil
		for _, v := range a.Values {
			a.Texts = append(a.Texts, c.text(v))
		}
	}
	if len(a.Values) == 0 {
		return c.fail(diag.New("E303", x.Span, "", "`any` needs at least one value"))
	}
	return a
}

// checkRecord checks the ranges that a builder's types can't say, unless the value is a draft.
func (c *checker) checkRecord(r *Record) bool {
	if c.drafting {
		return true
	}
	positive := func(names ...string) bool {
		for _, n := range names {
			if f, ok := number(r.Attrs[n]); ok && !(f > 0) {
				return c.outOfRange(r, n, "above 0")
			}
		}
		return true
	}
	atLeastZero := func(names ...string) bool {
		for _, n := range names {
			if f, ok := number(r.Attrs[n]); ok && !(f >= 0) {
				return c.outOfRange(r, n, "at least 0")
			}
		}
		return true
	}
	switch r.Builder {
	case "normal":
		return atLeastZero("std")
	case "rotary":
		return positive("theta")
	case "yarn":
		return positive("theta", "factor", "original", "beta_fast", "beta_slow")
	case "adamw":
		return atLeastZero("decay") && positive("eps") && c.checkBetas(r)
	case "group":
		return atLeastZero("decay", "lr_scale")
	case "gosource", "text", "jsonl", "parquet", "shards":
		return positive("weight")
	case "bpe":
		return positive("vocab") && c.checkBPE(r)
	case "fp8":
		return positive("promote_every") && c.checkTile(r, "act_tile") && c.checkTile(r, "weight_tile")
	}
	return true
}

func (c *checker) outOfRange(r *Record, name, rule string) bool {
	at, ok := r.given.spans[name]
	if !ok {
		at = r.span
	}
	c.report(diag.New("E303", at, "this is "+c.text(r.Attrs[name]), "`%s` must be %s", name, rule))
	return false
}

func (c *checker) checkBetas(r *Record) bool {
	l, _ := r.Attrs["betas"].(List)
	ok := len(l) == 2
	for _, v := range l {
		f, isNumber := number(v)
		ok = ok && isNumber && f >= 0 && f < 1
	}
	if !ok {
		return c.outOfRange(r, "betas", "two numbers from 0 to below 1")
	}
	groups, _ := r.Attrs["groups"].(List)
	for _, v := range groups {
		if g, isRecord := v.(*Record); !isRecord || g.Type != "group" {
			return isOpen(v) || c.outOfRange(r, "groups", "a list of groups")
		}
	}
	return true
}

// checkBPE wants a file or texts to train on, one of the two.
func (c *checker) checkBPE(r *Record) bool {
	path, train := r.Attrs["path"], r.Attrs["train"]
	const help = "`bpe(\"tokenizer.json\", vocab = …)` reads Hugging Face's file, `bpe(train = gosource(), vocab = …)` trains one on a source"
	switch {
	case isNone(path) && isNone(train):
		c.report(diag.New("E104", r.span, "", "`bpe` needs `path` or `train`").Helpf(help))
		return false
	case isNone(train):
		return true
	case !isNone(path) && !isOpen(path) && !isOpen(train):
		d := diag.New("E102", r.given.spans["train"], "", "`bpe` takes `path` or `train`, not both").Helpf(help)
		c.report(d.Note(r.given.spans["path"], "the file is given here"))
		return false
	}
	if n, ok := whole(r.Attrs["vocab"]); ok && (n < leastBPE || n > mostBPE) {
		return c.outOfRange(r, "vocab", fmt.Sprintf("from %d, the bytes, to %d for a tokenizer to train", leastBPE, mostBPE))
	}
	return true
}

// The least and the most entries of a tokenizer to train.
const leastBPE, mostBPE = 256, 1 << 24

func (c *checker) checkTile(r *Record, name string) bool {
	l, _ := r.Attrs[name].(List)
	ok := len(l) == 2
	for _, v := range l {
		n, isWhole := whole(v)
		ok = ok && isWhole && n >= 1
	}
	return ok || c.outOfRange(r, name, "two whole numbers, each at least 1")
}
