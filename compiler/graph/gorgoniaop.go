package graph

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"forge/compiler/op"
)

// gorgoniaOp makes one use of an operation, one pick of an output, or one placing of a pick's gradient, an operation of gorgonia.
// It is never changed after its node is made.
type gorgoniaOp struct {
	g     *Graph
	name  string // unique in the graph
	text  string // the operation and its attributes
	place Place
	in    []op.Type
	out   op.Type
	flows []bool // for each input: a gradient flows to it
	pick  int    // of a placing: which pick's gradient; else -1
	do    func(in []op.Tensor) (op.Tensor, error)
	diff  func(grad *gorgonia.Node) (gorgonia.Nodes, error)
}

var _ gorgonia.SDOp = (*gorgoniaOp)(nil)

func (o *gorgoniaOp) Arity() int { return len(o.in) }

// Type is made anew on each call: gorgonia returns function types to a pool after use.
func (o *gorgoniaOp) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.in)+1)
	for _, t := range o.in {
		types = append(types, o.g.typeOf(t))
	}
	return hm.NewFnType(append(types, o.g.typeOf(o.out))...)
}

func (o *gorgoniaOp) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	for i, d := range in {
		if s, ok := d.(tensor.Shape); !ok || !o.in[i].Shape.Equal(op.Shape(s)) {
			return nil, fmt.Errorf("input %d has the shape %v, want %v", i, d, o.in[i].Shape)
		}
	}
	return shapeOf(o.out), nil
}

func (o *gorgoniaOp) ReturnsPtr() bool     { return true }
func (o *gorgoniaOp) CallsExtern() bool    { return false }
func (o *gorgoniaOp) OverwritesInput() int { return -1 }
func (o *gorgoniaOp) String() string       { return o.name + " " + o.text }

// WriteHash writes the unique name and everything that says what the operation does.
func (o *gorgoniaOp) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s\x00%s", o.name, o.text) }

func (o *gorgoniaOp) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *gorgoniaOp) DiffWRT(int) []bool { return o.flows }

// SymDiff builds the gradients of the inputs and notes them for the check of gorgonia's sums.
func (o *gorgoniaOp) SymDiff(inputs gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	var d gorgonia.Nodes
	err := Catch(func() {
		var err error
		if d, err = o.diff(grad); err != nil {
			panic(&Error{o.place, err})
		}
	})
	if err == nil && len(d) != len(inputs) {
		err = errorAt(o.place, "%s: the gradient rule gives %d gradients for %d inputs", o.text, len(d), len(inputs))
	}
	for i := 0; err == nil && i < len(d); i++ {
		if o.flows[i] && d[i] == nil {
			err = errorAt(o.place, "%s: the gradient rule gives none for input %d", o.text, i)
		}
	}
	if err != nil {
		if o.g.failure == nil {
			o.g.failure = err.(*Error)
		}
		return nil, err
	}
	for i, child := range inputs {
		if o.flows[i] {
			o.g.terms[child] = append(o.g.terms[child], d[i])
		}
	}
	return d, nil
}

// Do computes the reference. The result shares no memory with the inputs: gorgonia's sums may write into it. A failure is kept for
// Interpret and the result is not-a-number, because a LispMachine whose operation fails leaves a goroutine behind.
func (o *gorgoniaOp) Do(values ...gorgonia.Value) (result gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			o.fail(fmt.Errorf("%s: panic: %v", o.text, r))
			result = o.g.value(o.out, notANumber(o.out.Shape))
		}
	}()
	in := make([]op.Tensor, len(values))
	for i, v := range values {
		in[i] = op.Tensor{Shape: o.in[i].Shape, Data: floats(v)}
	}
	out, err := o.do(in)
	if err != nil {
		o.fail(fmt.Errorf("%s: %w", o.text, err))
		out.Data = notANumber(o.out.Shape)
	}
	return o.g.value(o.out, out.Data), nil
}

func (o *gorgoniaOp) fail(err error) {
	if o.g.broken == nil {
		o.g.broken = &Error{o.place, err}
	}
}

func notANumber(s op.Shape) []float64 {
	data := make([]float64, s.Size())
	for i := range data {
		data[i] = math.NaN()
	}
	return data
}

// emit makes the gorgonia node of an operation. If the hash is another node's, the name is changed first.
func (g *Graph) emit(o *gorgoniaOp, in []*Node) (*gorgonia.Node, error) {
	children := make(gorgonia.Nodes, len(in))
	for i, n := range in {
		children[i] = n.expr
	}
	return g.emitOn(o, children)
}

func (g *Graph) emitOn(o *gorgoniaOp, children gorgonia.Nodes) (n *gorgonia.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("gorgonia: %v", r)
		}
	}()
	if len(g.nodes) >= g.most {
		return nil, fmt.Errorf("the graph has more than %d nodes", g.most)
	}
	name := o.name
	hash := g.hashOf(o, children)
	for salt := 1; g.taken[hash] != nil; salt++ {
		o.name = fmt.Sprintf("%s~%d", name, salt)
		hash = g.hashOf(o, children)
	}
	if n, err = gorgonia.ApplyOp(o, children...); err != nil {
		return nil, fmt.Errorf("gorgonia: %w", err)
	}
	if n.Op() != gorgonia.Op(o) || n.Hashcode() != hash {
		return nil, fmt.Errorf("gorgonia merged the node %q with %q", o.name, n.Name())
	}
	g.taken[hash] = n
	return n, nil
}

// leaf makes the gorgonia node of an input. gorgonia tells inputs apart by name alone, and finds them by hash.
func (g *Graph) leaf(name string, t op.Type) *gorgonia.Node {
	hash := func(name string) uint32 {
		h := fnv.New32a()
		fmt.Fprintf(h, "%v%v%s", g.typeOf(t), shapeOf(t), name)
		h.Write([]byte{0})
		return h.Sum32()
	}
	unique := name
	for salt := 1; g.taken[hash(unique)] != nil; salt++ {
		unique = fmt.Sprintf("%s~%d", name, salt)
	}
	n := gorgonia.NewTensor(g.expr, g.dtype(t), len(t.Shape), gorgonia.WithShape(t.Shape...), gorgonia.WithName(unique))
	if n.Hashcode() != hash(unique) || n.Name() != unique {
		panic(errorAt(Place{Text: name}, "gorgonia merged the input with %q", n.Name()))
	}
	g.taken[hash(unique)] = n
	return n
}

// hashOf is the hash that gorgonia will give the node (node.go, WriteHash).
func (g *Graph) hashOf(o *gorgoniaOp, children gorgonia.Nodes) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v%v", g.typeOf(o.out), shapeOf(o.out))
	o.WriteHash(h)
	h.Write([]byte{byte(len(children))})
	var b [4]byte
	for _, c := range children {
		binary.LittleEndian.PutUint32(b[:], c.Hashcode())
		h.Write(b[:])
	}
	return h.Sum32()
}

func (g *Graph) dtype(t op.Type) tensor.Dtype {
	if t.Dtype == op.Int32 {
		return tensor.Int32
	}
	return g.float
}

func (g *Graph) typeOf(t op.Type) hm.Type {
	if len(t.Shape) == 0 {
		return g.dtype(t)
	}
	return gorgonia.TensorType{Dims: len(t.Shape), Of: g.dtype(t)}
}

func shapeOf(t op.Type) tensor.Shape { return append(tensor.Shape{}, t.Shape...) }
