package recipes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/backends/cpu"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/runs"
	"forge/engine/tokenizer"
	"forge/engine/train"
	"forge/recipes"
)

// maxIdeaLines is the length that an idea may have: to show that it needs little, and no Go.
const maxIdeaLines = 40

// TestIdeasTrain trains every idea for 50 steps, with small batches of a text of the test's own; the loss must fall.
func TestIdeasTrain(t *testing.T) {
	folder := t.TempDir()
	for i := range 60 {
		text := strings.Repeat(fmt.Sprintf("func number%d(x int) int {\n\treturn x + %d\n}\n\n", i, i), 4)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d.txt", i)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sets := []string{fmt.Sprintf("data.sources=[text(%q)]", filepath.ToSlash(folder)), "train.total=50 steps", "train.batch=2", "train.seq=32"}
	ideas := 0
	for _, name := range recipes.Names() {
		if !strings.HasPrefix(name, "ideas/") {
			continue
		}
		ideas++
		t.Run(name, func(t *testing.T) {
			source, err := recipes.FS.ReadFile(name + ".forge")
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), "\n"); n > maxIdeaLines {
				t.Errorf("%d lines, and an idea has at most %d", n, maxIdeaLines)
			}
			recipe, found := check.Load(check.FS{FS: recipes.FS}, name, sets)
			if err := found.Err(); err != nil {
				t.Fatal(err)
			}
			set, err := data.Open(recipe.Data, tokenizer.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			backend, err := cpu.New(1)
			if err != nil {
				t.Fatal(err)
			}
			defer backend.Close()
			run, err := runs.CreateAt(filepath.Join(t.TempDir(), "run"))
			if err != nil {
				t.Fatal(err)
			}
			defer run.Close()
			var losses []float64
			_, err = train.Train(t.Context(), train.Options{
				Recipe: recipe, Text: recipe.Expand(), Backend: backend, Data: set, Tokenizer: tokenizer.Bytes(), Run: run,
				Forge: "test", SampleTokens: -1, EvalTokens: 256, OnStep: func(m *train.Metrics) { losses = append(losses, m.Main) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(losses) != 50 {
				t.Fatalf("%d steps", len(losses))
			}
			if first, last := mean(losses[:5]), mean(losses[45:]); last > first-1 {
				t.Errorf("the loss goes from %.3f to %.3f", first, last)
			}
		})
	}
	if ideas < 6 {
		t.Errorf("%d ideas", ideas)
	}
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
