package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what scripts can do beside running forge.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"alike":    alike,
	"copies":   copies,
	"exits":    exits,
	"falls":    falls,
	"number":   number,
	"same":     same,
	"spoil":    spoil,
	"truncate": truncate,
	"wait-for": waitFor,
}

// exits is the script command `exits CODE forge ARG…`: it runs forge and checks the exit code. Its output can be matched with
// stdout and stderr as after exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "forge" {
		ts.Fatalf("usage: exits CODE forge ARG…")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// falls is `falls FIELD METRICS`: the last value of a field of metrics.jsonl is below the first.
func falls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: falls FIELD METRICS")
	}
	steps := readMetrics(ts, args[1])
	first, isNumber := steps[0][args[0]].(float64)
	last, isToo := steps[len(steps)-1][args[0]].(float64)
	if !isNumber || !isToo || !(last < first) {
		ts.Fatalf("%s does not fall: %v, then %v", args[0], steps[0][args[0]], steps[len(steps)-1][args[0]])
	}
}

// alike is `alike RUN RUN`: the losses and gradient norms of two runs agree to four digits, as those of two devices must.
func alike(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: alike RUN RUN")
	}
	one, two := readMetrics(ts, filepath.Join(args[0], "metrics.jsonl")), readMetrics(ts, filepath.Join(args[1], "metrics.jsonl"))
	if len(one) != len(two) {
		ts.Fatalf("%d steps and %d steps", len(one), len(two))
	}
	for i := range one {
		for _, field := range []string{"loss", "main_loss", "grad_norm"} {
			x, isNumber := one[i][field].(float64)
			y, isToo := two[i][field].(float64)
			if !isNumber || !isToo || !(math.Abs(x-y) <= 1e-4*math.Abs(x)) {
				ts.Fatalf("step %d: %s is %v and %v", i+1, field, one[i][field], two[i][field])
			}
		}
	}
}

// number is `number FIELD < VALUE`, or with `>`: a number of the JSON document that the last command printed.
func number(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || args[1] != "<" && args[1] != ">" {
		ts.Fatalf("usage: number FIELD <|> VALUE")
	}
	var document map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &document))
	got, isNumber := document[args[0]].(float64)
	limit, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	if !isNumber {
		ts.Fatalf("%s is %v", args[0], document[args[0]])
	}
	if holds := got < limit && args[1] == "<" || got > limit && args[1] == ">"; holds == neg {
		ts.Fatalf("%s is %v", args[0], got)
	}
}

// repeats is a text of letters drawn from an alphabet that repeats itself after period of them.
func repeats(r *rand.Rand, alphabet string, period, length int) string {
	text := make([]byte, length)
	for i := range text {
		if text[i] = alphabet[r.IntN(len(alphabet))]; i >= period {
			text[i] = text[i-period]
		}
	}
	return string(text)
}

// copies is `copies near|far|both FILE N`: N texts of 64 letters, one after the other, of lower-case letters that repeat themselves after
// 6 or of upper-case ones after 24; or N lines of JSON with a text of each kind in turn, a letter longer.
func copies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: copies near|far|both FILE N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	r := rand.New(rand.NewPCG(uint64(len(args[0])), 1))
	near := func(length int) string { return repeats(r, "abcdefgh", 6, length) }
	far := func(length int) string { return repeats(r, "ABCDEFGH", 24, length) }
	var text strings.Builder
	for range n {
		switch args[0] {
		case "near":
			text.WriteString(near(64))
		case "far":
			text.WriteString(far(64))
		default:
			fmt.Fprintf(&text, "{\"text\": %q}\n{\"text\": %q}\n", near(65), far(65))
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text.String()), 0o666))
}

// same is `same RUN RUN`: two runs have the same curve, weights, moments and states, to the bit. What they measured of the machine
// may differ.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same RUN RUN")
	}
	var curves [2]string
	var latest [2]string
	for i, run := range args {
		for _, step := range readMetrics(ts, filepath.Join(run, "metrics.jsonl")) {
			for _, ofMachine := range []string{"tok_s", "step_ms", "mem_mib", "mfu"} {
				delete(step, ofMachine)
			}
			text, err := json.Marshal(step)
			ts.Check(err)
			curves[i] += string(text) + "\n"
		}
		var index struct{ Latest string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(run, "checkpoints", "index.json"))), &index))
		latest[i] = filepath.Join(run, "checkpoints", index.Latest)
	}
	if curves[0] != curves[1] {
		ts.Fatalf("the curves differ:\n%s\n%s", curves[0], curves[1])
	}
	for _, file := range []string{"model.safetensors", "optimizer.safetensors"} {
		if one, two := ts.ReadFile(filepath.Join(latest[0], file)), ts.ReadFile(filepath.Join(latest[1], file)); one != two || one == "" {
			ts.Fatalf("%s and %s have different %s", latest[0], latest[1], file)
		}
	}
}

func readMetrics(ts *testscript.TestScript, file string) (steps []map[string]any) {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	for decoder.More() {
		var step map[string]any
		ts.Check(decoder.Decode(&step))
		steps = append(steps, step)
	}
	if len(steps) < 2 {
		ts.Fatalf("%s has %d steps", file, len(steps))
	}
	return steps
}

// truncate is `truncate FILE`: the second half of a file is lost.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: truncate FILE")
	}
	file := ts.MkAbs(args[0])
	info, err := os.Stat(file)
	ts.Check(err)
	ts.Check(os.Truncate(file, info.Size()/2))
}

// spoil is `spoil FILE`: a byte in the second half of a file is another.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: spoil FILE")
	}
	file := ts.MkAbs(args[0])
	text, err := os.ReadFile(file)
	ts.Check(err)
	text[len(text)*3/4|3] ^= 0x41 // the last byte of a float32: sign and exponent
	ts.Check(os.WriteFile(file, text, 0o666))
}

// waitFor is `wait-for FILE`: a command in the background has written a line to a file.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-for FILE")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && bytes.Contains(text, []byte("\n")) {
			return
		}
	}
	ts.Fatalf("%s was not written", args[0])
}

// scriptCondition decides conditions in brackets that testscript does not know.
func scriptCondition(condition string) (bool, error) {
	if condition == "root" {
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", condition)
}
