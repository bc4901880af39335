package op

import "fmt"

// GatherGate is the gate of each slot of a plan (see RoutePlan); an unused slot gives 0.
var GatherGate = Define(Op{
	Name:    "gather_gate",
	Doc:     "the gate of each slot",
	Inputs:  []string{"gate", "slots", "offsets", "positions"},
	Outputs: []string{"y"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		if err := noAttrs(a); err != nil {
			return nil, err
		}
		n, err := checkPlan(in[1], in[3])
		if err != nil {
			return nil, err
		}
		if err := wantRank("offsets", in[2], 1, Int32); err != nil {
			return nil, err
		}
		if err := wantType("gate", in[0], floats(n, in[2].Shape[0]-1)); err != nil {
			return nil, err
		}
		return []Type{floats(in[1].Shape[0])}, nil
	},
	Gradient: Gradient{Rule: func(b Builder, _ Attrs, in, _, grad []Value) []Value {
		experts := in[0].Type().Shape[1]
		return []Value{One(b, ScatterGate, ScatterGateAttrs{experts}, grad[0], in[1], in[2], in[3]), nil, nil, nil}
	}},
	Reference: func(_ Attrs, in, out []Tensor) {
		experts := in[0].Shape[1]
		eachSlot(in[1], in[2], func(slot, row, expert int) {
			out[0].Data[slot] = in[0].Data[row*experts+expert]
		})
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "ragged", In: []Type{floats(7, 6), ints(14), ints(7), ints(7, 2)}, Fill: planned(7, 6, 2, "gate", "slots", "offsets", "positions"),
			NoGradientCheck: "a gate of 0 makes the plan"},
		{Name: "any gates", In: []Type{floats(4, 5), ints(8), ints(6), ints(4, 2)}, Fill: planned(4, 5, 2, "any", "slots", "offsets", "positions")},
	},
})

// ScatterGateAttrs give the number of experts.
type ScatterGateAttrs struct{ Experts int }

// ScatterGate puts the gradient of each slot's gate where the gate is, zeros elsewhere.
var ScatterGate = Define(Op{
	Name:    "scatter_gate",
	Doc:     "the gradient of gather_gate",
	Inputs:  []string{"g", "slots", "offsets", "positions"},
	Outputs: []string{"dgate"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		s, err := attrsAs[ScatterGateAttrs](a)
		if err != nil {
			return nil, err
		}
		n, err := checkPlan(in[1], in[3])
		if err != nil {
			return nil, err
		}
		if err := wantType("offsets", in[2], ints(s.Experts+1)); err != nil {
			return nil, err
		}
		if err := wantType("g", in[0], floats(in[1].Shape[0])); err != nil {
			return nil, err
		}
		if s.Experts < 1 {
			return nil, fmt.Errorf("%d experts", s.Experts)
		}
		return []Type{floats(n, s.Experts)}, nil
	},
	Gradient: Gradient{None: secondDerivative},
	Reference: func(a Attrs, in, out []Tensor) {
		experts := a.(ScatterGateAttrs).Experts
		eachSlot(in[1], in[2], func(slot, row, expert int) {
			out[0].Data[row*experts+expert] = in[0].Data[slot]
		})
	},
	Cost: costEach(0),
	Samples: []Sample{
		{Name: "ragged", Attrs: ScatterGateAttrs{6}, In: []Type{floats(14), ints(14), ints(7), ints(7, 2)},
			Fill: planned(7, 6, 2, "g", "slots", "offsets", "positions")},
	},
})

// eachSlot calls body for every used slot with its row and expert.
func eachSlot(slots, offsets Tensor, body func(slot, row, expert int)) {
	for e := range len(offsets.Data) - 1 {
		for slot := int(offsets.Data[e]); slot < int(offsets.Data[e+1]); slot++ {
			body(slot, int(slots.Data[slot]), e)
		}
	}
}
