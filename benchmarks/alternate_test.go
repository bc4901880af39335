//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAlternate: commands run in turn, figures come from the last line that is an object, ratios are of medians.
func TestAlternate(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	side := func(name, values string) command {
		// Each run prints the next value.
		script := `echo ` + name + ` >> ` + log + `; n=$(grep -c ` + name + ` ` + log + `); set -- ` + values + `; shift $((n-1)); echo working; echo "{\"speed\": $1, \"text\": \"x\", \"none\": null}"`
		return command{Name: name, Args: []string{"sh", "-c", script}}
	}
	s := setup{rounds: 3, patience: 0}
	c := &comparison{name: "sides", figures: []figure{same("speed", "speed"), same("other", "missing")}}
	r, err := s.alternate(context.Background(), c, []command{side("one", "10 30 20 0 0 0 0 0 0 0"), side("two", "5 10 4 0 0 0 0 0 0 0")})
	if err != nil {
		t.Fatal(err)
	}
	order, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if first := strings.Fields(string(order)); first[0] != "one" || first[len(first)-1] != "two" {
		t.Errorf("the order is %q", first)
	}
	if len(r.Rounds) != 3 || r.Rounds[0][0]["max_rss_mib"] <= 0 || r.Rounds[0][0]["wall_s"] <= 0 {
		t.Errorf("%v", r.Rounds)
	}
	r.Rounds = [][]map[string]float64{{{"speed": 10}, {"speed": 5}}, {{"speed": 30}, {"speed": 10}}, {{"speed": 20}, {"speed": 4}}}
	text := r.String()
	for _, want := range []string{"one 20 [10 … 30], two 5 [4 … 10]: 4.00 [2.00 … 5.00]×", "other                  not measured"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	failing := []command{{Name: "fails", Args: []string{"sh", "-c", "echo why; exit 3"}}}
	if _, err := s.alternate(context.Background(), c, failing); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a command that fails: %v", err)
	}
	silent := []command{{Name: "silent", Args: []string{"sh", "-c", "echo nothing"}}}
	if _, err := s.alternate(context.Background(), c, silent); err == nil || !strings.Contains(err.Error(), "printed no figures") {
		t.Errorf("a command without figures: %v", err)
	}
}

// TestChoose: names are found, all leaves out what needs more than the peers, others are told.
func TestChoose(t *testing.T) {
	all, err := choose([]string{"all"})
	if err != nil || len(all) != len(comparisons)-1 {
		t.Errorf("%d, %v", len(all), err)
	}
	if one, err := choose([]string{"start"}); err != nil || len(one) != 1 {
		t.Errorf("%v, %v", one, err)
	}
	if _, err := choose([]string{"stop"}); err == nil {
		t.Error("stop is there")
	}
}

// TestMissingPeers: what is not installed is told with how to get it.
func TestMissingPeers(t *testing.T) {
	s := setup{work: t.TempDir(), llama: t.TempDir(), python: "false"}
	for i := range comparisons {
		c := &comparisons[i]
		_, err := c.commands(&s)
		if c.name == "kernels" || c.name == "busy" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if _, ok := err.(*missingPeer); !ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestGGUF: the models have the published numbers of weights (with the selection biases, without multi-token prediction), and a file
// is as long as its tensors.
func TestGGUF(t *testing.T) {
	want := map[string]int{"tiny-v3": 23938880 - 3585472 + 160, "small-v3": 121796992 - 14142336 + 448, "lite-v3": 1469494272 + 960}
	for name, m := range models {
		size := 0
		for _, tensor := range m.tensors() {
			size += tensor.size()
		}
		if size != want[name] {
			t.Errorf("%s has %d weights, not %d", name, size, want[name])
		}
	}
	small := &model{512, 64, 2, 0, 2, 32, 32, 32, 32, 32, 64, 32, 4, 2, 1, 1, 0, 0}
	for format, e := range encodings {
		path := filepath.Join(t.TempDir(), format)
		if err := small.writeGGUF(path, format); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list := small.tensors()
		length := len(small.header(list, format))
		for i := range list {
			length += aligned(list[i].bytes(format))
		}
		if len(text) != length || !bytes.HasPrefix(text, []byte("GGUF\x03\x00\x00\x00")) || length%ggufAlign != 0 {
			t.Errorf("%s: %d bytes, not %d", format, len(text), length)
		}
		row := make([]byte, e.rowBytes)
		values := make([]float32, rowLength)
		for i := range values {
			values[i] = float32(i-16) / 64
		}
		e.row(row, values)
		for i, v := range values {
			if got := decoded(format, row, i); math.Abs(float64(got-v)) > 0.001 {
				t.Errorf("%s: %g is written as %g", format, v, got)
			}
		}
	}
}

// decoded reads a value of a row.
func decoded(format string, row []byte, i int) float32 {
	switch format {
	case "f32":
		return math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
	case "bf16":
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(row[2*i:])) << 16)
	}
	half := binary.LittleEndian.Uint16(row)
	scale := float32(half&0x3ff) / (1 << 24)
	if half >= 1<<10 {
		scale = math.Float32frombits(uint32(half)<<13 + 112<<23)
	}
	return scale * float32(int8(row[2+i]))
}
