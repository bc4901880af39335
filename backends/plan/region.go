package plan

// Decoding a token is hundreds of small products, each a parallel region of a few microseconds that ends when its last worker does.
// Fewer and larger regions wait less. A target says which steps it can run together; gather brings those that wait for nothing of
// each other side by side, and regions marks the runs of steps that may be carried out in any order, or all at once.

// gather orders the steps in waves: first whatever is ready and is no such step, in the order it was, then all such steps that are
// ready. Without such steps the order stays.
func (l *lowering) gather() {
	if l.target.Together == nil {
		return
	}
	done := make(map[*Step]bool, len(l.steps))
	ready := func(s *Step) bool {
		for _, v := range s.In {
			if made := v.source().step; made != nil && !done[made] {
				return false
			}
		}
		return true
	}
	steps := make([]*Step, 0, len(l.steps))
	for rest := l.steps; len(rest) > 0; {
		var wave, later []*Step
		for _, s := range rest {
			switch {
			case !ready(s):
				later = append(later, s)
			case l.target.Together(s):
				s.together = true
				wave = append(wave, s)
			default:
				done[s] = true
				steps = append(steps, s)
			}
		}
		for _, s := range wave {
			done[s] = true
		}
		steps = append(steps, wave...)
		rest = later
	}
	l.steps = steps
}

// regions numbers the regions: a step is in the region of the one before it if both can run together and neither writes to what the
// other, or any step between, reads or writes.
func (p *Plan) regions() {
	var written, read map[*Buffer]bool
	for i, s := range p.Steps {
		apart := !s.together || i == 0 || !p.Steps[i-1].together
		for _, v := range s.In {
			apart = apart || written[v.Buffer.root()]
		}
		for _, v := range s.Out {
			apart = apart || written[v.Buffer.root()] || read[v.Buffer.root()]
		}
		s.Region = i
		if apart {
			written, read = map[*Buffer]bool{}, map[*Buffer]bool{}
		} else {
			s.Region = p.Steps[i-1].Region
		}
		for _, v := range s.In {
			read[v.Buffer.root()] = true
		}
		for _, v := range s.Out {
			written[v.Buffer.root()] = true
		}
	}
}

// regionEnds gives the last step of the region of each step.
func (p *Plan) regionEnds() []int {
	ends := make([]int, len(p.Steps))
	for i := len(p.Steps) - 1; i >= 0; i-- {
		ends[i] = i
		if i+1 < len(p.Steps) && p.Steps[i+1].Region == p.Steps[i].Region {
			ends[i] = ends[i+1]
		}
	}
	return ends
}
