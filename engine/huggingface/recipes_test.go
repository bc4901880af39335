package huggingface

import (
	"testing"

	"forge/dsl"
	"forge/dsl/check"
	"forge/recipes"
)

// TestShippedRecipes: the recipes of published and measured models have exactly their parameters, are in the one style, and can be
// described by a config.json that makes the same model.
func TestShippedRecipes(t *testing.T) {
	for _, k := range []struct {
		name        string
		params, mtp int64
		state       int64
	}{
		{"deepseek_v2_lite", 15_706_484_224, 0, 26 * 64},
		{"moonlight_16b", 15_960_108_544, 0, 26 * 64},
		{"deepseek_v3_16b", 15_706_484_224, 593_242_624, 27 * 64},
		{"deepseek_v3_1b", 1_469_494_272, 0, 960},
		{"lite_v3", 1_469_494_272, 0, 960},
		{"small_v3", 121_796_992 - 14_142_336, 14_142_336, 512},
		{"tiny_v3_bench", 23_938_880 - 3_585_472, 3_585_472, 192},
	} {
		text, err := recipes.FS.ReadFile(k.name + ".forge")
		if err != nil {
			t.Fatal(err)
		}
		file, _ := dsl.Parse(k.name, string(text))
		if dsl.Format(file) != string(text) {
			t.Errorf("%s is not as `forge fmt` writes it", k.name)
		}
		r, found := check.Load(Overlay{}, k.name, nil)
		if len(found) > 0 {
			t.Errorf("%s: %v", k.name, found)
			continue
		}
		if n := r.Model.Count(); n.Params != k.params || n.MTP != k.mtp || n.State != k.state {
			t.Errorf("%s: %d parameters, %d of MTP, %d of state; want %d, %d, %d", k.name, n.Params, n.MTP, n.State, k.params, k.mtp, k.state)
		}
		c, err := Describe(r.Model, 4096)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		if n := recipeOf(t, c).Model.Count(); n.Params != k.params || n.MTP != k.mtp || n.State != k.state {
			t.Errorf("%s: config.json makes %+v", k.name, n)
		}
	}
}
