package check

import (
	"strings"
	"testing"
)

// small is a recipe to change: a model of one kind of layer, and helper cells that depend on each other.
const small = `forge 1

model m {
  vocab = 256
  dim = width * 4
  let width = 8
  let depth = 3
  let norm = rms_norm(eps = eps)
  let eps = 1e-6
  let ffn = swiglu(2 * dim)
  layers = [layer(gqa(heads = width / 2, head = 4), ffn, norm = norm) for i in 0..depth]
}

data d {
  sources = [text("x")]
  tokenizer = bytes()
}

train t {
  total = 100 steps
  seq = 16
  batch = 4
  let peak = 1e-3
  optim = adamw()
  lr = ramp(0, peak, over = 0.1 * total) then hold(until = 50 steps) then linear(to = peak / 10, over = 50 steps)
}

recipe r {
  model = m
  data = d
  stages = [t]
}
`

// The kind's own cells are settings: m's norm is one, so it takes no let.
var smallFiles = memory{"small.forge": strings.Replace(small, "let norm", "norm", 1)}

func hidden(r *Recipe, layer int) Int {
	return r.Model.Layers[layer].Attrs["ffn"].(*Built).Attrs["hidden"].(Int)
}

// A cell reaches all that depend on it, whichever way it is replaced.
func TestReplacedCells(t *testing.T) {
	eps := func(r *Recipe) Float { return r.Model.Layers[0].Attrs["norm"].(*Built).Attrs["eps"].(Float) }
	for _, x := range []struct {
		set   string
		holds func(r *Recipe) bool
	}{
		{"model.depth=3", func(r *Recipe) bool { return r.Model.Dim == 32 && len(r.Model.Layers) == 3 && hidden(r, 0) == 64 }},
		{"model.width=16", func(r *Recipe) bool { return r.Model.Dim == 64 && hidden(r, 2) == 128 }},
		{"model.dim=16", func(r *Recipe) bool { return r.Model.Dim == 16 && hidden(r, 0) == 32 }},
		{"model.eps=0.5", func(r *Recipe) bool { return eps(r) == 0.5 && r.Model.Norm.Attrs["eps"] == Float(0.5) }},
		{"model.norm.eps=0.5", func(r *Recipe) bool { return eps(r) == 0.5 && r.Model.Norm.Attrs["eps"] == Float(0.5) }},
		{"model.norm.eps=width", func(r *Recipe) bool { return eps(r) == 8 }}, // read in the table whose cell it replaces
		{"model.layers[1].ffn.hidden=7", func(r *Recipe) bool { return hidden(r, 0) == 64 && hidden(r, 1) == 7 && hidden(r, 2) == 64 }},
		{"model.ffn=swiglu(dim)", func(r *Recipe) bool { return hidden(r, 0) == 32 }},
		{"model=m(width = 4)", func(r *Recipe) bool { return r.Model.Dim == 16 && hidden(r, 0) == 32 }},
		{"stages=[t(seq = 8)]", func(r *Recipe) bool { return r.Stages[0].Seq == 8 }},
		{"stages[0].seq=8", func(r *Recipe) bool { return r.Stages[0].Seq == 8 && r.Stages[0].NumTokens == 3200 }},
		{"train.total=200 steps", func(r *Recipe) bool { return r.Stages[0].LR.Pieces[0].End == 20*64 }},
		{"train.optim.betas[1]=0.5", func(r *Recipe) bool { return r.Stages[0].Optim.Beta2 == 0.5 && r.Stages[0].Optim.Beta1 == 0.9 }},
		{"train.optim.decay=0", func(r *Recipe) bool { return r.Stages[0].Optim.Decay == 0 }},
		{"train.model.norm.eps=0.5", func(r *Recipe) bool {
			return r.Model.Norm.Attrs["eps"] == Float(1e-6) && r.Stages[0].Model.Norm.Attrs["eps"] == Float(0.5)
		}},
		{"data.tokenizer=bpe(\"t.json\", vocab = 256)", func(r *Recipe) bool { return r.Data.Tokenizer.Path == "t.json" }},
		{"data.tokenizer=bpe(train = gosource(), vocab = 256)", func(r *Recipe) bool {
			k := r.Data.Tokenizer
			return k.Path == "" && len(k.Train) == 1 && k.Train[0].Kind == "gosource"
		}},
		{"data.tokenizer=bpe(train = [text(\"a\"), jsonl(\"b\", field = \"c\")], vocab = 256)", func(r *Recipe) bool {
			k := r.Data.Tokenizer.Train
			return len(k) == 2 && k[0].Path == "a" && k[1].Kind == "jsonl" && k[1].Field == "c"
		}},
		{"data.sources[0].weight=2", func(r *Recipe) bool { return r.Data.Sources[0].Weight == 2 && r.Data.Sources[0].Path == "x" }},
	} {
		sets := []string{x.set}
		if x.set == "train.total=200 steps" {
			sets = append(sets, "train.lr=ramp(0, peak, over = 0.1 * total) then 1")
		}
		if r := load(t, smallFiles, "small.forge", sets...); !x.holds(r) {
			t.Errorf("%s: %s", x.set, r.Expand())
		}
	}
}

// Replacing one attribute computes the defaults that depend on it anew, and leaves what was written.
func TestReplacedAttributes(t *testing.T) {
	for set, want := range map[string][2]Int{
		"model.a=gqa(heads = 4, head = 4)":               {4, 4},
		"model.a.heads=8":                                {8, 8}, // kv_heads is heads by default
		"model.a.kv_heads=2":                             {4, 2},
		"model.layers[0].attn.heads=8":                   {8, 8},
		"model.b=gqa(heads = 8, kv_heads = 4, head = 4)": {4, 4},
	} {
		src := strings.Replace(small, "gqa(heads = width / 2, head = 4)", "a", 1)
		src = strings.Replace(src, "let eps", "let a = gqa(heads = 4, head = 4)\n  let b = gqa(heads = 4, kv_heads = 4, head = 4)\n  let eps", 1)
		src = strings.Replace(src, "let norm", "norm", 1)
		r := load(t, memory{"small.forge": src}, "small.forge", set)
		a := r.Model.Layers[0].Attrs["attn"].(*Built)
		if a.Attrs["heads"] != want[0] || a.Attrs["kv_heads"] != want[1] {
			t.Errorf("%s: heads %v, kv_heads %v", set, a.Attrs["heads"], a.Attrs["kv_heads"])
		}
	}
	given := strings.Replace(strings.Replace(small, "let norm", "norm", 1), "gqa(heads = width / 2, head = 4)", "gqa(heads = 4, kv_heads = 4, head = 4)", 1)
	r := load(t, memory{"small.forge": given}, "small.forge", "model.layers[0].attn.heads=8")
	if a := r.Model.Layers[0].Attrs["attn"].(*Built); a.Attrs["kv_heads"] != Int(4) {
		t.Errorf("kv_heads was written as 4 and is %v", a.Attrs["kv_heads"])
	}
}

// `from` is the same operation; of two paths the longer is applied later, and what is derived comes after what it derives from.
func TestFrom(t *testing.T) {
	src := "forge 1\nuse \"small.forge\" as s\n" +
		"model wide from s.m {\n  let extra = 5\n  width = 16\n  layers = [layer(gqa(heads = 2, head = 4), ffn, norm = norm) for i in 0..extra]\n}\n" +
		"recipe a from s.r { model = wide }\n" +
		"recipe b from a {\n  model.ffn.hidden = 9\n  model.ffn = swiglu(11)\n}\n" +
		"recipe c from b { model.ffn = swiglu(13) }\n" +
		"recipe d from c { model = s.m }\n" +
		"train long from s.t { total = 200 steps\n  lr = peak }\n" +
		"recipe e from s.r { stages = [long, long(peak = 2)] }\n"
	files := memory{"x.forge": src, "small.forge": smallFiles["small.forge"]}
	if r := load(t, files, "x.forge:a"); r.Model.Dim != 64 || len(r.Model.Layers) != 5 || hidden(r, 0) != 128 {
		t.Error("a:", r.Model.Dim, len(r.Model.Layers))
	}
	if r := load(t, files, "x.forge:b"); hidden(r, 0) != 9 {
		t.Error("the longer path is applied later:", hidden(r, 0))
	}
	if r := load(t, files, "x.forge:c"); hidden(r, 0) != 13 {
		t.Error("what is replaced takes its changes along:", hidden(r, 0))
	}
	if r := load(t, files, "x.forge:d"); r.Model.Dim != 32 || hidden(r, 0) != 64 {
		t.Error("d:", r.Model.Dim)
	}
	r := load(t, files, "x.forge:e")
	if one, _ := r.Stages[0].LR.Constant(); one != 1e-3 || r.Stages[1].StartTokens != 200*64 || r.Stages[1].StartSteps != 200 {
		t.Errorf("e: %+v", r.Stages[1])
	}
	if two, _ := r.Stages[1].LR.Constant(); two != 2 {
		t.Error("e: a call on a table")
	}
}

// One small wrong recipe for each rule of tables, values and recipes, with a piece of what is said.
func TestWrongTables(t *testing.T) {
	for _, x := range []struct{ change, to, code, text string }{
		{"seq = 16", "", "E104", "`t` does not say `seq`"},
		{"vocab = 256", "vocab = 256.5", "E304", "the axis `vocab` would have 256.5 entries"},
		{"vocab = 256", "vocab = 0", "E303", "a size is at least 1"},
		{"vocab = 256", "vocab = \"x\"", "E300", "`vocab` must be a whole number"},
		{"vocab = 256", "vocab = 256\n  vocb = 2", "E101", "did you mean `vocab`?"},
		{"vocab = 256", "vocab = 256\n  let vocab = 2", "E102", "`vocab` is set twice"},
		{"let width", "let tied", "E102", "write it without `let`"},
		{"total = 100 steps", "total = 100", "E301", "write `100 tokens` or `100 steps`"},
		{"total = 100 steps", "total = 100 seqs", "E308", "`total` counts tokens or steps, not seqs"},
		{"total = 100 steps", "total = 0 steps", "E303", "`total` must be at least 1"},
		{"total = 100 steps", "total = 1.5 steps", "E304", "must come out whole"},
		{"batch = 4", "batch = 0", "E303", "`batch` would be 0 sequences"},
		{"batch = 4", "batch = 4\n  mtp_weight = -0.1", "E303", "`mtp_weight` must be at least 0"},
		{"let peak = 1e-3", "let peak = -1e-3", "E303", "`lr` must be at least 0"},
		{"batch = 4", "batch = quick", "E100", "nothing here is called `quick`"},
		{"batch = 4", "batch = adamw()", "E300", "`batch` must be a schedule"},
		{"optim = adamw()", "optim = adamw", "E300", "write `adamw(…)`"},
		{"optim = adamw()", "optim = adamw(1, 2, 3, [], 5)", "E109", "`adamw` takes at most 4 values"},
		{"optim = adamw()", "optim = adamw([0.9, 0.95], betas = [0, 0])", "E109", "`betas` is given twice"},
		{"optim = adamw()", "optim = adamw(eps = 1e-9, 5)", "E109", "values by position come before those by name"},
		{"optim = adamw()", "optim = adamw(betas = [2, 3])", "E303", "two numbers from 0 to below 1"},
		{"optim = adamw()", "optim = adamw(groups = [group(\"**.gian\")])", "E505", "matches nothing"},
		{"optim = adamw()", "optim = adamw(groups = [group(\"embed\"), group(\"e*\")])", "E505", "`embed` is in two optimizer groups"},
		{"optim = adamw()", "optim = adamw(groups = [group(\"em bed\")])", "E311", "is in no name"},
		{"optim = adamw()", "optim = adamw()\n  precision = bf16(master = \"fp16\")", "E302", "`master` must be one of"},
		{"let depth = 3", "let depth = any([3, 4])", "E111", "`any` stands for several values"},
		{"0..depth", "0..seq", "E100", "nothing here is called `seq`"},
		{"0..depth", "dim", "E300", "`for` goes through a list or a range"},
		{"layers = [", "layers = [dim, ", "E010", ""},
		{"stages = [t]", "stages = []", "E508", "`r` has no stage to train"},
		{"stages = [t]", "stages = [m]", "E300", "item 0 of `stages` must be a train section"},
		{"stages = [t]", "stages = [t]\n  model.layers[5].ffn = none", "E310", "the last one is 2"},
		{"stages = [t]", "stages = [t]\n  model.width.x = 1", "E108", "a path can't go into a whole number"},
		{"stages = [t]", "stages = [t]\n  model.mtp.norm = rms_norm()", "E108", "there is nothing to change inside `none`"},
		{"stages = [t]", "stages = [t]\n  model.ffn.hiden = 1", "E101", "did you mean `hidden`?"},
		{"stages = [t]", "stages = [t]\n  model.ffn.hidden = none", "E300", "`hidden` must be a whole number"},
		{"stages = [t]", "stages = [t]\n  model.x = 1", "E101", "a model has no setting `x`"},
		{"sources = [text(\"x\")]", "sources = []", "E508", "`d` has nothing to train on"},
		{"sources = [text(\"x\")]", "sources = [text()]", "E104", "`text` needs `path`"},
		{"sources = [text(\"x\")]", "sources = [5]", "E300", "item 0 of `sources` must be a source"},
		{"tokenizer = bytes()", "tokenizer = bpe(\"t\", vocab = 7)", "E502", "the tokenizer has 7 entries"},
		{"tokenizer = bytes()", "tokenizer = bpe(vocab = 256)", "E104", "`bpe` needs `path` or `train`"},
		{"tokenizer = bytes()", "tokenizer = bpe(\"t\", vocab = 256, train = gosource())", "E102", "`bpe` takes `path` or `train`, not both"},
		{"tokenizer = bytes()", "tokenizer = bpe(vocab = 256, train = [])", "E508", "the tokenizer has nothing to train on"},
		{"tokenizer = bytes()", "tokenizer = bpe(vocab = 256, train = [gosource(), 5])", "E300", "item 1 of `train` must be a source"},
		{"tokenizer = bytes()", "tokenizer = bpe(vocab = 256, train = \"x\")", "E300", "`train` must be a source"},
		{"tokenizer = bytes()", "tokenizer = bpe(vocab = 255, train = gosource())", "E303", "`vocab` must be from 256, the bytes, to 16777216"},
		{"stages = [t]", "stages = [t]\n  data.tokenizer = bpe(\"t\", vocab = 256)\n  data.tokenizer.train = gosource()", "E102", "not both"},
		{"tokenizer = bytes()", "tokenizer = bytes()\n  held_out = 1", "E303", "a share from 0 to below 1"},
		{"recipe r {", "recipe r from m {", "E300", "`r` must be made from a recipe section"},
		{"recipe r {", "recipe r from r {", "E100", "nothing here is called `r`"},
		{"recipe r {", "train t {}\nrecipe r {", "E102", "`t` is declared twice"},
		{"recipe r {", "use \"tiny\"\nrecipe r {", "E012", ""},
		{"forge 1", "forge 1\nuse \"tiny\"\nuse \"tiny_gqa\" as tiny", "E403", "two imports are called `tiny`"},
		{"forge 1", "forge 1\nuse \"tinny\"", "E400", "did you mean `tiny`?"},
		{"forge 1", "forge 1\nuse \"nothing.forge\"", "E400", "there is no file nothing.forge"},
		{"model = m\n", "model = tiny.m\n", "E100", "nothing here is called `tiny`"},
		{"stages = [t]", "stages = [t]\n  run = u\n}\nrun u {\n  plan = p\n}\nplan p {\n  devices = 8\n  data = 3", "E503", "data 3 × pipe 1 × tensor 1 is 3"},
		{"stages = [t]", "stages = [t]\n  run = u\n}\nrun u {\n  plan = p\n}\nplan p {\n  devices = 8\n  data = 8\n  expert = 3", "E503", "does not divide"},
		{"stages = [t]", "stages = [t]\n  model.ffn = moe(swiglu(2), router(6, top_k = 1))\n  run = u\n}\nrun u {\n  plan = p\n}\nplan p {\n  devices = 8\n  data = 8\n  expert = 4", "E503", "does not divide the 6 entries of the bank"},
		{"stages = [t]", "stages = [t(seq = 8), t(model = m(dim = 16))]", "E504", "`embed` is [vocab=256, dim=16] here and [vocab=256, dim=32]"},
		{"stages = [t]", "stages = [t]\n  model.depth = 2\n  model.width = 3", "E304", ""},
		{"let peak = 1e-3", "let peak = 1e-3 / 0", "E309", "division by zero"},
		{"let peak = 1e-3", "let peak = 1e-3 + total", "E305", "a number and steps don't mix"},
		{"let peak = 1e-3", "let peak = not 1", "E300", "`not` takes true or false"},
		{"let peak = 1e-3", "let peak = sqrt(true)", "E300", "`sqrt` takes numbers"},
		{"let peak = 1e-3", "let peak = 1e-3 if seq else 2", "E300", "a condition is true or false"},
		{"let peak = 1e-3", "let peak = m.dimm", "E101", "did you mean `dim`?"},
		{"let peak = 1e-3", "let peak = [1, 2][2]", "E310", "the list has no item 2"},
		{"let peak = 1e-3", "let peak = seq(3)", "E300", "only blocks, builders and sections can be called"},
		{"let peak = 1e-3", "let peak = 5\n  let unused = 6", "W002", "nothing uses the helper cell `unused`"},
		{"stages = [t]", "stages = [t]\n  model.spare = 3\n}\nmodel n from m {\n  let spare = 1", "E101", "a model has no setting `spare`"},
	} {
		if !strings.Contains(smallFiles["small.forge"], x.change) {
			t.Fatalf("nothing to change: %q", x.change)
		}
		src := strings.Replace(smallFiles["small.forge"], x.change, x.to, 1)
		got := rendered(memory{"small.forge": src}, "small.forge")
		if !strings.Contains(got, "["+x.code+"]") || !strings.Contains(got, x.text) {
			t.Errorf("%q -> %q: want %s %q, got\n%s", x.change, x.to, x.code, x.text, got)
		}
	}
}

// A path that changes what nothing asks for is told.
func TestIneffective(t *testing.T) {
	src := strings.Replace(smallFiles["small.forge"], "let eps", "let spare = swiglu(4)\n  let eps", 1)
	got := faults(memory{"small.forge": src}, "small.forge", "model.spare.hidden=5", "model.depth=2")
	if !strings.Contains(got, "warning[W005]: `model.spare.hidden` changes nothing in `r`") || strings.Contains(got, "depth") {
		t.Error(got)
	}
	src = strings.Replace(src, "stages = [t]", "stages = [t]\n  model.depth = 2", 1)
	if got := faults(memory{"small.forge": src}, "small.forge", "model.depth=3"); strings.Contains(got, "W005") {
		t.Errorf("a line of the recipe that --set replaces is told as one without effect:\n%s", got)
	}
}

// The recipe's own names come before the prelude's; inside its own definition a name means the outer one.
func TestScopes(t *testing.T) {
	src := strings.NewReplacer("let norm", "norm", "let ffn = swiglu(2 * dim)", "let swiglu = swiglu(2 * dim)", "4), ffn", "4), swiglu").Replace(small)
	src = strings.Replace(src, "data d {\n  sources = [text", "data text {\n  sources = [text", 1)
	src = strings.Replace(src, "data = d", "data = text", 1)
	r := load(t, memory{"small.forge": src}, "small.forge")
	if hidden(r, 0) != 64 || r.Data.Sources[0].Kind != "text" {
		t.Error(r.Expand())
	}
	own := "forge 1\nblock swiglu(hidden: axis)(x[.., d]) -> [.., d] {\n  weight w[d, hidden]\n  return dot[hidden](dot[d](x, w), w)\n}\n"
	r = load(t, memory{"small.forge": strings.Replace(smallFiles["small.forge"], "forge 1\n", own, 1)}, "small.forge")
	if n := len(r.Model.Layers[0].Body([]*Axis{Batch, SeqAxis, r.Model.DimAxis()}).Parts); n != 4 {
		t.Errorf("%d parts", n)
	}
	if def := r.Model.Layers[0].Attrs["ffn"].(*Built).Def; def.File != "small.forge" {
		t.Errorf("swiglu is that of %s", def.File)
	}
}

func TestMatch(t *testing.T) {
	for _, x := range []struct {
		pattern, path string
		want          bool
	}{
		{"embed", "embed", true}, {"embed", "embedding", false}, {"head", "head", true},
		{"**.gate.w", "layers[3].ffn.gate.w", true}, {"**.gate.w", "layers[3].ffn.gate", false}, {"**.gate.w", "layers[3].ffn.bank.gate", false},
		{"**_norm", "layers[0].attn_norm.gain", true}, {"**_norm", "layers[0].attn.q_norm.gain", true}, {"**_norm", "norm.gain", false},
		{"**.gain", "norm.gain", true}, {"**.gain", "layers[0].attn_norm.gain", true},
		{"layers[3].attn.wq_a", "layers[3].attn.wq_a", true}, {"layers[3].attn.wq_a", "layers[13].attn.wq_a", false},
		{"layers.attn.wq_a", "layers[13].attn.wq_a", true}, {"layers", "layers[13].attn.wq_a", true}, {"layers[1]", "layers[13].attn.wq_a", false},
		{"layers[*].attn", "layers[13].attn.wq_a", true}, {"layers[1*].attn", "layers[13].attn.wq_a", true}, {"*", "layers[1].attn", true},
		{"layers[1].*.w*", "layers[1].attn.wq", true}, {"layers[1].*.w*", "layers[1].ffn.bank.wq", false}, {"**.attn.val", "layers[0].attn.val", true},
	} {
		if got := Match(x.pattern, x.path); got != x.want {
			t.Errorf("Match(%q, %q) = %v", x.pattern, x.path, got)
		}
	}
}

// A sweep has all combinations, the last line varying fastest, and each run can be loaded by itself.
func TestSweep(t *testing.T) {
	r := load(t, shipped, "ablations:grid")
	runs := r.Runs()
	if len(runs) != 9 || strings.Join(runs[0], " ") != "model.depth=4 stages[0].peak=3e-4" || strings.Join(runs[1], " ") != "model.depth=4 stages[0].peak=1e-3" ||
		strings.Join(runs[8], " ") != "model.depth=12 stages[0].peak=3e-3" {
		t.Errorf("%q", runs)
	}
	one := load(t, shipped, "ablations:grid", runs[8]...)
	if len(one.Model.Layers) != 12 || one.Stages[0].LR.Pieces[0].To != 3e-3 || len(one.Sweep) != 0 {
		t.Error(one.Expand())
	}
	r = load(t, shipped, "tiny", "train.peak=any([3e-4, 1e-3])", "model.dim=64", "model.attn=gqa(heads = 4, head = 16)")
	if runs := r.Runs(); len(runs) != 2 || runs[1][0] != "stages[0].peak=1e-3" || r.Model.Dim != 64 {
		t.Errorf("%q", runs)
	}
	got := faults(shipped, "tiny", "model.depth=any([4, 4.5])")
	if !strings.Contains(got, "a range goes between whole numbers") {
		t.Errorf("every run is checked before the first starts: %s", got)
	}
}

func TestShow(t *testing.T) {
	r := load(t, shipped, "deepseek_v3", "train.peak=3e-4")
	for path, want := range map[string]string{
		"model.attn.q_rank":             "1536 @ ",
		"model.dense":                   "swiglu(hidden = 18432) @ recipes/deepseek_v3.forge:16:7",
		"model.dim":                     "7168 @ recipes/deepseek_v3.forge:8:3",
		"train.peak":                    "3e-4 @ --set:1:1",
		"stages[0].clip":                "1.0 @ recipes/deepseek_v3.forge:43:3",
		"train.model.pos":               "rotary(theta = 10000, pairs = \"interleaved\") @ recipes/deepseek_v3.forge:39:3",
		"model.layers[60].ffn.gate.aux": "1e-4 @ ",
		"run.plan":                      "plan h800_2048 {\n  devices = 2048  # recipes/h800.forge:5:3\n",
		"train.seq":                     "4096 @ recipes/deepseek_v3.forge:35:3",
		"run.keep":                      "3 @ default",
		"model.atn":                     "a model has no setting `atn`: did you mean `attn`?",
		"model.attn.hads":               "`mla` has no attribute `hads`: did you mean `heads`?",
		"model.layers[61]":              "the list has no item 61: the last one is 60",
		"model.dim[0]":                  "only a list has items",
		"model.dim.x":                   "a whole number has no `x`",
		"a b":                           "is not a path",
		"":                              "is not a path",
	} {
		text, origin, err := r.Show(path)
		got := text + " @ " + origin
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) && !(err != nil && strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
