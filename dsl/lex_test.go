package dsl

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/participle/v2/lexer"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// rules say what the tokens are, as participle's lexer reads such rules. Outside of brackets a closing one has a rule of its own:
// popping the root state would make that lexer panic. The last rule of each state takes any character.
var rules = lexer.MustStateful(lexer.Rules{
	"Root": {
		{Name: "NL", Pattern: `\r?\n`},
		lexer.Include("Common"),
		{Name: "Stray", Pattern: `[)\]]`},
		{Name: "Unknown", Pattern: `[^\n]`},
	},
	"Bracket": {
		{Name: "wrap", Pattern: `\r?\n`},
		lexer.Include("Common"),
		{Name: "Close", Pattern: `[)\]]`, Action: lexer.Pop()},
		{Name: "Unknown", Pattern: `[^\n]`},
	},
	"Common": {
		{Name: "blank", Pattern: `[ \t]+`},
		{Name: "Word", Pattern: `(?:` + reserved + `)\b`},
		{Name: "Ident", Pattern: `[A-Za-z_][A-Za-z0-9_]*`},
		{Name: "Symbol", Pattern: `->|==|!=|<=|>=|\.\.|[{},.:=~+\-*/%^<>|]`},
		{Name: "Open", Pattern: `[(\[]`, Action: lexer.Push("Bracket")},
		{Name: "Number", Pattern: `[0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][+\-]?[0-9]+)?[A-Za-z0-9_]*`},
		{Name: "String", Pattern: `"(?:\\[^\r\n]|[^"\\\r\n])*"`},
		{Name: "BadString", Pattern: `"[^\r\n]*`},
		{Name: "Comment", Pattern: `#[^\n]*`},
	},
})

// checkTokens compares the tokenizer with the rules on a text.
func checkTokens(t interface {
	Helper()
	Fatalf(string, ...any)
}, source string) {
	t.Helper()
	names := map[lexer.TokenType]string{}
	for name, typ := range rules.Symbols() {
		names[typ] = name
	}
	want, err := rules.LexString("f", source)
	if err != nil {
		t.Fatalf("%v", err)
	}
	got := tokenizer{source: source, pos: lexer.Position{Filename: "f", Line: 1, Column: 1}}
	for {
		w, err := want.Next()
		if err != nil {
			t.Fatalf("%v in %q", err, source)
		}
		g := got.next()
		if w.Value != g.Value || w.Pos != g.Pos || symbols[names[w.Type]] != g.Type {
			t.Fatalf("%s %#v, want %s %#v in %q", tokenName(g.Type), g, names[w.Type], w, source)
		}
		if g.EOF() {
			return
		}
	}
}

func tokenName(typ lexer.TokenType) string {
	for name, t := range symbols {
		if t == typ {
			return name
		}
	}
	return "?"
}

// The tokenizer follows the rules on all shipped files, all wrong ones, and whatever fuzzing kept.
func TestTokensFollowTheRules(t *testing.T) {
	for _, source := range shipped(t) {
		checkTokens(t, source)
	}
	for _, pattern := range []string{"testdata/syntax/*.txtar", "testdata/errors/*.forge", "testdata/format/*", "testdata/fuzz/*/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(path, "/fuzz/") {
				_, line, _ := strings.Cut(string(text), "\n")
				quoted := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "string("), ")")
				source, err := strconv.Unquote(quoted)
				if err != nil {
					t.Fatal(path, err)
				}
				text = []byte(strings.ToValidUTF8(source, "?"))
			}
			if !strings.HasSuffix(path, ".txtar") {
				checkTokens(t, string(text))
				continue
			}
			for _, f := range txtar.Parse(text).Files {
				checkTokens(t, strings.ToValidUTF8(string(f.Data), "?"))
			}
		}
	}
}

// … and on texts put together from what is hard about them.
func TestTokensOfScraps(t *testing.T) {
	scraps := []string{"1", "_", ".", "..", "e", "E+", "e-3", "2k", "4Ki", "if", "iff", "in", "then", "not", "\"", "\\", "\\\"", "a b", " ", "\t", "\n",
		"\r\n", "\r", "(", ")", "[", "]", "{", "}", "#", "##", "=", "==", "!", "!=", "<", "<=", "-", "->", "~", "|", "%", "é", "→", "\ufeff", "Ki", "0"}
	rapid.Check(t, func(t *rapid.T) {
		checkTokens(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(scraps), 0, 24).Draw(t, "scraps"), ""))
	})
}
