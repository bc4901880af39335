package dsl

import (
	"strings"
	"testing"
	"time"
)

// Texts that are made to be slow take time in proportion to their length. (At the 4 MiB limit each of these takes below 7 s on
// two slow cores; here they are a sixty-fourth as long.)
func TestBoundedTime(t *testing.T) {
	fill := func(text string) string { return strings.Repeat(text, maxFile/64/len(text)) }
	in := func(text string) string { return "forge 1\nmodel m {\n" + text + "}\n" }
	for name, source := range map[string]string{
		"open brackets":      fill("(\n"),
		"bracket lines":      fill(strings.Repeat("(", 60000) + "\n"),
		"open braces":        fill("{\n"),
		"closers":            fill("}\n"),
		"unclosed calls":     in(fill("a = f(\n")),
		"unclosed sections":  fill("model m {\n"),
		"unknown characters": fill("a = ? \n"),
		"unclosed texts":     fill("f(\"abc\n"),
		"cells":              in(fill("a=1\n")),
		"wrong cells":        in(fill("a: 1\n")),
		"empty cells":        in(fill("a =\n")),
		"one list":           in("a = [" + fill("1,\n") + "]\n"),
		"one sum":            in("a = " + fill("1 +\n") + "1\n"),
		"documentation":      fill("## abc\n") + "model m {}\n",
		"wide letters":       in(fill("a = \"äöüäöüäöü\"\n")),
		"blanks":             fill(strings.Repeat(" ", 60000) + "\n"),
	} {
		start := time.Now()
		file, _ := Parse("f", source)
		_ = Format(file)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: %v", name, took)
		}
	}
}

func BenchmarkParseDeepSeekV3(b *testing.B) {
	source := shipped(b)["../recipes/deepseek_v3.forge"]
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		if _, list := Parse("deepseek_v3.forge", source); len(list) > 0 {
			b.Fatal(list)
		}
	}
}

func BenchmarkFormatDeepSeekV3(b *testing.B) {
	file, _ := Parse("deepseek_v3.forge", shipped(b)["../recipes/deepseek_v3.forge"])
	for b.Loop() {
		_ = Format(file)
	}
}
