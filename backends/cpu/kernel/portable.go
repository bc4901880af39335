package kernel

import "unsafe"

// portableRoutines are the routines of level.go in plain Go. They take
// pointers like the assembly does, so that both fill the same table.
var portableRoutines = routines{
	level: Portable,
	gemm: gemmRoutines{
		tileRows: 2,
		tileCols: portableTileCols,
		tile: [13]tileRoutine{
			1: portableTile1, 2: portableTile2,
		},
		axpy: []axpyRoutine{{1, 4, portableAxpy4}, {1, 1, portableAxpy1}},
		dot:  []dotRoutine{{1, 1, portableDot}},
	},
	vector: portableVector,
	rows:   portableRows,
	weight: portableWeight,
	peak:   peakRoutines{float32s: routineOfRounds{multiplyAddPortable, 8 * 2}},
}

// portableTileCols is the width of the portable tile: two rows of it and one
// row of B fit sixteen scalar registers.
const portableTileCols = 4

// at returns the address i values behind p.
func at(p *float32, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*i))
}

func portableTile2(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow, n int, alpha, beta float32) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for p := range k {
		row := (*[portableTileCols]float32)(unsafe.Pointer(at(b, p*bRow)))
		a0, a1 := *at(a, p*aCol), *at(a, p*aCol+aRow)
		s00 += a0 * row[0]
		s01 += a0 * row[1]
		s02 += a0 * row[2]
		s03 += a0 * row[3]
		s10 += a1 * row[0]
		s11 += a1 * row[1]
		s12 += a1 * row[2]
		s13 += a1 * row[3]
	}
	portableStore([portableTileCols]float32{s00, s01, s02, s03}, c, n, alpha, beta)
	portableStore([portableTileCols]float32{s10, s11, s12, s13}, at(c, cRow), n, alpha, beta)
}

func portableTile1(k int, a *float32, _, aCol int, b *float32, bRow int, c *float32, _, n int, alpha, beta float32) {
	var s [portableTileCols]float32
	for p := range k {
		row := (*[portableTileCols]float32)(unsafe.Pointer(at(b, p*bRow)))
		a0 := *at(a, p*aCol)
		s[0] += a0 * row[0]
		s[1] += a0 * row[1]
		s[2] += a0 * row[2]
		s[3] += a0 * row[3]
	}
	portableStore(s, c, n, alpha, beta)
}

// portableStore sets n values of a row of C to alpha·sum + beta·C.
func portableStore(sum [portableTileCols]float32, c *float32, n int, alpha, beta float32) {
	for j, s := range unsafe.Slice(c, n) {
		v := alpha * sum[j]
		if beta != 0 {
			v += beta * s
		}
		*at(c, j) = v
	}
}

func portableAxpy4(n int, alpha float32, a *float32, _, aCol int, b *float32, bRow int, c *float32, _ int) {
	a0, a1, a2, a3 := alpha**a, alpha**at(a, aCol), alpha**at(a, 2*aCol), alpha**at(a, 3*aCol)
	dst := unsafe.Slice(c, n)
	b0 := unsafe.Slice(b, n)[:len(dst)]
	b1 := unsafe.Slice(at(b, bRow), n)[:len(dst)]
	b2 := unsafe.Slice(at(b, 2*bRow), n)[:len(dst)]
	b3 := unsafe.Slice(at(b, 3*bRow), n)[:len(dst)]
	for j := range dst {
		dst[j] += a0*b0[j] + a1*b1[j] + a2*b2[j] + a3*b3[j]
	}
}

func portableAxpy1(n int, alpha float32, a *float32, _, _ int, b *float32, _ int, c *float32, _ int) {
	factor := alpha * *a
	dst := unsafe.Slice(c, n)
	src := unsafe.Slice(b, n)[:len(dst)]
	for j := range dst {
		dst[j] += factor * src[j]
	}
}

func portableDot(k int, a *float32, _ int, b *float32, _ int, c *float32, _, _ int, alpha, beta float32) {
	x := unsafe.Slice(a, k)
	y := unsafe.Slice(b, k)[:len(x)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	v := alpha * (s0 + s1 + s2 + s3)
	if beta != 0 {
		v += beta * *c
	}
	*c = v
}
