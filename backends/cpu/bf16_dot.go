package cpu

import (
	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// Products whose two operands are rounded to bfloat16 round them while they are packed: bfloat16 has no scales, so that an entry can
// be rounded where it is read, as often as it is read. What comes out is what package op defines, the product of the rounded
// operands with sums in float32.

// roundsAsItReads reports whether the matrix products of a step round their operands, so that it needs no rounded copies.
func roundsAsItReads(s *plan.Step) bool {
	plain := op.Rounding{Format: op.BFloat16}
	if p := precisionOf(s.Attrs); p.A != plain || p.B != plain {
		return false
	}
	a, ok := s.Attrs.(op.DotAttrs)
	if !ok {
		return true
	}
	x := sortDotAxes(a, unplaced(s.In[0]), unplaced(s.In[1]), unplaced(s.Out[0]))
	return len(x.inner) > 0 && len(x.rows)+len(x.cols) > 0
}

// unplaced is a view without memory.
func unplaced(v *plan.Value) tensor { return tensor{nil, v.Shape, v.Strides} }

// rounded is a product with operands that are rounded to bfloat16.
func rounded(p *kernel.Product) kernel.MixedProduct {
	return kernel.MixedProduct{A: p.A.Mixed(), B: p.B.Mixed(), Accumulate: p.Beta != 0, C: p.C.Mixed()}
}
