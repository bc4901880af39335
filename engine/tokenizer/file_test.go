package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/dsl/check"
)

// TestReadRefuses checks that nothing in a file is ignored: what forge does not do is named with its place.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		field, value string
		want         string
	}{
		{"surprise", "1", `the file: unknown field "surprise"`},
		{"truncation", `{"max_length": 512}`, "truncation: the file cuts or fills up what it encodes, which forge does not do; set truncation to null"},
		{"padding", `{"strategy": "BatchLongest"}`, "padding: the file cuts or fills up what it encodes, which forge does not do; set padding to null"},
		{"normalizer", `{"type":"Nmt"}`, `normalizer: the type "Nmt" is not one that forge knows (NFC, NFD, NFKC, NFKD, Lowercase, Replace, Prepend, Strip, Sequence)`},
		{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Precompiled","precompiled_charsmap":""}]}`, `normalizer.normalizers[1]: the type "Precompiled" is not one`},
		{"normalizer", `{"type":"Replace","pattern":{"String":""},"content":""}`, "normalizer: the pattern is empty"},
		{"normalizer", `{"type":"Replace","pattern":{},"content":""}`, "normalizer: a pattern is either a String or a Regex"},
		{"normalizer", `{"type":"Lowercase","locale":"tr"}`, `normalizer: unknown field "locale"`},
		{"pre_tokenizer", `{"type":"BertPreTokenizer"}`, `pre_tokenizer: the type "BertPreTokenizer" is not one that forge knows (Split, ByteLevel,`},
		{"pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"^a"},"behavior":"Isolated","invert":false}]}`, `pre_tokenizer.pretokenizers[0]: pattern "^a", at byte 0`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"a"},"behavior":"Dropped","invert":false}`, `pre_tokenizer: the behavior "Dropped" is not one that forge knows`},
		{"pre_tokenizer", `{"type":"ByteLevel","add_prefix_space":false,"speed":9}`, `pre_tokenizer: unknown field "speed"`},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"ab"}`, `pre_tokenizer: replacement "ab" is not one character`},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"_","prepend_scheme":"last"}`, `pre_tokenizer: the prepend_scheme "last" is not one`},
		{"pre_tokenizer", `[]`, "pre_tokenizer: json: cannot unmarshal array"},
		{"post_processor", `{"type":"BertProcessing","sep":["a",1],"cls":["b",2]}`, `post_processor: the type "BertProcessing" is not one`},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}}`,
			`post_processor: single[0] is the special token "<s>", which special_tokens lacks`},
		{"post_processor", `{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}}`, "post_processor: single has no sequence"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],` +
			`"special_tokens":{"<s>":{"id":"<s>","ids":[99999],"tokens":["<s>"]}}}`, "post_processor: there is no token 99999"},
		{"decoder", `null`, "decoder: there is no decoder, so tokens can't become text"},
		{"decoder", `{"type":"WordPiece","prefix":"##","cleanup":true}`, `decoder: the type "WordPiece" is not one that forge knows (ByteLevel,`},
		{"decoder", `{"type":"Strip","content":"ab","start":1,"stop":0}`, "decoder: content is one character"},
		{"model", `{"type":"WordPiece","vocab":{"a":0}}`, `model: the type "WordPiece" is not one that forge knows (BPE)`},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[],"cache":3}`, `model: unknown field "cache"`},
		{"model", `{"type":"Unigram"}`, `model: the type "Unigram" is not one that forge knows (BPE)`},
		{"model", `{"type":"BPE","merges":[]}`, "model: there is no vocabulary"},
		{"model", `{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}`, "have the same number 0"},
		{"model", `{"type":"BPE","vocab":{"a":-1},"merges":[]}`, `model: the token "a" has the number -1`},
		{"model", `{"type":"BPE","vocab":{"a":99999999},"merges":[]}`, `model: the token "a" has the number 99999999`},
		{"model.dropout", "0.1", "model: dropout 0.1 would leave out merges by chance; set it to null"},
		{"model.unk_token", `"<unk>"`, `model: the vocabulary lacks unk_token "<unk>"`},
		{"model.continuing_subword_prefix", `"##"`, `model: continuing_subword_prefix "##" is not supported`},
		{"model.end_of_word_suffix", `"</w>"`, `model: end_of_word_suffix "</w>" is not supported`},
		{"model.merges", `[["a","zzz"]]`, `model: merges[0] is about "zzz", which the vocabulary lacks`},
		{"model.merges", `["a b c"]`, `model: merges[0] is "a b c", not two tokens with a space between`},
		{"added_tokens", `[{"id":450,"content":""}]`, "added_tokens[0] has no content"},
		{"added_tokens", `[{"id":450,"content":"<a>"},{"id":452,"content":"<b>"}]`,
			`added_tokens[1]: the token "<b>" has the number 452, but Hugging Face's tokenizers would give it 451, the next that is free`},
		{"added_tokens", `[{"id":3,"content":"!"}]`, `added_tokens[0]: the token "!" has the number 3 here and 0 elsewhere in the file`},
		{"added_tokens", `[{"id":450,"content":"<a>","color":"red"}]`, `added_tokens[0]: unknown field "color"`},
	} {
		_, err := Read([]byte(change(t, map[string]string{c.field: c.value})))
		if !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s %s:\n got %v\nwant %s", c.field, c.value, err, c.want)
		}
	}
	for _, text := range []string{"", "{", "[]", "null", `{"model":7}`, `{"added_tokens":{}}`} {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestOpenBPE(t *testing.T) {
	path := filepath.Join("testdata", "tokenizer.json")
	padded, err := Open(check.Tokenizer{Kind: "bpe", Path: path, Vocab: 512})
	if err != nil || padded.Vocab() != 512 || padded.Name() != "bpe" || padded.Hash() != small(t).Hash() {
		t.Fatalf("%v", err)
	}
	if got := padded.Decode(nil, 511, 500, 36); string(got) != "E" {
		t.Errorf("padding gave %q", got)
	}
	_, err = Open(check.Tokenizer{Kind: "bpe", Path: path, Vocab: 300})
	if err == nil || !strings.Contains(err.Error(), "has 450 tokens, but the recipe says `vocab = 300`") {
		t.Errorf("too small a vocabulary: %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	b, path := small(t), filepath.Join(t.TempDir(), "tokenizer.json")
	if err := b.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("written again, the file differs")
	}
	if err := b.WriteFile(filepath.Join(t.TempDir(), "none", "tokenizer.json")); err == nil {
		t.Error("a folder that there is not was written to")
	}
	for _, v := range variants(t) {
		x, path := v.read(t), filepath.Join(t.TempDir(), "x.json")
		if err := x.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		y, err := ReadFile(path)
		if err != nil || x.Hash() != y.Hash() {
			t.Errorf("%s: written and read, it is another tokenizer (%v)", v.name, err)
		}
	}
}

// TestReadCutOff names what is missing, wherever a file is cut off.
func TestReadCutOff(t *testing.T) {
	for text, want := range map[string]string{
		"": "the file is empty", " \n": "the file is empty", "{": "the file: it ends in the middle", `{"version": "1.0"`: "the file: it ends in the middle",
		`{"version": "1.0"}`: "model: there is none", `{"model": {"type": "BPE"}}`: "model: there is no vocabulary", "null": "model: there is none",
	} {
		if _, err := Read([]byte(text)); fmt.Sprint(err) != want && !strings.HasSuffix(fmt.Sprint(err), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, v := range variants(f)[:3] {
		f.Add([]byte(v.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Read(data)
		if err != nil {
			return
		}
		for _, text := range goldenTexts {
			for _, x := range b.EncodeWhole(nil, []byte(text)) {
				if x < 0 || int(x) >= b.Vocab() {
					t.Errorf("token %d of %d", x, b.Vocab())
				}
			}
		}
	})
}
