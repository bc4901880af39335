package check

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// Whatever stands in a file, forge answers with errors in bounded time and memory.
func TestBadInput(t *testing.T) {
	model := func(cells string) string {
		return "forge 1\nmodel m {\n  vocab = 256\n  layers = []\n  " + cells + "\n}\n"
	}
	nested := func(open, middle, shut string) string {
		return model("dim = " + strings.Repeat(open, 10_000) + middle + strings.Repeat(shut, 10_000))
	}
	for name, x := range map[string]struct {
		files memory
		want  string
	}{
		"100 MB":            {memory{"f.forge": "forge 1\n" + strings.Repeat("# a comment of 32 characters ...\n", 100<<20/32)}, "error[E009]: this file is too large"},
		"100 MB, one line":  {memory{"f.forge": strings.Repeat("x", 100<<20)}, "error[E009]: this file is too large"},
		"long line":         {memory{"f.forge": model("dim = 1" + strings.Repeat(" + 1", 100_000))}, "error[E009]: this line is too long"},
		"zero bytes":        {memory{"f.forge": strings.Repeat("\x00", 1<<20)}, "error[E001]: this file has a zero byte"},
		"a zero byte":       {memory{"f.forge": model("dim = 4\x00")}, "error[E001]: this file has a zero byte"},
		"not UTF-8":         {memory{"f.forge": model("dim = 4 # \xc3\x28")}, "error[E001]: this file is not UTF-8 text"},
		"half a letter":     {memory{"f.forge": "forge 1\n# \xe2\x82"}, "error[E001]: this file is not UTF-8 text"},
		"a surrogate":       {memory{"f.forge": "forge 1\n# \xed\xa0\x80"}, "error[E001]: this file is not UTF-8 text"},
		"UTF-16":            {memory{"f.forge": "\xff\xfef\x00o\x00r\x00g\x00e\x00"}, "error[E001]: this file is UTF-16"},
		"nothing":           {memory{"f.forge": ""}, "error[E006]"},
		"round brackets":    {memory{"f.forge": nested("(", "1", ")")}, "error[E009]"},
		"square brackets":   {memory{"f.forge": nested("[", "1", "]")}, "error[E009]"},
		"braces":            {memory{"f.forge": nested("{", "1", "}")}, "error[E009]"},
		"never closed":      {memory{"f.forge": nested("(", "", "")}, "error[E009]"},
		"only closed":       {memory{"f.forge": nested("", "1", ")")}, "error[E005]"},
		"signs":             {memory{"f.forge": nested("-", "1", "")}, "error[E0"},
		"calls of calls":    {memory{"f.forge": nested("", "f", "()")}, "error[E009]"},
		"choices":           {memory{"f.forge": nested("1 if true else ", "1", "")}, "error[E009]"},
		"its own import":    {memory{"f.forge": "forge 1\nuse \"f.forge\"\n"}, "error[E402]"},
		"imports in circle": {memory{"f.forge": "forge 1\nuse \"g.forge\"\n", "g.forge": "forge 1\nuse \"h.forge\"\n", "h.forge": "forge 1\nuse \"f.forge\"\n"}, "error[E402]"},
		"cells in circle":   {memory{"f.forge": model("dim = a\n  let a = b + 1\n  let b = dim")}, "error[E106]"},
		"recipe of itself":  {memory{"f.forge": "forge 1\nrecipe r from r {}\n"}, "error[E100]"},
		"2^63":              {memory{"f.forge": model("dim = 9223372036854775808")}, "error[E"},
		"2^62":              {memory{"f.forge": model("dim = 4611686018427387904")}, "error[E303]"},
		"2^63 computed":     {memory{"f.forge": model("dim = 2 ^ 63")}, "error[E303]"},
		"2^31":              {memory{"f.forge": model("dim = 2 ^ 31")}, "error[E303]"},
		"many digits":       {memory{"f.forge": model("dim = 1" + strings.Repeat("0", 60_000))}, "error[E"},
		"a huge exponent":   {memory{"f.forge": model("dim = 1e999999999")}, "error[E"},
		"a huge power":      {memory{"f.forge": model("dim = 9 ^ 999999999")}, "error[E303]"},
		"a huge quantity":   {memory{"f.forge": "forge 1\nuse \"tiny\"\ntrain t from tiny.quick {\n  total = 9_999_999_999T tokens\n}\n"}, "error[E"},
		"infinity":          {memory{"f.forge": model("dim = inf")}, "error[E304]"},
		"infinity computed": {memory{"f.forge": model("dim = 1e300 * 1e300")}, "error[E309]"},
		"not a number":      {memory{"f.forge": model("dim = inf - inf")}, "error[E309]"},
		"0 times infinity":  {memory{"f.forge": model("dim = 0 * inf")}, "error[E309]"},
		"log of 0":          {memory{"f.forge": model("dim = log(0)")}, "error[E309]"},
		"above the folder":  {memory{"f.forge": "forge 1\nuse \"../../../../etc/passwd.forge\"\n"}, "error[E400]: there is no file ../../../../etc/passwd.forge"},
		"above the shipped": {memory{"f.forge": "forge 1\nuse \"../tiny\"\n"}, "error[E400]"},
		"an absolute path":  {memory{"f.forge": "forge 1\nuse \"/etc/passwd.forge\"\n"}, "error[E400]"},
		"a long range":      {memory{"f.forge": model("let r = [i for i in 0..2 ^ 62]")}, "error[E303]"},
		"many names":        {memory{"f.forge": "forge 1\n" + strings.Repeat("model m {}\n", 100_000)}, "error[E102]"},
		"many faults":       {memory{"f.forge": model(strings.Repeat("dim: 4\n", 100_000))}, "more"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			got := rendered(x.files, "f.forge")
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if !strings.Contains(got, x.want) {
				t.Errorf("want %q, got\n%.1500s", x.want, got)
			}
			if len(got) > 64<<10 {
				t.Errorf("%d bytes of errors", len(got))
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<30 {
				t.Errorf("%d MiB of memory passed through", used>>20)
			}
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			t.Logf("%v, %d MiB", took, (after.TotalAlloc-before.TotalAlloc)>>20)
		})
	}
}

// Line ends of other systems and a byte order mark change nothing but places.
func TestForeignLineEnds(t *testing.T) {
	plain := with(strings.Join([]string{"forge 1", "use \"tiny\"", "## A note.", "recipe r from tiny.tiny {", "  model.dim =", "    64", "}", ""}, "\n"))
	want := load(t, plain, "r.forge").Expand()
	for name, source := range map[string]string{
		"CRLF":         strings.ReplaceAll(plain["r.forge"], "\n", "\r\n"),
		"BOM":          "\ufeff" + plain["r.forge"],
		"BOM and CRLF": "\ufeff" + strings.ReplaceAll(plain["r.forge"], "\n", "\r\n"),
		"no last line": strings.TrimSuffix(plain["r.forge"], "\n"),
	} {
		if got := load(t, with(source), "r.forge").Expand(); got != want {
			t.Errorf("%s: the recipe is another one:\n%s", name, got)
		}
	}
}
