//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// command is one side of a comparison. It prints a JSON object as its last line; the object's numbers are its figures.
type command struct {
	Name string   `json:"name"`
	Args []string `json:"args"`
	// Beside is run all the time that the command runs, to disturb it.
	Beside []string `json:"beside,omitempty"`
}

// result holds the figures of all rounds.
type result struct {
	Name      string                 `json:"name"`
	Commands  []command              `json:"commands"`
	Rounds    [][]map[string]float64 `json:"rounds"`    // of each round, of each command
	Disturbed []int                  `json:"disturbed"` // runs of each command that others disturbed and that had to be kept

	figures []figure
}

// limit is what others may use of a core while a command runs.
const limit = 0.1

// alternate runs the commands in turn.
func (s *setup) alternate(ctx context.Context, c *comparison, commands []command) (*result, error) {
	r := &result{Name: c.name, Commands: commands, Disturbed: make([]int, len(commands)), figures: c.figures}
	for round := range s.rounds {
		figures := make([]map[string]float64, len(commands))
		for i := range commands {
			k := i
			if round%2 == 1 {
				k = len(commands) - 1 - i
			}
			fmt.Fprintf(os.Stderr, "%s: round %d of %d: %s\n", c.name, round+1, s.rounds, commands[k].Name)
			got, disturbed, err := s.quietly(ctx, &commands[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", commands[k].Name, err)
			}
			figures[k] = got
			if disturbed {
				r.Disturbed[k]++
			}
		}
		r.Rounds = append(r.Rounds, figures)
	}
	return r, nil
}

// quietly gives the figures of the least disturbed of several runs.
func (s *setup) quietly(ctx context.Context, c *command) (best map[string]float64, disturbed bool, err error) {
	least := math.Inf(1)
	for range 1 + s.retries {
		waitForQuiet(ctx, s.patience)
		figures, others, err := once(ctx, c)
		if err != nil {
			return nil, false, err
		}
		if others < least {
			best, least = figures, others
		}
		if least < limit+clockTick/figures["wall_s"] {
			return best, false, nil
		}
	}
	return best, true, nil
}

// longest is how long a command may run.
const longest = 15 * time.Minute

// once runs a command and says what others used of a core meanwhile.
func once(ctx context.Context, c *command) (figures map[string]float64, others float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if len(c.Beside) > 0 {
		beside := exec.CommandContext(ctx, c.Beside[0], c.Beside[1:]...)
		if err := beside.Start(); err != nil {
			return nil, 0, err
		}
		defer func() {
			_ = beside.Process.Kill()
			_ = beside.Wait() // it was killed
		}()
	}
	var out, errs bytes.Buffer
	run := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	run.Stdout, run.Stderr = &out, &errs
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	busy, own, start := busySeconds(), ownSeconds(), time.Now()
	if err := run.Run(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, tail(errs.String()+out.String()))
	}
	wall := time.Since(start).Seconds()
	others = (busySeconds() - busy - (ownSeconds() - own)) / wall
	if len(c.Beside) > 0 {
		others = 0 // that is what it is for
	}
	if figures = lastObject(out.Bytes()); len(figures) == 0 {
		return nil, 0, fmt.Errorf("%s: it printed no figures:\n%s", strings.Join(c.Args, " "), tail(out.String()))
	}
	figures["wall_s"] = wall
	if usage, ok := run.ProcessState.SysUsage().(*syscall.Rusage); ok {
		figures["max_rss_mib"] = float64(usage.Maxrss) * rssUnit / (1 << 20)
	}
	return figures, max(others, 0), nil
}

func tail(text string) string { return text[max(0, len(text)-1500):] }

// lastObject gives the numbers of the last line that is a JSON object.
func lastObject(text []byte) map[string]float64 {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for _, line := range slices.Backward(lines) {
		var object map[string]any
		if json.Unmarshal(line, &object) != nil {
			continue
		}
		figures := map[string]float64{}
		for name, value := range object {
			if v, ok := value.(float64); ok {
				figures[name] = v
			}
		}
		return figures
	}
	return nil
}

// errNoFigure says that a figure is not in all rounds.
var errNoFigure = errors.New("not measured")

// values are those of a figure in all rounds of a command.
func (r *result) values(command int, name string) ([]float64, error) {
	var values []float64
	for _, round := range r.Rounds {
		v, ok := round[command][name]
		if !ok {
			return nil, errNoFigure
		}
		values = append(values, v)
	}
	return values, nil
}

// String is a table: the figures of each command, and the ratio of the first to each other.
func (r *result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d rounds in turn\n", r.Name, len(r.Rounds))
	for _, f := range r.figures {
		first, err := r.values(0, f.first)
		if err != nil {
			fmt.Fprintf(&b, "  %-22s %v\n", f.what, err)
			continue
		}
		fmt.Fprintf(&b, "  %-22s %s %s", f.what, r.Commands[0].Name, spread(first, show))
		for i := 1; i < len(r.Commands); i++ {
			if other, err := r.values(i, f.other); err == nil {
				fmt.Fprintf(&b, ", %s %s: %s×", r.Commands[i].Name, spread(other, show), ratio(first, other))
			}
		}
		b.WriteString("\n")
	}
	for i, c := range r.Commands {
		fmt.Fprintf(&b, "  %s: %s\n", c.Name, strings.Join(c.Args, " "))
		if n := r.Disturbed[i]; n > 0 {
			fmt.Fprintf(&b, "  %d of %d runs of %s were disturbed by others: measure again on a quiet machine\n", n, len(r.Rounds), c.Name)
		}
	}
	return b.String()
}

// spread is the median with the smallest and the largest value.
func spread(values []float64, show func(float64) string) string {
	if len(values) == 1 {
		return show(values[0])
	}
	return fmt.Sprintf("%s [%s … %s]", show(median(values)), show(slices.Min(values)), show(slices.Max(values)))
}

// ratio is that of the medians, with its range round by round.
func ratio(a, b []float64) string {
	each := make([]float64, len(a))
	for i := range a {
		each[i] = a[i] / b[i]
	}
	text := fmt.Sprintf("%.2f", median(a)/median(b))
	if len(each) > 1 {
		text += fmt.Sprintf(" [%.2f … %.2f]", slices.Min(each), slices.Max(each))
	}
	return text
}

func show(v float64) string {
	if math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
