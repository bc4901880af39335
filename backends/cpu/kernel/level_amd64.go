package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -C ../../../tools ./avo -family gemm -pkg kernel -out ../backends/cpu/kernel/gemm_amd64.s -stubs ../backends/cpu/kernel/gemm_amd64.go
//go:generate go run -C ../../../tools ./avo -family spin -pkg kernel -out ../backends/cpu/kernel/spin_amd64.s -stubs ../backends/cpu/kernel/spin_amd64.go

var avx2Routines = routines{
	level: AVX2,
	gemm: gemmRoutines{
		tileRows: 6,
		tileCols: 16,
		tile: [7]func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow, n int, alpha, beta float32){
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
}

func bestRoutines() *routines {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return &avx2Routines
	}
	return &portableRoutines
}

// pause keeps the core waiting for roughly n·50 cycles without loading it.
func pause(n int) { pauseAMD64(n) }
