package dsl

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"forge/dsl/diag"
)

// The cures for what is missing or half written; those for habits from other languages are in cures.go.

// useText: `use tiny.forge`, `use "tiny.forge" tiny`, `use`; and `forge` without its number.
func useText(f fault) *diag.Diagnostic {
	if f.where != atTop || len(f.tokens) == 0 {
		return nil
	}
	first := f.tokens[0]
	switch {
	case first.Value == "forge":
		return syntax(tokenSpan(first), "write `forge 1`", "`forge` takes the number of a version")
	case first.Value != "use":
		return nil
	case len(f.tokens) == 1:
		return syntax(f.here(), "write `use \"…\"`", "`use` takes a file or plugin as text")
	case f.tokens[1].Type == typeIdent:
		var path strings.Builder
		for _, token := range f.tokens[1:] {
			path.WriteString(token.Value)
		}
		return syntax(spanOf(f.tokens[1:]), fmt.Sprintf("write `use %q`", path.String()), "`use` takes a file or plugin as text")
	case f.at == 2 && f.token(0).Type == typeIdent:
		return syntax(f.here(), "write `as "+f.token(0).Value+"`", "`as` is missing before the name").FixWith(f.here(), "as "+f.token(0).Value)
	}
	return nil
}

// numberAsAxis: `weight w[d, 4]`.
func numberAsAxis(f fault) *diag.Diagnostic {
	if f.token(0).Value == "," && f.token(1).Type == typeNumber {
		f.at++ // participle stops where the repetition did
	}
	before := f.token(-1).Value
	if f.token(0).Type != typeNumber || before != "[" && before != "," || f.where != inBlock && f.where != atTop {
		return nil
	}
	return syntax(f.here(), "give it one: `name = "+f.token(0).Value+"`", "an axis has a name, not a number")
}

// missingAxes: `weight w`.
func missingAxes(f fault) *diag.Diagnostic {
	first := lexer.Token{}
	if len(f.tokens) > 0 {
		first = f.tokens[0]
	}
	if f.where != inBlock || f.at != 2 || first.Value != "weight" && first.Value != "state" {
		return nil
	}
	name := f.token(-1).Value
	return syntax(f.here(), "write `"+first.Value+" "+name+"[…]`", "the axes of `%s` are missing", name)
}

// weightValue: `weight w[d] = zeros()`.
func weightValue(f fault) *diag.Diagnostic {
	if f.where != inBlock || f.tokens[0].Value != "weight" || f.token(0).Value != "=" || f.token(-1).Value != "]" {
		return nil
	}
	return syntax(f.here(), "write `~ …`", "what a weight starts with stands after `~`, not `=`").FixWith(f.here(), "~")
}

// severalResults: `return q, k`.
func severalResults(f fault) *diag.Diagnostic {
	if f.where != inBlock || f.tokens[0].Value != "return" || f.token(0).Value != "," || f.depth() > 0 {
		return nil
	}
	return syntax(f.here(), "", "a block returns one value")
}

// missingElse: `part p = x if c`.
func missingElse(f fault) *diag.Diagnostic {
	if closing := f.token(0).Value; !f.ended() && closing != ")" && closing != "]" && closing != "," && closing != "{" {
		return nil
	}
	depth, elses := 0, 0
	for i := min(f.at, len(f.tokens)) - 1; i >= 0; i-- {
		switch f.tokens[i].Value {
		case ")", "]":
			depth++
		case "(", "[":
			if depth--; depth < 0 {
				return nil
			}
		case ",", "=":
			if depth == 0 {
				return nil
			}
		case "else":
			if depth == 0 {
				elses++
			}
		case "if":
			if depth > 0 {
				continue
			}
			if elses--; elses < 0 && i < f.at-1 {
				return syntax(tokenSpan(f.tokens[i]), "write `… if … else …`", "an `if` has no `else`")
			}
		}
	}
	return nil
}

// noValue: `total =`.
func noValue(f fault) *diag.Diagnostic {
	before := f.token(-1)
	if !f.ended() || before.Value == "" {
		return nil
	}
	switch {
	case before.Value == "=" && f.depth() == 0:
		name := fault{f.tokens, f.at - 1, f.where}.key()
		if name == "" && f.at >= 2 {
			name = f.tokens[min(1, f.at-2)].Value
		}
		return syntax(tokenSpan(before), "write a value here", "`%s` has no value", name)
	case before.Value == "return" && f.at == 1:
		return syntax(tokenSpan(before), "write a value after it", "`return` has no value")
	case joinsNext[before.Value]:
		return syntax(tokenSpan(before), "", "after `%s` a value is missing", before.Value)
	}
	return nil
}

// missingEquals: `vocab 256`.
func missingEquals(f fault) *diag.Diagnostic {
	name := f.key()
	if f.where != inSection && f.where != inBlock || name == "" {
		return nil
	}
	switch {
	case f.ended():
		return syntax(f.here(), "write `"+name+" = …`", "`%s` has no value", name)
	case beginsValue(f.token(0)) || f.token(0).Value == "-":
		return syntax(f.here(), "write `"+name+" = …`", "a `=` is missing before this value")
	}
	return nil
}

// missingSeparator: `f(a b)`, `a = 1 b = 2`, `} x`.
func missingSeparator(f fault) *diag.Diagnostic {
	if f.where == afterDeclaration {
		return syntax(f.here(), "begin a new line", "nothing can follow the `}` on its line")
	}
	if !endsValue(f.token(-1)) || !beginsValue(f.token(0)) && f.token(0).Value != "let" || f.where == atTop && f.depth() == 0 {
		return nil
	}
	if _, suffix := suffixes[f.token(-1).Value]; suffix && f.token(-1).Type == typeUnit {
		number := f.token(-2).Value + f.token(-1).Value
		return syntax(tokenSpan(f.token(-2)).To(f.here()), "write `"+number+" "+f.token(0).Value+"`", "a suffix stands right after its number")
	}
	if f.depth() > 0 || f.where == inBlock && f.tokens[0].Value == "require" && f.token(0).Type == typeString {
		return syntax(f.here(), "", "a `,` is missing before this")
	}
	if f.where == inExpression {
		return nil
	}
	return syntax(f.here(), "begin a new line", "two things on one line")
}

// commaAtEnd: `dim = 3,`.
func commaAtEnd(f fault) *diag.Diagnostic {
	if comma := f.token(0).Value; comma != "," || f.depth() > 0 || f.where != inSection && f.where != inBlock {
		return nil
	}
	if f.at == len(f.tokens)-1 {
		return syntax(f.here(), "leave it out", "a line ends without `,`").FixWith(f.here(), "")
	}
	return syntax(f.here(), "write one setting a line", "settings are not separated by `,`")
}
