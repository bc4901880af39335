package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// stripFamily emits the products of few rows with weights whose outputs are contiguous.
func stripFamily() {
	for _, l := range []vectorLevel{avx2Vectors, avx512Vectors} {
		for _, f := range weightFormats[:2] {
			for _, shape := range stripShapes[l.lanes] {
				weightStrip(l, f, shape[0], shape[1])
			}
		}
	}
}

// stripShapes are the rows of x and the registers of outputs, by the lanes of a register: their sums, the weights of an input and a
// value of x have registers of their own.
var stripShapes = map[int][][2]int{
	8:  {{4, 2}, {4, 1}, {2, 4}, {2, 1}, {1, 8}, {1, 2}, {1, 1}},
	16: {{8, 3}, {8, 2}, {8, 1}, {4, 4}, {4, 2}, {4, 1}, {2, 8}, {2, 2}, {2, 1}, {1, 16}, {1, 8}, {1, 2}, {1, 1}},
}

// weightStrip emits y[i, j] += Σ over k of x[i, k]·w[k, j] for rows rows and cols registers of outputs, and k inputs, above 0. The
// sums stay in registers. The weights of the input that lies ahead bytes further are asked for. Strides are in bytes.
func weightStrip(l vectorLevel, f weightFormat, rows, cols int) {
	name := fmt.Sprintf("weightStrip%dx%d%s%s", rows, cols, f.name, l.name)
	routine(name, "func(k int, x *float32, xRow int, w *byte, wRow int, y *float32, yRow int, ahead int)",
		fmt.Sprintf("%s is a weightRoutines.strip of %d rows and %d outputs.", name, rows, cols*l.lanes))
	k := Load(Param("k"), GP64())
	w := Load(Param("w"), GP64())
	wRow := Load(Param("wRow"), GP64())
	ahead := Load(Param("ahead"), GP64())
	x, xRow, xRow3 := stridedRows(rows, "x")
	y, yRow, yRow3 := stridedRows(rows, "y")
	size := 4 * l.lanes
	sums := make([]VecVirtual, rows*cols)
	for i := range rows {
		for j := range cols {
			sums[i*cols+j] = l.register()
			VMOVUPS(strided(y[i/4], yRow, yRow3, i%4, j*size), sums[i*cols+j])
		}
	}
	ADDQ(w, ahead)
	Label("inputs")
	for line := 0; line < cols*l.lanes*f.bytes; line += 64 {
		PREFETCHT1(Mem{Base: ahead, Disp: line})
	}
	ADDQ(wRow, ahead)
	values := make([]VecVirtual, cols)
	load := func(j int) { values[j] = f.load(l, Mem{Base: w, Disp: j * l.lanes * f.bytes}, nil) }
	if rows > 1 {
		for j := range cols {
			load(j)
		}
	}
	for i := range rows {
		factor := l.register()
		VBROADCASTSS(strided(x[i/4], xRow, xRow3, i%4, 0), factor)
		for j := range cols {
			if rows == 1 {
				load(j)
			}
			VFMADD231PS(values[j], factor, sums[i*cols+j])
		}
	}
	ADDQ(wRow, w)
	for _, r := range x {
		ADDQ(U8(4), r)
	}
	DECQ(k)
	JNZ(labelRef("inputs"))
	for i := range rows {
		for j := range cols {
			VMOVUPS(sums[i*cols+j], strided(y[i/4], yRow, yRow3, i%4, j*size))
		}
	}
	VZEROUPPER()
	RET()
}

// stridedRows loads the address of up to eight rows: the first and, behind four, the fifth, and the stride with its triple.
func stridedRows(rows int, name string) (base []Register, stride, stride3 Register) {
	base = []Register{Load(Param(name), GP64())}
	if rows == 1 {
		return base, nil, nil
	}
	stride = Load(Param(name+"Row"), GP64())
	if stride3 = stride; rows > 3 {
		stride3 = triple(stride)
	}
	if rows > 4 {
		second := GP64()
		LEAQ(Mem{Base: base[0], Index: stride, Scale: 4}, second)
		base = append(base, second)
	}
	return base, stride, stride3
}
