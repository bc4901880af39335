package main

import (
	"fmt"

	"forge/backends"
	"forge/compiler"
	"forge/dsl/check"
	"forge/engine/memory"
	"forge/engine/weights"
)

// need gives the program that a checkpoint is opened for, before its weights are loaded.
type need func(t *trained) (*memory.Work, error)

// fits reports that a checkpoint with its program is more than the memory.
func (t *trained) fits(keep string, need need) error {
	work, err := need(t)
	if err != nil {
		return err
	}
	work.Backend, work.Store = t.backend, t.store
	entries := int64(0)
	for _, s := range work.Storage {
		if s.Kind == compiler.Weight {
			entries += int64(s.Shape.Size())
		}
	}
	switch keep {
	case weights.AsStored:
		work.Kept = "where they lie in the file"
	case "bf16":
		work.Kept, work.KeptBytes = "in bfloat16", 2*entries
	case "fp8":
		work.Kept, work.KeptBytes = "in float8", entries
	case "int8":
		work.Kept, work.KeptBytes = "in int8", entries+2*entries/backends.Int8Block
	}
	if keep != weights.AsStored {
		work.Cures = append(work.Cures, fmt.Sprintf("--dtype %s: weights are read where they lie", weights.AsStored))
	}
	_, err = work.Check()
	return err
}

// generation is the program that continues a text with caches for so many tokens.
func generation(m *check.Model, capacity int) (*memory.Work, error) {
	rows := min(64, capacity)
	g, err := compiler.Generate(m, compiler.Options{Batch: 1, Seq: rows}, capacity)
	if err != nil {
		return nil, err
	}
	return &memory.Work{What: "generation", Graph: g.Graph, Storage: g.Storage, Batch: 1, Seq: rows,
		Cures: []string{"a shorter prompt, or fewer --max-tokens"}}, nil
}
