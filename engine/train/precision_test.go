package train

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// v3 is a small DeepSeek-V3: latent attention, experts with groups, one module of multi-token prediction; its products are longer than a
// tile of fp8, so that tiles are whole and partial.
var v3 = []string{"model.dim=144", "model.depth=2", "model.attn=mla(heads = 4, nope = 24, rope = 16, v = 24, q_rank = 64, kv_rank = 32)",
	"model.dense=swiglu(160)", "model.expert=swiglu(48)", "train.seq=48", "run.save=10000 steps", "run.eval=10000 steps"}

// precisionsOfV3 are those that the report compares.
var precisionsOfV3 = []string{"bf16()", `fp8(keep = ["embed", "head", "**.gate.w", "**_norm"])`}

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

// TestLowPrecisionTrainsAsWell trains a small V3 in bfloat16 and fp8 for 100 steps, on the same batches from the same weights. So short
// a run only finds what is wrong by a lot: while the loss falls fast, two runs differ by where they are on the way, in either direction.
func TestLowPrecisionTrainsAsWell(t *testing.T) {
	bf16, fp8 := precisionCurves(t, 100, "train.batch=4", "train.lr=ramp(0, 3e-3, over = 20 steps) then cosine(to = 3e-4, over = 80 steps)")
	if d := average(fp8[80:])/average(bf16[80:]) - 1; math.Abs(d) > 0.03 {
		t.Errorf("fp8 and bf16 differ by %.3f %%", 100*d)
	}
}

// TestPrecisionOfTheReport compares fp8 with bfloat16 as DeepSeek-V3's report does, which finds the relative difference of the losses
// "consistently below 0.25 %" (section 3.3): after 500 steps, on the same batches from the same weights. Compared are the means over the
// last 50 steps of the main model's loss on the batch that is being learned from. Two runs whose numbers differ anywhere come apart by
// chance, the more the larger the last learning rates and the smaller the batches; with half the batch and twice the rates, seeds
// differed by -0.04 to +0.46 %. As it is here, five seeds gave -0.02, +0.09, +0.16, +0.16 and +0.16 %. A seed takes most of a minute,
// so they are asked for: FORGE_PRECISION_SEEDS says how many; `.ci/run` trains one.
func TestPrecisionOfTheReport(t *testing.T) {
	text := os.Getenv("FORGE_PRECISION_SEEDS")
	if text == "" {
		t.Skip("FORGE_PRECISION_SEEDS is not set: the number of seeds to train 500 steps with")
	}
	seeds, err := strconv.Atoi(text)
	if err != nil || seeds < 1 {
		t.Fatalf("FORGE_PRECISION_SEEDS is %q, want a number of at least 1", text)
	}
	for seed := range seeds {
		bf16, fp8 := precisionCurves(t, 500, "train.batch=8", "train.lr=ramp(0, 2e-3, over = 20 steps) then cosine(to = 1e-4, over = 480 steps)",
			fmt.Sprintf("run.seed=%d", seed), fmt.Sprintf("data.shuffle_seed=%d", seed))
		d := average(fp8[450:])/average(bf16[450:]) - 1
		t.Logf("seed %d: bf16 %.5f, fp8 %.5f, %+.3f %%", seed, average(bf16[450:]), average(fp8[450:]), 100*d)
		if math.Abs(d) > 0.0025 {
			t.Errorf("seed %d: the losses in fp8 and bf16 differ by %.3f %%, and the report finds less than 0.25 %%", seed, 100*d)
		}
	}
}

// precisionCurves trains v3 in both precisions and gives the losses of all steps. It fails if the two compute the same, or little is
// learned.
func precisionCurves(t *testing.T, steps int, sets ...string) (bf16, fp8 []float64) {
	t.Helper()
	var curves [][]float64
	for _, precision := range precisionsOfV3 {
		w := newWorld(t)
		for i := range 300 {
			if err := os.WriteFile(filepath.Join(w.texts, fmt.Sprintf("story%03d.txt", i)), []byte(story(i)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		w.sets = append(append(append(w.sets[:2:2], v3...), "train.precision="+precision, fmt.Sprintf("train.total=%d steps", steps)), sets...)
		o := w.model("")
		o.Out, o.LineEvery = io.Discard, 1<<30
		var curve []float64
		o.OnStep = func(m *Metrics) { curve = append(curve, m.Main) }
		if _, err := Train(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		if last := average(curve[steps-20:]); last > 0.5*curve[0] {
			t.Errorf("%s: the loss goes from %g to %g: little is learned", precision, curve[0], last)
		}
		curves = append(curves, curve)
	}
	if slices.Equal(curves[0], curves[1]) {
		t.Error("fp8 trains exactly like bf16")
	}
	return curves[0], curves[1]
}

func average(v []float64) float64 {
	total := 0.0
	for _, x := range v {
		total += x
	}
	return total / float64(len(v))
}
