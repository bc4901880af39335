package op

// moved is the traffic of reading every input and writing every output once.
func moved(in, out []Type) float64 {
	bytes := 0.0
	for _, t := range in {
		bytes += 4 * float64(t.Shape.Size())
	}
	for _, t := range out {
		bytes += 4 * float64(t.Shape.Size())
	}
	return bytes
}

// costEach is the cost of some floating-point operations for every entry of the first output.
func costEach(flops float64) func(a Attrs, in, out []Type) Cost {
	return func(_ Attrs, in, out []Type) Cost {
		return Cost{FLOPs: flops * float64(out[0].Shape.Size()), Bytes: moved(in, out)}
	}
}

// costInput is the cost of some floating-point operations for every entry of one input.
func costInput(input int, flops float64) func(a Attrs, in, out []Type) Cost {
	return func(_ Attrs, in, out []Type) Cost {
		return Cost{FLOPs: flops * float64(in[input].Shape.Size()), Bytes: moved(in, out)}
	}
}

// costView is the cost of outputs that share the input's memory.
func costView(Attrs, []Type, []Type) Cost { return Cost{} }
