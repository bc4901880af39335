package kernel

import (
	"math"
	"unsafe"
)

var portableRows = rowRoutines{
	expSum: portableExpSum,
	scaledMul: func(dst, x, y *float32, s float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return v * s * w })
	},
	mulSubScalar: func(dst, x, y *float32, s float32, n int) {
		each2(dst, x, y, n, func(v, w float32) float32 { return v * (w - s) })
	},
	rotateHalves: portableRotateHalves,
	rotatePairs:  portableRotatePairs,
	adamW:        portableAdamW,
}

func portableExpSum(dst, x *float32, shift float32, n int) float32 {
	each1(dst, x, n, func(v float32) float32 { return exp32(v - shift) })
	return portableSum(dst, dst, n, func(v, _ float32) float32 { return v })
}

func portableRotateHalves(dst, x, cos, sin *float32, sign float32, n, half int) {
	to, from := unsafe.Slice(dst, n+half), unsafe.Slice(x, n+half)
	c, s := unsafe.Slice(cos, n), unsafe.Slice(sin, n)
	for i := range c {
		a, b, sine := from[i], from[half+i], sign*s[i]
		to[i] = a*c[i] - b*sine
		to[half+i] = b*c[i] + a*sine
	}
}

func portableRotatePairs(dst, x, cos, sin *float32, sign float32, n int) {
	to, from := unsafe.Slice(dst, 2*n), unsafe.Slice(x, 2*n)
	c, s := unsafe.Slice(cos, n), unsafe.Slice(sin, n)
	for i := range c {
		a, b, sine := from[2*i], from[2*i+1], sign*s[i]
		to[2*i] = a*c[i] - b*sine
		to[2*i+1] = b*c[i] + a*sine
	}
}

func portableAdamW(param, grad, m, v *float32, n int, s *float32) {
	f := (*adamWFactors)(unsafe.Pointer(s))
	params, grads, ms, vs := unsafe.Slice(param, n), unsafe.Slice(grad, n), unsafe.Slice(m, n), unsafe.Slice(v, n)
	for i := range params {
		g := grads[i] * f.gradScale
		ms[i] = f.beta1*ms[i] + f.rest1*g
		vs[i] = f.beta2*vs[i] + f.rest2*g*g
		params[i] = params[i]*f.keep - f.step*ms[i]/(float32(math.Sqrt(float64(vs[i]*f.correction)))+f.eps)
	}
}
