package check

import (
	"slices"

	"forge/dsl/diag"
	"forge/recipes"
)

// foreign holds names of other frameworks and languages, and what forge has instead.
var foreign = map[string]string{
	"layer_norm": "`rms_norm()` is the standard norm", "LayerNorm": "`rms_norm()` is the standard norm",
	"norm":    "`part norm = rms_norm()` makes one that can be applied",
	"linear":  "a linear map is a weight and a product: `weight w[d, out]`, `dot[d](x, w)`",
	"Linear":  "a linear map is a weight and a product: `weight w[d, out]`, `dot[d](x, w)`",
	"matmul":  "`dot[axis](x, y)` multiplies and sums over an axis",
	"einsum":  "`dot[axis](x, y)` multiplies and sums over an axis",
	"outer":   "`dot` over an axis of size 1 sums nothing: `one = 1`, `dot[one](x, y)`",
	"reshape": "`view` factors an axis or flattens several: `view[ab -> a, b](x)`", "flatten": "`view` factors an axis or flattens several: `view[a, b -> ab](x)`",
	"transpose": "axes have names, so there is nothing to transpose; `rename[a -> b](x)` gives one another name",
	"permute":   "axes have names, so there is nothing to transpose; `rename[a -> b](x)` gives one another name",
	"unsqueeze": "axes have names: a side is repeated along those that only the other has",
	"cat":       "`concat[a, b -> ab](x, y)` joins along an axis",
	"stack":     "`concat[a, b -> ab](x, y)` joins along an axis",
	"argmax":    "`top[axis](x, 1)` is 1 at the largest entry and 0 elsewhere",
	"topk":      "`top[axis](x, n)` is 1 at the n largest entries and 0 elsewhere",
	"clamp":     "`min` and `max` reduce an axis; a soft cap is `c * tanh(x / c)`",
	"dropout":   "forge has no dropout",
	"attention": "`gqa` and `mla` are the standard attentions", "mha": "`gqa(heads = …)` is multi-head attention",
	"mlp": "`swiglu` is the standard feed-forward part", "ffn": "`swiglu` is the standard feed-forward part",
	"None": "write `none`", "null": "write `none`", "nil": "write `none`",
	"True": "write `true`", "False": "write `false`",
	"range": "a range is `0..n`, its end left out", "len": "a list's length is the value that it was made with",
}

// unknownName is the error of a name that nothing has, with what was probably meant. candidates are the names there.
func unknownName(name string, at diag.Span, candidates []string) *diag.Diagnostic {
	label, near := didYouMean(name, candidates)
	d := diag.New("E100", at, label, "nothing here is called `%s`", name)
	instead := foreign[name]
	switch {
	case near != "":
		d.FixWith(at, near)
	case instead != "":
		d.Helpf("%s", instead)
	case slices.Contains(recipes.Names(), name):
		d.Helpf("the shipped recipe of that name is known after `use \"%s\"`", name)
	}
	return d
}
