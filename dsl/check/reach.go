package check

import (
	"slices"
	"strings"

	"forge/dsl"
	"forge/dsl/diag"
)

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
