// Package random is the one source of chance in forge: initial weights, the order of data and sampled tokens all come from it. In
// flow a seed and a name ("weights/layers[0].attn.wq", "order/0"); out flows a stream of numbers that depends on nothing else, so
// that adding a weight or a source changes no other stream. It keeps no global state and reads no clock.
//
// The generator is splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014) started at a key
// made from the seed and the name. It is a counter passed through a mixing function, so number i of a stream can be had without
// the numbers before it: the streams are the same whatever the number of threads that read them.
package random

import "math"

const golden = 0x9e3779b97f4a7c15

// mix is splitmix64's output function, a bijection on 64 bits.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Mix is a well mixed bijection on 64 bits, for keys made of hashes.
func Mix(x uint64) uint64 { return mix(x + golden) }

// Stream is one sequence of random numbers. Its state is Position alone: a stream of the same seed and name, set to the same
// position, goes on as this one does.
type Stream struct {
	key      uint64
	position uint64
}

// New starts the stream of a seed and a name at its first number.
func New(seed int64, name string) *Stream {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for i := 0; i < len(name); i++ {
		h = (h ^ uint64(name[i])) * prime
	}
	return &Stream{key: mix(Mix(uint64(seed)) ^ h)}
}

// At is number i of the stream, wherever the stream stands.
func (s *Stream) At(i uint64) uint64 { return mix(s.key + (i+1)*golden) }

// Position is how many numbers were taken.
func (s *Stream) Position() uint64 { return s.position }

// Seek makes number i the next one.
func (s *Stream) Seek(i uint64) { s.position = i }

// Uint64 is the next number.
func (s *Stream) Uint64() uint64 {
	s.position++
	return s.At(s.position - 1)
}

// unit is a number in [0, 1) from the upper 53 bits of x.
func unit(x uint64) float64 { return float64(x>>11) * 0x1p-53 }

// Float64 is the next number as one in [0, 1).
func (s *Stream) Float64() float64 { return unit(s.Uint64()) }

// Intn is the next number as one in [0, n), without bias. n must be above 0.
func (s *Stream) Intn(n int) int {
	limit := math.MaxUint64 - math.MaxUint64%uint64(n)
	for {
		if x := s.Uint64(); x < limit {
			return int(x % uint64(n))
		}
	}
}

// Shuffle fills order with 0, 1, … len(order)−1 in random order (Fisher and Yates).
func (s *Stream) Shuffle(order []int32) {
	for i := range order {
		j := s.Intn(i + 1)
		order[i] = order[j]
		order[j] = int32(i)
	}
}

// Normal fills dst with the standard normal values from..from+len(dst)−1 of the stream, by Box and Muller's transformation of
// numbers 2p and 2p+1 for the values 2p and 2p+1. It leaves the position alone, so parts of a tensor can be filled in any order
// and by several goroutines. The first factor is in (0, 1], so no value is infinite.
func (s *Stream) Normal(dst []float32, from uint64, mean, std float64) {
	for i := 0; i < len(dst); {
		v := from + uint64(i)
		p := v / 2
		radius := std * math.Sqrt(-2*math.Log(1-unit(s.At(2*p))))
		sin, cos := math.Sincos(2 * math.Pi * unit(s.At(2*p+1)))
		if v%2 == 0 {
			dst[i] = float32(mean + radius*cos)
			i++
		}
		if i < len(dst) {
			dst[i] = float32(mean + radius*sin)
			i++
		}
	}
}

// Permutation is a random order of 0..n−1 that needs no memory: a Feistel network of four rounds over the next power of four,
// walked until it lands below n (at most four steps on average).
type Permutation struct {
	n    uint64
	half uint
	keys [4]uint64
}

// NewPermutation takes four numbers of s as round keys.
func NewPermutation(s *Stream, n int) Permutation {
	p := Permutation{n: uint64(n), half: 1}
	for p.n > 1<<(2*p.half) {
		p.half++
	}
	for i := range p.keys {
		p.keys[i] = s.Uint64()
	}
	return p
}

// At is entry i of the order, 0 ≤ i < n.
func (p *Permutation) At(i int) int {
	mask := uint64(1)<<p.half - 1
	x := uint64(i)
	for {
		left, right := x>>p.half, x&mask
		for _, k := range p.keys {
			left, right = right, left^mix(right+k)&mask
		}
		if x = left<<p.half | right; x < p.n {
			return int(x)
		}
	}
}
