package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"forge/dsl/check"
	"forge/engine/huggingface"
	"forge/engine/weights"
)

// TestExamplesAreWrong: each page's wrong file gives the page's error, and no other.
func TestExamplesAreWrong(t *testing.T) {
	for _, p := range pages() {
		if _, none := withoutExample[p.Code]; (p.Wrong == "") != none {
			t.Errorf("%s: has it an example? %v", p.Code, p.Wrong != "")
		}
		if p.Wrong == "" {
			continue
		}
		t.Run(p.Code, func(t *testing.T) {
			codes := exampleCodes(t, p.Wrong)
			if len(codes) == 0 {
				t.Error("the example is not wrong")
			}
			for _, code := range codes {
				if code != p.Code {
					t.Errorf("the example gives %s", code)
				}
			}
		})
	}
}

// withoutExample are the codes that nothing gives in this build, and why.
var withoutExample = map[string]string{
	"E404": "a version is refused by an installed plugin",
	"E405": "forge.lock", "E406": "forge.lock", "E407": "plugins", "E408": "plugins", "E409": "forge.lock", "W006": "forge.lock",
	"W003": "a state that a checkpoint lacks is E605",
	"W004": "there is one version of the language",
}

// exampleCodes are the codes of what is wrong with an example: of its recipe, or of the checkpoint or config.json beside it.
func exampleCodes(t *testing.T, text string) []string {
	t.Helper()
	files, sets := exampleFiles(text)
	dir := t.TempDir()
	checkpoint := false
	for name, f := range files {
		if strings.HasSuffix(name, ".forge") {
			continue
		}
		checkpoint = true
		data := f.Data
		if strings.HasSuffix(name, ".safetensors") {
			data = exampleTensors(t, string(data))
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if files["config.json"] != nil {
		_, err := huggingface.ReadConfig(filepath.Join(dir, "config.json"))
		return faultCodes(err)
	}
	_, found := check.File(check.FS{FS: files}, "main.forge")
	if sets != nil || checkpoint {
		var recipe *check.Recipe
		if recipe, found = check.Load(check.FS{FS: files}, "main.forge", sets); checkpoint && recipe != nil {
			named, err := weights.OpenNamed(dir, recipe.Model, recipe.Names, weights.Reading{})
			if err == nil {
				named.Close()
			}
			return faultCodes(err)
		}
	}
	var codes []string
	for _, d := range found {
		codes = append(codes, d.Code)
	}
	return codes
}

// exampleFiles cuts an example into its files and what is set on the command line.
func exampleFiles(text string) (files fstest.MapFS, sets []string) {
	files = fstest.MapFS{}
	name := "main.forge"
	for _, line := range strings.SplitAfter(text+"\n", "\n") {
		if next, ok := strings.CutPrefix(line, "file "); ok {
			name = strings.TrimSpace(next)
			continue
		}
		if set, ok := strings.CutPrefix(line, "--set "); ok {
			sets = append(sets, strings.TrimSpace(set))
			continue
		}
		if files[name] == nil {
			files[name] = &fstest.MapFile{}
		}
		files[name].Data = append(files[name].Data, line...)
	}
	return files, sets
}

// exampleTensors writes the file of tensors that lines like `norm F32 2 = 1` describe.
func exampleTensors(t *testing.T, text string) []byte {
	t.Helper()
	var list []weights.Stored
	fill := map[string]float32{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		described, value, _ := strings.Cut(line, " = ")
		f, err := strconv.ParseFloat(value, 32)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(described)
		s := weights.Stored{Entry: weights.Entry{Name: words[0]}, Dtype: weights.Dtype(words[1])}
		for _, size := range words[2:] {
			n, err := strconv.Atoi(size)
			if err != nil {
				t.Fatal(err)
			}
			s.Shape = append(s.Shape, n)
		}
		list = append(list, s)
		fill[s.Name] = float32(f)
	}
	var b bytes.Buffer
	err := weights.WriteStored(&b, list, nil, func(w io.Writer, s weights.Stored) error {
		if s.Dtype.Size() == 1 {
			_, err := w.Write(make([]byte, s.Shape.Size()))
			return err
		}
		values := make([]float32, s.Shape.Size())
		weights.Fill(values, fill[s.Name])
		return s.Dtype.Write(w, values)
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func faultCodes(err error) []string {
	var faults *weights.Faults
	if !errors.As(err, &faults) {
		return nil
	}
	var codes []string
	for _, f := range faults.List {
		codes = append(codes, f.Code)
	}
	return codes
}

// TestEveryCodeHasAPage: a code that the sources of the language can report is explained, and none twice.
func TestEveryCodeHasAPage(t *testing.T) {
	explained := map[string]bool{}
	for _, p := range pages() {
		if explained[p.Code] {
			t.Errorf("%s has two pages", p.Code)
		}
		explained[p.Code] = true
		if p.Title == "" || p.Meaning == "" || p.Cure == "" {
			t.Errorf("the page of %s is not complete", p.Code)
		}
	}
	code := regexp.MustCompile(`"([EW][0-9]{3})"`)
	reported := 0
	for _, pattern := range []string{"../../dsl/*.go", "../../dsl/check/*.go", "../../engine/weights/*.go", "../../engine/huggingface/*.go"} {
		sources, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range code.FindAllStringSubmatch(string(text), -1) {
				reported++
				if !explained[m[1]] {
					t.Errorf("%s can report %s, and `forge explain %s` has no page", source, m[1], m[1])
				}
			}
		}
	}
	if reported == 0 {
		t.Error("no code was found in the sources")
	}
}
