package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The AVX-512 tile of matrix products: 12·2 sums, two registers for a row of B
// and six for broadcast words of A fill the 32 registers.
const (
	wideTileRows = 12
	wideTileCols = 32
	wideLanes    = 16
)

// wideTile is what the tiles of float32 values and those of pairs of bfloat16
// values differ in.
type wideTile struct {
	name string
	// multiplyAdd emits sum += x·y on physical registers.
	multiplyAdd func(x, y, sum int)
}

var (
	float32Tile  = wideTile{"Float32", func(x, y, sum int) { VFMADD231PS(z(x), z(y), z(sum)) }}
	bfloat16Tile = wideTile{"BF16", dotBF16}
)

// tileFamily emits the tiles of all heights.
func tileFamily() {
	for _, t := range []wideTile{float32Tile, bfloat16Tile} {
		for rows := 1; rows <= wideTileRows; rows++ {
			t.emit(rows)
		}
	}
}

// emit writes C[rows×n] = alpha·A·B + beta·C for n <= 32, where each of the k
// rows of B holds 32 readable words. A word is a float32, or a pair of
// bfloat16 values.
func (t wideTile) emit(rows int) {
	name := fmt.Sprintf("tile%d%sAVX512", rows, t.name)
	routine(name, "func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow, n int, alpha, beta float32)",
		fmt.Sprintf("%s is a tiles.run of %d rows and at most %d columns.", name, rows, wideTileCols))
	k := Load(Param("k"), GP64())
	aRow := bytes("aRow")
	aRow3 := aRow
	if rows > 3 {
		aRow3 = triple(aRow)
	}
	aCol := bytes("aCol")
	a := []Register{Load(Param("a"), GP64())}
	for len(a) < (rows+3)/4 {
		next := GP64()
		LEAQ(Mem{Base: a[len(a)-1], Index: aRow, Scale: 4}, next)
		a = append(a, next)
	}
	b := Load(Param("b"), GP64())
	bRow := bytes("bRow")
	n := Load(Param("n"), GP64())
	for i := range 2 * rows {
		VPXORD(z(i), z(i), z(i))
	}
	// C is wanted when the sums are finished.
	c := Load(Param("c"), GP64())
	cRow := bytes("cRow")
	ahead := GP64()
	MOVQ(c, ahead)
	for i := range rows {
		PREFETCHT0(Mem{Base: ahead})
		PREFETCHT0(Mem{Base: ahead, Disp: 4 * (wideTileCols - 1)})
		if i < rows-1 {
			ADDQ(cRow, ahead)
		}
	}
	CMPQ(n, U8(wideLanes))
	JLE(labelRef("narrow"))
	t.loop("loop", k, a, aRow, aRow3, aCol, b, bRow, rows, 2)
	t.store(rows, 2)
	Label("narrow")
	t.loop("narrowLoop", k, a, aRow, aRow3, aCol, b, bRow, rows, 1)
	t.store(rows, 1)
}

// loop sums up all rows of B in registers of its first 16 or all columns. Sums
// of row i are in registers 2i and 2i+1.
func (t wideTile) loop(label string, k Register, a []Register, aRow, aRow3, aCol, b, bRow Register, rows, registers int) {
	Label(label)
	const values = 2 * wideTileRows
	for j := range registers {
		VMOVUPS(Mem{Base: b, Disp: 64 * j}, z(values+j))
	}
	ADDQ(bRow, b)
	for i := range rows {
		word := values + 2 + i%6
		VBROADCASTSS(strided(a[i/4], aRow, aRow3, i%4, 0), z(word))
		for j := range registers {
			t.multiplyAdd(word, values+j, 2*i+j)
		}
	}
	for _, r := range a {
		ADDQ(aCol, r)
	}
	DECQ(k)
	JNZ(labelRef(label))
}

// store scales the sums and writes them.
func (t wideTile) store(rows, registers int) {
	suffix := fmt.Sprint(16 * registers)
	c := Load(Param("c"), GP64())
	cRow := bytes("cRow")
	n := Load(Param("n"), GP64())
	alphaParam, _ := Param("alpha").Resolve()
	betaParam, _ := Param("beta").Resolve()
	const alpha, beta, old = 24, 25, 26
	VBROADCASTSS(alphaParam.Addr, z(alpha))
	VBROADCASTSS(betaParam.Addr, z(beta))
	for i := range rows {
		for j := range registers {
			VMULPS(z(alpha), z(2*i+j), z(2*i+j))
		}
	}
	// beta = ±0 overwrites C without reading it.
	betaBits := GP32()
	MOVL(betaParam.Addr, betaBits)
	ADDL(betaBits, betaBits)
	CMPQ(n, U8(16*registers))
	JNE(labelRef("edge" + suffix))
	each := func(f func(m Mem, i, j int)) {
		at := GP64()
		MOVQ(c, at)
		for i := range rows {
			for j := range registers {
				f(Mem{Base: at, Disp: 64 * j}, 2*i+j, j)
			}
			if i < rows-1 {
				ADDQ(cRow, at)
			}
		}
	}
	TESTL(betaBits, betaBits)
	JZ(labelRef("overwrite" + suffix))
	each(func(m Mem, i, _ int) { VFMADD231PS(m, z(beta), z(i)) })
	Label("overwrite" + suffix)
	each(func(m Mem, i, _ int) { VMOVUPS(z(i), m) })
	VZEROUPPER()
	RET()

	// The last register holds 1 to 15 columns.
	Label("edge" + suffix)
	mask := K()
	bits, count := GP64(), n
	if registers == 2 {
		SUBQ(U8(wideLanes), count)
	}
	XORQ(bits, bits)
	BTSQ(count, bits)
	DECQ(bits)
	KMOVW(bits.As32(), mask)
	TESTL(betaBits, betaBits)
	JZ(labelRef("edgeOverwrite" + suffix))
	each(func(m Mem, i, j int) {
		if j == registers-1 {
			VMOVUPS_Z(m, mask, z(old))
			VFMADD231PS(z(old), z(beta), z(i))
		} else {
			VFMADD231PS(m, z(beta), z(i))
		}
	})
	Label("edgeOverwrite" + suffix)
	each(func(m Mem, i, j int) {
		if j == registers-1 {
			VMOVUPS(z(i), mask, m)
		} else {
			VMOVUPS(z(i), m)
		}
	})
	VZEROUPPER()
	RET()
}
