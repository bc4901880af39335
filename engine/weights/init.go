// Package weights makes, reads and writes the tensors of a model. In flow initialisers of the checked recipe, or safetensors files;
// out flow float32 values and files. The safetensors format is 8 bytes of header length (little-endian), a JSON header that gives
// each tensor a type, a shape and a place, then the data (https://github.com/huggingface/safetensors). Headers are checked in full
// before anything is read, and every fault is listed at once. Stores, recipes' names and run directories are others' concern.
package weights

import (
	"runtime"
	"sync"

	"forge/dsl/check"
	"forge/engine/random"
)

// Initialize fills dst with the starting values of the weight of that name. They depend on the seed, the name and the initialiser
// alone: adding another weight changes none of them, and neither does the number of threads.
func Initialize(dst []float32, name string, init check.Init, seed int64) {
	switch init.Kind {
	case "normal":
		stream := random.New(seed, "weights/"+name)
		const part = 1 << 16
		workers := runtime.GOMAXPROCS(0)
		if len(dst) <= part {
			workers = 1
		}
		var wait sync.WaitGroup
		for worker := range workers {
			wait.Go(func() {
				for from := worker * part; from < len(dst); from += workers * part {
					stream.Normal(dst[from:min(from+part, len(dst))], uint64(from), init.Mean, init.Std)
				}
			})
		}
		wait.Wait()
	case "ones":
		Fill(dst, 1)
	default: // zeros
		Fill(dst, 0)
	}
}

// Fill sets every entry to v.
func Fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}
