package op

import "fmt"

// RoutePlanAttrs give the most experts that a row may have.
type RoutePlanAttrs struct{ TopK int }

// RoutePlan sorts the pairs (row, expert) of nonzero gates by expert, then row, so that each expert's rows are a run that one
// matrix product takes. Rows with more than TopK nonzero gates keep the first TopK. Its results have fixed sizes; what is unused
// is −1.
//
//	slots [N·TopK]      the row of each pair
//	offsets [E+1]       where each expert's run starts; the last is the number of pairs
//	positions [N, TopK] the slot of each row's pairs, by ascending expert
var RoutePlan = Define(Op{
	Name:    "route_plan",
	Doc:     "which rows go to which expert, sorted by expert",
	Inputs:  []string{"gate"},
	Outputs: []string{"slots", "offsets", "positions"},
	Infer: func(a Attrs, in []Type) ([]Type, error) {
		r, err := attrsAs[RoutePlanAttrs](a)
		if err != nil {
			return nil, err
		}
		if err := wantRank("gate", in[0], 2, Float); err != nil {
			return nil, err
		}
		n, experts := in[0].Shape[0], in[0].Shape[1]
		if r.TopK < 1 || r.TopK > experts {
			return nil, fmt.Errorf("%d of %d experts a row", r.TopK, experts)
		}
		return []Type{ints(n * r.TopK), ints(experts + 1), ints(n, r.TopK)}, nil
	},
	Gradient:  Gradient{None: "a choice has no derivative"},
	Reference: routePlan,
	Cost:      costInput(0, 1),
	Samples: []Sample{
		{Name: "two of five", Attrs: RoutePlanAttrs{2}, In: []Type{floats(4, 5)}, Fill: gates},
		{Name: "an expert without rows, a row without experts", Attrs: RoutePlanAttrs{2}, In: []Type{floats(7, 6)}, Fill: gates},
		{Name: "more gates than TopK", Attrs: RoutePlanAttrs{1}, In: []Type{floats(5, 4)}, Fill: gates},
		{Name: "no gates", Attrs: RoutePlanAttrs{2}, In: []Type{floats(3, 4)}, Fill: fill(map[int]func(Type, func() float64) []float64{0: values(0)})},
		{Name: "one of one", Attrs: RoutePlanAttrs{1}, In: []Type{floats(1, 1)}, Fill: fill(map[int]func(Type, func() float64) []float64{0: values(1)})},
	},
})

func routePlan(a Attrs, in, out []Tensor) {
	gate, topK := in[0], a.(RoutePlanAttrs).TopK
	slots, offsets, positions := out[0].Data, out[1].Data, out[2].Data
	for i := range slots {
		slots[i], positions[i] = -1, -1
	}
	n, experts := gate.Shape[0], gate.Shape[1]
	taken, next := make([]int, n), 0
	for e := range experts {
		offsets[e] = float64(next)
		for row := range n {
			if gate.Data[row*experts+e] == 0 || taken[row] == topK {
				continue
			}
			slots[next] = float64(row)
			positions[row*topK+taken[row]] = float64(next)
			taken[row]++
			next++
		}
	}
	offsets[experts] = float64(next)
}

// gates gives each row two experts, but row 2 none, and never expert 1.
func gates(_ int, t Type, _ func() float64) []float64 {
	n, experts := t.Shape[0], t.Shape[1]
	data := make([]float64, n*experts)
	for row := range n {
		for j := range 2 {
			if e := (row*3 + j*2) % experts; row != 2 && e != 1 {
				data[row*experts+e] = 0.3 + 0.1*float64(row+j)
			}
		}
	}
	return data
}

// planned fills inputs of operations that take a plan, by their names, from the plan of the gates above; other inputs are left to
// the default. names are in the order of the inputs.
func planned(rows, experts, topK int, names ...string) func(int, Type, func() float64) []float64 {
	return func(i int, _ Type, _ func() float64) []float64 {
		gate := Tensor{Shape: Shape{rows, experts}, Data: gates(0, floats(rows, experts), nil)}
		out := []Tensor{newTensor(Shape{rows * topK}), newTensor(Shape{experts + 1}), newTensor(Shape{rows, topK})}
		routePlan(RoutePlanAttrs{topK}, []Tensor{gate}, out)
		switch names[i] {
		case "gate":
			return gate.Data
		case "slots":
			return out[0].Data
		case "offsets":
			return out[1].Data
		case "positions":
			return out[2].Data
		}
		return nil
	}
}

// checkPlan checks slots [R] and positions [N, TopK] with N·TopK = R, and gives N.
func checkPlan(slots, positions Type) (rows int, err error) {
	if err := wantRank("slots", slots, 1, Int32); err != nil {
		return 0, err
	}
	if err := wantRank("positions", positions, 2, Int32); err != nil {
		return 0, err
	}
	if positions.Shape.Size() != slots.Shape[0] {
		return 0, fmt.Errorf("%v slots and %v positions", slots, positions)
	}
	return positions.Shape[0], nil
}
