package op

import (
	"fmt"
	"math"
)

// AdamWAttrs are the constants of AdamW. LRScale multiplies the learning rate of this parameter.
// The formats are those in which the parameter, its gradient and its moments are kept: the gradient is rounded before the step, the
// parameter and the moments after it, so that a step itself is made in float32.
type AdamWAttrs struct {
	Beta1, Beta2, Eps, Decay, LRScale float64
	Param, Grad, Moments              Format
}

func (a AdamWAttrs) String() string {
	text := fmt.Sprintf("{Beta1:%v Beta2:%v Eps:%v Decay:%v LRScale:%v", a.Beta1, a.Beta2, a.Eps, a.Decay, a.LRScale)
	if a.Param != Float32 || a.Grad != Float32 || a.Moments != Float32 {
		text += fmt.Sprintf(" %v←%v,%v", a.Param, a.Grad, a.Moments)
	}
	return text + "}"
}

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
		c, err := attrsAs[AdamWAttrs](a)
		if err != nil {
			return nil, err
		}
		for _, f := range []Format{c.Param, c.Grad, c.Moments} {
			if f > BFloat16 {
				return nil, fmt.Errorf("a parameter, gradient or moment in %v needs scales", f)
			}
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
			g := roundTo(c.Grad, in[1].Data[i]) * clip
			m := c.Beta1*in[2].Data[i] + (1-c.Beta1)*g
			v := c.Beta2*in[3].Data[i] + (1-c.Beta2)*g*g
			p = p*(1-rate*c.Decay) - rate*(m/correction1)/(math.Sqrt(v/correction2)+c.Eps)
			out[0].Data[i], out[1].Data[i], out[2].Data[i] = roundTo(c.Param, p), roundTo(c.Moments, m), roundTo(c.Moments, v)
		}
	},
	Cost: costEach(14),
	Samples: []Sample{
		{Name: "first step", Attrs: AdamWAttrs{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, LRScale: 1},
			In: adamWTypes(3, 5), Fill: fill(map[int]func(Type, func() float64) []float64{2: values(0), 3: values(0), 4: values(0.01), 5: values(1), 6: values(0.1), 7: values(0.05)})},
		{Name: "later, clipped, scaled", Attrs: AdamWAttrs{Beta1: 0.8, Beta2: 0.99, Eps: 1e-6, Decay: 0, LRScale: 0.5},
			In: adamWTypes(67), Fill: fill(map[int]func(Type, func() float64) []float64{3: between(0.01, 1), 4: values(0.02), 5: values(0.3), 6: values(0.7), 7: values(0.2)})},
		{Name: "moments in bf16", Attrs: AdamWAttrs{Beta1: 0.8, Beta2: 0.99, Eps: 1e-6, LRScale: 1, Moments: BFloat16}, Tolerance: tolerateFlips,
			In: adamWTypes(7, 9), Fill: fill(map[int]func(Type, func() float64) []float64{3: between(0.01, 1), 4: values(0.02), 5: values(0.3), 6: values(0.7), 7: values(0.2)})},
		{Name: "all in bf16", Attrs: AdamWAttrs{Beta1: 0.8, Beta2: 0.99, Eps: 1e-6, Decay: 0.1, LRScale: 1, Param: BFloat16, Grad: BFloat16, Moments: BFloat16}, Tolerance: tolerateFlips,
			In: adamWTypes(7, 9), Fill: fill(map[int]func(Type, func() float64) []float64{3: between(0.01, 1), 4: values(0.02), 5: values(0.3), 6: values(0.7), 7: values(0.2)})},
		{Name: "scalar", Attrs: AdamWAttrs{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, LRScale: 1},
			In: adamWTypes(), Fill: fill(map[int]func(Type, func() float64) []float64{3: between(0.01, 1), 4: values(0.02), 5: values(1), 6: values(1), 7: values(1)})},
	},
})

// roundTo is v in a format without tiles.
func roundTo(f Format, v float64) float64 { return Rounding{Format: f}.round(v) }

func adamWTypes(shape ...int) []Type {
	p, s := floats(shape...), floats()
	return []Type{p, p, p, p, s, s, s, s}
}
