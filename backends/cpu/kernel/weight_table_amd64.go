package kernel

var avx2Weight = weightRoutines{
	dot: [Int8 + 1][]weightDotRoutine{
		Float32: {
			{4, 2, weightDot4x2Float32AVX2},
			{2, 4, weightDot2x4Float32AVX2},
			{1, 4, weightDot1x4Float32AVX2},
			{1, 1, weightDot1x1Float32AVX2},
		},
		BFloat16: {
			{4, 2, weightDot4x2BFloat16AVX2},
			{2, 4, weightDot2x4BFloat16AVX2},
			{1, 4, weightDot1x4BFloat16AVX2},
			{1, 1, weightDot1x1BFloat16AVX2},
		},
		Float8: {
			{4, 2, weightDot4x2Float8AVX2},
			{2, 4, weightDot2x4Float8AVX2},
			{1, 4, weightDot1x4Float8AVX2},
			{1, 1, weightDot1x1Float8AVX2},
		},
		Int8: {
			{4, 2, weightDot4x2Int8AVX2},
			{2, 4, weightDot2x4Int8AVX2},
			{1, 4, weightDot1x4Int8AVX2},
			{1, 1, weightDot1x1Int8AVX2},
		},
	},
	axpy: []weightAxpyRoutine{
		{4, 2, weightAxpy4x2BFloat16AVX2},
		{4, 1, weightAxpy4x1BFloat16AVX2},
		{1, 8, weightAxpy1x8BFloat16AVX2},
		{1, 1, weightAxpy1x1BFloat16AVX2},
	},
	widenFloat8: widenFloat8AVX2,
	widenInt8:   widenInt8AVX2,
}

var avx512Weight = weightRoutines{
	dot: [Int8 + 1][]weightDotRoutine{
		Float32: {
			{8, 2, weightDot8x2Float32AVX512},
			{7, 2, weightDot7x2Float32AVX512},
			{6, 2, weightDot6x2Float32AVX512},
			{5, 4, weightDot5x4Float32AVX512},
			{4, 4, weightDot4x4Float32AVX512},
			{3, 4, weightDot3x4Float32AVX512},
			{2, 4, weightDot2x4Float32AVX512},
			{1, 4, weightDot1x4Float32AVX512},
			{1, 1, weightDot1x1Float32AVX512},
		},
		BFloat16: {
			{8, 2, weightDot8x2BFloat16AVX512},
			{7, 2, weightDot7x2BFloat16AVX512},
			{6, 2, weightDot6x2BFloat16AVX512},
			{5, 4, weightDot5x4BFloat16AVX512},
			{4, 4, weightDot4x4BFloat16AVX512},
			{3, 4, weightDot3x4BFloat16AVX512},
			{2, 4, weightDot2x4BFloat16AVX512},
			{1, 4, weightDot1x4BFloat16AVX512},
			{1, 1, weightDot1x1BFloat16AVX512},
		},
		Float8: {
			{8, 2, weightDot8x2Float8AVX512},
			{7, 2, weightDot7x2Float8AVX512},
			{6, 2, weightDot6x2Float8AVX512},
			{5, 4, weightDot5x4Float8AVX512},
			{4, 4, weightDot4x4Float8AVX512},
			{3, 4, weightDot3x4Float8AVX512},
			{2, 4, weightDot2x4Float8AVX512},
			{1, 4, weightDot1x4Float8AVX512},
			{1, 1, weightDot1x1Float8AVX512},
		},
		Int8: {
			{8, 2, weightDot8x2Int8AVX512},
			{7, 2, weightDot7x2Int8AVX512},
			{6, 2, weightDot6x2Int8AVX512},
			{5, 4, weightDot5x4Int8AVX512},
			{4, 4, weightDot4x4Int8AVX512},
			{3, 4, weightDot3x4Int8AVX512},
			{2, 4, weightDot2x4Int8AVX512},
			{1, 4, weightDot1x4Int8AVX512},
			{1, 1, weightDot1x1Int8AVX512},
		},
	},
	axpy: []weightAxpyRoutine{
		{4, 4, weightAxpy4x4BFloat16AVX512},
		{4, 1, weightAxpy4x1BFloat16AVX512},
		{1, 8, weightAxpy1x8BFloat16AVX512},
		{1, 1, weightAxpy1x1BFloat16AVX512},
	},
	widen:       widenHalvesAVX512,
	widenFloat8: widenFloat8AVX512,
	widenInt8:   widenInt8AVX512,
}
