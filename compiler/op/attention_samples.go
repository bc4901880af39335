package op

import "strings"

// Layouts of attention: b batch, s queries, k keys, h heads, g groups and r queries of a group, e n c r features, v values.
func attentionSamples() []Sample {
	layout := func(q, k, v, out string, scale float64, window int) AttentionAttrs {
		return AttentionAttrs{Q: strings.Split(q, ","), K: strings.Split(k, ","), V: v, Out: out, Seq: 's', Key: 'k', Scale: scale, Window: window}
	}
	low := layout("bshn,bshr", "bkhn,bkr", "bkhv", "bshv", 0.3, 0)
	low.Format = BFloat16
	return []Sample{
		{Name: "bf16", Attrs: low, Tolerance: tolerateFlips, NoGradientCheck: "rounded numbers move in steps",
			In: []Type{floats(2, 5, 3, 4), floats(2, 5, 3, 4), floats(2, 5, 3, 2), floats(2, 5, 2), floats(2, 5, 3, 6)}},
		{Name: "heads", Attrs: layout("bshe", "bkhe", "bkhv", "bshv", 0.5, 0),
			In: []Type{floats(2, 5, 3, 4), floats(2, 5, 3, 4), floats(2, 5, 3, 2)}},
		{Name: "grouped heads", Attrs: layout("bsgre", "bkge", "bkgv", "bsgrv", 0.4, 0),
			In: []Type{floats(2, 6, 2, 3, 4), floats(2, 6, 2, 4), floats(2, 6, 2, 5)}},
		{Name: "grouped heads, window", Attrs: layout("bsgre", "bkge", "bkgv", "bsgrv", 0.4, 3),
			In: []Type{floats(1, 7, 1, 2, 3), floats(1, 7, 1, 3), floats(1, 7, 1, 3)}},
		{Name: "latent attention, naive", Attrs: layout("bshn,bshr", "bkhn,bkr", "bkhv", "bshv", 0.3, 0),
			In: []Type{floats(2, 5, 3, 4), floats(2, 5, 3, 4), floats(2, 5, 3, 2), floats(2, 5, 2), floats(2, 5, 3, 6)}},
		{Name: "latent attention, absorbed", Attrs: layout("bshc,bshr", "bkc,bkr", "bkc", "bshc", 0.3, 0),
			In: []Type{floats(2, 5, 3, 7), floats(2, 5, 7), floats(2, 5, 3, 2), floats(2, 5, 2), floats(2, 5, 7)}},
		{Name: "one query on a cache", Attrs: layout("bshc,bshr", "bkc,bkr", "bkc", "bshc", 0.3, 0),
			In:   []Type{floats(1, 1, 3, 5), floats(1, 9, 5), floats(1, 1, 3, 2), floats(1, 9, 2), floats(1, 9, 5), ints()},
			Fill: offsetFill(5, 6)},
		{Name: "a few queries, offset and window", Attrs: layout("bsgre", "bkge", "bkgv", "bsgrv", 0.7, 3),
			In:   []Type{floats(2, 2, 2, 1, 3), floats(2, 6, 2, 3), floats(2, 6, 2, 2), ints()},
			Fill: offsetFill(3, 3)},
		{Name: "rows that see nothing", Attrs: layout("she", "khe", "khv", "shv", 1, 2),
			In:   []Type{floats(3, 2, 3), floats(4, 2, 3), floats(4, 2, 2), ints()},
			Fill: offsetFill(3, 3), Tolerance: 5e-5},
		{Name: "axes in another order", Attrs: layout("hbes", "ebk", "vkbh", "vshb", 0.5, 0),
			In: []Type{floats(2, 3, 4, 5), floats(4, 3, 5), floats(2, 5, 3, 2)}},
		{Name: "no outer axes", Attrs: layout("se", "ke", "kv", "sv", 0.5, 0), In: []Type{floats(3, 2), floats(3, 2), floats(3, 4)}},
		{Name: "sizes 1", Attrs: layout("bshe", "bkhe", "bkhv", "bshv", 1, 0), In: []Type{floats(1, 1, 1, 1), floats(1, 1, 1, 1), floats(1, 1, 1, 1)}},
		{Name: "longer", Attrs: layout("bshe", "bkhe", "bkhv", "bshv", 0.25, 0), Tolerance: 1e-4,
			In: []Type{floats(1, 37, 2, 16), floats(1, 37, 2, 16), floats(1, 37, 2, 16)}, NoGradientCheck: "covered by the smaller ones"},
	}
}

// attentionGradSamples are those of attention with consistent out and lse.
func attentionGradSamples() []Sample {
	var list []Sample
	for _, s := range attentionSamples() {
		forward, own := s, len(s.In)
		a := s.Attrs.(AttentionAttrs)
		out, err := a.infer(s.In)
		if err != nil {
			panic("op: sample of attention: " + s.Name + ": " + err.Error())
		}
		s.In = append(append([]Type{}, s.In...), out[0], out[1], out[0])
		s.Fill = func(i int, t Type, random func() float64) []float64 {
			if i == own+2 {
				return nil
			}
			in := forward.Inputs()
			if i < own {
				return in[i].Data
			}
			result := []Tensor{newTensor(out[0].Shape), newTensor(out[1].Shape)}
			attentionReference(a, in, result)
			return result[i-own].Data
		}
		list = append(list, s)
	}
	return list
}
