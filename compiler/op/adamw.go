package op

import (
	"fmt"
	"math"
)

// AdamWAttrs are the constants of AdamW. LRScale multiplies the learning rate of this parameter.
type AdamWAttrs struct{ Beta1, Beta2, Eps, Decay, LRScale float64 }

// AdamW is one step of Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2): with g = grad·clip,
//
//	m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²
//	param ← param·(1 − lr·LRScale·Decay) − lr·LRScale·(m/correction1) / (sqrt(v/correction2) + Eps)
//
// The corrections 1−βᵢᵗ, the learning rate and the clipping factor are scalars that change every step.
var AdamW = Define(Op{
	Name:    "adamw",
	Doc:     "a step of Adam with decoupled weight decay",
	Inputs:  []string{"param", "grad", "m", "v", "lr", "clip", "correction1", "correction2"},
	Outputs: []string{"param", "m", "v"},
	InPlace: map[int]int{0: 0, 1: 2, 2: 3},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if _, err := attrsAs[AdamWAttrs](a); err != nil {
			return nil, err
		}
		if err := wantFloat("param", in[0]); err != nil {
			return nil, err
		}
		for i, name := range []string{"grad", "m", "v"} {
			if err := wantType(name, in[1+i], in[0]); err != nil {
				return nil, err
			}
		}
		for i, t := range in[4:] {
			if err := wantType(fmt.Sprintf("input %d", 4+i), t, floats()); err != nil {
				return nil, err
			}
		}
		return []Type{in[0], in[0], in[0]}, nil
	},
	Gradient: Gradient{None: "an update is not differentiated"},
	Reference: func(a Attrs, in, out []Tensor) {
		c := a.(AdamWAttrs)
		rate, clip, correction1, correction2 := in[4].Data[0]*c.LRScale, in[5].Data[0], in[6].Data[0], in[7].Data[0]
		for i, p := range in[0].Data {
			g := in[1].Data[i] * clip
			m := c.Beta1*in[2].Data[i] + (1-c.Beta1)*g
			v := c.Beta2*in[3].Data[i] + (1-c.Beta2)*g*g
			out[0].Data[i] = p*(1-rate*c.Decay) - rate*(m/correction1)/(math.Sqrt(v/correction2)+c.Eps)
			out[1].Data[i], out[2].Data[i] = m, v
		}
	},
	Cost: costEach(14),
	Samples: []Sample{
		{Name: "first step", Attrs: AdamWAttrs{0.9, 0.95, 1e-8, 0.1, 1},
			In: adamWTypes(3, 5), Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0), 3: values(0), 4: values(0.01), 5: values(1), 6: values(0.1), 7: values(0.05)})},
		{Name: "later, clipped, scaled", Attrs: AdamWAttrs{0.8, 0.99, 1e-6, 0, 0.5},
			In: adamWTypes(67), Fill: fill(map[int]func(Type, func() float64) []float64{3: between(0.01, 1), 4: values(0.02), 5: values(0.3), 6: values(0.7), 7: values(0.2)})},
		{Name: "scalar", Attrs: AdamWAttrs{0.9, 0.95, 1e-8, 0.1, 1},
			In: adamWTypes(), Fill: fill(map[int]func(Type, func() float64) []float64{3: between(0.01, 1), 4: values(0.02), 5: values(1), 6: values(1), 7: values(1)})},
	},
})

func adamWTypes(shape ...int) []Type {
	p, s := floats(shape...), floats()
	return []Type{p, p, p, p, s, s, s, s}
}
