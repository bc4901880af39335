package kernel

import "time"

// Peaks are what a number of cores do at most, measured: the ceilings that
// kernels are compared with. Zero where the processor lacks the instruction.
type Peaks struct {
	Float32 float64 // FLOP/s of fused multiply-adds
	BF16Dot float64 // FLOP/s of dot products of bfloat16 pairs
	Int8Dot float64 // operations a second of dot products of int8 quadruples
	Read    float64 // bytes a second of reading memory beyond all caches
}

// peakRoutines are loops of n rounds of multiplication in registers, nil where
// the level has none.
type peakRoutines struct {
	float32s, bf16Dot, int8Dot routineOfRounds
}

type routineOfRounds struct {
	run   func(n int)
	flops float64 // of one round
}

// MeasurePeaks measures with all workers of the pool, about as long as given,
// and takes the best of several tries, so that the load of other processes
// lowers it little. It uses 256 MiB of memory.
func MeasurePeaks(p *Pool, duration time.Duration) Peaks {
	r := &supported[len(supported)-1].peak
	peaks := Peaks{}
	for _, m := range []struct {
		result *float64
		loop   routineOfRounds
	}{{&peaks.Float32, r.float32s}, {&peaks.BF16Dot, r.bf16Dot}, {&peaks.Int8Dot, r.int8Dot}} {
		if m.loop.run != nil {
			*m.result = m.loop.measure(p, duration/4)
		}
	}
	peaks.Read = measureRead(p, duration/4)
	return peaks
}

// measure is the rate of all workers together.
func (l routineOfRounds) measure(p *Pool, duration time.Duration) float64 {
	const rounds = 20000 // 50 to 200 microseconds
	return bestRate(duration, l.flops*rounds*float64(p.Threads()), func() {
		p.Run(p.Threads(), func(int, int) { l.run(rounds) })
	})
}

func measureRead(p *Pool, duration time.Duration) float64 {
	const (
		size  = 64 << 20 // far more than the last cache holds
		parts = 64
	)
	values := alignedSlice(size)
	for i := range values {
		values[i] = 1 // pages that were never written are not memory yet
	}
	return bestRate(duration, 4*size, func() {
		p.Run(parts, func(part, _ int) { Sum(values[part*(size/parts) : (part+1)*(size/parts)]) })
	})
}

// bestRate calls f until the duration has passed, at least three times, and
// returns work a second of the fastest call.
func bestRate(duration time.Duration, work float64, f func()) float64 {
	fastest := time.Duration(1<<63 - 1)
	for began, n := time.Now(), 0; n < 3 || time.Since(began) < duration; n++ {
		start := time.Now()
		f()
		fastest = min(fastest, time.Since(start))
	}
	return work / fastest.Seconds()
}

// multiplyAddPortable does n rounds of eight independent multiply-adds.
func multiplyAddPortable(n int) { multiplyAddSum(n) }

// multiplyAddSum must not be inlined, or the loop would be left out.
//
//go:noinline
func multiplyAddSum(n int) float32 {
	var a, b, c, d, e, f, g, h float32
	x, y := float32(0.5), float32(1)
	for range n {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
	}
	return a + b + c + d + e + f + g + h
}
