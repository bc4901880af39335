package kernel

import "unsafe"

// portableWeight are the loops in plain Go.
var portableWeight = weightRoutines{
	dot: [Int8 + 1][]weightDotRoutine{
		Float32:  {{1, 1, portableDotFloat32}},
		BFloat16: {{1, 1, portableDotBFloat16}},
		Float8:   {{1, 1, portableDotFloat8}},
		Int8:     {{1, 1, portableDotInt8}},
	},
}

// weightRow is row j of the memory at p, rows stride bytes apart, as n values.
func weightRow[T any](p *byte, stride, j, n int) []T {
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(p), j*stride)), n)
}

func portableDotFloat32(n, k int, x *float32, _ int, w *byte, wRow int, _ *byte, _ int, y *float32, _ int, _ uintptr) {
	xs := unsafe.Slice(x, k)
	for j := range n {
		sum := float32(0)
		for i, v := range weightRow[float32](w, wRow, j, k) {
			sum += xs[i] * v
		}
		*at(y, j) += sum
	}
}

func portableDotBFloat16(n, k int, x *float32, _ int, w *byte, wRow int, _ *byte, _ int, y *float32, _ int, _ uintptr) {
	xs := unsafe.Slice(x, k)
	for j := range n {
		sum := float32(0)
		for i, v := range weightRow[uint16](w, wRow, j, k) {
			sum += xs[i] * FromBFloat16(v)
		}
		*at(y, j) += sum
	}
}

func portableDotFloat8(n, k int, x *float32, _ int, w *byte, wRow int, scale *byte, _ int, y *float32, _ int, _ uintptr) {
	xs := unsafe.Slice(x, k)
	scales := weightRow[float32](scale, 0, 0, k/weightStep)
	for j := range n {
		sum := float32(0)
		row := weightRow[uint8](w, wRow, j, k)
		for b, s := range scales {
			part := float32(0)
			for i := b * weightStep; i < (b+1)*weightStep; i++ {
				part += xs[i] * FromFloat8(row[i])
			}
			sum += part * (s * 0x1p-120)
		}
		*at(y, j) += sum
	}
}

func portableDotInt8(n, k int, x *float32, _ int, w *byte, wRow int, scale *byte, scaleRow int, y *float32, _ int, _ uintptr) {
	xs := unsafe.Slice(x, k)
	for j := range n {
		sum := float32(0)
		row := weightRow[int8](w, wRow, j, k)
		for b, s := range weightRow[uint16](scale, scaleRow, j, k/weightStep) {
			part := float32(0)
			for i := b * weightStep; i < (b+1)*weightStep; i++ {
				part += xs[i] * float32(row[i])
			}
			sum += part * FromFloat16(s)
		}
		*at(y, j) += sum
	}
}
