package tokenizer

import "unicode/utf8"

// Byte-level vocabularies write each byte as one printable character (Radford et al. 2019, section 2.2): bytes that are printable
// in Latin-1 as themselves, the other 68 as the code points from U+0100 on, in order. A space is "Ġ" and a newline "Ċ".
var (
	byteRune [256]rune
	runeByte = map[rune]byte{}
)

func init() {
	other := rune(0x100)
	for b := range 256 {
		r := rune(b)
		printable := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
		if !printable {
			r = other
			other++
		}
		byteRune[b] = r
		runeByte[r] = byte(b)
	}
}

// appendVisible appends the characters that stand for bytes.
func appendVisible(dst, text []byte) []byte {
	for _, b := range text {
		dst = utf8.AppendRune(dst, byteRune[b])
	}
	return dst
}

// visibleBytes is the bytes that the characters of a token stand for; false if one stands for none.
func visibleBytes(token string) ([]byte, bool) {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, known := runeByte[r]
		if !known {
			return nil, false
		}
		out = append(out, b)
	}
	return out, true
}

// gpt2Pattern is what the pre-tokenizer ByteLevel splits by when use_regex is set.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
