package dsl

import "forge/dsl/diag"

// The syntax tree: what the participle grammar (grammar.go) is lowered to, with operators resolved, and what the checker, the
// formatter and the tools read. Every node knows its span.

// File is one parsed recipe file. Decls are in source order. A file with syntax errors holds the declarations and lines that
// could be read.
type File struct {
	Name    string // as shown to the user
	Source  string
	Version int // of `forge N`; 0 if missing
	Decls   []Decl
	// Comments are all comments in source order; the formatter places them by offset.
	Comments []Comment
}

// Comment is `# …` or, when Doc, `## …`. Text excludes the marks and surrounding blanks.
type Comment struct {
	Span diag.Span
	Text string
	Doc  bool
}

// Decl is *Version, *Use, *Section, *Block or *Builtin.
type Decl interface{ At() diag.Span }

// Version is `forge 1`.
type Version struct {
	Span diag.Span
	N    int
}

// Use is `use "path" as name`; As.Name is "" where the default name holds.
type Use struct {
	Span diag.Span
	Path Str
	As   Ident
}

// Ident is a name and its place.
type Ident struct {
	Name string
	Span diag.Span
}

// Str is a text literal: Value with escapes resolved, Raw as written with quotes.
type Str struct {
	Value string
	Raw   string
	Span  diag.Span
}

// Section is `kind name from base { cells }`.
type Section struct {
	Span  diag.Span
	Doc   string
	Kind  Ident
	Name  Ident
	From  Expr // nil if there is none
	Cells []*Cell
	Close diag.Span // the `}`
}

// Cell is `key = value`. Let marks a helper cell. Key is a path; in a weights section it may be a text key (Text != nil).
type Cell struct {
	Span  diag.Span
	Doc   string
	Let   bool
	Text  *Str
	Key   []Seg
	Value Expr
}

// KeySpan is the span of the whole key.
func (c *Cell) KeySpan() diag.Span {
	if c.Text != nil {
		return c.Text.Span
	}
	return c.Key[0].Name.Span.To(c.Key[len(c.Key)-1].Span)
}

// Seg is one step of a path: a name and, if Index != nil, an index into the list of that name.
type Seg struct {
	Span  diag.Span
	Name  Ident
	Index Expr
}

// Block is `block name(params)(inputs) -> shape { body }`. HasBody is false for a bare header.
type Block struct {
	Span    diag.Span
	Doc     string
	Name    Ident
	Params  []*Param
	Inputs  []*Input
	Result  Shape
	HasBody bool
	Body    []Stmt
}

// Builtin is a `kind` or `builtin` header of the prelude. Type is nil for a kind.
type Builtin struct {
	Span   diag.Span
	Doc    string
	IsKind bool
	Name   Ident
	Params []*Param
	Type   *Type
}

// Param is `name: type = default`; Type and Default may be nil.
type Param struct {
	Span    diag.Span
	Name    Ident
	Type    *Type
	Default Expr
}

// Type is a union of atoms.
type Type struct {
	Span  diag.Span
	Atoms []TypeAtom
}

// TypeAtom is a word ("sigmoid", Text != nil), or a type name with an optional block signature (In, Out non-nil).
type TypeAtom struct {
	Span diag.Span
	Text *Str
	Name string
	In   *Shape
	Out  *Shape
}

// Input is `x[.., d]`.
type Input struct {
	Span  diag.Span
	Name  Ident
	Shape Shape
}

// Shape is a list of axis names; `..` is the name "..".
type Shape struct {
	Span diag.Span
	Axes []Ident
}

// Stmt is *Weight, *State, *Part, *Require, *Effect, *Return or *Equation.
type Stmt interface{ At() diag.Span }

// Weight is `weight name[axes] ~ init if guard`; Init and Guard may be nil.
type Weight struct {
	Span  diag.Span
	Name  Ident
	Shape Shape
	Init  Expr
	Guard Expr
}

// State is `state name[axes] = value if guard`.
type State struct {
	Span  diag.Span
	Name  Ident
	Shape Shape
	Value Expr
	Guard Expr
}

// Part is `part name[bank axis] = value`; Bank is nil for a single part.
type Part struct {
	Span  diag.Span
	Name  Ident
	Bank  *Shape
	Value Expr
}

// Require is `require cond, "why"`; Why may be nil.
type Require struct {
	Span diag.Span
	Cond Expr
	Why  *Str
}

// Effect is `update|loss|metric name = value`.
type Effect struct {
	Span  diag.Span
	Kind  string
	Name  Ident
	Value Expr
}

// Return is `return value`.
type Return struct {
	Span  diag.Span
	Value Expr
}

// Equation is `a, b: [axes] = value`; Shape is nil where no axes are stated.
type Equation struct {
	Span  diag.Span
	Names []Ident
	Shape *Shape
	Value Expr
}

// Expr is *Number, *Text, *Bool, *Name, *List, *Call, *Index, *Member, *Unary, *Binary, *Cond or *Paren.
type Expr interface{ At() diag.Span }

// Number is a literal: Raw as written (without unit), Unit its unit or "". Whole says that it is exactly Int: it is written without
// fraction and exponent, or has a suffix or a unit and comes out whole (`128`, `14.8T`, `1e3 steps`; not `1.0`). Value is the float
// value in any case.
type Number struct {
	Span  diag.Span
	Raw   string
	Value float64
	Int   int64
	Whole bool
	Unit  string
	// UnitSpan is the place of the unit.
	UnitSpan diag.Span
	// Bad says that the text is no number, which is reported.
	Bad bool
}

// Text is a text literal in an expression.
type Text struct{ Str }

// Bool is true or false.
type Bool struct {
	Span  diag.Span
	Value bool
}

// Name is a name in an expression (`none`, `inf` and axis names included).
type Name struct{ Ident }

// Paren is a bracketed expression; kept for the formatter. Unparen removes it.
type Paren struct {
	Span diag.Span
	X    Expr
}

// List is `[a, b for i in c, …]`.
type List struct {
	Span  diag.Span
	Items []ListItem
}

// ListItem is an item of a list; the first one may be `value for Var in Over`.
type ListItem struct {
	Value Expr
	Var   Ident // Name "" if this is no comprehension
	Over  Expr
}

// Call is `f(args)`.
type Call struct {
	Span diag.Span
	Fn   Expr
	Args []Arg
}

// Arg is `value` or `name = value` (Name.Name == "" for the former).
type Arg struct {
	Span  diag.Span
	Name  Ident
	Value Expr
}

// Index is `x[axes]` or `x[axes -> axes]`: what an operation acts on, or an item of a list. Arrow says that `->` was written.
// An item is an Expr; `..` is a *Name with the name "..".
type Index struct {
	Span  diag.Span
	X     Expr
	Axes  []Expr
	To    []Expr
	Arrow bool
}

// Member is `x.name`.
type Member struct {
	Span diag.Span
	X    Expr
	Name Ident
}

// Unary is `-x` or `not x`.
type Unary struct {
	Span diag.Span
	Op   string
	X    Expr
}

// Binary is `x op y`; OpSpan is the operator's place. Op is one of
// then or and == != <= >= < > .. + - * / % ^.
type Binary struct {
	Span   diag.Span
	Op     string
	OpSpan diag.Span
	X, Y   Expr
}

// Cond is `then if cond else other`.
type Cond struct {
	Span diag.Span
	Then Expr
	If   Expr
	Else Expr
}

// Unparen strips brackets.
func Unparen(e Expr) Expr {
	for {
		p, ok := e.(*Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}

// Operands are the expressions that an expression is made of, in the order of the source but for a list's items, where what is gone
// through comes before the value. Names of members and arguments are none.
func Operands(e Expr) []Expr {
	switch e := e.(type) {
	case *Paren:
		return []Expr{e.X}
	case *Unary:
		return []Expr{e.X}
	case *Binary:
		return []Expr{e.X, e.Y}
	case *Cond:
		return []Expr{e.Then, e.If, e.Else}
	case *Member:
		return []Expr{e.X}
	case *Call:
		list := []Expr{e.Fn}
		for _, a := range e.Args {
			list = append(list, a.Value)
		}
		return list
	case *Index:
		return append(append([]Expr{e.X}, e.Axes...), e.To...)
	case *List:
		var list []Expr
		for _, it := range e.Items {
			if it.Over != nil {
				list = append(list, it.Over)
			}
			list = append(list, it.Value)
		}
		return list
	}
	return nil
}

func (n *Version) At() diag.Span  { return n.Span }
func (n *Use) At() diag.Span      { return n.Span }
func (n *Section) At() diag.Span  { return n.Span }
func (n *Block) At() diag.Span    { return n.Span }
func (n *Builtin) At() diag.Span  { return n.Span }
func (n *Weight) At() diag.Span   { return n.Span }
func (n *State) At() diag.Span    { return n.Span }
func (n *Part) At() diag.Span     { return n.Span }
func (n *Require) At() diag.Span  { return n.Span }
func (n *Effect) At() diag.Span   { return n.Span }
func (n *Return) At() diag.Span   { return n.Span }
func (n *Equation) At() diag.Span { return n.Span }
func (n *Number) At() diag.Span   { return n.Span }
func (n *Text) At() diag.Span     { return n.Span }
func (n *Bool) At() diag.Span     { return n.Span }
func (n *Name) At() diag.Span     { return n.Span }
func (n *Paren) At() diag.Span    { return n.Span }
func (n *List) At() diag.Span     { return n.Span }
func (n *Call) At() diag.Span     { return n.Span }
func (n *Index) At() diag.Span    { return n.Span }
func (n *Member) At() diag.Span   { return n.Span }
func (n *Unary) At() diag.Span    { return n.Span }
func (n *Binary) At() diag.Span   { return n.Span }
func (n *Cond) At() diag.Span     { return n.Span }
