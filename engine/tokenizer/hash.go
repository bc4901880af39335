package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// behaviour hashes all that decides about tokens and their text, however the file writes it: the order of fields, white space and
// the two forms of merges make no difference. The tokens of a sample text are hashed too, so that a forge that reads the same file
// in another way has another hash.
func (b *BPE) behaviour() string {
	h := sha256.New()
	d := b.definition
	for _, raw := range []json.RawMessage{d.Normalizer, d.PreTokenizer, d.PostProcessor, d.Decoder} {
		var value any
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &value); err != nil {
				panic(err) // it was read before
			}
		}
		canonical, err := json.Marshal(value) // with the fields in order
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(h, "%s\n", canonical)
	}
	fmt.Fprintf(h, "%+v\n", d.AddedTokens)
	m := &b.model
	fmt.Fprintln(h, m.ignoreMerges, m.byteFallback, m.fuseUnknown, m.unknown)
	for i, name := range b.names {
		fmt.Fprintf(h, "%d %q\n", i, name)
	}
	for _, p := range m.ranked() {
		fmt.Fprintln(h, p)
	}
	fmt.Fprintln(h, b.EncodeWhole(nil, []byte(sampleText)))
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// ranked is the merges in the order of their ranks.
func (m *model) ranked() []pair {
	all := make([]pair, 0, len(m.merges))
	for p := range m.merges {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b pair) int { return int(m.merges[a].rank - m.merges[b].rank) })
	return all
}

// sampleText has what pre-tokenizers treat differently: numbers, contractions, runs of spaces and lines, scripts, marks, emoji.
const sampleText = "I'll've DON'T 3 33 333 3333 1.5e-3 ½ x² \n \n\n \t\t \r\n  end  \u3000 a_b::c!=d;{}// ﬁ é e\u0301 ſ İ ß Ωσς " +
	"中文字 かな 한국어 বাংলা ภาษา العربية \u200d👩\u200d💻🏽 \u0085\u00a0 ˈ ² Ⅷ ₿ <|a|> ｟x｠ \uFFFD"
