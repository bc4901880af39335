package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
)

const (
	byteLevelPlain = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	byteLevelGPT2  = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`
)

func sequence2(items string) string { return `{"type":"Sequence","pretokenizers":[` + items + `]}` }

func split(pattern, behavior string, invert bool) string {
	return fmt.Sprintf(`{"type":"Split","pattern":{"Regex":%s},"behavior":%q,"invert":%v}`, quote(pattern), behavior, invert)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// variants are tokenizers with each step that forge knows.
func variants(t testing.TB) []variant {
	var all []variant
	add := func(name string, fields map[string]string) {
		all = append(all, variant{name, change(t, fields)})
	}
	pre := func(name, value string) { add(name, map[string]string{"pre_tokenizer": value}) }
	add("small", nil)
	for _, name := range slices.Sorted(maps.Keys(publishedPatterns)) {
		pre("pattern "+name, sequence2(split(publishedPatterns[name], "Isolated", false)+","+byteLevelPlain))
	}
	for _, behavior := range []string{"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"} {
		for _, invert := range []bool{false, true} {
			pre(fmt.Sprintf("split %s %v", behavior, invert), sequence2(split(`[aeiou]|\s|\p{Lo}{2}`, behavior, invert)+","+byteLevelPlain))
		}
		pre("punctuation "+behavior, sequence2(fmt.Sprintf(`{"type":"Punctuation","behavior":%q},`, behavior)+byteLevelPlain))
	}
	pre("look behind", sequence2(split(`(?<=[a-z])[A-Z]|(?<!\s)\d+|(?:[a-z][0-9])+x`, "Isolated", false)+","+byteLevelPlain))
	pre("split by text", sequence2(`{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithNext","invert":false},`+byteLevelPlain))
	pre("byte level", byteLevelGPT2)
	pre("byte level first", sequence2(byteLevelGPT2+`,{"type":"Digits","individual_digits":true}`))
	pre("digits", sequence2(`{"type":"Digits","individual_digits":true},`+byteLevelPlain))
	pre("digits together", sequence2(`{"type":"Digits","individual_digits":false},`+byteLevelGPT2))
	pre("white space", sequence2(`{"type":"WhitespaceSplit"},`+byteLevelPlain))
	add("ignore merges", map[string]string{"model.ignore_merges": "true", "model.merges": "[]"})
	for _, kind := range []string{"NFC", "NFD", "NFKC", "NFKD", "Lowercase"} {
		add(kind, map[string]string{"normalizer": fmt.Sprintf(`{"type":%q}`, kind)})
	}
	add("normalizers", map[string]string{"normalizer": `{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},` +
		`{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Prepend","prepend":"x "}]}`})
	// Added tokens of every kind; the first two are in the vocabulary already.
	token := func(id int, content, flags string) string {
		on := map[rune]bool{}
		for _, f := range flags {
			on[f] = true
		}
		return fmt.Sprintf(`{"id":%d,"content":%s,"single_word":%v,"lstrip":%v,"rstrip":%v,"normalized":%v,"special":%v}`,
			id, quote(content), on['w'], on['l'], on['r'], on['n'], on['s'])
	}
	ids := small(t).ids
	n := len(ids)
	tokens := "[" + token(int(ids["in"]), "in", "wn") + "," + token(int(ids["x"]), "x", "ws") + "," + token(n, "<|left|>", "ls") + "," +
		token(n+1, "<|right|>", "rs") + "," + token(n+2, "<|both|>", "lr") + "," + token(n+3, "word", "w") + "," + token(n+4, "<|norm|>", "ns") + "," +
		token(n+5, "ÉCOLE", "n") + "," + token(n+6, "<think>", "") + "," + token(n+7, "<thi", "s") + "," + token(n+8, "  ", "n") + "]"
	template := `{"type":"Sequence","processors":[` + byteLevelPlain + fmt.Sprintf(`,{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|left|>","type_id":0}},`+
		`{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<|norm|>","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],`+
		`"special_tokens":{"<|left|>":{"id":"<|left|>","ids":[%d],"tokens":["<|left|>"]},"<|norm|>":{"id":"<|norm|>","ids":[%d,%d],"tokens":["<|norm|>","<|left|>"]}}}]}`, n, n+4, n)
	add("added tokens", map[string]string{"added_tokens": tokens})
	add("added tokens, lower case", map[string]string{"added_tokens": tokens, "normalizer": `{"type":"Lowercase"}`, "pre_tokenizer": byteLevelGPT2})
	add("template", map[string]string{"added_tokens": tokens, "post_processor": template})
	// The vocabularies that came from SentencePiece: characters, bytes of those that are missing, a mark for the space.
	decoder := `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`
	llama := map[string]string{"model": piecesModel(true), "pre_tokenizer": "null", "post_processor": "null", "decoder": decoder,
		"normalizer": `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`}
	add("byte fallback", llama)
	unknown := maps.Clone(llama)
	unknown["model"] = piecesModel(false)
	add("unknown tokens", unknown)
	for _, scheme := range []string{"always", "first", "never"} {
		meta := maps.Clone(llama)
		meta["normalizer"] = "null"
		meta["pre_tokenizer"] = fmt.Sprintf(`{"type":"Metaspace","replacement":"▁","prepend_scheme":%q,"split":%v}`, scheme, scheme != "never")
		meta["decoder"] = fmt.Sprintf(`{"type":"Metaspace","replacement":"▁","prepend_scheme":%q,"split":true}`, scheme)
		meta["added_tokens"] = `[{"id":0,"content":"<unk>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]`
		add("metaspace "+scheme, meta)
	}
	return all
}

// piecesModel makes a vocabulary of characters with a few merges, with bytes for the characters that it lacks or without.
func piecesModel(bytes bool) string {
	vocab := map[string]int{"<unk>": 0}
	add := func(token string) { vocab[token] = len(vocab) }
	if bytes {
		for x := range 256 {
			add(fallbackToken(byte(x)))
		}
	}
	for _, r := range "▁abcdefghilmnoprstuwxyzTH.,é中文 \n" {
		add(string(r))
	}
	var merges [][2]string
	for _, m := range [][2]string{{"▁", "t"}, {"h", "e"}, {"▁t", "he"}, {"▁", "▁"}, {"▁▁", "▁▁"}, {"l", "l"}, {"he", "ll"}, {"中", "文"}, {"i", "n"}, {"in", "t"}} {
		merges = append(merges, m)
		add(m[0] + m[1])
	}
	text, err := json.Marshal(map[string]any{"type": "BPE", "dropout": nil, "unk_token": "<unk>", "continuing_subword_prefix": nil,
		"end_of_word_suffix": nil, "fuse_unk": bytes, "byte_fallback": bytes, "vocab": vocab, "merges": merges})
	if err != nil {
		panic(err)
	}
	return string(text)
}
