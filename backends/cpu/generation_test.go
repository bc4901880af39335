package cpu

import (
	"fmt"
	"testing"

	"forge/backends"
	"forge/compiler"
	"forge/compiler/op"
	"forge/dsl/check"
)

// generation is a call of tiny's shape with caches, its weights some values.
func generation(t *testing.T, b *backend, batch, seq int) (*compiler.Generation, *store) {
	t.Helper()
	recipe, found := check.Load(onDisk{}, "tiny", []string{"model.dim=64"})
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Generate(recipe.Model, compiler.Options{Batch: batch, Seq: seq}, 96)
	if err != nil {
		t.Fatal(err)
	}
	store := b.NewStore().(*store)
	for i, s := range compiled.Storage {
		if err := store.Create(s.Name, op.Type{Shape: s.Shape}); err != nil {
			t.Fatal(err)
		}
		values := make([]float32, s.Shape.Size())
		for j := range values {
			if s.Kind != compiler.State {
				values[j] = float32((j*7919+i)%201-100) / 500
			}
		}
		if err := store.Write(s.Name, values); err != nil {
			t.Fatal(err)
		}
	}
	return compiled, store
}

// fillCall gives a call its tokens, behind so many cached ones, and asks for the logits of each sequence's last.
func fillCall(t *testing.T, p backends.Program, batch, seq, cached int) {
	t.Helper()
	tokens, rows := make([]int32, batch*seq), make([]int32, batch)
	for i := range tokens {
		tokens[i] = int32((i*31 + cached) % 256)
	}
	for i := range rows {
		rows[i] = int32(i*seq + seq - 1)
	}
	for name, values := range map[string][]int32{"tokens": tokens, "row": rows, "position": {int32(cached)}} {
		if err := p.SetInts(name, values); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGenerationAllocatesNothing runs the programs that read prompts and make tokens, of one sequence and of several.
func TestGenerationAllocatesNothing(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {8, 1}, {1, 16}, {1, 64}} {
		t.Run(fmt.Sprint(size[0], "x", size[1]), func(t *testing.T) {
			made, err := New(2)
			if err != nil {
				t.Fatal(err)
			}
			defer made.Close()
			compiled, store := generation(t, made.(*backend), size[0], size[1])
			p, err := made.Compile(compiled.Graph, store, backends.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			fillCall(t, p, size[0], size[1], 20)
			step := func() {
				if err := p.RunAll(); err != nil {
					t.Fatal(err)
				}
			}
			step() // scratch memory grows to what it needs
			if n := testing.AllocsPerRun(10, step); n != 0 {
				t.Errorf("%g allocations a call", n)
			}
		})
	}
}

// TestTogether: products that are one parallel region give, to the bit, what they give one after the other, and there are fewer calls.
func TestTogether(t *testing.T) {
	made, err := New(3)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	b := made.(*backend)
	for _, batch := range []int{1, 5} {
		var logits [2][]float32
		var calls [2]int
		for i := range logits {
			compiled, store := generation(t, b, batch, 1)
			target := store.target()
			if i == 1 {
				target.Together = nil
			}
			p, err := b.compile(compiled.Graph, store, backends.Options{}, target)
			if err != nil {
				t.Fatal(err)
			}
			for cached := range 3 {
				fillCall(t, p, batch, 1, cached)
				if err := p.RunAll(); err != nil {
					t.Fatal(err)
				}
			}
			out, err := p.Output("logits")
			if err != nil {
				t.Fatal(err)
			}
			logits[i], calls[i] = append(logits[i], out...), len(p.calls)
		}
		for i, v := range logits[0] {
			if v != logits[1][i] || v != v {
				t.Fatalf("%d sequences: logit %d is %g together, %g apart", batch, i, v, logits[1][i])
			}
		}
		if calls[0] >= calls[1] {
			t.Errorf("%d sequences: %d calls together, %d apart", batch, calls[0], calls[1])
		}
	}
}
