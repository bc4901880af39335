package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixture is a checkpoint with stored expectations.
func fixture(name string) string {
	return filepath.Join("..", "..", "engine", "parity", "testdata", name)
}

// TestParityPasses: a line for each quantity and exit code 0; with --json one document; --dump writes both files.
func TestParityPasses(t *testing.T) {
	dump := filepath.Join(t.TempDir(), "got")
	code, stdout, stderr := forge(t, "parity", fixture("dense"), "--dump", dump)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for _, want := range []string{"ok   logits ", "ok   greedy.tokens ", "ok   grad.lm_head.weight ", "ok   train.final_logits "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no line %q", want)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasSuffix(last, "quantities within tolerance, 0 over, on cpu") {
		t.Errorf("the last line is %q", last)
	}
	for _, name := range []string{"got.safetensors", "got.json"} {
		if _, err := os.Stat(filepath.Join(dump, name)); err != nil {
			t.Error(err)
		}
	}

	code, stdout, _ = forge(t, "parity", fixture("dense"), "--json", "--device", "reference")
	var document struct {
		Device     string
		OK         bool
		Over       int
		Quantities []struct {
			Name             string
			Worst, Tolerance *float64
			OK               bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &document); err != nil || code != exitDone {
		t.Fatalf("exit code %d, %v", code, err)
	}
	if !document.OK || document.Over != 0 || document.Device != "reference" || len(document.Quantities) != len(lines)-1 {
		t.Errorf("%+v, and %d lines without --json", document, len(lines))
	}
}

// TestParityFails: exit code 1 if something is over, and if the folder lacks something.
func TestParityFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixture("dense"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "expected.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"lr": `, `"lr": 1`, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := forge(t, "parity", dir)
	if code != exitFailed || stderr != "" || !strings.Contains(stdout, "FAIL train.step9.main") || !strings.Contains(stdout, "ok   logits") {
		t.Errorf("exit code %d, %q, %s", code, stderr, stdout)
	}
	for _, args := range [][]string{{"parity", t.TempDir()}, {"parity", filepath.Join(dir, "config.json")}, {"parity", "nowhere"}} {
		if code, _, stderr := forge(t, args...); code != exitFailed || !strings.HasPrefix(stderr, "forge: ") {
			t.Errorf("forge %v: exit code %d, %q", args, code, stderr)
		}
	}
	if code, _, _ := forge(t, "parity"); code != exitUsage {
		t.Errorf("forge parity: exit code %d", code)
	}
}
