package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// WriteFile writes the tokenizer as a tokenizer.json, which Hugging Face's tokenizers read as well. The file appears complete or not
// at all.
func (b *BPE) WriteFile(path string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".tokenizer-*.json")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	if err := errors.Join(b.Write(file), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Write writes the tokenizer as the text of a tokenizer.json, a token or a merge a line: two versions can be compared.
func (b *BPE) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	p := printer{out: out}
	d := b.definition
	p.line(`{`)
	p.field("version", d.Version, ",")
	p.line(`  "truncation": null,`)
	p.line(`  "padding": null,`)
	p.list("added_tokens", len(d.AddedTokens), func(i int) any { return d.AddedTokens[i] }, ",")
	p.field("normalizer", d.Normalizer, ",")
	p.field("pre_tokenizer", d.PreTokenizer, ",")
	p.field("post_processor", d.PostProcessor, ",")
	p.field("decoder", d.Decoder, ",")
	p.line(`  "model": {`)
	m := d.Model
	p.field("type", "BPE", ",")
	p.field("dropout", m.Dropout, ",")
	p.field("unk_token", m.UnknownToken, ",")
	p.field("continuing_subword_prefix", m.ContinuingSubwordPrefix, ",")
	p.field("end_of_word_suffix", m.EndOfWordSuffix, ",")
	p.field("fuse_unk", m.FuseUnknown, ",")
	p.field("byte_fallback", m.ByteFallback, ",")
	p.field("ignore_merges", m.IgnoreMerges, ",")
	p.line(`  "vocab": {`)
	tokens := make([]string, 0, len(m.Vocab))
	for token := range m.Vocab {
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b string) int { return int(m.Vocab[a] - m.Vocab[b]) })
	for i, token := range tokens {
		p.line("    " + p.json(token) + ": " + p.json(m.Vocab[token]) + comma(i, len(tokens)))
	}
	p.line(`  },`)
	p.list("merges", len(m.Merges), func(i int) any { return m.Merges[i] }, "")
	p.line("  }")
	p.line("}")
	return errors.Join(p.err, out.Flush())
}

// printer writes JSON by lines and keeps the first error.
type printer struct {
	out *bufio.Writer
	err error
}

func (p *printer) line(text string) {
	p.out.WriteString(text)
	p.out.WriteByte('\n')
}

func (p *printer) field(name string, value any, end string) {
	p.line("  " + p.json(name) + ": " + p.json(value) + end)
}

func (p *printer) list(name string, n int, item func(i int) any, end string) {
	p.line("  " + p.json(name) + ": [")
	for i := range n {
		p.line("    " + p.json(item(i)) + comma(i, n))
	}
	p.line("  ]" + end)
}

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}

// json is a value without what HTML would need: tokens such as "<|a|>" stay as they are.
func (p *printer) json(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil && p.err == nil {
		p.err = err
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
