package check

// Schedule is a value that changes while training (language.md section 10): pieces one after the other, the last holding to the
// end. Positions are counted in tokens; lengths given in steps are converted through the batch schedule when the stage is
// resolved. A plain number is a schedule of one piece.
type Schedule struct {
	Pieces []Piece
}

// Piece is one stretch of a schedule. Kind is "ramp", "linear", "cosine", "hold" or "number".
type Piece struct {
	Kind     string
	From, To float64
	Multiple int64 // ramp: rounded down to a multiple
	// Length or end as written; Unit None means to the end.
	Over  Quantity
	Until Quantity
	// Start and End in tokens from the start of the stage (of the first stage inside a model), set when the stage is resolved.
	// End < 0: no end.
	Start, End int64
}
