package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -C ../../../tools ./avo -family pack -pkg kernel -out ../backends/cpu/kernel/pack_amd64.s -stubs ../backends/cpu/kernel/pack_amd64.go
//go:generate go run -C ../../../tools ./avo -family gemm -pkg kernel -out ../backends/cpu/kernel/gemm_amd64.s -stubs ../backends/cpu/kernel/gemm_amd64.go
//go:generate go run -C ../../../tools ./avo -family peak -pkg kernel -out ../backends/cpu/kernel/peak_amd64.s -stubs ../backends/cpu/kernel/peak_amd64.go
//go:generate go run -C ../../../tools ./avo -family vector -pkg kernel -out ../backends/cpu/kernel/vector_amd64.s -stubs ../backends/cpu/kernel/vector_amd64.go
//go:generate go run -C ../../../tools ./avo -family rows -pkg kernel -out ../backends/cpu/kernel/rows_amd64.s -stubs ../backends/cpu/kernel/rows_amd64.go
//go:generate go run -C ../../../tools ./avo -family spin -pkg kernel -out ../backends/cpu/kernel/spin_amd64.s -stubs ../backends/cpu/kernel/spin_amd64.go
//go:generate go run -C ../../../tools ./avo -family strip -pkg kernel -out ../backends/cpu/kernel/strip_amd64.s -stubs ../backends/cpu/kernel/strip_amd64.go
//go:generate go run -C ../../../tools ./avo -family tile -pkg kernel -out ../backends/cpu/kernel/tile_amd64.s -stubs ../backends/cpu/kernel/tile_amd64.go
//go:generate go run -C ../../../tools ./avo -family weight -pkg kernel -out ../backends/cpu/kernel/weight_amd64.s -stubs ../backends/cpu/kernel/weight_amd64.go
//go:generate go run -C ../../../tools ./avo -family widen -pkg kernel -out ../backends/cpu/kernel/widen_amd64.s -stubs ../backends/cpu/kernel/widen_amd64.go

var avx2Routines = routines{
	level: AVX2,
	gemm: gemmRoutines{
		tileRows: 6,
		tileCols: 16,
		tile: [13]tileRoutine{
			1: gemmTile1AVX2, 2: gemmTile2AVX2, 3: gemmTile3AVX2,
			4: gemmTile4AVX2, 5: gemmTile5AVX2, 6: gemmTile6AVX2,
		},
		axpy: []axpyRoutine{
			{4, 2, gemmAxpy4x2AVX2}, {4, 1, gemmAxpy4x1AVX2},
			{2, 4, gemmAxpy2x4AVX2}, {2, 1, gemmAxpy2x1AVX2},
			{1, 8, gemmAxpy1x8AVX2}, {1, 1, gemmAxpy1x1AVX2},
		},
		dot: []dotRoutine{
			{4, 2, gemmDot4x2AVX2}, {4, 1, gemmDot4x1AVX2},
			{2, 4, gemmDot2x4AVX2}, {2, 1, gemmDot2x1AVX2},
			{1, 4, gemmDot1x4AVX2}, {1, 1, gemmDot1x1AVX2},
		},
		packTranspose: packTransposeAVX2,
	},
	vector: avx2Vector,
	rows: rowRoutines{
		expSum:       expSumAVX2,
		scaledMul:    scaledMulAVX2,
		mulSubScalar: mulSubScalarAVX2,
		rotateHalves: rotateHalvesAVX2,
		rotatePairs:  rotatePairsAVX2,
		adamW:        adamWAVX2,
	},
	weight: avx2Weight,
	peak:   peakRoutines{float32s: routineOfRounds{peakFMAAVX2, 12 * 8 * 2}},
}

var avx2Vector = vectorRoutines{
	neg:          negAVX2,
	abs:          absAVX2,
	square:       squareAVX2,
	sqrt:         sqrtAVX2,
	reciprocal:   reciprocalAVX2,
	rsqrt:        rsqrtAVX2,
	relu:         reluAVX2,
	sign:         signAVX2,
	exp:          expAVX2,
	log:          logAVX2,
	sigmoid:      sigmoidAVX2,
	silu:         siluAVX2,
	tanh:         tanhAVX2,
	normalCDF:    normalCDFAVX2,
	gelu:         geluAVX2,
	add:          addAVX2,
	sub:          subAVX2,
	mul:          mulAVX2,
	div:          divAVX2,
	max:          maxAVX2,
	min:          minAVX2,
	greater:      greaterAVX2,
	greaterEqual: greaterEqualAVX2,
	equal:        equalAVX2,
	notEqual:     notEqualAVX2,
	scale:        scaleAVX2,
	addScalar:    addScalarAVX2,
	maxScalar:    maxScalarAVX2,
	minScalar:    minScalarAVX2,
	axpy:         axpyAVX2,
	where:        whereAVX2,
	mulAdd:       mulAddAVX2,
	sum:          sumAVX2,
	sumSquares:   sumSquaresAVX2,
	dot:          dotAVX2,
	maximum:      maximumAVX2,
}

// avx512Routines is AVX2's table with what AVX-512 does better. On the cores it
// was measured on (Zen 4) its float32 throughput is that of AVX2; its larger tile
// needs half as many words of the operands for the same work, and so less of the
// caches. It adds the dot products of narrower types.
func avx512Routines() *routines {
	r := avx2Routines
	r.level = AVX512
	r.weight = avx512Weight
	r.gemm.tileRows, r.gemm.tileCols = 12, 32
	r.gemm.tile = [13]tileRoutine{
		1: tile1Float32AVX512, 2: tile2Float32AVX512, 3: tile3Float32AVX512, 4: tile4Float32AVX512,
		5: tile5Float32AVX512, 6: tile6Float32AVX512, 7: tile7Float32AVX512, 8: tile8Float32AVX512,
		9: tile9Float32AVX512, 10: tile10Float32AVX512, 11: tile11Float32AVX512, 12: tile12Float32AVX512,
	}
	r.gemm.packWords = packWordsAVX512
	if cpu.X86.HasAVX512BF16 {
		r.bf16 = bf16Routines{
			convert: bf16ConvertAVX512,
			line:    packLineAVX512,
			pairs:   packPairsAVX512,
			halves:  packHalvesAVX512,
			float8s: convertFloat8AVX512,
			int8s:   convertInt8AVX512,
			tile: []tileRoutine{
				1: tile1BF16AVX512, 2: tile2BF16AVX512, 3: tile3BF16AVX512, 4: tile4BF16AVX512,
				5: tile5BF16AVX512, 6: tile6BF16AVX512, 7: tile7BF16AVX512, 8: tile8BF16AVX512,
				9: tile9BF16AVX512, 10: tile10BF16AVX512, 11: tile11BF16AVX512, 12: tile12BF16AVX512,
			},
		}
		r.peak.bf16Dot = routineOfRounds{peakBF16AVX512, 12 * 16 * 2 * 2}
	}
	if cpu.X86.HasAVX512VNNI {
		r.peak.int8Dot = routineOfRounds{peakInt8AVX512, 12 * 16 * 4 * 2}
	}
	return &r
}

func supportedRoutines() []*routines {
	all := []*routines{&portableRoutines}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, &avx2Routines)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			all = append(all, avx512Routines())
		}
	}
	return all
}

// prefetch asks for lines cache lines of each row, stride bytes apart, without
// waiting for them; rows and lines are above 0, and the addresses need not exist.
func prefetch(src uintptr, stride, rows, lines int) { prefetchAMD64(src, stride, rows, lines) }

// pause keeps the core waiting for roughly n·50 cycles without loading it.
func pause(n int) { pauseAMD64(n) }

// ticks is a clock of an unknown but constant rate, read in some nanoseconds.
func ticks() uint64 { return ticksAMD64() }
