package check

import (
	"fmt"
	"math"

	"forge/dsl/diag"
)

// stages evaluates the train sections, with the recipe's model in each, and counts their steps.
func (a *assembly) stages() bool {
	c := a.c
	r := a.table.result(c, "stages")
	list, isList := r.value.(List)
	if !isList {
		return false
	}
	if len(list) == 0 {
		c.report(diag.New("E508", r.at, "", "`%s` has no stage to train", a.table.Name))
		return false
	}
	ok := true
	tokens, steps := int64(0), int64(0)
	for i, v := range list {
		t, isTrain := v.(*Table)
		if !isTrain || t.Kind.Name != "train" {
			c.report(diag.New("E300", r.at, "", "item %d of `stages` must be a train section but is %s", i, typeName(v)))
			return false
		}
		s, l := a.stage(t)
		if s == nil {
			ok = false
			continue
		}
		s.StartTokens, s.StartSteps = tokens, steps
		tokens, steps = addSat(tokens, s.NumTokens), addSat(steps, s.NumSteps)
		a.recipe.Stages = append(a.recipe.Stages, s)
		a.lines = append(a.lines, l)
	}
	return ok
}

// stage evaluates one train section. Its `model` is the recipe's, with what the section changes in it.
func (a *assembly) stage(section *Table) (*Stage, *timeline) {
	c := a.c
	t := section
	if r := section.result(c, "model"); r != nil && isNone(r.value) {
		t = section.copyOf(c)
		key := diag.Span{}
		if k := section.cells["model"]; k != nil {
			key = k.key
		}
		t.cells["model"] = &cell{name: "model", fixed: a.modelTable, key: key}
	}
	a.stageOf = append(a.stageOf, t)
	rs, ok := c.cellsOf(t)
	if !ok {
		return nil, nil
	}
	s := c.train(t, rs)
	m := c.model(rs["model"].value.(*Table))
	if s == nil || m == nil {
		return nil, nil
	}
	s.Model = m
	return s, s.line
}

// trainAlone checks a train section without its model.
func (c *checker) trainAlone(t *Table) {
	rs := map[string]*result{}
	for _, p := range t.Kind.Params {
		r := t.result(c, p.Name)
		if r == nil || isOpen(r.value) {
			return
		}
		rs[p.Name] = r
	}
	c.train(t, rs)
}

// train evaluates a train section but for its model: it counts the steps and resolves the schedules. nil after a fault.
func (c *checker) train(t *Table, rs map[string]*result) *Stage {
	s := &Stage{Name: t.Name, Span: t.Span, Total: rs["total"].value.(Quantity), Seq: int(rs["seq"].value.(Int)),
		Batch: rs["batch"].value.(*Schedule).clone(), LR: rs["lr"].value.(*Schedule).clone(), MTPWeight: rs["mtp_weight"].value.(*Schedule).clone()}
	if !c.within(rs, "total", "at least 1", atLeast(1)) || !c.clip(rs["clip"], s) {
		return nil
	}
	s.Optim = c.optim(rs["optim"].value.(*Record))
	var ok bool
	if s.Precision, ok = c.precision(rs["precision"].value.(*Record), rs["precision"].at); !ok {
		return nil
	}
	site := scheduleSite{name: "batch", stage: t.Name, seq: int64(s.Seq), total: s.Total, at: rs["total"].at, given: rs["batch"].at}
	s.line, s.NumSteps, s.NumTokens, ok = c.runBatch(s.Batch, site)
	if !ok {
		return nil
	}
	end := s.Total.N
	if s.Total.Unit == Steps {
		end = s.NumTokens
	}
	ok = c.resolve(s.Batch, s.line, site, end, true)
	for _, x := range []struct {
		name string
		s    *Schedule
	}{{"lr", s.LR}, {"mtp_weight", s.MTPWeight}} {
		site.name = x.name
		ok = c.resolve(x.s, s.line, site, end, false) && c.neverNegative(x.s, x.name, rs[x.name].at) && ok
	}
	if !ok {
		return nil
	}
	return s
}

// clip reads the longest gradient of a stage. At 0 nothing would be learned, which is not what somebody means who writes it.
func (c *checker) clip(r *result, s *Stage) bool {
	if s.Clip = math.Inf(1); isNone(r.value) {
		return true
	}
	if s.Clip, _ = number(r.value); s.Clip > 0 {
		return true
	}
	c.report(diag.New("E303", r.at, "this is "+c.described(r.value), "`clip` must be above 0").
		Helpf("to leave gradients as long as they are, write `clip = none`"))
	return false
}

// neverNegative refuses a resolved schedule that goes below zero: a rate or weight of that sign would undo training.
func (c *checker) neverNegative(s *Schedule, name string, at diag.Span) bool {
	for i := range s.Pieces {
		if p := &s.Pieces[i]; p.From < 0 || p.To < 0 {
			c.report(diag.New("E303", p.place(at), "this is "+floatText(min(p.From, p.To)), "`%s` must be at least 0", name))
			return false
		}
	}
	return true
}

// clone is a copy to be resolved: the same value may stand in several stages.
func (s *Schedule) clone() *Schedule { return &Schedule{append([]Piece{}, s.Pieces...)} }

// BatchAt is the number of sequences of the step that begins when tokens have been read in the stage.
func (s *Stage) BatchAt(tokens int64) int64 { return int64(s.Batch.At(tokens)) }

func (c *checker) optim(r *Record) AdamW {
	var o AdamW
	betas := r.Attrs["betas"].(List)
	o.Beta1, _ = number(betas[0])
	o.Beta2, _ = number(betas[1])
	o.Eps, _ = number(r.Attrs["eps"])
	o.Decay, _ = number(r.Attrs["decay"])
	for _, v := range r.Attrs["groups"].(List) {
		g := v.(*Record)
		group := Group{Match: textOf(g.Attrs["match"]), Span: g.span}
		if s, ok := g.given.spans["match"]; ok {
			group.Span = s
		}
		group.LRScale, _ = number(g.Attrs["lr_scale"])
		if f, ok := number(g.Attrs["decay"]); ok {
			group.Decay = &f
		}
		o.Groups = append(o.Groups, group)
	}
	return o
}

func (c *checker) precision(r *Record, at diag.Span) (Precision, bool) {
	p := Precision{Kind: r.Builder, Format: textOf(r.Attrs["format"]), Master: textOf(r.Attrs["master"]), Grads: textOf(r.Attrs["grads"]),
		Moments: textOf(r.Attrs["moments"]), ActTile: wholes(r.Attrs["act_tile"]), WeightTile: wholes(r.Attrs["weight_tile"])}
	n, _ := whole(r.Attrs["promote_every"])
	p.PromoteEvery = int(n)
	if keep := r.Attrs["keep"]; keep != nil {
		texts, ok := c.texts(&result{value: keep, at: at}, "keep")
		p.Keep = texts
		return p, ok
	}
	return p, true
}

func wholes(v Value) []int {
	list, _ := v.(List)
	var n []int
	for _, x := range list {
		i, _ := whole(x)
		n = append(n, int(i))
	}
	return n
}

// sameWeights checks that weights carry over from stage to stage: every stage's model has the recipe's weights.
func (a *assembly) sameWeights() bool {
	ok := true
	want := a.recipe.Model.Weights()
	for i, s := range a.recipe.Stages {
		if s.Model == a.recipe.Model {
			continue
		}
		got := s.Model.Weights()
		n := 0
		for n < len(got) && n < len(want) && sameWeight(got[n], want[n]) {
			n++
		}
		if n == len(got) && n == len(want) {
			continue
		}
		what := fmt.Sprintf("it has %d weights and states, the recipe's model has %d", len(got), len(want))
		switch {
		case n < len(want) && n < len(got) && got[n].Path == want[n].Path:
			what = fmt.Sprintf("`%s` is %s here and %s in the recipe's model", got[n].Path, axesText(got[n].Axes), axesText(want[n].Axes))
		case n < len(want):
			what = "the recipe's model has `" + want[n].Path + "`, which this one lacks or has elsewhere"
		case n < len(got):
			what = "`" + got[n].Path + "` is not in the recipe's model"
		}
		at := a.stageOf[i].Span
		if r := a.stageOf[i].result(a.c, "model"); !r.key.IsZero() {
			at = r.key
		}
		a.c.report(diag.New("E504", at, what, "the model of stage `%s` has other weights", s.Name).
			Helpf("weights carry over from stage to stage, so every stage's model must have the same, by name and shape"))
		ok = false
	}
	return ok
}

func sameWeight(x, y WeightInfo) bool {
	if x.Path != y.Path || x.State != y.State || len(x.Axes) != len(y.Axes) {
		return false
	}
	for i := range x.Axes {
		if x.Axes[i].Size != y.Axes[i].Size {
			return false
		}
	}
	return true
}

// modelSchedules resolves the schedules inside the models (a router's bias): positions count from the start of the first stage.
func (a *assembly) modelSchedules() bool {
	all := &timeline{}
	site := scheduleSite{stage: a.recipe.Name}
	for i, s := range a.recipe.Stages {
		for _, r := range a.lines[i].runs {
			r.step, r.tokens = addSat(r.step, s.StartSteps), addSat(r.tokens, s.StartTokens)
			all.runs = append(all.runs, r)
		}
		site.total = Quantity{addSat(s.StartTokens, s.NumTokens), Tokens}
		site.at = a.stageOf[i].result(a.c, "total").at
	}
	end := site.total.N
	if len(a.recipe.Stages) == 1 {
		s := a.recipe.Stages[0]
		site.stage, site.total = s.Name, s.Total
		if s.Total.Unit == Tokens {
			end = s.Total.N
		}
	}
	ok := true
	seen := map[*Built]bool{}
	var walk func(v Value, name string)
	walk = func(v Value, name string) {
		switch v := v.(type) {
		case *Built:
			if v == nil || seen[v] {
				return
			}
			seen[v] = true
			for _, p := range v.Def.Params {
				walk(v.Attrs[p.Name], p.Name)
			}
		case List:
			for _, x := range v {
				walk(x, name)
			}
		case *Schedule:
			site.name = name
			ok = a.c.resolve(v, all, site, end, false) && ok
		}
	}
	models := []*Model{a.recipe.Model}
	for _, s := range a.recipe.Stages {
		models = append(models, s.Model)
	}
	for _, m := range models {
		for _, b := range m.Layers {
			walk(b, "")
		}
		walk(m.Norm, "")
		walk(m.MTP, "")
	}
	return ok
}
