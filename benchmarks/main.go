//go:build unix

// Command benchmarks reproduces the figures of the README's table of speed, side by side with PyTorch and llama.cpp where these are
// installed.
//
//	go run ./benchmarks                     lists the comparisons
//	go run ./benchmarks train-tiny-f32      runs one
//	go run ./benchmarks all                 runs all whose peers are there
//
// A comparison runs its commands in turn, each round in the opposite order of the one before, on a quiet machine, and prints medians,
// ranges and the ratio of medians. Only ratios of one run mean something: a machine's speed drifts by more than what is compared.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// setup is what all comparisons share.
type setup struct {
	rounds     int
	threads    int
	work       string // folder for what is built and written
	llama      string // folder of llama.cpp's npm packages
	python     string
	checkpoint string
	patience   time.Duration // longest wait for quiet
	retries    int           // of a run that others disturbed
	forge      string        // the program
	peers      string        // folder of the peers' scripts
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "benchmarks: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	s := setup{}
	flags := flag.NewFlagSet("benchmarks", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "go run ./benchmarks [flags] NAME…|all\n\n%s\n", list())
		flags.PrintDefaults()
	}
	flags.IntVar(&s.rounds, "rounds", 5, "how often each command runs; odd numbers have a median")
	flags.IntVar(&s.threads, "threads", runtime.GOMAXPROCS(0), "threads of every command")
	flags.StringVar(&s.work, "work", filepath.Join(cache, "forge-benchmarks"), "folder for the program and the models; up to 10 GB")
	flags.StringVar(&s.llama, "llama", os.Getenv("FORGE_LLAMA"), "folder of llama.cpp's npm packages (also the environment variable FORGE_LLAMA)")
	flags.StringVar(&s.python, "python", "/usr/bin/python3", "the Python that has torch")
	flags.StringVar(&s.checkpoint, "checkpoint", "", "a large published checkpoint, for `start`")
	flags.DurationVar(&s.patience, "patience", time.Minute, "longest wait until others use less than a tenth of a core")
	flags.IntVar(&s.retries, "retries", 2, "how often a run that others disturbed is repeated")
	out := flags.String("json", "", "also write all values to a `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := flags.Args()
	if len(names) == 0 {
		fmt.Print(list())
		return nil
	}
	if s.rounds < 1 || s.threads < 1 || s.retries < 0 {
		return errors.New("-rounds and -threads want at least 1, -retries at least 0")
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if err := s.build(ctx); err != nil {
		return err
	}
	var results []*result
	for _, c := range chosen {
		commands, err := c.commands(&s)
		if missing := (*missingPeer)(nil); errors.As(err, &missing) {
			fmt.Printf("%s: left out: %v\n\n", c.name, err)
			if len(chosen) == 1 {
				return fmt.Errorf("%s cannot be measured", c.name)
			}
			continue
		} else if err != nil {
			return err
		}
		r, err := s.alternate(ctx, c, commands)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("%s\n", r)
		results = append(results, r)
	}
	if *out == "" {
		return nil
	}
	text, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(text, '\n'), 0o666)
}

// list is what there is to measure.
func list() string {
	var b strings.Builder
	for _, c := range comparisons {
		fmt.Fprintf(&b, "  %-18s %s\n", c.name, c.what)
	}
	return b.String()
}

// choose finds comparisons by their names; all are those that need nothing but the peers.
func choose(names []string) ([]*comparison, error) {
	var chosen []*comparison
	for _, name := range names {
		found := false
		for i := range comparisons {
			if c := &comparisons[i]; c.name == name || name == "all" && c.all {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no comparison %s; there are:\n%s", name, list())
		}
	}
	return chosen, nil
}

// build makes the forge program of the tree that this runs in.
func (s *setup) build(ctx context.Context) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("run it in forge's own tree: %w", err)
	}
	s.peers = filepath.Join(strings.TrimSpace(string(root)), "benchmarks", "peers")
	if err := os.MkdirAll(s.work, 0o777); err != nil {
		return err
	}
	s.forge = filepath.Join(s.work, "forge")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.forge, "forge/cmd/forge")
	build.Stderr = os.Stderr
	return build.Run()
}
