package eval

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"forge/compiler/op"
	"forge/dsl/check"
	"forge/engine/data"
	"forge/engine/internal/fake"
	"forge/engine/tokenizer"
)

// TestLossIsTheMeanOverAllTokens compares to the loss worked out by hand: a table that gives the byte after each byte probability
// 1/2 and the others the rest.
func TestLossIsTheMeanOverAllTokens(t *testing.T) {
	b := fake.New()
	store := b.NewStore()
	table := make([]float32, fake.Vocab*fake.Vocab)
	for i := range fake.Vocab {
		table[i*fake.Vocab+(i+1)%fake.Vocab] = float32(math.Log(fake.Vocab - 1))
	}
	if err := store.Create("table", op.Type{Shape: op.Shape{fake.Vocab, fake.Vocab}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Write("table", table); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("abcdefgz"), 0o666); err != nil { // six pairs that follow, one that does not
		t.Fatal(err)
	}
	set, err := data.OpenFile(path, tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	want := (6*math.Ln2 + math.Log(2*(fake.Vocab-1))) / 7
	for _, batch := range []int{1, 2, 5} {
		e, err := New(Config{Model: &check.Model{}, Backend: b, Store: store, Batch: batch, Seq: 3, Compile: b.Evaluate})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			last := 0
			r, err := e.Run(context.Background(), set.HeldOut(3, 0), func(done, all int) {
				if done <= last || all != 3 {
					t.Errorf("progress %d of %d after %d", done, all, last)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(r.Loss-want) > 1e-6 || r.Tokens != 7 || math.Abs(r.BitsPerByte-want/math.Ln2) > 1e-6 || math.Abs(r.Perplexity-math.Exp(want)) > 1e-5 {
				t.Errorf("batch %d: %+v, want loss %g", batch, r, want)
			}
		}
		e.Close()
	}
}

func TestCancel(t *testing.T) {
	b := fake.New()
	store := b.NewStore()
	if err := store.Create("table", op.Type{Shape: op.Shape{fake.Vocab, fake.Vocab}}); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Backend: b, Store: store, Batch: 1, Seq: 3, Compile: b.Evaluate})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("some text"), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := data.OpenFile(path, tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Run(ctx, set.HeldOut(3, 0), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
