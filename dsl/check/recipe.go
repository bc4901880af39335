package check

import "forge/dsl/diag"

// Recipe is the checked recipe: what `forge expand` prints and what the compiler and the engine read. Everything in it has been
// checked; nothing in it refers back to syntax except through spans.
type Recipe struct {
	Name   string
	File   string // the file the recipe section stands in, as shown to the user
	Model  *Model // the recipe's model; a stage may have its own
	Data   *Data  // nil if the recipe has none
	Stages []*Stage
	Run    *Run
	Plan   *Plan    // nil if there is none
	Names  *Names   // checkpoint names (a weights section); nil if there are none
	Sweep  []Choice // what a sweep varies; the recipe itself is then the first run's

	assembly *assembly // what it was put together from
}

// Model is a model section, evaluated. Two models that are equal are the same pointer.
type Model struct {
	Name     string
	Span     diag.Span
	Vocab    int
	Dim      int
	Layers   []*Built
	Norm     *Built
	Tied     bool
	MTP      *Built // nil: no multi-token prediction
	MTPDepth int    // 0 if MTP is nil
	Init     Init

	allNames   []string // for patterns, once asked for
	dim, vocab *Axis    // made when asked for
}

// Init says how a weight starts. Kind is "normal", "ones" or "zeros".
type Init struct {
	Kind string
	Std  float64
	Mean float64
}

// Unit of a quantity.
type Unit string

// The units. None is a bare number.
const (
	None    Unit = ""
	Tokens  Unit = "tokens"
	Steps   Unit = "steps"
	Seqs    Unit = "seqs"
	Epochs  Unit = "epochs"
	Seconds Unit = "seconds"
	Minutes Unit = "minutes"
	Hours   Unit = "hours"
)

// Quantity is an exact whole number with a unit.
type Quantity struct {
	N    int64
	Unit Unit
}

// Data is a data section.
type Data struct {
	Name        string
	Span        diag.Span
	Sources     []Source
	Tokenizer   Tokenizer
	Pack        bool
	FIM         float64
	HeldOut     float64 // share of documents held out for evaluation
	ShuffleSeed int64
}

// Source is one source of text: Kind is the builder's name (gosource, text, jsonl, parquet, shards).
type Source struct {
	Kind   string
	Path   string // text, jsonl, parquet, shards
	Field  string // jsonl's field, parquet's column
	Weight float64
	Span   diag.Span
}

// Tokenizer is "bytes" (256 entries) or "bpe": a tokenizer.json, or one to be trained on the texts of Train, in which a text counts once
// whatever its source's weight.
type Tokenizer struct {
	Kind  string
	Path  string   // "" where Train says what to train on
	Train []Source // empty where Path names a file
	Vocab int
	Span  diag.Span
}

// Stage is a train section of a recipe, with its model and what follows from its schedules.
type Stage struct {
	Name      string
	Span      diag.Span
	Total     Quantity
	Seq       int
	Batch     *Schedule // sequences a step
	Optim     AdamW
	LR        *Schedule
	Clip      float64 // the longest that all gradients together may be; +Inf: any length
	MTPWeight *Schedule
	Precision Precision
	Model     *Model // the recipe's model with the stage's own cells applied
	NumSteps  int64  // steps until Total is reached
	NumTokens int64  // tokens read in these steps
	// StartTokens is the number of tokens read in the stages before: positions of schedules inside a model count from the
	// start of the first stage.
	StartTokens int64
	StartSteps  int64

	line *timeline
}

// AdamW is the optimizer (decoupled weight decay).
type AdamW struct {
	Beta1, Beta2, Eps, Decay float64
	Groups                   []Group
}

// Group changes the optimizer for the weights whose names match. Decay is nil where the group does not set it.
type Group struct {
	Match   string
	Decay   *float64
	LRScale float64
	Span    diag.Span
}

// Precision is what products are computed in: Kind "fp32", "bf16" or "fp8".
type Precision struct {
	Kind                   string
	Format                 string
	ActTile, WeightTile    []int
	PromoteEvery           int
	Master, Grads, Moments string
	Keep                   []string
}

// Run is a run section.
type Run struct {
	Device string
	Seed   int64
	Save   Quantity
	Eval   Quantity
	Dir    string
	Keep   int
}

// Plan is a plan section: how a model is spread over devices.
type Plan struct {
	Name                        string
	Devices, Data, Pipe, Expert int
	Tensor, Zero                int
	Schedule                    string
	Recompute                   []string
	MicroSeqs                   int64
	Span                        diag.Span
}

// Choice is one `any([…])` of a sweep: the path and the texts of the values.
type Choice struct {
	Path   string
	Values []string
}

// Pos is a rotary position encoding: pair i of an axis of size d is turned by position·frequency(i). It is compared with ==.
type Pos struct {
	Kind         string // "rotary" or "yarn"
	Theta        float64
	Pairs        string // "interleaved" or "halves"
	Factor       float64
	Original     float64
	BetaFast     float64
	BetaSlow     float64
	MScale       float64
	MScaleAllDim float64
}

// Names is a weights section: one line a checkpoint tensor, both ways (language.md section 14).
type Names struct {
	Name       string
	Span       diag.Span
	Scales     string // ending of block-scale tensors, "" for none
	ScaleBlock [2]int
	Tensors    []NamedTensor // every tensor of this model's checkpoint, in the order of the weights, copies last
	Resting    int           // lines for weights that this model does not have
}

// NamedTensor is one tensor of a checkpoint file and the weight it holds.
type NamedTensor struct {
	File   string // name in the checkpoint file
	Weight string // path of the weight or state, as in WeightInfo.Path; bank weights carry the expert's index: layers[3].ffn.bank[7].up
	// Order gives, for each axis in the file, its position in the weight's own axes (without the bank axis).
	Order []int
	// Rows is how many of the leading axes in the file flatten into its first dimension; the others make the second.
	Rows int
	Copy bool // a copy of the model's own table: may be missing, never written
}
