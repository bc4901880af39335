package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// textMethods are gonja's methods of text that agree with Python's, and split, which doesn't: it cuts one time too few. Methods that
// fill text up to a length are left out.
func textMethods() *exec.MethodSet[string] {
	methods := map[string]exec.Method[string]{"split": splitMethod(split), "rsplit": splitMethod(splitRight)}
	for _, name := range []string{"capitalize", "count", "endswith", "find", "isalnum", "isalpha", "isdecimal", "isdigit", "islower", "isnumeric",
		"isspace", "istitle", "isupper", "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rpartition",
		"rstrip", "splitlines", "startswith", "strip", "swapcase", "title", "upper"} {
		methods[name], _ = builtins.Methods.Str.Get(name)
	}
	return exec.NewMethodSet(methods)
}

// splitMethod is a method with the arguments of Python's split: a separator, and how often at most to cut.
func splitMethod(cut func(text, separator string, most int) []string) exec.Method[string] {
	return func(self string, _ *exec.Value, arguments *exec.VarArgs) (any, error) {
		separator, most := "", -1
		if err := arguments.Take(
			exec.PositionalArgument("sep", exec.AsValue(""), exec.StringArgument(&separator)),
			exec.PositionalArgument("maxsplit", exec.AsValue(-1), exec.IntArgument(&most)),
		); err != nil {
			return nil, exec.ErrInvalidCall(err)
		}
		out := []any{}
		for _, piece := range cut(self, separator, most) {
			out = append(out, piece)
		}
		return out, nil
	}
}

// split cuts at a separator, or, without one, at runs of white space, none of which is left at the ends.
func split(text, separator string, most int) []string {
	if separator != "" {
		if most < 0 {
			return strings.Split(text, separator)
		}
		return strings.SplitN(text, separator, most+1)
	}
	var out []string
	rest := strings.TrimLeftFunc(text, unicode.IsSpace)
	for rest != "" {
		end := strings.IndexFunc(rest, unicode.IsSpace)
		if end < 0 || len(out) == most {
			return append(out, rest)
		}
		out = append(out, rest[:end])
		rest = strings.TrimLeftFunc(rest[end:], unicode.IsSpace)
	}
	return out
}

// splitRight does the same from the end.
func splitRight(text, separator string, most int) []string {
	var out []string
	if separator == "" {
		rest := strings.TrimRightFunc(text, unicode.IsSpace)
		for rest != "" {
			start := strings.LastIndexFunc(rest, unicode.IsSpace)
			if start < 0 || len(out) == most {
				out = append(out, rest)
				break
			}
			_, size := utf8.DecodeRuneInString(rest[start:])
			out = append(out, rest[start+size:])
			rest = strings.TrimRightFunc(rest[:start], unicode.IsSpace)
		}
		slices.Reverse(out)
		return out
	}
	for rest := text; ; {
		at := strings.LastIndex(rest, separator)
		if at < 0 || len(out) == most {
			out = append(out, rest)
			slices.Reverse(out)
			return out
		}
		out = append(out, rest[at+len(separator):])
		rest = rest[:at]
	}
}
