package kernel

import "fmt"

// adamWFactors are the numbers of a step that are the same for all values,
// in the order in which rowRoutines.adamW reads them.
type adamWFactors struct {
	gradScale, beta1, rest1, beta2, rest2 float32
	keep                                  float32 // 1 - lr·decay
	step                                  float32 // lr/biasCorrection1
	eps                                   float32
	correction                            float32 // 1/biasCorrection2
}

// adamWTask is one call of AdamW.
type adamWTask struct {
	routines          *rowRoutines
	param, grad, m, v []float32
	parts             int
	factors           adamWFactors
}

// AdamW is one step of the optimizer (Loshchilov and Hutter, 2019, algorithm
// 2, with decoupled decay) on a flat slice of parameters:
//
//	g     = grad·gradScale
//	m     = beta1·m + (1-beta1)·g
//	v     = beta2·v + (1-beta2)·g²
//	param = param·(1 - lr·decay) - lr·(m/biasCorrection1)/(√(v/biasCorrection2) + eps)
//
// The four slices have one length; param, m and v are overwritten.
func AdamW(p *Pool, param, grad, m, v []float32, lr, beta1, beta2, eps, decay, gradScale, biasCorrection1, biasCorrection2 float32) {
	n := len(param)
	if len(grad) != n || len(m) != n || len(v) != n {
		panic(fmt.Sprintf("kernel: AdamW of %d parameters, %d gradients, %d and %d moments", n, len(grad), len(m), len(v)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.adamW = adamWTask{&active.Load().rows, param, grad, m, v, rowParts(p, n, 1), adamWFactors{
		gradScale: gradScale, beta1: beta1, rest1: 1 - beta1, beta2: beta2, rest2: 1 - beta2,
		keep: 1 - lr*decay, step: lr / biasCorrection1, eps: eps, correction: 1 / biasCorrection2,
	}}
	p.run(p.adamW.parts, &p.adamW)
	p.adamW = adamWTask{}
}

func (t *adamWTask) Do(part, _ int) {
	if from, to := rowRange(len(t.param), t.parts, part); from < to {
		t.routines.adamW(&t.param[from], &t.grad[from], &t.m[from], &t.v[from], to-from, &t.factors.gradScale)
	}
}
