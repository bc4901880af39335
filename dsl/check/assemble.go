package check

import (
	"fmt"
	"strings"

	"forge/dsl/diag"
)

// recipe puts a recipe together: its model, its data, its stages with their schedules, the machine, the checkpoint's names. nil
// after a fault.
func (c *checker) recipe(t *Table) *Recipe {
	if !c.hasAll(t) {
		return nil
	}
	r := &Recipe{Name: t.Name, File: t.module.Name}
	a := &assembly{c: c, recipe: r, table: t}
	ok := true
	a.modelTable, _ = a.value("model").(*Table)
	if a.modelTable == nil {
		return nil
	}
	if r.Model = c.model(a.modelTable); r.Model == nil {
		ok = false
	}
	if d, isTable := a.value("data").(*Table); isTable {
		if r.Data = c.data(d); r.Data == nil {
			ok = false
		} else if r.Model != nil {
			ok = c.vocabFits(a, d) && ok
		}
	}
	ok = a.stages() && ok
	if d, isTable := a.value("run").(*Table); isTable {
		if r.Run, r.Plan = c.run(d); r.Run == nil {
			ok = false
		}
	} else {
		r.Run, r.Plan = c.run(&Table{Kind: c.kind("run"), Name: "run", module: c.prelude, cells: map[string]*cell{}, results: map[string]*result{}})
	}
	for _, n := range []string{"model", "data", "stages", "run", "weights"} {
		ok = ok && !isBad(a.value(n))
	}
	if !ok {
		return nil
	}
	if !a.sameWeights() || !a.modelSchedules() || !a.patterns() || !a.expertsSpread() {
		return nil
	}
	if w, isTable := a.value("weights").(*Table); isTable {
		if r.Names = c.checkpoint(w, a.modelTable, r.Model); r.Names == nil {
			return nil
		}
	}
	r.assembly = a
	a.ineffective()
	return r
}

// assembly is a recipe being put together.
type assembly struct {
	c          *checker
	recipe     *Recipe
	table      *Table
	modelTable *Table
	stageOf    []*Table    // the train tables with the model in them
	lines      []*timeline // one a stage
}

func (a *assembly) value(name string) Value {
	if r := a.table.result(a.c, name); r != nil {
		return r.value
	}
	return bad
}

// hasAll reports required settings without a value; false if there are any.
func (c *checker) hasAll(t *Table) bool {
	var missing []string
	for _, p := range t.Kind.Params {
		if p.Default == nil && t.cells[p.Name] == nil {
			missing = append(missing, "`"+p.Name+"`")
		}
	}
	if len(missing) == 0 {
		return true
	}
	if !c.broken[t.Span.File] {
		c.report(diag.New("E104", t.Span, "", "`%s` does not say %s", t.Name, strings.Join(missing, ", ")).
			Helpf("a %s has: %s", t.Kind.Name, t.settings()))
	}
	return false
}

// cellsOf evaluates all settings of a table; false if one is bad.
func (c *checker) cellsOf(t *Table) (map[string]*result, bool) {
	if !c.hasAll(t) {
		return nil, false
	}
	ok := true
	rs := map[string]*result{}
	for _, p := range t.Kind.Params {
		r := t.result(c, p.Name)
		if r == nil || isOpen(r.value) {
			ok = false
			continue
		}
		rs[p.Name] = r
	}
	return rs, ok
}

// ready reports whether every required setting has a value. A section may lack some until another one is made from it.
func (t *Table) ready() bool {
	for _, p := range t.Kind.Params {
		if p.Default == nil && t.cells[p.Name] == nil {
			return false
		}
	}
	return true
}

// within checks the range of a number's setting.
func (c *checker) within(rs map[string]*result, name, rule string, holds func(float64) bool) bool {
	f, _ := number(rs[name].value)
	if q, ok := rs[name].value.(Quantity); ok {
		f = float64(q.N)
	}
	if holds(f) {
		return true
	}
	c.report(diag.New("E303", rs[name].at, "this is "+c.described(rs[name].value), "`%s` must be %s", name, rule))
	return false
}

func atLeast(low float64) func(float64) bool { return func(f float64) bool { return f >= low } }
func share(f float64) bool                   { return f >= 0 && f < 1 }

// model evaluates a model section. Equal models are the same pointer.
func (c *checker) model(t *Table) *Model {
	if m, known := c.modelOf[t]; known {
		return m
	}
	m := c.evalModel(t)
	c.modelOf[t] = m
	return m
}

func (c *checker) evalModel(t *Table) *Model {
	rs, ok := c.cellsOf(t)
	if !ok {
		return nil
	}
	m := &Model{Name: t.Name, Span: t.Span}
	m.Vocab, m.Dim = int(rs["vocab"].value.(Int)), int(rs["dim"].value.(Int))
	list, _ := rs["layers"].value.(List)
	for i, v := range list {
		b, isBlock := v.(*Built)
		if !isBlock {
			c.report(diag.New("E300", rs["layers"].at, "", "item %d of `layers` must be a block but is %s", i, typeName(v)))
			return nil
		}
		m.Layers = append(m.Layers, b.canonical())
	}
	m.Norm = rs["norm"].value.(*Built).canonical()
	m.Tied = bool(rs["tied"].value.(Bool))
	m.Init = rs["init"].value.(*Record).init()
	if b, isBlock := rs["mtp"].value.(*Built); isBlock {
		m.MTP = b.canonical()
		n := rs["mtp_depth"].value.(Int)
		if n < 1 || n > 1000 {
			c.report(diag.New("E303", rs["mtp_depth"].at, "", "`mtp_depth` must be from 1 to 1000").Helpf("without multi-token prediction write `mtp = none`"))
			return nil
		}
		m.MTPDepth = int(n)
	}
	k := m.key()
	if known := c.models[k]; known != nil {
		return known
	}
	before := len(c.diags)
	c.applyModel(m, rs["dim"].at)
	for _, d := range c.diags[before:] {
		if d.Severity == diag.Error {
			m = nil
			break
		}
	}
	c.models[k] = m
	return m
}

// key tells models apart: everything but places.
func (m *Model) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %d %v %d %v", m.Name, m.Vocab, m.Dim, m.Tied, m.MTPDepth, m.Init)
	for _, l := range append([]*Built{m.Norm, m.MTP}, m.Layers...) {
		if l != nil {
			fmt.Fprintf(&b, " #%d", l.ID)
		}
	}
	return b.String()
}

// data evaluates a data section.
func (c *checker) data(t *Table) *Data {
	rs, ok := c.cellsOf(t)
	if !ok {
		return nil
	}
	d := &Data{Name: t.Name, Span: t.Span, Pack: bool(rs["pack"].value.(Bool)), ShuffleSeed: int64(rs["shuffle_seed"].value.(Int))}
	d.FIM, _ = number(rs["fim"].value)
	d.HeldOut, _ = number(rs["held_out"].value)
	ok = c.within(rs, "fim", "a share from 0 to 1", func(f float64) bool { return f >= 0 && f <= 1 }) &&
		c.within(rs, "held_out", "a share from 0 to below 1", share)
	list, _ := rs["sources"].value.(List)
	if len(list) == 0 {
		c.report(diag.New("E508", rs["sources"].at, "", "`%s` has nothing to train on", t.Name).Helpf("sources: gosource(), text(…), jsonl(…), parquet(…), shards(…)"))
		return nil
	}
	if d.Sources = c.sourceList(list, rs["sources"].at, "sources"); d.Sources == nil {
		return nil
	}
	k := rs["tokenizer"].value.(*Record)
	d.Tokenizer = Tokenizer{Kind: k.Builder, Path: textOf(k.Attrs["path"]), Vocab: 256, Span: k.span}
	if n, isWhole := whole(k.Attrs["vocab"]); isWhole {
		d.Tokenizer.Vocab = int(n)
	}
	switch train := k.Attrs["train"].(type) {
	case *Record:
		d.Tokenizer.Train = []Source{sourceOf(train)}
	case List:
		if len(train) == 0 {
			c.report(diag.New("E508", k.span, "", "the tokenizer has nothing to train on: `train` is empty"))
			return nil
		}
		if d.Tokenizer.Train = c.sourceList(train, k.span, "train"); d.Tokenizer.Train == nil {
			return nil
		}
	}
	if !ok {
		return nil
	}
	return d
}

// sourceList gives the sources of a list; nil, with a report at the place of the list, if an item is something else.
func (c *checker) sourceList(list List, at diag.Span, name string) []Source {
	var sources []Source
	for i, v := range list {
		r, isRecord := v.(*Record)
		if !isRecord || r.Type != "source" {
			c.report(diag.New("E300", at, "", "item %d of `%s` must be a source but is %s", i, name, typeName(v)))
			return nil
		}
		sources = append(sources, sourceOf(r))
	}
	return sources
}

func sourceOf(r *Record) Source {
	s := Source{Kind: r.Builder, Span: r.span, Path: textOf(r.Attrs["path"]), Field: textOf(r.Attrs["field"]) + textOf(r.Attrs["column"])}
	s.Weight, _ = number(r.Attrs["weight"])
	return s
}

func textOf(v Value) string { t, _ := v.(Text); return string(t) }

// vocabFits compares the tokenizer with the model.
func (c *checker) vocabFits(a *assembly, data *Table) bool {
	r := a.recipe
	if r.Data.Tokenizer.Vocab == r.Model.Vocab {
		return true
	}
	c.report(diag.New("E502", a.modelTable.result(c, "vocab").at, "the model's vocabulary",
		"the tokenizer has %d entries, but `%s` has a vocabulary of %d", r.Data.Tokenizer.Vocab, r.Model.Name, r.Model.Vocab).
		Note(data.result(c, "tokenizer").at, "the tokenizer"))
	return false
}

// run evaluates a run section and its plan.
func (c *checker) run(t *Table) (*Run, *Plan) {
	rs, ok := c.cellsOf(t)
	if !ok {
		return nil, nil
	}
	r := &Run{Device: textOf(rs["device"].value), Seed: int64(rs["seed"].value.(Int)), Dir: textOf(rs["dir"].value),
		Save: rs["save"].value.(Quantity), Eval: rs["eval"].value.(Quantity), Keep: int(rs["keep"].value.(Int))}
	if !c.within(rs, "save", "at least 1", atLeast(1)) || !c.within(rs, "eval", "at least 1", atLeast(1)) ||
		!c.within(rs, "keep", "at least 1", atLeast(1)) {
		return nil, nil
	}
	p, isTable := rs["plan"].value.(*Table)
	if !isTable {
		return r, nil
	}
	plan := c.plan(p)
	if plan == nil {
		return nil, nil
	}
	return r, plan
}

// plan evaluates a plan section: devices = data · pipe · tensor, and expert divides data · tensor.
func (c *checker) plan(t *Table) *Plan {
	rs, ok := c.cellsOf(t)
	if !ok {
		return nil
	}
	n := func(name string) int { v, _ := whole(rs[name].value); return int(v) }
	for _, name := range []string{"devices", "data", "pipe", "expert", "tensor"} {
		if !c.within(rs, name, "from 1 to 1000000", func(f float64) bool { return f >= 1 && f <= 1e6 }) {
			return nil
		}
	}
	if !c.within(rs, "zero", "from 0 to 3", func(f float64) bool { return f >= 0 && f <= 3 }) || !c.within(rs, "micro", "at least 1", atLeast(1)) {
		return nil
	}
	p := &Plan{Name: t.Name, Span: t.Span, Devices: n("devices"), Data: n("data"), Pipe: n("pipe"), Expert: n("expert"),
		Tensor: n("tensor"), Zero: n("zero"), Schedule: textOf(rs["schedule"].value), MicroSeqs: rs["micro"].value.(Quantity).N}
	var isText bool
	if p.Recompute, isText = c.texts(rs["recompute"], "recompute"); !isText {
		return nil
	}
	if p.Data*p.Pipe*p.Tensor != p.Devices {
		c.report(diag.New("E503", rs["devices"].at, fmt.Sprintf("but data %d × pipe %d × tensor %d is %d", p.Data, p.Pipe, p.Tensor, p.Data*p.Pipe*p.Tensor),
			"`%s` is for %d devices", t.Name, p.Devices))
		return nil
	}
	if p.Data*p.Tensor%p.Expert != 0 {
		c.report(diag.New("E503", rs["expert"].at, "", "`expert` = %d does not divide data %d × tensor %d", p.Expert, p.Data, p.Tensor))
		return nil
	}
	return p
}

// expertsSpread checks that the plan's expert groups divide every bank of the model.
func (a *assembly) expertsSpread() bool {
	if a.recipe.Plan == nil {
		return true
	}
	run := a.value("run").(*Table)
	at := run.result(a.c, "plan").value.(*Table).result(a.c, "expert").at
	for _, w := range a.recipe.Model.Weights() {
		if w.Bank && w.Axes[0].Size%a.recipe.Plan.Expert != 0 {
			a.c.report(diag.New("E503", at, "", "`expert` = %d does not divide the %d entries of the bank that `%s` lies in", a.recipe.Plan.Expert, w.Axes[0].Size, w.Path).
				Note(w.Span, "declared here"))
			return false
		}
	}
	return true
}

// texts gives a list of texts.
func (c *checker) texts(r *result, name string) ([]string, bool) {
	list, _ := r.value.(List)
	var texts []string
	for i, v := range list {
		s, isText := v.(Text)
		if !isText {
			c.report(diag.New("E300", r.at, "", "item %d of `%s` must be a text but is %s", i, name, typeName(v)))
			return nil, false
		}
		texts = append(texts, string(s))
	}
	return texts, true
}
