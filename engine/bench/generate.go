package bench

import (
	"fmt"

	"forge/backends"
	"forge/compiler"
	"forge/engine/memory"
	"forge/engine/weights"
)

// generation is a program of generation with its sizes.
type generation struct {
	backends.Program
	batch, rows int
}

func (b *bench) generation(batch, rows, capacity int) (*generation, error) {
	g := &generation{batch: batch, rows: rows}
	var err error
	g.Program, err = b.compile(func() ([]compiler.Stored, backends.Program, error) {
		compiled, err := compiler.Generate(b.o.Recipe.Model, compiler.Options{Batch: batch, Seq: rows}, capacity)
		if err != nil {
			return nil, nil, err
		}
		work := memory.Work{
			What: "generation", Backend: b.o.Backend, Store: b.store, Graph: compiled.Graph, Storage: compiled.Storage, Batch: batch, Seq: rows,
			Cures: []string{"a shorter --prompt", "a smaller model: `dim`, layers, experts, `vocab`"},
		}
		if b.o.Keep != "" {
			work.Kept = "as " + b.o.Keep
			if b.o.Keep != weights.AsStored {
				work.KeptBytes = int64(b.weightSize() * float64(b.report.Params))
			}
		}
		if _, err := work.Check(); err != nil {
			return nil, nil, err
		}
		if err := b.keep(compiled.Storage); err != nil {
			return nil, nil, err
		}
		if err := b.create(compiled.Storage); err != nil {
			return nil, nil, err
		}
		program, err := b.o.Backend.Compile(compiled.Graph, b.store, backends.Options{Profile: b.o.Profile})
		return compiled.Storage, program, err
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// run reads the tokens, batch·rows of them, behind so many cached ones and gives the most likely next one of each sequence.
func (g *generation) run(tokens []int32, cached int, next []int32) error {
	rows := make([]int32, g.batch)
	for i := range rows {
		rows[i] = int32(i*g.rows + g.rows - 1)
	}
	if err := setInts(g, map[string][]int32{"tokens": tokens, "position": {int32(cached)}, "row": rows}); err != nil {
		return err
	}
	if err := g.RunAll(); err != nil {
		return err
	}
	logits, err := g.Output("logits")
	if err != nil {
		return err
	}
	vocab := len(logits) / g.batch
	for i := range next {
		best := 0
		for token, logit := range logits[i*vocab : (i+1)*vocab] {
			if logit > logits[i*vocab+best] {
				best = token
			}
		}
		next[i] = int32(best)
	}
	return nil
}

// generate measures one sequence: reading a prompt at once, and decoding after one.
func (b *bench) generate() error {
	prompt, context := prefillTokens, decodePrompt
	if b.o.Prompt > 0 {
		prompt, context = b.o.Prompt, b.o.Prompt
	}
	capacity := context + decodeTokens
	if b.o.Prefill {
		capacity = max(capacity, prompt)
	}
	b.renew()
	next := make([]int32, 1)
	if b.o.Prefill {
		g, err := b.generation(1, prompt, capacity)
		if err != nil {
			return err
		}
		tokens := b.tokens(prompt)
		err = b.measure(Part{Name: "prefill", Size: fmt.Sprint(prompt), Tokens: prompt}, g, func() error {
			return g.run(tokens, 0, next)
		})
		g.Close()
		if err != nil {
			return err
		}
	}
	if !b.o.Decode {
		return nil
	}
	return b.decode(1, context, capacity)
}

// decodeMany measures several sequences of equal length at once.
func (b *bench) decodeMany() error {
	context := decodePrompt
	if b.o.Prompt > 0 {
		context = b.o.Prompt
	}
	b.renew()
	return b.decode(decodeBatch, context, context+decodeTokens)
}

// promptRows is how many tokens of a prompt are read at once before decoding is measured.
const promptRows = 64

// read fills the caches with a prompt, as far as that goes in runs of equal length, and gives how far.
func (b *bench) read(batch, context, capacity int, next []int32) (cached int, err error) {
	if context < promptRows {
		return 0, nil
	}
	g, err := b.generation(batch, promptRows, capacity)
	if err != nil {
		return 0, err
	}
	defer g.Close()
	tokens := b.tokens(batch * promptRows)
	for ; cached+promptRows <= context; cached += promptRows {
		if err := b.ctx.Err(); err != nil {
			return 0, err
		}
		if err := g.run(tokens, cached, next); err != nil {
			return 0, err
		}
	}
	return cached, nil
}

// decode measures the tokens made one after the other, from a full prompt on and over again.
func (b *bench) decode(batch, context, capacity int) error {
	tokens := b.tokens(batch)
	cached, err := b.read(batch, context, capacity, tokens)
	if err != nil {
		return err
	}
	g, err := b.generation(batch, 1, capacity)
	if err != nil {
		return err
	}
	defer g.Close()
	for at := cached; at < context; at++ {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := g.run(tokens, at, tokens); err != nil {
			return err
		}
	}
	name := "decode"
	if batch > 1 {
		name = fmt.Sprintf("decode of %d", batch)
	}
	made := 0
	return b.measure(Part{Name: name, Size: fmt.Sprintf("%d after %d", batch, context), Tokens: batch}, g, func() error {
		err := g.run(tokens, context+made%decodeTokens, tokens)
		made++
		return err
	})
}
