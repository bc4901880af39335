package check

import (
	"forge/dsl"
	"forge/dsl/diag"
)

// sweepLine is one `path = any([…])`.
type sweepLine struct {
	path []pathStep // from the recipe
	cell *dsl.Cell
	any  *Any
	env  env
}

// sweepRecipe reads a sweep section: the recipe it names, with the section's single values put in, and its choices in the order
// of the lines.
func (c *checker) sweepRecipe(t *Table) (*Table, []sweepLine) {
	if !c.complete0(t) {
		return nil, nil
	}
	base := t.copyOf()
	base.patches = nil
	base.results = map[string]*result{}
	r := base.result(c, "recipe")
	recipe, ok := r.value.(*Table)
	if !ok {
		return nil, nil
	}
	var lines []sweepLine
	for _, k := range t.section.Cells {
		path := pathOf(k.Key)
		if len(path) < 2 {
			continue
		}
		e := env{module: t.module, section: t.section}
		if call, isCall := dsl.Unparen(k.Value).(*dsl.Call); isCall {
			if f, isName := call.Fn.(*dsl.Name); isName && f.Name == "any" {
				if a, isAny := c.eval(&sectionScope{e}, call).(*Any); isAny {
					lines = append(lines, sweepLine{path[1:], k, a, e})
				}
				continue
			}
		}
		v := recipe.with(c, path[1:], &patch{value: k.Value, env: e, key: k.KeySpan()})
		n, isTable := v.(*Table)
		if !isTable {
			return nil, nil
		}
		recipe = n
	}
	if len(lines) == 0 {
		c.report(diag.New("E508", t.Span, "", "`%s` has no choices", t.Name).Helpf("write `recipe.… = any([…])`"))
		return nil, nil
	}
	return recipe, lines
}

// replaceChoices drops the choices whose path a `--set` gives, and adds those of `--set` itself.
func replaceChoices(lines []sweepLine, sets []*dsl.Cell, more []sweepLine) []sweepLine {
	given := map[string]bool{}
	for _, k := range sets {
		given[setPath(k.Key)] = true
	}
	var kept []sweepLine
	for _, l := range lines {
		if !given[l.text()] {
			kept = append(kept, l)
		}
	}
	return append(kept, more...)
}

// text is the choice's path in the recipe.
func (l sweepLine) text() string {
	key := l.cell.Key
	if key[0].Name.Name == "recipe" && key[0].Index == nil {
		key = key[1:]
	}
	return setPath(key)
}

// setPath is a path as `--set` takes it, with `train` written out.
func setPath(key []dsl.Seg) string {
	text := keyText(&dsl.Cell{Key: key})
	if len(key) > 1 && key[0].Name.Name == "train" && key[0].Index == nil {
		text = "stages[0]" + text[len("train"):]
	}
	return text
}

// maxRuns bounds a sweep.
const maxRuns = 10_000

// sweepFirst checks every combination of a sweep and gives the recipe of the first one, with the choices.
func (c *checker) sweepFirst(t *Table, lines []sweepLine, m *Module) *Recipe {
	runs := 1
	for _, l := range lines {
		if runs *= len(l.any.Values); runs > maxRuns {
			c.report(diag.New("E303", l.any.Span, "", "a sweep has at most %d runs", maxRuns))
			return nil
		}
	}
	var first *Recipe
	for run := range runs {
		n := t
		at := run
		for i := len(lines) - 1; i >= 0; i-- { // the last line varies fastest
			l := lines[i]
			k := at % len(l.any.Values)
			at /= len(l.any.Values)
			v := n.with(c, l.path, &patch{value: &fixedExpr{l.any.Values[k], l.cell.Value.At()}, env: l.env, key: l.cell.KeySpan()})
			next, ok := v.(*Table)
			if !ok {
				return nil
			}
			n = next
		}
		r := c.recipe(n)
		if r == nil {
			return nil
		}
		if first == nil {
			first = r
		}
	}
	for _, l := range lines {
		first.Sweep = append(first.Sweep, Choice{l.text(), l.any.Texts})
	}
	return first
}

// fixedExpr is a value in the place of an expression.
type fixedExpr struct {
	v    Value
	span diag.Span
}

// At is the place the value was written at.
func (f *fixedExpr) At() diag.Span { return f.span }

// sweep checks a sweep section: every run.
func (c *checker) sweep(t *Table) {
	recipe, lines := c.sweepRecipe(t)
	if recipe != nil {
		c.sweepFirst(recipe, lines, t.module)
	}
}

// Runs are the `--set` values of every combination of a recipe's choices, the last choice varying fastest. Loading the same name
// with one of them added gives that run's recipe.
func (r *Recipe) Runs() [][]string {
	runs := [][]string{nil}
	for _, choice := range r.Sweep {
		var next [][]string
		for _, sets := range runs {
			for _, v := range choice.Values {
				next = append(next, append(append([]string{}, sets...), choice.Path+"="+v))
			}
		}
		runs = next
	}
	return runs
}
