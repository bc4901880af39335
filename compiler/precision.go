package compiler

import (
	"slices"
	"strings"

	"forge/compiler/equation"
	"forge/compiler/op"
	"forge/dsl/check"
)

// precisions says what the products of a training step are rounded to (language.md section 12): products with a weight to what the
// stage's `precision` names, products of two computed values to bfloat16. Whatever it names, these stay in float32:
//
//   - a block's products that feed a `top` of the same block: whom a router picks must not hang on a rounding;
//   - products with a state;
//   - all that is no product: sums, softmax, norms, gates.
//
// It looks at the equations as they are when all rewrites are done, so that what counts as a product is what will be computed.
// Evaluation and generation, which belong to no stage, are in float32.
type precisions struct {
	stage  check.Precision
	weight op.Precision // of an activation times a weight
	kinds  map[string]StoredKind
	full   map[*equation.Node]bool // products that feed a top
}

// newPrecisions is nil for a stage in float32.
func newPrecisions(s *check.Stage, e *training) *precisions {
	p := &precisions{stage: s.Precision, kinds: map[string]StoredKind{}, full: map[*equation.Node]bool{}}
	switch s.Precision.Kind {
	case "bf16":
		p.weight = op.InFormat(op.BFloat16)
	case "fp8":
		p.weight = fp8(s)
	default:
		return nil
	}
	for _, w := range e.stored {
		p.kinds[w.Name] = w.Kind
	}
	equation.Walk(e.program.Roots(), func(n *equation.Node) {
		if n.Kind == equation.Top {
			p.feeds(n, n.Place.Path, map[*equation.Node]bool{})
		}
	})
	return p
}

// fp8 is the precision of a weight's product: one scale for a tile of the activation, and of the gradient, and for a block of the
// weight. `format = "hybrid"` has gradients in e5m2, which reach further and are coarser. weight_tile counts rows of results, then
// summed columns, as published weights lie.
func fp8(s *check.Stage) op.Precision {
	act, block := s.Precision.ActTile, s.Precision.WeightTile
	gradient := op.E4M3
	if s.Precision.Format == "hybrid" {
		gradient = op.E5M2
	}
	return op.Precision{
		A:        op.Rounding{Format: op.E4M3, Across: act[0], Along: act[1]},
		B:        op.Rounding{Format: op.E4M3, Across: block[0], Along: block[1], Block: true},
		Gradient: op.Rounding{Format: gradient, Across: act[0], Along: act[1]},
	}
}

// feeds marks the products of the block at path that n is computed from, also through the block's parts.
func (p *precisions) feeds(n *equation.Node, path string, seen map[*equation.Node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	for _, a := range n.Args {
		if a.Place.Path != path && !strings.HasPrefix(a.Place.Path, path+".") {
			continue
		}
		if a.Place.Path == path && product(a) {
			p.full[a] = true
		}
		p.feeds(a, path, seen)
	}
}

func product(n *equation.Node) bool {
	switch n.Kind {
	case equation.Dot, equation.GroupedDot, equation.CrossEntropy:
		return true
	}
	return false
}

// of is the precision of a product of its first two arguments.
func (p *precisions) of(n *equation.Node) op.Precision {
	if p == nil || p.full[n] {
		return op.Precision{}
	}
	a, b := p.stored(n.Args[0]), p.stored(n.Args[1])
	for _, s := range []*equation.Node{a, b} {
		if s != nil && p.kinds[s.Name] == State {
			return op.Precision{}
		}
	}
	if a == nil && b == nil || p.keeps(n, a, b) {
		return op.InFormat(op.BFloat16)
	}
	w := p.weight
	switch {
	case b == nil:
		w.A, w.B = w.B, w.A
	case a != nil:
		w.A = w.B
	}
	return w
}

// attention is the format of a product of computed values.
func (p *precisions) attention() op.Format {
	if p == nil {
		return op.Float32
	}
	return op.BFloat16
}

// stored is the weight or state that n shows whole or in part, nil if it is computed.
func (p *precisions) stored(n *equation.Node) *equation.Node {
	for {
		switch n.Kind {
		case equation.Storage:
			return n
		case equation.Rename, equation.View, equation.Slice:
			n = n.Args[0]
		default:
			return nil
		}
	}
}

// keeps reports whether a pattern of `keep` names the equation or one of its weights, or a part that they are in.
func (p *precisions) keeps(n *equation.Node, weights ...*equation.Node) bool {
	names := []string{n.Place.Path + "." + n.Name}
	for _, w := range weights {
		if w != nil {
			names = append(names, w.Name)
		}
	}
	return slices.ContainsFunc(p.stage.Keep, func(pattern string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return check.Match(pattern, name) })
	})
}

// format is how a stage keeps a master weight, a gradient or a moment.
func format(name string) op.Format {
	if name == "bf16" {
		return op.BFloat16
	}
	return op.Float32
}
