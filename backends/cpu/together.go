package cpu

import (
	"strings"

	"forge/backends/cpu/kernel"
	"forge/backends/plan"
	"forge/compiler/op"
)

// weighing is a call that can leave its products with weights to a region, which carries them out together with those of other
// calls.
type weighing interface {
	call
	// collects reports whether it can.
	collects() bool
	// collect gets a run ready and adds its products to the list; finish does what is left once they are computed.
	collect(list []kernel.WeightProduct) []kernel.WeightProduct
	finish()
}

// region is a run of calls as one parallel region.
type region struct {
	pool     *kernel.Pool
	calls    []weighing
	products []kernel.WeightProduct
}

func (r *region) run() error {
	r.products = r.products[:0]
	for _, c := range r.calls {
		r.products = c.collect(r.products)
	}
	kernel.MulWeights(r.pool, r.products)
	for _, c := range r.calls {
		c.finish()
	}
	return nil
}

// together makes one call of the calls of each region of the plan, where all of them leave their products to it. It gives the first
// step of each call, too.
func (c *compilation) together(calls []call, steps []*plan.Step) (joined []call, first []int) {
	for i := 0; i < len(calls); {
		end := i + 1
		for end < len(calls) && steps[end].Region == steps[i].Region {
			end++
		}
		if r := c.region(calls[i:end]); r != nil {
			joined, first = append(joined, r), append(first, i)
		} else {
			for k := i; k < end; k++ {
				joined, first = append(joined, calls[k]), append(first, k)
			}
		}
		i = end
	}
	return joined, first
}

func (c *compilation) region(calls []call) call {
	if len(calls) == 1 {
		return nil
	}
	r := &region{pool: c.pool}
	for _, made := range calls {
		w, ok := made.(weighing)
		if !ok || !w.collects() {
			return nil
		}
		r.calls = append(r.calls, w)
	}
	return r
}

// runTogether reports whether a step is a product of a few rows and a storage: work for the memory rather than for the cores.
func runTogether(s *plan.Step) bool {
	switch s.Op {
	case op.Dot:
		a := s.Attrs.(op.DotAttrs)
		x, labelsX, labelsW := s.In[0], a.A, a.B
		if !s.In[1].Stored() {
			if !s.In[0].Stored() {
				return false
			}
			x, labelsX, labelsW = s.In[1], a.B, a.A
		}
		rows := 1
		for i, n := range x.Shape {
			if strings.IndexByte(labelsW, labelsX[i]) < 0 {
				rows *= n
			}
		}
		return rows <= fewRows
	case op.GroupedDot:
		// Rows of several experts: of that many tokens, each with that many picks, say.
		return s.In[1].Stored() && s.In[0].Shape[0] <= fewRows*fewRows
	}
	return false
}

func (k *storedProducts) collects() bool { return k.few && len(k.rounds) == 1 }

func (k *storedProducts) collect(list []kernel.WeightProduct) []kernel.WeightProduct {
	k.copyIn(0)
	return append(list, k.rounds[0]...)
}

func (k *storedProducts) finish() { k.copyOut(0) }

func (g *storedGroups) collects() bool { return len(g.rounds) == 1 }

func (g *storedGroups) collect(list []kernel.WeightProduct) []kernel.WeightProduct {
	g.cut(0)
	return append(list, g.few...)
}

func (g *storedGroups) finish() {
	kernel.GemmWeights(g.pool, g.many)
	g.clearUnused()
}
