package cpu

import (
	"fmt"
	"math"

	"forge/backends/cpu/kernel"
	"forge/compiler/op"
)

// A scalar expression becomes a list of instructions over registers, each a tile of values that fits the first cache. Register i is
// input i, the next one is the output, the others are intermediate. Parts of the expression that occur twice are computed once, parts
// without a varying input once a run.

// instruction computes one register from others; s is a value that is the same for the whole tensor.
type instruction struct {
	run     func(dst, x, y, z []float32, s float32)
	dst     int
	x, y, z int // 0 where unused
	s       int // index of the uniform value, 0 where unused
}

// uniform is a value that is the same for the whole tensor: a constant, an input of one entry, or a function of such.
type uniform struct {
	fn    *op.Func
	args  []int // indices of earlier uniforms
	input int   // without fn: the input, negative for a constant
	value float64
}

// registers is a compiled expression.
type registers struct {
	uniforms []uniform
	prologue []instruction // once before the first tile: uniforms that an instruction wants as a tile
	body     []instruction // once a tile
	count    int           // registers, inputs and the output among them
}

// unaryFunctions and binaryFunctions are the vector loops of the scalar functions.
var unaryFunctions = map[*op.Func]func(dst, x []float32){
	op.FnNeg: kernel.Neg, op.FnExp: kernel.Exp, op.FnLog: kernel.Log, op.FnSqrt: kernel.Sqrt, op.FnSquare: kernel.Square,
	op.FnAbs: kernel.Abs, op.FnSign: kernel.Sign, op.FnSigmoid: kernel.Sigmoid, op.FnTanh: kernel.Tanh, op.FnRelu: kernel.Relu,
	op.FnSilu: silu, op.FnGelu: kernel.Gelu, op.FnErf: erf,
}

var binaryFunctions = map[*op.Func]func(dst, x, y []float32){
	op.FnAdd: kernel.Add, op.FnSub: kernel.Sub, op.FnMul: kernel.Mul, op.FnDiv: kernel.Div, op.FnPow: pow,
	op.FnMax: kernel.Max, op.FnMin: kernel.Min, op.FnGreater: kernel.Greater, op.FnEqual: kernel.Equal,
}

// scalarRight and scalarLeft are the loops of functions with a uniform second or first argument.
var scalarRight = map[*op.Func]func(dst, x []float32, s float32){
	op.FnAdd: kernel.AddScalar,
	op.FnSub: func(dst, x []float32, s float32) { kernel.AddScalar(dst, x, -s) },
	op.FnMul: kernel.Scale,
	op.FnMax: kernel.MaxScalar,
	op.FnMin: kernel.MinScalar,
	op.FnPow: powScalar,
}

var scalarLeft = map[*op.Func]func(dst, x []float32, s float32){
	op.FnAdd: kernel.AddScalar,
	op.FnSub: func(dst, x []float32, s float32) {
		kernel.Neg(dst, x)
		kernel.AddScalar(dst, dst, s)
	},
	op.FnMul: kernel.Scale,
	op.FnDiv: func(dst, x []float32, s float32) {
		kernel.Reciprocal(dst, x)
		if s != 1 {
			kernel.Scale(dst, dst, s)
		}
	},
	op.FnMax: kernel.MaxScalar,
	op.FnMin: kernel.MinScalar,
}

// silu has the limit 0 at −∞, which the vector loop turns into NaN.
func silu(dst, x []float32) {
	kernel.MaxScalar(dst, x, -math.MaxFloat32)
	kernel.Silu(dst, dst)
}

// erf x = 2·Φ(√2·x) − 1.
func erf(dst, x []float32) {
	kernel.Scale(dst, x, math.Sqrt2)
	kernel.NormalCDF(dst, dst)
	kernel.Scale(dst, dst, 2)
	kernel.AddScalar(dst, dst, -1)
}

func pow(dst, x, y []float32) {
	for i := range dst {
		dst[i] = float32(math.Pow(float64(x[i]), float64(y[i])))
	}
}

func powScalar(dst, x []float32, s float32) {
	switch s {
	case 2:
		kernel.Square(dst, x)
	case 1:
		copy(dst, x)
	case 0.5:
		kernel.Sqrt(dst, x)
	case -1:
		kernel.Reciprocal(dst, x)
	case -0.5:
		kernel.Rsqrt(dst, x)
	default:
		for i := range dst {
			dst[i] = float32(math.Pow(float64(x[i]), float64(s)))
		}
	}
}

// ones are as many as fit a tile.
var ones = func() (v [tileSize]float32) {
	for i := range v {
		v[i] = 1
	}
	return v
}()

// fill sets all values to v, a vector at a time.
func fill(dst []float32, v float32) {
	for len(dst) > 0 {
		n := min(len(dst), tileSize)
		kernel.Scale(dst[:n], ones[:n], v)
		dst = dst[n:]
	}
}

// scalarCompiler numbers the parts of an expression.
type scalarCompiler struct {
	inputs  int
	isConst []bool // inputs of one entry
	nodes   []scalarNode
	known   map[string]int
	r       registers
}

// scalarNode is a part of the expression; equal parts are one node.
type scalarNode struct {
	fn      *op.Func
	args    []int
	input   int
	uniform int // index into uniforms, or −1
	users   int
	value   float64
}

// compileScalar compiles an expression; single says which inputs have one entry.
func compileScalar(e *op.Expr, single []bool) registers {
	c := &scalarCompiler{inputs: len(single), isConst: single, known: map[string]int{}}
	root := c.number(e)
	c.emit(root)
	return c.r
}

func (c *scalarCompiler) number(e *op.Expr) int {
	n := scalarNode{fn: e.Fn, input: e.Input, value: e.Const, uniform: -1}
	key := ""
	switch {
	case e.Fn != nil:
		key = e.Fn.Name
		constant := true
		for _, a := range e.Args {
			k := c.number(a)
			n.args = append(n.args, k)
			key += fmt.Sprintf(" %d", k)
			constant = constant && c.nodes[k].uniform >= 0
		}
		if constant {
			u := uniform{fn: e.Fn}
			for _, k := range n.args {
				u.args = append(u.args, c.nodes[k].uniform)
			}
			n.uniform = len(c.r.uniforms)
			if _, ok := c.known[key]; !ok {
				c.r.uniforms = append(c.r.uniforms, u)
			}
		}
	case e.Input >= 0:
		key = fmt.Sprintf("x%d", e.Input)
		if c.isConst[e.Input] {
			n.uniform = len(c.r.uniforms)
			if _, ok := c.known[key]; !ok {
				c.r.uniforms = append(c.r.uniforms, uniform{input: e.Input})
			}
		}
	default:
		key = fmt.Sprintf("c%x", math.Float64bits(e.Const))
		n.uniform = len(c.r.uniforms)
		if _, ok := c.known[key]; !ok {
			c.r.uniforms = append(c.r.uniforms, uniform{input: -1, value: e.Const})
		}
	}
	if k, ok := c.known[key]; ok {
		return k
	}
	for _, k := range n.args {
		c.nodes[k].users++
	}
	c.known[key] = len(c.nodes)
	c.nodes = append(c.nodes, n)
	return len(c.nodes) - 1
}

// emit writes the instructions. Nodes are in an order in which arguments come first.
func (c *scalarCompiler) emit(root int) {
	output := c.inputs
	c.r.count = c.inputs + 1
	register := make([]int, len(c.nodes))
	tiles := map[int]int{} // uniforms as tiles
	left := make([]int, len(c.nodes))
	var free []int
	take := func() int {
		if n := len(free); n > 0 {
			r := free[n-1]
			free = free[:n-1]
			return r
		}
		c.r.count++
		return c.r.count - 1
	}
	tile := func(u int) int {
		r, ok := tiles[u]
		if !ok {
			c.r.count++
			r = c.r.count - 1
			tiles[u] = r
			c.r.prologue = append(c.r.prologue, instruction{run: func(dst, _, _, _ []float32, s float32) { fill(dst, s) }, dst: r, s: u})
		}
		return r
	}
	for i, n := range c.nodes {
		left[i] = n.users
		if n.uniform >= 0 {
			continue
		}
		if n.fn == nil {
			register[i] = n.input
			continue
		}
		ins := c.instruction(n, func(k int) int {
			if u := c.nodes[k].uniform; u >= 0 {
				return tile(u)
			}
			return register[k]
		})
		// A register that is read last here may be written here.
		for _, k := range n.args {
			left[k]--
			if left[k] == 0 && c.nodes[k].uniform < 0 && c.nodes[k].fn != nil {
				free = append(free, register[k])
			}
		}
		if i == root {
			ins.dst = output
		} else {
			ins.dst = take()
		}
		register[i] = ins.dst
		c.r.body = append(c.r.body, ins)
	}
	switch n := c.nodes[root]; {
	case n.uniform >= 0:
		c.r.body = append(c.r.body, instruction{run: func(dst, _, _, _ []float32, s float32) { fill(dst, s) }, dst: output, s: n.uniform})
	case n.fn == nil:
		c.r.body = append(c.r.body, instruction{run: func(dst, x, _, _ []float32, _ float32) { copy(dst, x) }, dst: output, x: n.input})
	}
}

// instruction chooses the loop for a node; reg gives the register of an argument.
func (c *scalarCompiler) instruction(n scalarNode, reg func(k int) int) instruction {
	uniformOf := func(i int) int { return c.nodes[n.args[i]].uniform }
	switch n.fn.Arity {
	case 1:
		if f := unaryFunctions[n.fn]; f != nil {
			return instruction{run: func(dst, x, _, _ []float32, _ float32) { f(dst, x) }, x: reg(n.args[0])}
		}
	case 2:
		if u := uniformOf(1); u >= 0 {
			if f := scalarRight[n.fn]; f != nil {
				return instruction{run: func(dst, x, _, _ []float32, s float32) { f(dst, x, s) }, x: reg(n.args[0]), s: u}
			}
		} else if u := uniformOf(0); u >= 0 {
			if f := scalarLeft[n.fn]; f != nil {
				return instruction{run: func(dst, x, _, _ []float32, s float32) { f(dst, x, s) }, x: reg(n.args[1]), s: u}
			}
		}
		if f := binaryFunctions[n.fn]; f != nil {
			return instruction{run: func(dst, x, y, _ []float32, _ float32) { f(dst, x, y) }, x: reg(n.args[0]), y: reg(n.args[1])}
		}
	case 3:
		if n.fn == op.FnWhere {
			return instruction{run: func(dst, x, y, z []float32, _ float32) { kernel.Where(dst, x, y, z) },
				x: reg(n.args[0]), y: reg(n.args[1]), z: reg(n.args[2])}
		}
	}
	// A function that has no vector loop is computed entry by entry.
	f := n.fn
	at := [3]int{}
	for i := range n.args {
		at[i] = reg(n.args[i])
	}
	return instruction{run: func(dst, x, y, z []float32, _ float32) {
		var args [3]float64
		for i := range dst {
			for k, r := range [3][]float32{x, y, z} {
				if k < f.Arity {
					args[k] = float64(r[i])
				}
			}
			dst[i] = float32(f.Eval(args[:f.Arity]))
		}
	}, x: at[0], y: at[1], z: at[2]}
}

// evaluate computes the uniforms of a run into values.
func (r *registers) evaluate(values []float32, work []float64, input func(i int) float32) {
	for i := range r.uniforms {
		u := &r.uniforms[i]
		switch {
		case u.fn != nil:
			args := work[len(r.uniforms):]
			for k, a := range u.args {
				args[k] = work[a]
			}
			work[i] = u.fn.Eval(args[:len(u.args)])
		case u.input >= 0:
			work[i] = float64(input(u.input))
		default:
			work[i] = u.value
		}
		values[i] = float32(work[i])
	}
}
