package check

import (
	"forge/dsl"
	"forge/dsl/diag"
)

// sweepLine is one `path = any([…])`.
type sweepLine struct {
	path []pathStep // from the recipe
	any  *Any
	env  env
	key  diag.Span
}

// choice evaluates `any([…])`; false for any other expression.
func (c *checker) choice(sc scope, x dsl.Expr) (*Any, bool) {
	call, ok := dsl.Unparen(x).(*dsl.Call)
	if !ok {
		return nil, false
	}
	if f, isName := call.Fn.(*dsl.Name); !isName || f.Name != "any" {
		return nil, false
	}
	a, ok := c.eval(sc, call).(*Any)
	if !ok {
		a = &Any{Span: call.Span} // reported
	}
	return a, true
}

// sweepRecipe reads a sweep section: the recipe it names, with the section's single values put in, and its choices in the order
// of the lines.
func (c *checker) sweepRecipe(t *Table) (*Table, []sweepLine) {
	if !c.hasAll(t) {
		return nil, nil
	}
	base := t.copyOf(c)
	base.patches = nil
	r := base.result(c, "recipe")
	recipe, ok := r.value.(*Table)
	if !ok {
		return nil, nil
	}
	var lines []sweepLine
	for _, p := range t.patches {
		if a, isAny := c.choice(p.env.module, p.value); isAny {
			lines = append(lines, sweepLine{p.path[1:], a, p.env, p.key})
			continue
		}
		n, isTable := recipe.with(c, p.path[1:], &patch{value: p.value, env: p.env, key: p.key}).(*Table)
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
func replaceChoices(lines []sweepLine, sets []*patch, more []sweepLine) []sweepLine {
	given := map[string]bool{}
	for _, p := range sets {
		given[pathText(p.path)] = true
	}
	for _, l := range more {
		given[pathText(l.path)] = true
	}
	var kept []sweepLine
	for _, l := range lines {
		if !given[pathText(l.path)] {
			kept = append(kept, l)
		}
	}
	return append(kept, more...)
}

// pathText writes a path as `--set` takes it.
func pathText(path []pathStep) string {
	text := ""
	for i, s := range path {
		switch {
		case s.index != nil:
			text += "[" + exprText(s.index) + "]"
		case i > 0:
			text += "." + s.name
		default:
			text = s.name
		}
	}
	return text
}

// maxRuns bounds a sweep.
const maxRuns = 10_000

// sweepFirst checks every combination of a sweep and gives the recipe of the first one, with the choices.
func (c *checker) sweepFirst(t *Table, lines []sweepLine, m *Module) *Recipe {
	runs := 1
	for _, l := range lines {
		if len(l.any.Values) == 0 {
			return nil
		}
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
			v := n.with(c, l.path, &patch{value: &fixedExpr{l.any.Values[k], l.any.Span}, env: l.env, key: l.key})
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
		first.Sweep = append(first.Sweep, Choice{pathText(l.path), l.any.Texts})
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

// sweep checks a sweep section, every run, and gives the first one; nil after a fault.
func (c *checker) sweep(t *Table) *Recipe {
	recipe, lines := c.sweepRecipe(t)
	if recipe == nil {
		return nil
	}
	return c.sweepFirst(recipe, lines, t.module)
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
