package dsl

import (
	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// The grammar: one struct a production, the tags are its EBNF. grammar.txt is participle's print of it. lower.go turns what
// these structs hold into the tree of tree.go; nothing else reads them. Tokens are the tokens that a node covers, its place.
//
// Separated lists are written `( @@ ( NL @@ )* NL? )?`: a lookahead-only branch inside a repetition would make participle
// panic as soon as it is taken.

type decl struct {
	Version *version `parser:"( @@"`
	Use     *use     `parser:"| @@"`
	Block   *block   `parser:"| @@"`
	Builtin *builtin `parser:"| @@"`
	Section *section `parser:"| @@ ) NL?"`
}

type version struct {
	Tokens []lexer.Token
	N      string `parser:"'forge' @Number"`
}

type use struct {
	Tokens []lexer.Token
	Path   *str  `parser:"'use' @@"`
	As     *name `parser:"( 'as' @@ )?"`
}

type section struct {
	Tokens []lexer.Token
	Kind   *name    `parser:"@@"`
	Name   *name    `parser:"@@"`
	From   *postfix `parser:"( 'from' @@ )?"`
	Cells  []*cell  `parser:"'{' NL? ( @@ ( NL @@ )* NL? )? '}'"`
}

type cell struct {
	Tokens []lexer.Token
	Let    bool  `parser:"@'let'?"`
	Key    *key  `parser:"@@"`
	Value  *expr `parser:"'=' @@"`
}

type key struct {
	Text *str   `parser:"  @@"`
	Segs []*seg `parser:"| ( @@ ( '.' @@ )* )"`
}

type seg struct {
	Tokens []lexer.Token
	Name   string `parser:"@Ident"`
	Index  *expr  `parser:"( '[' @@ ']' )?"`
}

type block struct {
	Tokens []lexer.Token
	Name   *name    `parser:"'block' @@"`
	Params []*param `parser:"'(' ( @@ ( ',' @@ )* ','? )? ')'"`
	Inputs []*input `parser:"'(' ( @@ ( ',' @@ )* ','? )? ')'"`
	Result *shape   `parser:"'->' @@"`
	Open   bool     `parser:"( @'{' NL?"`
	Body   []*stmt  `parser:"( @@ ( NL @@ )* NL? )? '}' )?"`
}

type param struct {
	Tokens  []lexer.Token
	Name    *name  `parser:"@@"`
	Type    *types `parser:"( ':' @@ )?"`
	Default *expr  `parser:"( '=' @@ )?"`
}

type input struct {
	Tokens []lexer.Token
	Name   *name  `parser:"@@"`
	Shape  *shape `parser:"@@"`
}

type shape struct {
	Tokens []lexer.Token
	Axes   []*shapeAxis `parser:"'[' ( @@ ( ',' @@ )* )? ']'"`
}

type shapeAxis struct {
	Tokens []lexer.Token
	Axis   string `parser:"@'..' | @Ident"`
}

type types struct {
	Tokens []lexer.Token
	Atoms  []*typeAtom `parser:"@@ ( '|' @@ )*"`
}

type typeAtom struct {
	Tokens []lexer.Token
	Text   string `parser:"  @String"`
	Name   string `parser:"| ( @Ident"`
	In     *shape `parser:"    ( '(' @@"`
	Out    *shape `parser:"      '->' @@ ')' )? )"`
}

type stmt struct {
	Tokens  []lexer.Token
	Weight  *weight  `parser:"  ( 'weight' @@ )"`
	State   *state   `parser:"| ( 'state' @@ )"`
	Part    *part    `parser:"| ( 'part' @@ )"`
	Require *require `parser:"| ( 'require' @@ )"`
	Effect  *effect  `parser:"| @@"`
	Return  *expr    `parser:"| ( 'return' @@ )"`
	Eq      *eq      `parser:"| @@"`
}

type weight struct {
	Name  *name  `parser:"@@"`
	Shape *shape `parser:"@@"`
	Init  *chain `parser:"( '~' @@ )?"`
	Guard *chain `parser:"( 'if' @@ )?"`
}

type state struct {
	Name  *name  `parser:"@@"`
	Shape *shape `parser:"@@"`
	Value *chain `parser:"'=' @@"`
	Guard *chain `parser:"( 'if' @@ )?"`
}

type part struct {
	Name  *name  `parser:"@@"`
	Bank  *shape `parser:"@@?"`
	Value *expr  `parser:"'=' @@"`
}

type require struct {
	Cond *expr `parser:"@@"`
	Why  *str  `parser:"( ',' @@ )?"`
}

type effect struct {
	Kind  string `parser:"@( 'update' | 'loss' | 'metric' )"`
	Name  *name  `parser:"@@"`
	Value *expr  `parser:"'=' @@"`
}

type eq struct {
	Names []*name `parser:"@@ ( ',' @@ )*"`
	Shape *shape  `parser:"( ':' @@ )?"`
	Value *expr   `parser:"'=' @@"`
}

type expr struct {
	Tokens []lexer.Token
	Then   *chain `parser:"@@"`
	If     *chain `parser:"( 'if' @@"`
	Else   *expr  `parser:"  'else' @@ )?"`
}

// A chain is flat; precedence.go resolves it.
type chain struct {
	First *unary    `parser:"@@"`
	Rest  []*opTerm `parser:"@@*"`
}

type opTerm struct {
	Tokens []lexer.Token
	Op     string `parser:"@( 'then' | 'or' | 'and' | '==' | '!=' | '<=' | '>=' | '<' | '>' | '..' | '+' | '-' | '*' | '/' | '%' | '^' )"`
	X      *unary `parser:"@@"`
}

type unary struct {
	Tokens []lexer.Token
	Op     string   `parser:"@( '-' | 'not' )?"`
	X      *postfix `parser:"@@"`
}

type postfix struct {
	Primary *primary  `parser:"@@"`
	Ops     []*postOp `parser:"@@*"`
}

type postOp struct {
	Tokens []lexer.Token
	Member *name `parser:"  ( '.' @@ )"`
	Axes   *axes `parser:"| ( '[' @@ ']' )"`
	Args   *args `parser:"| @@"`
}

type axes struct {
	From  []*axisItem `parser:"@@ ( ',' @@ )*"`
	Arrow bool        `parser:"( @'->'"`
	To    []*axisItem `parser:"  @@ ( ',' @@ )* )?"`
}

type axisItem struct {
	Tokens []lexer.Token
	Rest   bool  `parser:"  @'..'"`
	X      *expr `parser:"| @@"`
}

type args struct {
	Args []*arg `parser:"'(' ( @@ ( ',' @@ )* ','? )? ')'"`
}

type arg struct {
	Tokens []lexer.Token
	Name   *name `parser:"( @@ '=' )?"`
	Value  *expr `parser:"@@"`
}

type primary struct {
	Tokens []lexer.Token
	Number string `parser:"  ( @Number"`
	Unit   string `parser:"    @Unit? )"`
	Str    *str   `parser:"| @@"`
	Bool   string `parser:"| @( 'true' | 'false' )"`
	Name   string `parser:"| @Ident"`
	Paren  *expr  `parser:"| ( '(' @@ ')' )"`
	List   *listX `parser:"| @@"`
}

type listX struct {
	First *expr   `parser:"'[' ( @@"`
	Var   *name   `parser:"( 'for' @@"`
	Over  *chain  `parser:"  'in' @@ )?"`
	More  []*expr `parser:"( ',' @@ )* ','? )? ']'"`
}

type builtin struct {
	Tokens  []lexer.Token
	Keyword string   `parser:"@( 'kind' | 'builtin' )"`
	Name    *name    `parser:"@@"`
	Params  []*param `parser:"'(' ( @@ ( ',' @@ )* ','? )? ')'"`
	Type    *types   `parser:"( '->' @@ )?"`
}

type name struct {
	Tokens []lexer.Token
	Name   string `parser:"@Ident"`
}

type str struct {
	Tokens []lexer.Token
	Raw    string `parser:"@String"`
}

// The parser of whole declarations, and those of single lines, to which a declaration with a fault is cut down.
var (
	declParser = participle.MustBuild[decl](participle.Lexer(definition{symbols}), participle.UseLookahead(2))
	cellParser = production[cell]()
	stmtParser = production[stmt]()
	exprParser = production[expr]()
)

func production[P any]() *participle.Parser[P] {
	parser, err := participle.ParserForProduction[P](declParser)
	if err != nil {
		panic(err)
	}
	return parser
}

// Grammar is the grammar as EBNF, one production a line.
func Grammar() string { return declParser.String() + "\n" }
