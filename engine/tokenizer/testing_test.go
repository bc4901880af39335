package tokenizer

import (
	"encoding/json"
	"flag"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// documents are the lines of the test corpus with their line ends.
func documents(t testing.TB) iter.Seq2[[]byte, error] {
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func([]byte, error) bool) {
		for line := range strings.SplitAfterSeq(string(data), "\n") {
			if !yield([]byte(line), nil) {
				return
			}
		}
	}
}

// small is the tokenizer of testdata: 450 tokens, trained on the test corpus.
func small(t testing.TB) *BPE {
	b, err := ReadFile(filepath.Join("testdata", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the result differs from the golden file; -update writes it.\ngot:\n%s", path, got)
	}
}

// variant is the small tokenizer with other steps.
type variant struct {
	name string
	text string
}

func (v variant) read(t testing.TB) *BPE {
	b, err := Read([]byte(v.text))
	if err != nil {
		t.Fatalf("%s: %v", v.name, err)
	}
	return b
}

// change gives the text of the small tokenizer with fields replaced: "model.unk_token" is a field of the model, which is not replaced as well.
func change(t testing.TB, fields map[string]string) string {
	data, err := os.ReadFile(filepath.Join("testdata", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file, model map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file["model"], &model); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		if field, isModel := strings.CutPrefix(name, "model."); isModel {
			model[field] = json.RawMessage(value)
			continue
		}
		if name == "model" {
			clear(model)
			if err := json.Unmarshal([]byte(value), &model); err != nil {
				t.Fatal(err)
			}
			continue
		}
		file[name] = json.RawMessage(value)
	}
	if file["model"], err = json.Marshal(model); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The patterns of published tokenizers, and one that is lazy and looks ahead.
var publishedPatterns = map[string]string{
	"gpt2":         gpt2Pattern,
	"llama3":       DefaultPattern,
	"qwen2":        `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"o200k":        `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"cl100k":       `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
	"deepseek-v3a": `\p{N}{1,3}`,
	"deepseek-v3b": `[一-龥぀-ゟ゠-ヿ]+`,
	"deepseek-v3c": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
	"bloom":        ` ?[^(\s|[.,!?…。，、।۔،])]+`,
	"lazy":         `[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+?(?=\s|\p{P}|\d)|\p{N}{1,3}|\s+(?!\S)|\s`,
}
