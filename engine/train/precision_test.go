package train

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// v3 is a small DeepSeek-V3: latent attention, experts with groups, one module of multi-token prediction; its products are longer than a
// tile of fp8, so that tiles are whole and partial.
var v3 = []string{"model.dim=144", "model.depth=2", "model.attn=mla(heads = 4, nope = 24, rope = 16, v = 24, q_rank = 64, kv_rank = 32)",
	"model.dense=swiglu(160)", "model.expert=swiglu(48)", "train.batch=4", "train.seq=48", "run.save=10000 steps", "run.eval=10000 steps"}

// precisionsOfV3 are those that the report compares, and float32.
var precisionsOfV3 = []string{"fp32()", "bf16()", `fp8(keep = ["embed", "head", "**.gate.w", "**_norm"])`}

// story is text whose next word can't be known but whose words and sentences can be learned, as with language: the report's 0.25 % are
// of a loss that has such a floor, not of one on its way to 0.
func story(n int) string {
	names := []string{"Ada", "Bashir", "Chen", "Dewi", "Emil", "Farah", "Goran", "Hina"}
	verbs := []string{"finds", "hides", "gives away", "paints", "forgets", "sells", "mends", "counts"}
	kinds := []string{"old", "green", "broken", "heavy", "small", "borrowed", "wet", "famous"}
	things := []string{"lamps", "boats", "coins", "letters", "stones", "maps", "clocks", "apples"}
	r := rand.New(rand.NewPCG(11, uint64(n)))
	var b strings.Builder
	for range 12 {
		fmt.Fprintf(&b, "%s %s %d %s %s. ", names[r.IntN(8)], verbs[r.IntN(8)], r.IntN(1000), kinds[r.IntN(8)], things[r.IntN(8)])
	}
	return b.String()
}

// TestLowPrecisionTrainsAsWell trains a small V3 in float32, bfloat16 and fp8 on the same data from the same weights. The report finds
// the loss in fp8 within 0.25 % of that in bf16 (section 3.3), which is asked of 500 steps or more: while the loss still falls fast, two
// runs differ by where they are on the way, in either direction, so the short run that is the default only finds what is wrong by a
// lot. FORGE_PRECISION_STEPS trains that many steps, and in float32 too.
func TestLowPrecisionTrainsAsWell(t *testing.T) {
	steps, precisions, allowed := 100, precisionsOfV3[1:], 0.03
	if text := os.Getenv("FORGE_PRECISION_STEPS"); text != "" {
		var err error
		if steps, err = strconv.Atoi(text); err != nil || steps < 40 {
			t.Fatalf("FORGE_PRECISION_STEPS is %q, want at least 40", text)
		}
		precisions = precisionsOfV3
		if steps >= 500 {
			allowed = 0.0025
		}
	}
	losses := map[string]float64{}
	var all [][]float64
	for _, precision := range precisions {
		w := newWorld(t)
		for i := range 300 {
			if err := os.WriteFile(filepath.Join(w.texts, fmt.Sprintf("story%03d.txt", i)), []byte(story(i)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		w.sets = append(append(w.sets[:2:2], v3...), "train.precision="+precision, fmt.Sprintf("train.total=%d steps", steps),
			fmt.Sprintf("train.lr=ramp(0, 3e-3, over = 20 steps) then cosine(to = 3e-4, over = %d steps)", steps-20))
		o := w.model("")
		o.Out, o.LineEvery = io.Discard, 1<<30
		var curve []float64
		o.OnStep = func(m *Metrics) { curve = append(curve, m.Main) }
		if _, err := Train(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(precision, "(")
		losses[kind] = average(curve[len(curve)-20:])
		all = append(all, curve)
		t.Logf("%s: loss %.4f at the first step, %.5f over the last 20 of %d", kind, curve[0], losses[kind], steps)
	}
	for i, curve := range all[1:] {
		same := true
		for k := range curve {
			same = same && curve[k] == all[i][k]
		}
		if same {
			t.Errorf("%s trains exactly like %s", precisions[i+1], precisions[i])
		}
	}
	if first := all[0][0]; losses["bf16"] > 0.5*first {
		t.Errorf("the loss goes from %g to %g: little is learned", first, losses["bf16"])
	}
	for _, pair := range [][2]string{{"fp8", "bf16"}, {"bf16", "fp32"}} {
		if losses[pair[1]] == 0 {
			continue // not trained
		}
		d := math.Abs(losses[pair[0]]/losses[pair[1]] - 1)
		t.Logf("%s against %s: %.3f %%", pair[0], pair[1], 100*d)
		if d > allowed {
			t.Errorf("%s and %s differ by %.3f %%, want at most %g %%", pair[0], pair[1], 100*d, 100*allowed)
		}
	}
}

func average(v []float64) float64 {
	total := 0.0
	for _, x := range v {
		total += x
	}
	return total / float64(len(v))
}
