package dsl

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// checkDirect compares, for every declaration of a text, the tree that is read directly with the generated parser's.
func checkDirect(t interface {
	Helper()
	Errorf(string, ...any)
}, source string) (declarations int) {
	t.Helper()
	p := scanned("f", source)
	for {
		tokens := p.declaration()
		if len(tokens) == 0 {
			return declarations
		}
		if dropped(tokens) || tooDeep(tokens) != nil {
			continue
		}
		declarations++
		want, err := run(declParser, tokens)
		if err != nil {
			want = nil
		}
		if d := cmp.Diff(want, readDirect(tokens), cmp.AllowUnexported(decl{})); d != "" {
			t.Errorf("-generated +direct\n%s\nof %q (%v)", d, source, err)
		}
	}
}

// The direct parser takes what the grammar takes, and nothing else.
func TestDirectFollowsTheGrammar(t *testing.T) {
	n := 0
	for _, source := range shipped(t) {
		n += checkDirect(t, source)
	}
	archives, err := filepath.Glob("testdata/syntax/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(archives, "check/testdata/blocks.txtar", "check/testdata/recipes.txtar", "check/testdata/accepted.txtar") {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			n += checkDirect(t, string(f.Data))
		}
	}
	for _, body := range []string{
		"weight = 1", "weight, a = split[d -> a, b](x)", "part: [d] = x", "part p[e] = f()", "require = 3", "require, b = take[d](x)", "return = x",
		"return: [d] = x", "loss = 1", "update - 1 = 2", "state s[] = (1) if a", "weight w[d] ~ f(1) if a if b", "x = a if b else c if d else e",
		"x = [a for i in 0..3, b, ]", "x = [,]", "x = f(,)", "x = f(a = 1, 2,)", "x = f(a == 1)", "x = a[..]", "x = a[.. -> b]", "x = a[b ->]",
		"x = a.b.c(d)[e]", "x = - - a", "x = not -a", "x = 3 tokens", "x = (3)(4)", "x = 1 2", "x = a b", "x: [..] = y", "x: [d,] = y", "return", "require",
		"return x, y", "require a, \"b\"", "require a, b", "metric m = none if a else 2", "x = \"a\".b", "x = true", "x = a then b then c",
	} {
		n += checkDirect(t, "forge 1\nblock b(a: \"x\" | none = 1, b: block([..] -> [d]),)(x[.., d]) -> [d] {\n  "+body+"\n}\n")
	}
	for _, text := range []string{
		"forge x {}", "use x {}", "block x {}", "kind x {}", "block b() {}", "kind k()", "kind k(a,) -> b | c", "block b()() -> []", "model m from a.b(1)[2] {}",
		"model m { let a = 1 }", "model m { a.b[1].c = 2\n \"x\" = 3 }", "model m {\n\n}", "use \"a\" as b", "use \"a\" b", "forge 1 2", "weights w { let \"a\" = b }",
		"model m from { a = 1 }", "block b(a)(x[d],) -> [d] {}", "model m { a = 1 } model n {}", "model m { = }", "from from from from {}",
	} {
		n += checkDirect(t, text+"\n")
	}
	if n < 300 {
		t.Errorf("only %d declarations compared", n)
	}
}
