package tokenizer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// goldenTexts show what the steps of tokenizers treat differently.
var goldenTexts = []string{
	"", " ", "The end of the line.", "It doesn't; WE'VE I'll ſ'ſ 's", "1 22 333 4444 55555", "a  b   c\n\n  d\t\te \r\n", "x\u00a0y\u3000z",
	"Größe Straße é e\u0301 ﬁ İstanbul Σίσυφος", "আমি বাংলায় গান গাই।", "语言模型，读词元。ひらがなカタカナ", "한국어 สวัสดี مرحبا", "👩\u200d💻🏽🇩🇪",
	"<|left|> in x<|right|>  <|both|>  word words <|norm|> École <think> <thi", "\xff\xfe valid \xe2\x82 again", "aaaaaaaaaaaaaaaa", "\uFFFD\u0000\u0007",
}

// TestEncodeGolden keeps the tokens of every kind of tokenizer, which the oracle agreed with.
func TestEncodeGolden(t *testing.T) {
	var out strings.Builder
	for _, v := range variants(t) {
		b := v.read(t)
		fmt.Fprintf(&out, "== %s, %d tokens, start %d\n", v.name, b.Vocab(), b.Start())
		for _, text := range goldenTexts {
			tokens := b.EncodeWhole(nil, []byte(text))
			fmt.Fprintf(&out, "%q\n", text)
			for _, x := range tokens {
				fmt.Fprintf(&out, " %s", b.TokenName(x))
			}
			fmt.Fprintf(&out, "\n %q\n", b.Text(tokens, true))
		}
	}
	golden(t, "encode.golden", out.String())
}

// TestBytesComeBack checks that a byte-level tokenizer gives any bytes back, at once and streamed.
func TestBytesComeBack(t *testing.T) {
	b := small(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) })).Draw(t, "text")
		before := []int32{7, 8}
		tokens := b.Encode(before, text)
		if !slices.Equal(tokens[:2], before) {
			t.Fatalf("what was there became %v", tokens[:2])
		}
		tokens = tokens[2:]
		if got := b.Decode(nil, tokens...); !bytes.Equal(got, text) {
			t.Fatalf("%q came back as %q", text, got)
		}
		s := NewStream(b)
		var streamed []byte
		for _, x := range tokens {
			streamed = append(streamed, s.Next(x)...)
		}
		streamed = append(streamed, s.Flush()...)
		if want := b.Text(tokens, false); string(streamed) != want {
			t.Fatalf("streamed %q, at once %q", streamed, want)
		}
	})
	if got := b.Decode(nil, -1, 36, int32(b.Vocab()), 1<<30, 37); string(got) != "EF" {
		t.Errorf("tokens that there are not gave %q", got)
	}
	if got := b.Text([]int32{-1, 36, int32(b.Vocab()), 37}, true); got != "EF" {
		t.Errorf("tokens that there are not gave %q", got)
	}
}

// TestMergesAgree compares both ways to merge with the plain definition: again and again the pair of the lowest rank.
func TestMergesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := merges{}
		symbols := int32(4)
		for rank := range rapid.IntRange(0, 30).Draw(t, "merges") {
			p := pair{rapid.Int32Range(0, symbols-1).Draw(t, "left"), rapid.Int32Range(0, symbols-1).Draw(t, "right")}
			if _, exists := table[p]; !exists {
				table[p] = merged{int32(rank), symbols}
				symbols++
			}
		}
		word := rapid.SliceOfN(rapid.Int32Range(0, 3), 0, 3*shortWord).Draw(t, "word")
		want := slices.Clone(word)
		for {
			best := -1
			for i := 0; i+1 < len(want); i++ {
				x, found := table[pair{want[i], want[i+1]}]
				if found && (best < 0 || x.rank < table[pair{want[best], want[best+1]}].rank) {
					best = i
				}
			}
			if best < 0 {
				break
			}
			want = slices.Replace(want, best, best+2, table[pair{want[best], want[best+1]}].symbol)
		}
		var m merger
		if got := m.long(table, slices.Clone(word)); !slices.Equal(got, want) {
			t.Fatalf("long: %v, want %v", got, want)
		}
		if len(word) <= shortWord {
			if got := m.apply(table, slices.Clone(word)); !slices.Equal(got, want) {
				t.Fatalf("short: %v, want %v", got, want)
			}
		}
	})
}

func TestManyGoroutines(t *testing.T) {
	b := small(t)
	text := []byte(strings.Repeat(sampleText, 20))
	want := b.Encode(nil, text)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if got := b.Encode(nil, text); !slices.Equal(got, want) {
				t.Error("goroutines at once give other tokens")
			}
		})
	}
	wait.Wait()
}

// TestHash checks that the hash is that of the behaviour, not of the text of the file.
func TestHash(t *testing.T) {
	same := change(t, map[string]string{
		"decoder":      `{"use_regex": false, "trim_offsets": true, "type": "ByteLevel", "add_prefix_space": false}`,
		"model.merges": mergesAsLines(t),
		"version":      `"2.0"`,
	})
	hashes := map[string]string{}
	for _, v := range append(variants(t), variant{"the same", same}) {
		hash := v.read(t).Hash()
		if was, exists := hashes[hash]; exists && (v.name != "the same" || was != "small") && v.name != "pattern llama3" {
			t.Errorf("%s and %s have the same hash", was, v.name)
		}
		if _, exists := hashes[hash]; !exists && v.name == "the same" {
			t.Error("the same tokenizer written in another way has another hash")
		}
		hashes[hash] = v.name
		if v.name == "pattern llama3" {
			hashes[hash] = "small" // which has that pattern
		}
	}
	if got := small(t).Hash(); got != "c5c1fe7befffc902" {
		t.Errorf("the hash of the small tokenizer is %q: its behaviour changed, and checkpoints would be refused", got)
	}
}

func mergesAsLines(t *testing.T) string {
	var lines []string
	for _, m := range small(t).definition.Model.Merges {
		lines = append(lines, quote(m[0]+" "+m[1]))
	}
	return "[" + strings.Join(lines, ",") + "]"
}

// TestNames are of tokens.
func TestNames(t *testing.T) {
	b := small(t)
	id, found := b.ID("Ġthe")
	if !found || b.TokenName(id) != "Ġthe" || b.Special(id) || string(b.Decode(nil, id)) != " the" {
		t.Errorf("Ġthe: %d, %v", id, found)
	}
	if _, found := b.ID("no such token"); found || b.TokenName(-1) != "" || b.TokenName(int32(b.Vocab())) != "" || b.Special(-1) {
		t.Error("a token that there is not was found")
	}
}

// opticks is the text that lies in every Go installation.
func opticks(b *testing.B) []byte {
	text, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src", "testdata", "Isaac.Newton-Opticks.txt"))
	if err != nil {
		b.Skip(err)
	}
	return text
}

func BenchmarkEncode(b *testing.B) {
	text, tok := opticks(b), small(b)
	var tokens []int32
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		tokens = tok.Encode(tokens[:0], text)
	}
}

// BenchmarkEncodeOnce has no word in its cache.
func BenchmarkEncodeOnce(b *testing.B) {
	text := opticks(b)
	var tokens []int32
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		b.StopTimer()
		tok := small(b)
		b.StartTimer()
		tokens = tok.Encode(tokens[:0], text)
	}
}

// BenchmarkEncodeDeepSeek encodes English prose and Go source with DeepSeek-V3's own vocabulary, of the folder in FORGE_ORACLE, on one
// core: with the words of the text before in the cache, and with none.
func BenchmarkEncodeDeepSeek(b *testing.B) {
	folder := os.Getenv("FORGE_ORACLE")
	if folder == "" {
		b.Skip("FORGE_ORACLE is not set")
	}
	file, err := os.ReadFile(filepath.Join(folder, "node_modules", "@lenml", "tokenizer-deepseek_v3", "models", "tokenizer.json"))
	if err != nil {
		b.Fatal(err)
	}
	tok, err := Read(file)
	if err != nil {
		b.Fatal(err)
	}
	var source []byte
	for _, name := range []string{"net/http/server.go", "go/types/expr.go", "reflect/type.go", "runtime/proc.go", "crypto/tls/conn.go"} {
		text, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src", filepath.FromSlash(name)))
		if err != nil {
			b.Skip(err)
		}
		source = append(source, text...)
	}
	for _, k := range []struct {
		name string
		text []byte
	}{{"prose", opticks(b)}, {"source", source}} {
		var tokens []int32
		b.Run(k.name, func(b *testing.B) {
			b.SetBytes(int64(len(k.text)))
			for b.Loop() {
				tokens = tok.Encode(tokens[:0], k.text)
			}
		})
		b.Run(k.name+"/once", func(b *testing.B) {
			b.SetBytes(int64(len(k.text)))
			for b.Loop() {
				b.StopTimer()
				e := tok.encoders.New().(*encoder)
				b.StartTimer()
				e.out = tokens[:0]
				e.text(k.text)
				tokens = e.out
			}
		})
	}
}

func BenchmarkTrain(b *testing.B) {
	text := opticks(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Train(func(yield func([]byte, error) bool) { yield(text, nil) }, TrainOptions{Vocab: 4096}); err != nil {
			b.Fatal(err)
		}
	}
}
