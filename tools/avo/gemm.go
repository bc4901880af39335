package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Tile height and width of the blocked product: 6·2 accumulators, two
// registers for the row of B and two for broadcast values of A fill the
// sixteen AVX2 registers.
const (
	tileRows = 6
	tileCols = 16
)

// gemmFamily emits the micro-kernels of the matrix product.
func gemmFamily() {
	masks := maskTable("gemmMasks")
	for rows := 1; rows <= tileRows; rows++ {
		gemmTile(masks, rows)
	}
	for _, shape := range [][2]int{{1, 8}, {1, 1}, {2, 4}, {2, 1}, {4, 2}, {4, 1}} {
		gemmAxpy(masks, shape[0], shape[1])
	}
	for _, shape := range [][2]int{{1, 4}, {1, 1}, {2, 4}, {2, 1}, {4, 2}, {4, 1}} {
		gemmDot(masks, shape[0], shape[1])
	}
	packTranspose()
}

// bytes loads a parameter that counts float32 values and turns it into bytes.
func bytes(name string) Register {
	r := Load(Param(name), GP64())
	SHLQ(U8(2), r)
	return r
}

// gemmTile emits C[rows×n] = alpha·A·B + beta·C for n <= 16, where each of
// the k rows of B holds 16 readable values. The accumulators stay in
// registers over the whole of k.
func gemmTile(masks Mem, rows int) {
	routine(fmt.Sprintf("gemmTile%dAVX2", rows), "func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow, n int, alpha, beta float32)",
		fmt.Sprintf("gemmTile%dAVX2 is a routines.tile of %d rows and at most %d columns.", rows, rows, tileCols))
	a := Load(Param("a"), GP64())
	aRow := bytes("aRow")
	aCol := bytes("aCol")
	b := Load(Param("b"), GP64())
	bRow := bytes("bRow")
	// The fourth to sixth row are addressed from a second base, since an
	// index can be scaled by 1, 2, 4 and 8 only.
	low := a
	var high Register
	if rows > 3 {
		high = GP64()
		LEAQ(Mem{Base: aRow, Index: aRow, Scale: 2}, high)
		ADDQ(low, high)
	}
	rowOfA := func(i int) Mem {
		base := low
		if i >= 3 {
			base, i = high, i-3
		}
		if i == 0 {
			return Mem{Base: base}
		}
		return Mem{Base: base, Index: aRow, Scale: uint8(i)}
	}

	acc := make([][2]VecVirtual, rows)
	for i := range acc {
		for j := range acc[i] {
			acc[i][j] = YMM()
			VXORPS(acc[i][j], acc[i][j], acc[i][j])
		}
	}
	step := func() {
		b0, b1 := YMM(), YMM()
		VMOVUPS(Mem{Base: b}, b0)
		VMOVUPS(Mem{Base: b, Disp: 32}, b1)
		ADDQ(bRow, b)
		for i := range rows {
			v := YMM()
			VBROADCASTSS(rowOfA(i), v)
			VFMADD231PS(b0, v, acc[i][0])
			VFMADD231PS(b1, v, acc[i][1])
		}
		ADDQ(aCol, low)
		if high != nil {
			ADDQ(aCol, high)
		}
	}
	const unroll = 4
	k := Load(Param("k"), GP64())
	SUBQ(U8(unroll), k)
	JL(labelRef("tail"))
	Label("loop")
	for range unroll {
		step()
	}
	SUBQ(U8(unroll), k)
	JGE(labelRef("loop"))
	Label("tail")
	ADDQ(U8(unroll), k)
	JZ(labelRef("store"))
	Label("tailLoop")
	step()
	DECQ(k)
	JNZ(labelRef("tailLoop"))

	Label("store")
	c := Load(Param("c"), GP64())
	cRow := bytes("cRow")
	n := Load(Param("n"), GP64())
	alpha, beta := YMM(), YMM()
	alphaParam, _ := Param("alpha").Resolve()
	betaParam, _ := Param("beta").Resolve()
	VBROADCASTSS(alphaParam.Addr, alpha)
	for i := range acc {
		VMULPS(alpha, acc[i][0], acc[i][0])
		VMULPS(alpha, acc[i][1], acc[i][1])
	}
	// beta = ±0 overwrites C without reading it.
	betaBits := GP32()
	MOVL(betaParam.Addr, betaBits)
	ADDL(betaBits, betaBits)
	CMPQ(n, U8(tileCols))
	JNE(labelRef("edge"))

	TESTL(betaBits, betaBits)
	JZ(labelRef("overwrite"))
	VBROADCASTSS(betaParam.Addr, beta)
	ptr := GP64()
	MOVQ(c, ptr)
	for i := range acc {
		VFMADD231PS(Mem{Base: ptr}, beta, acc[i][0])
		VFMADD231PS(Mem{Base: ptr, Disp: 32}, beta, acc[i][1])
		if i < rows-1 {
			ADDQ(cRow, ptr)
		}
	}
	Label("overwrite")
	for i := range acc {
		VMOVUPS(acc[i][0], Mem{Base: c})
		VMOVUPS(acc[i][1], Mem{Base: c, Disp: 32})
		if i < rows-1 {
			ADDQ(cRow, c)
		}
	}
	VZEROUPPER()
	RET()

	Label("edge")
	maskLow, maskHigh := loadMasks(masks, n)
	TESTL(betaBits, betaBits)
	JZ(labelRef("edgeOverwrite"))
	betaEdge := YMM()
	VBROADCASTSS(betaParam.Addr, betaEdge)
	ptrEdge := GP64()
	MOVQ(c, ptrEdge)
	old := YMM()
	for i := range acc {
		VMASKMOVPS(Mem{Base: ptrEdge}, maskLow, old)
		VFMADD231PS(old, betaEdge, acc[i][0])
		VMASKMOVPS(Mem{Base: ptrEdge, Disp: 32}, maskHigh, old)
		VFMADD231PS(old, betaEdge, acc[i][1])
		if i < rows-1 {
			ADDQ(cRow, ptrEdge)
		}
	}
	Label("edgeOverwrite")
	for i := range acc {
		VMASKMOVPS(acc[i][0], maskLow, Mem{Base: c})
		VMASKMOVPS(acc[i][1], maskHigh, Mem{Base: c, Disp: 32})
		if i < rows-1 {
			ADDQ(cRow, c)
		}
	}
	VZEROUPPER()
	RET()
}

// gemmAxpy emits C[rows×n] += alpha·A[rows×depth]·B[depth×n] for contiguous
// rows of B and C: B is read once, in depth streams.
func gemmAxpy(masks Mem, rows, depth int) {
	routine(fmt.Sprintf("gemmAxpy%dx%dAVX2", rows, depth), "func(n int, alpha float32, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow int)",
		fmt.Sprintf("gemmAxpy%dx%dAVX2 is a routines.axpy of %d rows of C and %d rows of B.", rows, depth, rows, depth))
	alphaParam, _ := Param("alpha").Resolve()
	alpha := YMM()
	VBROADCASTSS(alphaParam.Addr, alpha)
	a := Load(Param("a"), GP64())
	aRow := bytes("aRow")
	aCol := bytes("aCol")
	factor := make([][]VecVirtual, rows)
	for i := range rows {
		ptr := GP64()
		MOVQ(a, ptr)
		factor[i] = make([]VecVirtual, depth)
		for q := range depth {
			factor[i][q] = YMM()
			VBROADCASTSS(Mem{Base: ptr}, factor[i][q])
			VMULPS(alpha, factor[i][q], factor[i][q])
			if q < depth-1 {
				ADDQ(aCol, ptr)
			}
		}
		if i < rows-1 {
			ADDQ(aRow, a)
		}
	}
	b := Load(Param("b"), GP64())
	bRow := bytes("bRow")
	bases := []GPVirtual{b.(GPVirtual)}
	for q := 1; q < depth; q++ {
		next := GP64()
		MOVQ(bases[q-1], next)
		ADDQ(bRow, next)
		bases = append(bases, next)
	}
	c := Load(Param("c"), GP64())
	cRow := bytes("cRow")
	n := Load(Param("n"), GP64())
	// Row i of C is at c + i·cRow; rows is at most 4.
	rowOfC := []Mem{{Base: c}, {Base: c, Index: cRow, Scale: 1}, {Base: c, Index: cRow, Scale: 2}}
	advanceC := []Register{c}
	if rows > 3 {
		third := GP64()
		LEAQ(Mem{Base: cRow, Index: cRow, Scale: 2}, third)
		ADDQ(c, third)
		rowOfC = append(rowOfC, Mem{Base: third})
		advanceC = append(advanceC, third)
	}
	SUBQ(U8(lanes), n)
	JL(labelRef("tail"))
	Label("loop")
	values := make([]VecVirtual, rows)
	for i := range rows {
		values[i] = YMM()
		VMOVUPS(rowOfC[i], values[i])
	}
	for q := range depth {
		if rows == 1 {
			VFMADD231PS(Mem{Base: bases[q]}, factor[0][q], values[0])
		} else {
			v := YMM()
			VMOVUPS(Mem{Base: bases[q]}, v)
			for i := range rows {
				VFMADD231PS(v, factor[i][q], values[i])
			}
		}
		ADDQ(U8(32), bases[q])
	}
	for i := range rows {
		VMOVUPS(values[i], rowOfC[i])
	}
	for _, r := range advanceC {
		ADDQ(U8(32), r)
	}
	SUBQ(U8(lanes), n)
	JGE(labelRef("loop"))

	Label("tail")
	ADDQ(U8(lanes), n)
	JZ(labelRef("done"))
	mask, _ := loadMasks(masks, n)
	for i := range rows {
		values[i] = YMM()
		VMASKMOVPS(rowOfC[i], mask, values[i])
	}
	for q := range depth {
		v := YMM()
		VMASKMOVPS(Mem{Base: bases[q]}, mask, v)
		for i := range rows {
			VFMADD231PS(v, factor[i][q], values[i])
		}
	}
	for i := range rows {
		VMASKMOVPS(values[i], mask, rowOfC[i])
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// gemmDot emits C[rows×cols] = alpha·A·Bᵀ + beta·C where the rows of A and
// of Bᵀ's source are contiguous in k.
func gemmDot(masks Mem, rows, cols int) {
	routine(fmt.Sprintf("gemmDot%dx%dAVX2", rows, cols), "func(k int, a *float32, aRow int, b *float32, bCol int, c *float32, cRow, cCol int, alpha, beta float32)",
		fmt.Sprintf("gemmDot%dx%dAVX2 is a routines.dot of %d rows and %d columns of C.", rows, cols, rows, cols))
	a := Load(Param("a"), GP64())
	aRow := bytes("aRow")
	b := Load(Param("b"), GP64())
	bCol := bytes("bCol")
	pointers := func(base, stride Register, count int) []GPVirtual {
		list := []GPVirtual{base.(GPVirtual)}
		for i := 1; i < count; i++ {
			next := GP64()
			MOVQ(list[i-1], next)
			ADDQ(stride, next)
			list = append(list, next)
		}
		return list
	}
	as := pointers(a, aRow, rows)
	bs := pointers(b, bCol, cols)
	// With few accumulators the latency of the multiply-add would show, so
	// k is unrolled into separate sums.
	unroll := 1
	for rows*cols*unroll < 8 && unroll < 4 {
		unroll *= 2
	}
	acc := make([]VecVirtual, rows*cols*unroll)
	for i := range acc {
		acc[i] = YMM()
		VXORPS(acc[i], acc[i], acc[i])
	}
	k := Load(Param("k"), GP64())
	step := func(u int, load func(Mem, Op)) {
		disp := 32 * u
		bv := make([]VecVirtual, cols)
		for j := range cols {
			bv[j] = YMM()
			load(Mem{Base: bs[j], Disp: disp}, bv[j])
		}
		for i := range rows {
			av := YMM()
			load(Mem{Base: as[i], Disp: disp}, av)
			for j := range cols {
				VFMADD231PS(bv[j], av, acc[(u*rows+i)*cols+j])
			}
		}
	}
	advance := func(u int) {
		for _, p := range append(append([]GPVirtual{}, as...), bs...) {
			ADDQ(U8(32*u), p)
		}
	}
	plain := func(m Mem, r Op) { VMOVUPS(m, r) }
	if unroll > 1 {
		SUBQ(U8(lanes*unroll), k)
		JL(labelRef("wideDone"))
		Label("wide")
		for u := range unroll {
			step(u, plain)
		}
		advance(unroll)
		SUBQ(U8(lanes*unroll), k)
		JGE(labelRef("wide"))
		Label("wideDone")
		ADDQ(U8(lanes*unroll), k)
		for n := unroll; n > 1; n /= 2 {
			for i := range rows * cols * n / 2 {
				VADDPS(acc[i+rows*cols*n/2], acc[i], acc[i])
			}
		}
	}
	SUBQ(U8(lanes), k)
	JL(labelRef("tail"))
	Label("loop")
	step(0, plain)
	advance(1)
	SUBQ(U8(lanes), k)
	JGE(labelRef("loop"))
	Label("tail")
	ADDQ(U8(lanes), k)
	JZ(labelRef("sum"))
	mask, _ := loadMasks(masks, k)
	step(0, func(m Mem, r Op) { VMASKMOVPS(m, mask, r) })
	Label("sum")
	c := Load(Param("c"), GP64())
	cRow := bytes("cRow")
	cCol := bytes("cCol")
	alpha, beta := Load(Param("alpha"), XMM()), Load(Param("beta"), XMM())
	betaParam, _ := Param("beta").Resolve()
	betaBits := GP32()
	MOVL(betaParam.Addr, betaBits)
	ADDL(betaBits, betaBits)
	for i := range rows {
		ptr := GP64()
		MOVQ(c, ptr)
		for j := range cols {
			sum := horizontalSum(acc[i*cols+j])
			VMULSS(alpha, sum, sum)
			skip := fmt.Sprintf("skip%d_%d", i, j)
			TESTL(betaBits, betaBits)
			JZ(labelRef(skip))
			old := XMM()
			VMOVSS(Mem{Base: ptr}, old)
			VFMADD231SS(beta, old, sum)
			Label(skip)
			VMOVSS(sum, Mem{Base: ptr})
			if j < cols-1 {
				ADDQ(cCol, ptr)
			}
		}
		if i < rows-1 {
			ADDQ(cRow, c)
		}
	}
	VZEROUPPER()
	RET()
}

// packTranspose emits the transposition of 16 rows into panel order, eight
// columns at a time.
func packTranspose() {
	routine("packTransposeAVX2", "func(k int, src *float32, srcRow int, dst *float32, dstRow int)",
		"packTransposeAVX2 writes dst[j·dstRow+i] = src[i·srcRow+j] for i < 8 and j < k;",
		"k is a multiple of 8.")
	k := Load(Param("k"), GP64())
	src := Load(Param("src"), GP64())
	srcRow := bytes("srcRow")
	dst := Load(Param("dst"), GP64())
	dstRow := bytes("dstRow")
	row3, dst3 := GP64(), GP64()
	LEAQ(Mem{Base: srcRow, Index: srcRow, Scale: 2}, row3)
	LEAQ(Mem{Base: dstRow, Index: dstRow, Scale: 2}, dst3)
	second := GP64()
	LEAQ(Mem{Base: src, Index: srcRow, Scale: 4}, second)
	address := func(base, base4 Register, stride, stride3 Register, i int) Mem {
		if i >= 4 {
			base, i = base4, i-4
		}
		switch i {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: stride3, Scale: 1}
		}
		return Mem{Base: base, Index: stride, Scale: uint8(i)}
	}
	SUBQ(U8(8), k)
	JL(labelRef("done"))
	Label("loop")
	// Halves of rows i and i+4 share a register, so that the two steps of
	// unpacking below finish the transposition without crossing lanes.
	var rows [8]VecVirtual
	for i := range 4 {
		for half := range 2 {
			r := YMM()
			lo := address(src, second, srcRow, row3, i)
			hi := address(src, second, srcRow, row3, i+4)
			lo.Disp, hi.Disp = 16*half, 16*half
			VMOVUPS(lo, r.AsX())
			VINSERTF128(U8(1), hi, r, r)
			rows[i+4*half] = r
		}
	}
	dst4 := GP64()
	LEAQ(Mem{Base: dst, Index: dstRow, Scale: 4}, dst4)
	for half := range 2 {
		r := rows[4*half : 4*half+4]
		t0, t1, t2, t3 := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(r[1], r[0], t0)
		VUNPCKHPS(r[1], r[0], t1)
		VUNPCKLPS(r[3], r[2], t2)
		VUNPCKHPS(r[3], r[2], t3)
		out := YMM()
		for i, pair := range [][2]VecVirtual{{t0, t2}, {t0, t2}, {t1, t3}, {t1, t3}} {
			selector := U8(0x44)
			if i%2 == 1 {
				selector = 0xee
			}
			VSHUFPS(selector, pair[1], pair[0], out)
			VMOVUPS(out, address(dst, dst4, dstRow, dst3, 4*half+i))
		}
	}
	ADDQ(U8(32), src)
	ADDQ(U8(32), second)
	LEAQ(Mem{Base: dst, Index: dstRow, Scale: 8}, dst)
	SUBQ(U8(8), k)
	JGE(labelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
