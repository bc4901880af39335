package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that text is searched for before anything else happens to it.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no letter or digit is next to it
	LStrip     bool   `json:"lstrip"`      // takes the spaces before it
	RStrip     bool   `json:"rstrip"`      // takes the spaces after it
	Normalized bool   `json:"normalized"`  // searched for in the normalized text, and normalized itself
	Special    bool   `json:"special"`     // no text of the model's: left out of what decoding shows
}

// addedTokens finds tokens in text, the longest where several begin at one place.
type addedTokens struct {
	tokens []addedToken
	root   *trie
	begin  [256]bool
}

type trie struct {
	next  map[byte]*trie
	token int // index into tokens, -1 if none ends here
}

// newAddedTokens searches for contents[i] to find tokens[i].
func newAddedTokens(tokens []addedToken, contents []string) *addedTokens {
	a := &addedTokens{tokens: tokens, root: &trie{token: -1}}
	for i, content := range contents {
		if content == "" {
			continue
		}
		a.begin[content[0]] = true
		node := a.root
		for _, b := range []byte(content) {
			child := node.next[b]
			if child == nil {
				child = &trie{token: -1}
				if node.next == nil {
					node.next = map[byte]*trie{}
				}
				node.next[b] = child
			}
			node = child
		}
		if node.token < 0 {
			node.token = i
		}
	}
	return a
}

// at is the longest token that begins at pos, and where it ends; -1 if none does.
func (a *addedTokens) at(text []byte, pos int) (token, end int) {
	token = -1
	node := a.root
	for i := pos; i < len(text); i++ {
		if node = node.next[text[i]]; node == nil {
			break
		}
		if node.token >= 0 {
			token, end = node.token, i+1
		}
	}
	return token, end
}

// split gives the text between tokens to rest, and tokens to found, in order.
func (a *addedTokens) split(text []byte, rest func(start, end int), found func(id int32)) {
	last := 0
	for pos := 0; pos < len(text); {
		if !a.begin[text[pos]] {
			pos++
			continue
		}
		i, end := a.at(text, pos)
		if i < 0 {
			pos++
			continue
		}
		start, token := pos, a.tokens[i]
		pos = end
		if token.SingleWord && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
			continue
		}
		if token.LStrip {
			start = max(start-trailingSpace(text[:start]), last)
		}
		if token.RStrip {
			end += leadingSpace(text[end:])
		}
		if last < start {
			rest(last, start)
		}
		found(token.ID)
		last = end
		pos = max(pos, end)
	}
	if last < len(text) {
		rest(last, len(text))
	}
}

// wordClass is \w as Rust's regular expressions have it: without the numbers that are no digits, which Oniguruma's has.
var wordClass = sync.OnceValue(func() *class {
	return newClass(tables("L", "M", "Nd", "Nl", "Pc", "Other_Alphabetic", "Join_Control"))
})

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return wordClass().ascii[r]
	}
	return wordClass().has(r)
}

func endsInWord(text []byte) bool {
	r, size := utf8.DecodeLastRune(text)
	return size > 0 && isWord(r)
}

func beginsWithWord(text []byte) bool {
	r, size := utf8.DecodeRune(text)
	return size > 0 && isWord(r)
}

func leadingSpace(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if !unicode.IsSpace(r) {
			break
		}
		n += size
	}
	return n
}

func trailingSpace(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeLastRune(text[:len(text)-n])
		if !unicode.IsSpace(r) {
			break
		}
		n += size
	}
	return n
}
