package dsl

import (
	"strings"

	"forge/dsl/diag"
)

// cure knows one way to go wrong. explain gives the error that says what was meant, or nil if this is something else.
type cure struct {
	name    string
	explain func(fault) *diag.Diagnostic
}

// cures are tried in this order: first what stands in the wrong place, then habits from other languages, then what is missing.
var cures = []cure{
	{"reserved word", reservedWord},
	{"nested declaration", nestedDeclaration},
	{"line of a block", lineOfBlock},
	{"setting at the top", settingAtTop},
	{"foreign keyword", foreignKeyword},
	{"let in a block", letInBlock},
	{"comment", foreignComment},
	{"power", foreignPower},
	{"or", foreignOr},
	{"ellipsis", ellipsis},
	{"loop", loop},
	{"braces", bracesAsValue},
	{"slice", slice},
	{"colon", colonForEquals},
	{"double equals", doubleEquals},
	{"plus equals", plusEquals},
	{"two pairs of brackets", blockBrackets},
	{"header", sectionHeader},
	{"body", bodyInBraces},
	{"use", useText},
	{"number as axis", numberAsAxis},
	{"axes", missingAxes},
	{"weight's value", weightValue},
	{"several results", severalResults},
	{"else", missingElse},
	{"no value", noValue},
	{"equals", missingEquals},
	{"separator", missingSeparator},
	{"comma", commaAtEnd},
}

func syntax(at diag.Span, label, format string, args ...any) *diag.Diagnostic {
	return diag.New("E010", at, label, format, args...)
}

// reservedWord: `let for = 3`, `weight in[d]`.
func reservedWord(f fault) *diag.Diagnostic {
	word := f.token(0)
	if word.Type != typeWord {
		return nil
	}
	before, after := f.token(-1), f.token(1)
	named := after.Value == "=" || after.Value == ":" && (f.where != atTop || f.at > 0) || after.Value == "{"
	switch before.Value {
	case ".", "let", "block", "weight", "state", "part", "update", "loss", "metric", "as", "kind", "builtin":
		named = true
	case "[", ",":
		named = named || after.Value == "," || after.Value == "]"
	}
	if f.where == atTop && f.at == 1 {
		named = true
	}
	if !named {
		return nil
	}
	return diag.New("E011", f.here(), "", "`%s` is a word of the language and can't be a name", word.Value).
		Helpf("reserved: let, if, else, for, in, then, and, or, not, true, false")
}

// nestedDeclaration: `model m {` within a section or block.
func nestedDeclaration(f fault) *diag.Diagnostic {
	if f.where != inSection && f.where != inBlock || len(f.tokens) < 3 || !beginsDeclaration(f.tokens) {
		return nil
	}
	return diag.New("E012", spanOf(f.tokens[:2]), "write it before or after, and its name here",
		"a `%s` can't stand within another declaration", f.tokens[0].Value)
}

// lineOfBlock: `weight w[d]` in a section or at the top.
func lineOfBlock(f fault) *diag.Diagnostic {
	if f.where != inSection && f.where != atTop || len(f.tokens) < 2 || !lineWords[f.tokens[0].Value] {
		return nil
	}
	if next := f.tokens[1]; !beginsValue(next) && next.Value != "-" && next.Value != "(" {
		return nil
	}
	return diag.New("E012", tokenSpan(f.tokens[0]), "", "a `%s` line stands in a block", f.tokens[0].Value)
}

// settingAtTop: `dim = 3` outside a section.
func settingAtTop(f fault) *diag.Diagnostic {
	if f.where != atTop {
		return nil
	}
	for i, token := range f.tokens {
		if token.Value != "=" {
			continue
		}
		key := fault{f.tokens, i, atTop}.key()
		if key == "" {
			return nil
		}
		return diag.New("E012", spanOf(f.tokens[:i]), "", "`%s` is set outside of any section", key).
			Helpf("settings stand in sections: `model name { … }`")
	}
	return nil
}

// meant holds words of other languages and what forge has instead.
var meant = map[string]string{
	"def": "block", "func": "block", "fn": "block", "fun": "block", "function": "block", "class": "block", "struct": "block",
	"module": "block", "layer": "block", "import": "use", "include": "use", "from": "use", "load": "use", "require": "use",
	"version": "forge", "package": "forge",
}

// topWords may begin a declaration, beside the kinds of sections.
var topWords = wordSet("forge use block kind builtin")

// foreignKeyword: `def attention(x):`.
func foreignKeyword(f fault) *diag.Diagnostic {
	if f.where != atTop || len(f.tokens) == 0 {
		return nil
	}
	first := f.tokens[0]
	if first.Type != typeIdent || topWords[first.Value] {
		return nil
	}
	place := tokenSpan(first)
	if word, ok := meant[first.Value]; ok {
		d := syntax(place, "did you mean `"+word+"`?", "forge has no `%s`", first.Value)
		if first.Value == "import" || first.Value == "version" {
			d.FixWith(place, word)
		}
		return d
	}
	if len(f.tokens) > 2 && f.tokens[1].Type == typeIdent && f.tokens[2].Value == "(" {
		label := ""
		if word := diag.Suggest(first.Value, []string{"block", "builtin", "kind"}); word != "" {
			label = "did you mean `" + word + "`?"
		}
		return syntax(place, label, "forge has no `%s`", first.Value)
	}
	if f.at >= 2 || f.at == 1 && (f.token(0).Value == "{" || f.token(0).Type == typeString) {
		return nil
	}
	return syntax(place, "", "no declaration begins like this").
		Helpf("a declaration is `use \"…\"`, `block name(…)(…) -> […] { … }` or a section `kind name { … }`")
}

// letInBlock: `let h = x` among the equations of a block.
func letInBlock(f fault) *diag.Diagnostic {
	if f.where != inBlock || f.tokens[0].Value != "let" {
		return nil
	}
	place := tokenSpan(f.tokens[0])
	return syntax(place, "leave it out", "an equation of a block needs no `let`").FixWith(place, "")
}

// foreignComment: `// …`, `/* … */`.
func foreignComment(f fault) *diag.Diagnostic {
	for _, n := range []int{-1, 1} {
		pair := f.token(min(n, 0)).Value + f.token(max(n, 0)).Value
		if (pair == "//" || pair == "/*") && f.adjacent(n) {
			return syntax(f.both(n), "write `# …`", "a comment begins with `#`").FixWith(f.both(n), "#")
		}
	}
	return nil
}

// foreignPower: `x ** 2`.
func foreignPower(f fault) *diag.Diagnostic {
	for _, n := range []int{-1, 1} {
		if f.token(0).Value == "*" && f.token(n).Value == "*" && f.adjacent(n) {
			return syntax(f.both(n), "write `^`", "a power is written with `^`, not `**`").FixWith(f.both(n), "^")
		}
	}
	return nil
}

// foreignOr: `a || b`.
func foreignOr(f fault) *diag.Diagnostic {
	if f.token(0).Value == "|" && f.token(1).Value == "|" && f.adjacent(1) {
		return syntax(f.both(1), "write `or`", "this is written `or`, not `||`").FixWith(f.both(1), "or")
	}
	return nil
}

// ellipsis: `x[..., d]`.
func ellipsis(f fault) *diag.Diagnostic {
	if f.token(-1).Value == ".." && f.token(0).Value == "." && f.adjacent(-1) {
		return syntax(f.both(-1), "write `..`", "the axes left out are `..`, two dots").FixWith(f.both(-1), "..")
	}
	return nil
}

// slice: `x[:, 0]`, `x[1:]`.
func slice(f fault) *diag.Diagnostic {
	if f.token(0).Value != ":" || f.where == atTop || lineWords[f.tokens[0].Value] && f.tokens[0].Value != "return" {
		return nil
	}
	depth := 0
	for i := min(f.at, len(f.tokens)) - 1; i > 0; i-- {
		switch f.tokens[i].Value {
		case ")", "]":
			depth++
		case "(":
			depth--
		case "[":
			if depth--; depth < 0 && endsValue(f.tokens[i-1]) {
				return syntax(f.here(), "`take[axis](x)` gives the entries of an axis, `split[ab -> a, b](x)` cuts it", "tensors are not sliced with `:`")
			}
		}
		if depth < 0 {
			return nil
		}
	}
	return nil
}

// bracesAsValue: `norm = {eps = 1e-6}`.
func bracesAsValue(f fault) *diag.Diagnostic {
	if f.token(0).Value != "{" || f.where == atTop || f.token(-1).Type == typeIdent {
		return nil
	}
	return syntax(f.here(), "write a call: `name(attribute = value)`", "a value is built by a call, not by braces")
}

// colonForEquals: `vocab: 256`, `mla(heads: 4)`.
func colonForEquals(f fault) *diag.Diagnostic {
	if f.token(0).Value != ":" {
		return nil
	}
	place, written := f.here(), ":"
	if f.token(1).Value == "=" && f.adjacent(1) {
		place, written = f.both(1), ":="
	}
	what, name := "a setting", f.key()
	switch {
	case f.where == inSection && f.depth() == 0 && name != "":
	case f.where == inBlock && f.depth() == 0 && f.at == 1:
		what, name = "an equation", f.tokens[0].Value
	case f.where == inBlock && f.at == 2 && f.tokens[0].Value == "part":
		what, name = "a part", "part "+f.token(-1).Value
	case f.where != atTop && f.depth() > 0 && f.token(-1).Type == typeIdent:
		what, name = "an attribute", f.token(-1).Value
	default:
		return nil
	}
	return syntax(place, "write `"+name+" = …`", "%s is given with `=`, not `%s`", what, written).FixWith(place, " =")
}

// doubleEquals: `dim == 3`.
func doubleEquals(f fault) *diag.Diagnostic {
	if f.where == atTop {
		return nil
	}
	for i, token := range f.tokens {
		if token.Value == "=" {
			return nil
		}
		if token.Value != "==" {
			continue
		}
		key := fault{f.tokens, i, f.where}.key()
		if key == "" || lineWords[f.tokens[0].Value] && f.where == inBlock {
			return nil
		}
		place := tokenSpan(token)
		return syntax(place, "write `"+key+" = …`", "a value is given with `=`; `==` compares").FixWith(place, "=")
	}
	return nil
}

// plusEquals: `lr *= 2`.
func plusEquals(f fault) *diag.Diagnostic {
	for _, n := range []int{-1, 1} {
		first, second := f.token(min(n, 0)), f.token(max(n, 0))
		if second.Value == "=" && f.adjacent(n) && strings.Contains("+-*/%^", first.Value) && first.Value != "" {
			return syntax(f.both(n), "a name has one value: use a new name", "forge has no `%s=`", first.Value)
		}
	}
	return nil
}

// loop: `for i in 0..4 { … }` and `while` as statements.
func loop(f fault) *diag.Diagnostic {
	if len(f.tokens) == 0 || f.where != inSection && f.where != inBlock && f.where != atTop {
		return nil
	}
	first := f.tokens[0]
	if first.Value == "for" || first.Value == "while" && f.at <= 1 {
		return syntax(tokenSpan(first), "repetition is a list: `[… for i in 0..n]`", "forge has no loops")
	}
	const cure = "a condition is a value: `name = a if c else b`"
	if first.Value == "if" {
		return syntax(tokenSpan(first), cure, "forge has no `if` lines")
	}
	if f.token(0).Value != "{" {
		return nil
	}
	for n := -1; f.at+n > 0; n-- { // a line that begins with `if` goes on with the one before
		if f.token(n).Value == "if" && f.startsLine(n) {
			return syntax(tokenSpan(f.token(n)), cure, "forge has no `if` lines")
		}
	}
	return nil
}

// blockBrackets: a block's header with one pair of brackets, or without its result.
func blockBrackets(f fault) *diag.Diagnostic {
	if f.where != atTop || len(f.tokens) < 2 || f.tokens[0].Value != "block" || f.tokens[1].Type != typeIdent {
		return nil
	}
	pairs, depth := 0, 0
	for _, token := range f.tokens[:min(f.at, len(f.tokens))] {
		switch token.Value {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				pairs++
			}
		}
	}
	name := f.tokens[1].Value
	switch {
	case pairs == 0 && depth == 1 && f.token(0).Value == "[", pairs < 2 && depth == 0:
		return syntax(f.here(), "write `block "+name+"(attributes)(x[…]) -> […]`", "a block has two pairs of brackets: its attributes, then its inputs")
	case pairs == 1 && depth == 1 && f.inputWithoutAxes() != "":
		return syntax(f.here(), "write `"+f.inputWithoutAxes()+"[…]`", "an input says its axes")
	case pairs == 2 && f.token(0).Value != "->" && f.token(-1).Value == ")":
		return syntax(f.here(), "write `-> […]`", "a block says which axes it returns")
	}
	return nil
}

// inputWithoutAxes is the name at the fault, or before it, if a `[` should follow it.
func (f fault) inputWithoutAxes() string {
	if f.token(0).Type == typeIdent {
		return f.token(0).Value
	}
	if f.token(-1).Type == typeIdent {
		return f.token(-1).Value
	}
	return ""
}

// sectionHeader: `model {`, `model m = {`, `model "m" {`.
func sectionHeader(f fault) *diag.Diagnostic {
	if f.where != atTop || len(f.tokens) == 0 || f.tokens[0].Type != typeIdent || topWords[f.tokens[0].Value] {
		return nil
	}
	kind := f.tokens[0].Value
	switch {
	case f.at == 1 && f.token(0).Value == "{":
		return syntax(f.here(), "write `"+kind+" name {`", "a section needs a name")
	case f.at == 1 && f.token(0).Type == typeString:
		return syntax(f.here(), "a name stands without quotes", "a section's name is not text")
	case f.at == 2 && (f.token(0).Value == "=" || f.token(0).Value == ":"):
		return syntax(f.here(), "write `"+kind+" "+f.token(-1).Value+" {`", "a section has no `%s` before its braces", f.token(0).Value)
	case f.at == 2 && f.token(0).Type == typeIdent && f.token(1).Type == typeIdent:
		return syntax(f.here(), "did you mean `from`?", "a section is made from another with `from`").FixWith(f.here(), "from")
	case f.at >= 2 && f.ended():
		return syntax(f.here(), "write `{ … }` on this line", "a section has a body in braces")
	}
	return nil
}

// bodyInBraces: `block f()(x[d]) -> [d]:`.
func bodyInBraces(f fault) *diag.Diagnostic {
	if f.where != atTop || f.token(0).Value != ":" || f.at != len(f.tokens)-1 {
		return nil
	}
	return syntax(f.here(), "write `{ … }`", "a body stands in braces").FixWith(f.here(), " {")
}
