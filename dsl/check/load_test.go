package check

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"

	"forge/dsl/diag"
	"forge/recipes"
)

// shipped has no files of its own: only shipped recipes can be loaded.
var shipped = memory{}

// with is a file system of one recipe file beside the shipped ones.
func with(source string) memory { return memory{"r.forge": source} }

// load loads a recipe that must be good.
func load(t testing.TB, files Files, name string, sets ...string) *Recipe {
	t.Helper()
	r, list := Load(files, name, sets)
	if list.HasErrors() {
		t.Fatalf("%s %q: %v", name, sets, report(files, sets, list))
	}
	return r
}

// faults loads a recipe and renders what is said about it.
func faults(files Files, name string, sets ...string) string {
	_, list := Load(files, name, sets)
	return report(files, sets, list)
}

func report(files Files, sets []string, list diag.List) string {
	var b bytes.Buffer
	diag.Render(&b, list, Sources(files, sets), false)
	return b.String()
}

// The numbers of language.md section 21.
func TestNumbers(t *testing.T) {
	for _, want := range []struct {
		name           string
		sets           []string
		n              Counts
		steps, tokens  []int64
		tensors, rests int
	}{
		{"tiny", nil, Counts{1417728, 754176, 417504, 32, 8}, []int64{400}, []int64{819200}, 0, 0},
		{"tiny_gqa", nil, Counts{1409152, 745600, 415360, 32, 8}, []int64{400}, []int64{819200}, 0, 0},
		{"tiny", []string{"model.dim=64", "model.attn=gqa(heads = 4, head = 16)"}, Counts{671808, 340032, 191296, 32, 8}, []int64{400}, []int64{819200}, 0, 0},
		{"deepseek_v3", nil, Counts{671026404352, 37552282624, 11610067968, 15104, 256}, []int64{242861}, []int64{14800004055040}, 46181, 1},
		{"ablations:dsv3_gqa", nil, Counts{674836083712, 41361961984, 11672521728, 15104, 256}, []int64{242861}, []int64{14800004055040}, 0, 0},
		{"deepseek_v3_long", nil, Counts{671026404352, 37552282624, 11610067968, 15104, 256}, []int64{242861, 1000, 1000},
			[]int64{14800004055040, 62914560000, 62914560000}, 46181, 1},
	} {
		r := load(t, shipped, want.name, want.sets...)
		if n := r.Model.Count(); n != want.n {
			t.Errorf("%s %v: %+v, want %+v", want.name, want.sets, n, want.n)
		}
		if len(r.Stages) != len(want.steps) {
			t.Fatalf("%s: %d stages", want.name, len(r.Stages))
		}
		for i, s := range r.Stages {
			if s.NumSteps != want.steps[i] || s.NumTokens != want.tokens[i] {
				t.Errorf("%s, stage %s: %d steps, %d tokens, want %d and %d", want.name, s.Name, s.NumSteps, s.NumTokens, want.steps[i], want.tokens[i])
			}
		}
		if (r.Names != nil) != (want.tensors > 0) {
			t.Fatalf("%s: names %v", want.name, r.Names)
		}
		if r.Names != nil && (r.Names.Count() != want.tensors || r.Names.Resting != want.rests || len(r.Names.Tensors) != want.tensors+2) {
			t.Errorf("%s: %d tensors and %d lines at rest, want %d and %d", want.name, r.Names.Count(), r.Names.Resting, want.tensors, want.rests)
		}
	}
}

// All shipped files are free of errors and warnings.
func TestShippedRecipes(t *testing.T) {
	for _, name := range recipes.Names() {
		if name == "hybrid" {
			continue // needs a plugin: TestPlugin
		}
		if _, list := File(shipped, name); len(list) > 0 {
			t.Errorf("%s: %s", name, report(shipped, nil, list))
		}
	}
}

func TestSetExamples(t *testing.T) {
	for _, want := range []struct{ set, text string }{
		{"train.lr=1e-3", "warning[W001]: `train.lr` was a schedule; it is now one number to the end\n" +
			" --> --set:1:1\n  |\n1 | train.lr=1e-3\n  | ^^^^^^^^ warm-up and decay are gone\n  = to scale it instead: --set train.peak=1e-3\n"},
		{"train.totl=1k", "error[E101]: a train has no setting `totl`\n --> --set:1:7\n  |\n1 | train.totl=1k\n  |       ^^^^ did you mean `total`?\n" +
			"  = a train has: total, seq, batch, optim, lr, clip, mtp_weight, precision, model\n  = for a helper cell of your own, write `let totl = …`\n"},
		{"train.total=1k", "error[E301]: `total` counts something: say what\n --> --set:1:13\n  |\n1 | train.total=1k\n  |             ^^ write `1k tokens` or `1k steps`\n"},
	} {
		if got := faults(shipped, "tiny", want.set); got != want.text {
			t.Errorf("%s:\n%s\nwant\n%s", want.set, got, want.text)
		}
	}
	const want = "model    tiny_v3: 1.4177M parameters (754176 active per token), MTP 417504 more, 32 of state; 4 layers\n" +
		"stage    quick: 400 steps, 819200 tokens\n" +
		"           step        0          0 tokens  batch    16  lr 0\n" +
		"           step       50     102400 tokens  batch    16  lr 0.002\n"
	if got := load(t, shipped, "tiny", "train.peak=2e-3").Summary(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	v3 := load(t, shipped, "deepseek_v3").Summary()
	for _, part := range []string{"671.0264B parameters (37.5523B active per token), MTP 11.6101B more", "242861 steps, 14.8T tokens",
		"46181 tensors in the checkpoint, every weight named once"} {
		if !strings.Contains(v3, part) {
			t.Errorf("the summary of deepseek_v3 lacks %q:\n%s", part, v3)
		}
	}
}

// A second `--set` is on the second line of the file that its errors point into.
func TestSetLines(t *testing.T) {
	got := faults(shipped, "tiny", "train.peak=1e-3", "model.dimm=64")
	if !strings.Contains(got, " --> --set:2:7\n  |\n2 | model.dimm=64\n  |       ^^^^ did you mean `dim`?") {
		t.Error(got)
	}
}

func TestWhichRecipe(t *testing.T) {
	for name, want := range map[string]string{
		"tinny":            "there is no shipped recipe `tinny`",
		"ablations":        "write `ablations:NAME` with one of: tiny_aux, dsv3_gqa, grid",
		"ablations:tiny_x": "did you mean",
		"none.forge":       "there is no file none.forge",
		"h800":             "h800.forge has no recipe section",
	} {
		if got := faults(shipped, name); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if r := load(t, with("forge 1\nuse \"tiny\"\nrecipe a from tiny.tiny {}\nrecipe r from tiny.tiny {}\n"), "r.forge"); r.Name != "r" {
		t.Errorf("the recipe called like its file is %s", r.Name)
	}
}

// Two loads print the same, and nothing depends on where the files lie.
func TestDeterminism(t *testing.T) {
	for _, name := range []string{"tiny", "deepseek_v3_long"} {
		if a, b := load(t, shipped, name).Expand(), load(t, shipped, name).Expand(); a != b {
			t.Errorf("%s expands differently", name)
		}
	}
}

func TestModelsAreInterned(t *testing.T) {
	r := load(t, shipped, "deepseek_v3_long")
	if r.Stages[1].Model != r.Model || r.Stages[2].Model != r.Model {
		t.Error("the long stages have the recipe's model")
	}
	pre := r.Stages[0].Model
	if pre == r.Model {
		t.Error("pretraining has plain rotary positions")
	}
	if pre.Layers[3] != pre.Layers[60] || pre.Layers[0] == pre.Layers[3] || pre.Norm != r.Model.Norm {
		t.Error("equal blocks are not the same")
	}
	if p := pre.Layers[0].Attrs["attn"].(*Built).Attrs["pos"].(*Record).Pos(); p.Kind != "rotary" || p.Theta != 10000 {
		t.Errorf("pretraining turns by %+v", p)
	}
	p := r.Model.Layers[0].Attrs["attn"].(*Built).Attrs["pos"].(*Record).Pos()
	if *p != (Pos{"yarn", 10000, "interleaved", 40, 4096, 32, 1, 1, 1}) {
		t.Errorf("the published model turns by %+v", p)
	}
	if want := math.Pow(0.1*math.Log(40)+1, 2); math.Abs(p.Scale()-want) > 1e-12 {
		t.Errorf("scale %v, want %v", p.Scale(), want)
	}
}

// Checking DeepSeek-V3 is quick and small.
func TestLoadIsQuick(t *testing.T) {
	load(t, shipped, "deepseek_v3")
	start := time.Now()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := load(t, shipped, "deepseek_v3")
	runtime.ReadMemStats(&after)
	if d := time.Since(start); d > time.Minute {
		t.Errorf("%v", d)
	}
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 150 {
		t.Errorf("%d MiB", mib)
	}
	if steps := r.assembly.c.steps; steps > 60_000 {
		t.Errorf("%d steps of evaluation", steps)
	}
}

func BenchmarkDeepSeekV3(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		load(b, shipped, "deepseek_v3")
	}
}

// What is endless, huge or circular is refused, quickly.
func TestBounds(t *testing.T) {
	chain := "dim = a0\nlayers = []\n"
	for i := range 9000 {
		chain += fmt.Sprintf("let a%d = a%d + 1\n", i, i+1)
	}
	twins := "let a0 = [1]\n"
	for i := range 60 {
		twins += fmt.Sprintf("let a%d = [a%d, a%d]\n", i+1, i, i)
	}
	doubled := "let a0 = [1]\n"
	for i := range 60 {
		doubled += fmt.Sprintf("let a%d = a%d + a%d\n", i+1, i, i)
	}
	for name, x := range map[string]struct{ cells, code string }{
		"range":     {"let r = 0..100001\ndim = 4\nlayers = r", "E303"},
		"nested":    {"let r = [[[i for i in 0..3000] for j in 0..3000] for k in 0..3000]\nlayers = r", "E506"},
		"chain":     {chain + "let a9000 = 1", "E009"},
		"twins":     {twins + "layers = a60", "E506"},
		"doubled":   {doubled + "layers = a60", "E506"},
		"overflow":  {"dim = 2 ^ 63\nlayers = []", "E303"},
		"product":   {"dim = 4000000000 * 4000000000\nlayers = []", "E303"},
		"zero":      {"dim = 1 / 0\nlayers = []", "E309"},
		"nan":       {"dim = inf - inf\nlayers = []", "E309"},
		"root":      {"dim = sqrt(-1)\nlayers = []", "E309"},
		"infinite":  {"dim = inf\nlayers = []", "E30"},
		"large":     {"dim = 2 ^ 40\nlayers = []", "E303"},
		"negative":  {"dim = 0 - 4\nlayers = []", "E303"},
		"circle":    {"dim = a\nlet a = b\nlet b = c\nlet c = dim\nlayers = []", "E106"},
		"self":      {"dim = m.dim\nlayers = []", "E100"},
		"fractions": {"dim = 3 / 2\nlayers = []", "E304"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, list := File(with("forge 1\nmodel m {\nvocab = 256\n"+x.cells+"\n}\n"), "r.forge")
			got := report(shipped, nil, list)
			if !strings.Contains(got, "error["+x.code) {
				t.Errorf("want %s:\n%.2000s", x.code, got)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}

// FuzzSet: no `--set` makes the checker panic or hang.
func FuzzSet(f *testing.F) {
	for _, s := range []string{"model.dim=64", "train.lr=1e-3", "model.layers[0].ffn.hidden=96", "stages=[]", "stages[0].optim.betas[1]=2",
		"model=none", "train.batch=ramp(1, 0.5, over = 3 steps) then 2", "model.mtp=none", "data.sources[0]=jsonl(\"x\")", "run.plan.devices=3",
		"model.gate.bias=cosine(to = 0, over = 1 steps)", "train.total=9000000000T tokens", "model.depth=0", "model.attn=mtp(attn)",
		"train.model.norm.eps=0", "model.layers=[norm]", "train.peak=any([1,2])", "model.gate=gate", "weights=hf", "train.seq=2^31",
		"train.lr=hold(until = 1 tokens)", "train.batch=0", "a[b[c]].d=(", "model.expert=[expert]", "train.optim=adamw(groups = [group(\"**\")])"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, set string) {
		r, list := Load(shipped, "tiny", []string{set})
		if (r == nil) != list.HasErrors() {
			t.Errorf("recipe %v with %v", r != nil, list)
		}
		for _, d := range list {
			if d.Main().IsZero() {
				t.Errorf("%s is nowhere: %s", d.Code, d.Message)
			}
		}
		if r != nil && r.Model.Count().Params < 1<<30 && len(r.Model.Layers) < 100 {
			again := memory{"again.forge": r.Expand()}
			r2, list := Load(again, "again.forge", nil)
			if r2 == nil {
				t.Fatalf("the resolved recipe is refused: %s\n%s", report(again, nil, list), again["again.forge"])
			}
			if r2.Expand() != again["again.forge"] {
				t.Errorf("expanding again changes the text:\n%s\n%s", again["again.forge"], r2.Expand())
			}
		}
	})
}

// FuzzFile: no file makes the checker panic or hang.
func FuzzFile(f *testing.F) {
	for _, n := range recipes.Names() {
		s, err := recipes.FS.ReadFile(n + ".forge")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(s))
	}
	wrong, err := os.ReadDir("testdata/errors")
	if err != nil {
		f.Fatal(err)
	}
	for _, w := range wrong {
		if path.Ext(w.Name()) == ".forge" {
			s, err := os.ReadFile("testdata/errors/" + w.Name())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(s))
		}
	}
	f.Fuzz(func(t *testing.T, source string) {
		File(memory{"recipes/x.forge": source}, "recipes/x.forge")
	})
}
