package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWidenRow: rows of weights with scales, from any column on and of any length, are widened to the bits of their values.
func TestWidenRow(t *testing.T) {
	onLevels(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		const rows, columns = 130, 300
		bytes := make([]uint8, rows*columns)
		for i := range bytes {
			bytes[i] = uint8(random.IntN(256))
		}
		blocks, halves := make([]float32, 2*3), make([]uint16, rows*10)
		for i := range blocks {
			blocks[i] = random.Float32()
		}
		blocks[1] = 0x1p20 // too large for the routine
		for i := range halves {
			halves[i] = uint16(random.IntN(0x7c00)) // finite, subnormal too
		}
		for _, format := range []Format{Float8, Int8} {
			for _, column := range []int{0, 32, 96, 128} {
				for _, n := range []int{1, 31, 32, 64, 100, 170} {
					w := Weight{Format: format, Outputs: n, Inputs: 2, Stride: columns, ByInput: true, Row: 127, Column: column, Columns: columns,
						Bytes: bytes[column:], BlockScales: blocks, HalfScales: halves}
					got := make([]float32, n)
					for row := range 2 {
						w.widenRow(got, row, 0)
						for i, v := range got {
							if want := w.at(i, row); math.Float32bits(v) != math.Float32bits(want) {
								t.Fatalf("%v, column %d of %d: value %d is %v, not %v", format, column, n, i, v, want)
							}
						}
					}
				}
			}
		}
	})
}
