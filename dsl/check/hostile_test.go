package check

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"forge/plugins/std"
)

// Huge, deep and circular blocks end in an error or a check, in bounded time.
func TestHostileBlocks(t *testing.T) {
	lines := func(n int, line func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(i))
			b.WriteByte('\n')
		}
		return b.String()
	}
	names := func(n int, prefix, sep string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%s%d", prefix, i)
		}
		return strings.Join(list, sep)
	}
	const head = "block f()(x[.., d]) -> [.., d] {\n"
	for name, k := range map[string]struct{ source, want string }{
		"chain upwards": {head + lines(6000, func(i int) string { return fmt.Sprintf("  a%d = a%d + 1", i, i+1) }) +
			"  a6000 = 1\n  return a0 * x\n}", "E009"},
		"chain downwards": {head + "  a0 = x\n" + lines(2000, func(i int) string { return fmt.Sprintf("  a%d = a%d + 1", i+1, i) }) + "  return a2000\n}", ""},
		"doubling sizes": {head + "  a0 = d + 1\n" + lines(60, func(i int) string { return fmt.Sprintf("  a%d = a%d * a%d + d", i+1, i, i) }) +
			"  weight w[d, a60]\n  return x * sum[a60](dot[d](x, w))\n}", ""},
		"many axes":   {"block f(" + names(1000, "a", ": axis, ") + ": axis)(x[.., d]) -> [.., d] {\n  weight w[" + names(1000, "a", ", ") + "]\n  return x * w\n}", "E009"},
		"wide inputs": {"block f()(x[" + names(1000, "a", ", ") + "]) -> [" + names(1000, "a", ", ") + "] {\n  return x\n}", "E009"},
		"growing axes": {"block f(" + names(100, "a", ": axis, ") + ": axis)(x[.., d]) -> [.., d] {\n" +
			lines(100, func(i int) string { return fmt.Sprintf("  weight w%d[d, a%d]", i, i) }) + "  y0 = x\n" +
			lines(100, func(i int) string { return fmt.Sprintf("  y%d = dot[d](x, w%d) * sum[d](y%d)", i+1, i, i) }) + "  return y100\n}", "error"},
		"long circle": {lines(1000, func(i int) string {
			return fmt.Sprintf("block b%d()(x[.., d]) -> [.., d] {\n  part p = b%d()\n  return p(x)\n}", i, (i+1)%1000)
		}), "E107"},
		"chain of blocks": {"block b1000()(x[.., d]) -> [.., d] {\n  return x\n}\n" + lines(1000, func(i int) string {
			return fmt.Sprintf("block b%d()(x[.., d]) -> [.., d] {\n  part p = b%d()\n  return p(x)\n}", i, i+1)
		}), ""},
		"deep parts": {"use \"tiny\"\nblock b400()(x[.., d]) -> [.., d] {\n  return x\n}\n" + lines(400, func(i int) string {
			return fmt.Sprintf("block b%d()(x[.., d]) -> [.., d] {\n  part p = b%d()\n  return p(x)\n}", i, i+1)
		}) + "recipe r from tiny.tiny {\n  model.dense = b0()\n}\n", "E009"},
		"switches": {"block f(" + names(6, "s", ": bool, ") + ": bool)(x[.., d]) -> [.., d] {\n  y0 = x\n" +
			lines(500, func(i int) string { return fmt.Sprintf("  y%d = y%d + 1 if s%d else y%d", i+1, i, i%6, i) }) + "  return y500\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got := rendered(memory{"f.forge": "forge 1\n" + k.source + "\n"}, "f.forge")
			if (k.want == "") != (got == "") || !strings.Contains(got, k.want) {
				t.Errorf("want %q, got\n%.1500s", k.want, got)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}

// blockSources are the blocks that the tests and the standard library are made of.
func blockSources(t testing.TB) []string {
	var sources []string
	for _, path := range []string{"testdata/blocks.txtar", "testdata/accepted.txtar"} {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range a.Files {
			if strings.HasSuffix(file.Name, ".forge") {
				sources = append(sources, string(file.Data))
			}
		}
	}
	for _, name := range []string{"attention", "moe", "mtp", "layer"} {
		source, err := std.FS.ReadFile(name + ".forge")
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, string(source))
	}
	return sources
}

var token = regexp.MustCompile(`[A-Za-z_]\w*|[0-9][\w.]*|->|[=!<>]=|\.\.|"[^"\n]*"|#[^\n]*|\s+|.`)

// Whatever words of blocks are swapped, dropped or put elsewhere, nothing panics, and what is accepted can be applied.
func TestScrambledBlocks(t *testing.T) {
	sources := blockSources(t)
	var words []string
	for _, s := range sources {
		words = append(words, token.FindAllString(s, -1)...)
	}
	rapid.Check(t, func(t *rapid.T) {
		tokens := token.FindAllString(rapid.SampledFrom(sources).Draw(t, "source"), -1)
		for range rapid.IntRange(1, 4).Draw(t, "edits") {
			i := rapid.IntRange(3, len(tokens)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "edit") {
			case 0:
				tokens[i] = rapid.SampledFrom(words).Draw(t, "word")
			case 1:
				tokens[i] = tokens[rapid.IntRange(0, len(tokens)-1).Draw(t, "from")]
			case 2:
				tokens[i] = ""
			case 3:
				tokens[i] += " " + rapid.SampledFrom(words).Draw(t, "word")
			}
		}
		files := memory{"f.forge": strings.Join(tokens, "")}
		rendered(files, "f.forge")
		if r, _ := Load(files, "f.forge", nil); r != nil {
			for _, l := range r.Model.Layers {
				checkBody(t, l.Body(r.Model.stateAxes()), map[*Body]bool{})
			}
		}
	})
}

// FuzzBlocks: no block makes the checker panic or hang.
func FuzzBlocks(f *testing.F) {
	for _, s := range blockSources(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		rendered(memory{"f.forge": source}, "f.forge")
	})
}
