// Package check turns parsed recipe files into a checked recipe: names, values, units, schedules, blocks with sizes, checkpoint
// names. It reads the syntax trees of package dsl and the files that a Files hands over; it fills in the types of recipe.go and
// body.go; it leaves alone what the recipe is for: nothing here knows tensors in memory, devices or gradients.
//
// Sections are tables that work like a spreadsheet (section.go): a cell is evaluated when it is asked for, in a scope made of the
// table it now stands in, so that replacing a cell anywhere (a `from`, a call on a table, `--set`) reaches all that depends on it.
// Blocks are checked once where they are defined, for all sizes (block.go), and again when they are built and applied.
//
// A fault is reported once, at its place, and yields the value `bad`, which silences everything that follows from it.
package check

import (
	"fmt"
	"io/fs"

	"forge/dsl/diag"
)

// Files gives the texts of recipe files. fs.FS values and the operating system's files both fit behind it; paths use `/`.
type Files interface {
	ReadFile(path string) ([]byte, error)
}

// FS is an fs.FS as Files.
type FS struct{ fs.FS }

// ReadFile reads one file of the file system.
func (f FS) ReadFile(path string) ([]byte, error) { return fs.ReadFile(f.FS, path) }

// maxSteps is the budget of one run: every evaluated expression and every cell is a step.
const maxSteps = 5_000_000

// checker is the state of one run. It is not for concurrent use.
type checker struct {
	blocks

	files   Files
	modules map[string]*Module // by canonical path
	loading []*Module          // being read, outermost first: how circles are seen
	opened  []*Module          // in the order of reading
	prelude *Module            // the prelude and the standard blocks: names known everywhere

	sources map[string]string // texts of the files read, by the name shown
	broken  map[string]bool   // files with syntax errors

	diags    diag.List
	reported map[string]bool // keys of diags: one fault, one error

	steps int
	spent bool // the budget is used up, and that is reported
	quiet int  // > 0: nothing is reported (values are tried out)
	depth int  // of evaluation, against deep nesting
	busy  []busyCell

	drafting bool // a value is being changed: rules are checked when all changes are in place

	axisAt  map[*Axis]diag.Span // where the size of an axis was written
	built   map[string]*Built   // interned, by key
	nextID  int
	models  map[string]*Model // interned, by key
	modelOf map[*Table]*Model
	reach   *reach             // what blocks declare, once asked for
	used    map[diag.Span]bool // keys of the cells and paths that have been evaluated

	// literals remembers how the files write a number, so that a resolved recipe keeps 3e-3 as 3e-3.
	literals map[float64]string
}

func newChecker(files Files) *checker {
	return &checker{
		files:    files,
		modules:  map[string]*Module{},
		reported: map[string]bool{},
		sources:  map[string]string{},
		broken:   map[string]bool{},
		axisAt:   map[*Axis]diag.Span{},
		built:    map[string]*Built{},
		models:   map[string]*Model{},
		modelOf:  map[*Table]*Model{},
		literals: map[float64]string{},
		used:     map[diag.Span]bool{},
	}
}

// report collects a diagnostic. The same fault at the same place is kept once, however often the place is evaluated.
func (c *checker) report(d *diag.Diagnostic) {
	if c.quiet > 0 {
		return
	}
	if c.broken[d.Main().File] && (d.Code == "E100" || d.Code == "E104" || d.Code == "E209") {
		return // what is missing may be what could not be read
	}
	k := fmt.Sprint(d.Code, d.Main(), d.Message)
	if c.reported[k] {
		return
	}
	c.reported[k] = true
	c.diags = append(c.diags, d)
}

// fail reports a fault and yields the bad value.
func (c *checker) fail(d *diag.Diagnostic) Value {
	c.report(d)
	return bad
}

// step spends one step of the budget; false means that it is used up.
func (c *checker) step(at diag.Span) bool {
	return c.spend(1, at)
}

// spend takes n steps from the budget.
func (c *checker) spend(n int, at diag.Span) bool {
	c.steps += n
	if c.steps <= maxSteps {
		return true
	}
	if !c.spent {
		c.spent = true
		c.quiet = 0
		c.report(diag.New("E506", at, "evaluation stopped here", "this recipe needs more than 5 million steps").
			Helpf("shorten a range, or evaluate a value once in a helper cell"))
	}
	return false
}

// result is the sorted list of everything reported.
func (c *checker) result() diag.List {
	c.diags.Sort()
	return c.diags
}
