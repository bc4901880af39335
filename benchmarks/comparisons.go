//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// figure is what a comparison shows: the name of the first command's figure, and of the others'.
type figure struct{ what, first, other string }

// Figures of both sides have the same names as far as they mean the same.
func same(what, name string) figure { return figure{what, name, name} }

var (
	training = figure{"training, tokens/s", "train_tok_s", "train_tok_s"}
	memory   = figure{"peak memory, MiB", "max_rss_mib", "max_rss_mib"}
	decode   = figure{"decode, tokens/s", "decode_tok_s", "decode_tok_s"}
	decode8  = figure{"decode of 8, tokens/s", "decode_b8_tok_s", "decode_b8_tok_s"}
	prefill  = figure{"prefill 512, tokens/s", "prefill_tok_s", "prefill_tok_s"}
)

// comparison is a row or several of the README's table.
type comparison struct {
	name, what string
	all        bool // `all` runs it
	figures    []figure
	commands   func(s *setup) ([]command, error)
}

var comparisons = []comparison{
	{"train-tiny-f32", "a training step of tiny_v3_bench in float32, 8 × 256, beside tuned PyTorch", true, []figure{training, memory}, trains("tiny-v3", false)},
	{"train-tiny-bf16", "the same in bfloat16, beside PyTorch's autocast", true, []figure{training, memory}, trains("tiny-v3", true)},
	{"train-small-f32", "a training step of small_v3 in float32, 4 × 512, beside tuned PyTorch", true, []figure{training, memory}, trains("small-v3", false)},
	{"train-small-bf16", "the same in bfloat16, beside PyTorch's autocast", true, []figure{training, memory}, trains("small-v3", true)},
	{"decode8-small", "decoding of 8 sequences and prefill of small_v3 in float32, beside PyTorch", true, []figure{decode8, decode, prefill, memory}, infersLikeTorch("small-v3")},
	{"infer-small-f32", "decoding and prefill of small_v3 in float32, beside llama.cpp", true, []figure{decode, prefill, memory}, infers("small-v3", "f32")},
	{"infer-small-bf16", "the same in bfloat16", true, []figure{decode, prefill, memory}, infers("small-v3", "bf16")},
	{"infer-small-int8", "the same in blocks of int8, beside q8_0", true, []figure{decode, prefill, memory}, infers("small-v3", "int8")},
	{"infer-lite-f32", "decoding and prefill of lite_v3, 1.47 B weights, in float32, beside llama.cpp", true, []figure{decode, prefill, memory}, infers("lite-v3", "f32")},
	{"infer-lite-bf16", "the same in bfloat16", true, []figure{decode, prefill, memory}, infers("lite-v3", "bf16")},
	{"infer-lite-int8", "the same in blocks of int8, beside q8_0", true, []figure{decode, prefill, memory}, infers("lite-v3", "int8")},
	{"busy", "decoding of small_v3 while another process burns a core, beside its own quiet speed", true, []figure{decode}, busy},
	{"kernels", "products, attention and norms as shares of the machine's own peaks", true, kernelShares, kernels},
	{"start", "from the command line to the first token of a -checkpoint", false, []figure{same("seconds", "wall_s")}, start},
}

// kernelShares are what the table shows of `forge bench kernels`.
var kernelShares = []figure{
	same("f32 512, 1 thread", "f32_512_1t_share"), same("f32 1024, 1 thread", "f32_1024_1t_share"), same("f32 2048, 1 thread", "f32_2048_1t_share"),
	same("f32 512", "f32_512_share"), same("f32 1024", "f32_1024_share"), same("f32 2048", "f32_2048_share"),
	same("bf16 512", "bf16_512_share"), same("bf16 1024", "bf16_1024_share"), same("bf16 2048", "bf16_2048_share"),
	same("f32 1 × 8192 × 2048", "f32w_1x8192x2048_share"), same("f32 8 × 8192 × 2048", "f32w_8x8192x2048_share"),
	same("bf16 1 × 8192 × 2048", "bf16_1x8192x2048_share"), same("bf16 8 × 8192 × 2048", "bf16_8x8192x2048_share"),
}

// missingPeer says that a peer is not there and how to get it.
type missingPeer struct{ how string }

func (e *missingPeer) Error() string { return e.how }

// recipes are forge's names of the models.
var recipes = map[string]string{"tiny-v3": "tiny_v3_bench", "small-v3": "small_v3", "lite-v3": "lite_v3"}

// bench is a command of forge.
func (s *setup) bench(name string, args ...string) command {
	return command{Name: name, Args: append(append([]string{s.forge, "bench"}, args...), "--threads", fmt.Sprint(s.threads), "--json")}
}

// torch is a command of PyTorch.
func (s *setup) torch(model, what string, args ...string) (command, error) {
	if err := exec.Command(s.python, "-c", "import torch").Run(); err != nil {
		return command{}, &missingPeer{fmt.Sprintf("%s has no torch; on Debian: apt-get install python3-torch libopenblas0-openmp libtcmalloc-minimal4", s.python)}
	}
	config, err := s.config(model)
	if err != nil {
		return command{}, err
	}
	args = append([]string{s.python, filepath.Join(s.peers, "torch_bench.py"), what, config, "--threads", fmt.Sprint(s.threads)}, args...)
	return command{Name: "torch", Args: args}, nil
}

func trains(model string, bf16 bool) func(*setup) ([]command, error) {
	return func(s *setup) ([]command, error) {
		m := models[model]
		sizes := []string{"--batch", fmt.Sprint(m.batch), "--seq", fmt.Sprint(m.seq)}
		ours, theirs := []string{recipes[model], "--train"}, append([]string{}, sizes...)
		if bf16 {
			ours, theirs = append(ours, "--set", "train.precision=bf16()"), append(theirs, "--bf16")
		}
		torch, err := s.torch(model, "train", theirs...)
		return []command{s.bench("forge", append(ours, sizes...)...), torch}, err
	}
}

func infersLikeTorch(model string) func(*setup) ([]command, error) {
	return func(s *setup) ([]command, error) {
		torch, err := s.torch(model, "infer")
		return []command{s.bench("forge", recipes[model], "--decode", "--prefill"), torch}, err
	}
}

// infers is decoding and prefill beside llama.cpp. What forge measures of 8 sequences has no counterpart and is not shown.
func infers(model, format string) func(*setup) ([]command, error) {
	return func(s *setup) ([]command, error) {
		library := filepath.Join(s.llama, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64")
		if _, err := os.Stat(library); s.llama == "" || err != nil {
			return nil, &missingPeer{"llama.cpp is not there; in a folder of its own: npm init -y; " +
				"npm i --ignore-scripts --omit=optional node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1; then name the folder with -llama"}
		}
		file := filepath.Join(s.work, model+"-"+format+".gguf")
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "writing %s\n", file)
			if err := models[model].writeGGUF(file, format); err != nil {
				return nil, err
			}
		}
		ours := s.bench("forge", recipes[model], "--decode", "--prefill", "--dtype", format)
		theirs := command{Name: "llama", Args: []string{s.python, filepath.Join(s.peers, "llama_bench.py"), library, file, "--threads", fmt.Sprint(s.threads)}}
		return []command{ours, theirs}, nil
	}
}

// busy burns one core beside the second command.
func busy(s *setup) ([]command, error) {
	disturbed := s.bench("beside a busy process", "small_v3", "--decode")
	disturbed.Beside = []string{"sh", "-c", "while :; do :; done"}
	return []command{disturbed, s.bench("alone", "small_v3", "--decode")}, nil
}

func kernels(s *setup) ([]command, error) { return []command{s.bench("forge", "kernels")}, nil }

func start(s *setup) ([]command, error) {
	if s.checkpoint == "" {
		return nil, &missingPeer{"name a large published checkpoint with -checkpoint"}
	}
	args := strings.Fields("--prompt a --max-tokens 1 --temperature 0 --json --quiet")
	return []command{{Name: "forge", Args: append([]string{s.forge, "generate", s.checkpoint}, args...)}}, nil
}
