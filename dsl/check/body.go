package check

import "forge/dsl/diag"

// Axis is a named axis with its size, compared by pointer: two axes are the same only if they are the same *Axis. Runtime axes
// (`batch`, `seq`, `key`) have Size 0 here; the compiler gives them sizes.
type Axis struct {
	Name string
	Size int
}

// Built is a block with every attribute given. Equal built blocks are the same pointer (interned by block and attributes), so
// layers that are the same share one instance.
type Built struct {
	Def   *BlockDef
	Attrs map[string]Value // every attribute, defaults filled in
	Span  diag.Span        // where it was built first
	// ID is unique and stable within a checked recipe; it orders instances.
	ID int

	c      *checker
	spans  map[string]diag.Span // where attributes were written, of those that were given
	bodies []*Body              // one for each list of argument axes
	view   *view                // set in the cells of tables only

	rules  checkState // of the `require` lines on attributes
	broken bool       // one of them does not hold
}

// Body is a built block applied to arguments with given axes: its equations with all axes known. Equal applications share one
// Body. Names of weights, states and parts are local; a path is made by whoever walks the tree.
//
// Axes bound at the border (`d` of `x[.., d]`) are the caller's own *Axis objects, so a body can be put in place of its
// application without renaming anything. Axes that the block brings along (its attributes and number equations) are objects of
// the Body.
type Body struct {
	Built   *Built
	In      []*Node // Op "input", in the header's order, with the axes of the arguments
	Weights []*Weight
	States  []*State
	Parts   []*Part
	Nodes   []*Node // everything below, arguments before uses
	Out     *Node   // what is returned; nil if the block is implemented outside
	OutAxes []*Axis // axes of the result, also without a body
	Effects []*Effect

	bad bool // a fault was reported; what follows from it is held back
}

// Weight is a trained tensor that exists in this reading of the switches.
type Weight struct {
	Name string
	Axes []*Axis
	Init *Init // nil: the model's
	Span diag.Span
}

// State is kept in checkpoints, not trained, changed only by an update effect.
type State struct {
	Name  string
	Axes  []*Axis
	Value float64
	Span  diag.Span
}

// Part is a sub-block with weights of its own. Bank is the axis of a bank of experts (its weights get this axis in front).
type Part struct {
	Name  string
	Built *Built
	Bank  *Axis
	Span  diag.Span
}

// Effect is `update`, `loss` or `metric`.
type Effect struct {
	Kind  string
	Name  string // for update: the state's name
	Value *Node
	Span  diag.Span
}

// Node is one operation on tensors with named axes. Op is one of
//
//	input weight state            the leaf called Name
//	number                        the constant Num (no axes); -inf is allowed
//	schedule                      a scalar whose value is Schedule at the step's start (no axes)
//	dot                           contracts On (sorted as written) of Args[0] and Args[1]; other shared axes are carried
//	sum mean max min              reduces On (already expanded where `..` was written)
//	softmax cumsum                over On[0]
//	top                           1 at the N largest over On[0], else 0
//	split                         piece N of Args[0] along On[0], pieces To (sizes add up); result has To[N] in its place
//	concat                        Args[i] along On[i], giving To[0]
//	view                          On -> To (factor one axis, or flatten several); in place
//	rename                        On[0] -> To[0]
//	take                          entry N along On[0]
//	where                         Args: condition, x, y (elementwise, repeated like +)
//	prev                          value N tokens before along `seq`, 0 before the start
//	conv                          Args: x, w; On = [seq, tap, contracted…]
//	scan                          Part is the step, Args: start (or number 0), inputs…
//	route                         Args: gate, x; Part is the bank; On[0] the experts axis; Body is one expert applied to x
//	apply                         Part applied to Args; Body is its body
//	cache                         `seq` becomes `key`
//	causal                        −∞ where key is later than seq, and (N > 0) N and more before it
//	pos                           Pos rotates On[0] by the position along seq or key
//	add sub mul div pow           elementwise, the smaller side repeated
//	neg silu gelu relu sigmoid tanh exp log sqrt abs square sign stop_grad
//
// Axes are the result's, in order (language.md section 7, rule 9).
type Node struct {
	Op       string
	Args     []*Node
	Axes     []*Axis
	On       []*Axis
	To       []*Axis
	N        int
	Num      float64
	Schedule *Schedule
	Pos      *Pos
	Part     *Part
	Body     *Body
	Name     string // for leaves; else the equation's name or ""
	Span     diag.Span
}

// WeightInfo is one weight or state of a model, as listed by (*Model).Weights: banks counted once, with the bank axis in front.
type WeightInfo struct {
	Path    string // layers[3].ffn.bank.up, embed, norm.gain, mtp[0].layer.attn.wq_a
	Axes    []*Axis
	Init    Init
	State   bool
	MTP     bool    // belongs to the multi-token prediction modules
	Bank    bool    // the first axis is a bank's
	TopK    int     // for bank weights: how many entries a token uses (0 if unknown: all)
	Initial float64 // a state's start
	Span    diag.Span
}
