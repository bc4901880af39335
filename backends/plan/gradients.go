package plan

import "forge/compiler/op"

// Gradients is how much memory the gradients that the optimizer reads take at the step where they take most, in values of 4
// bytes. With clipping to a norm over all gradients that is all of them.
func (p *Plan) Gradients() int64 {
	seen := map[*Buffer]bool{}
	born, dead := make([]int64, len(p.Steps)+1), make([]int64, len(p.Steps)+1)
	for _, s := range p.Steps {
		if s.Op != op.AdamW {
			continue
		}
		if b := s.In[1].Buffer.root(); b.Kind == Arena && !seen[b] {
			seen[b] = true
			born[b.First] += int64(b.Size)
			dead[b.Last] += int64(b.Size)
		}
	}
	most, live := int64(0), int64(0)
	for i := range born {
		live += born[i]
		most = max(most, live)
		live -= dead[i]
	}
	return most
}
