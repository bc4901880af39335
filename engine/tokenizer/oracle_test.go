package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// oracleJob is a tokenizer.json with texts to encode and tokens to decode.
type oracleJob struct {
	name      string
	Tokenizer string    `json:"tokenizer"`
	Texts     []string  `json:"texts"`
	Tokens    [][]int32 `json:"tokens"`
}

type oracleAnswer struct {
	Error          string
	Plain, Whole   [][]int32
	Decoded, Shown []string
}

// oracleFolder is where tools/oracle/install put its packages.
func oracleFolder(t *testing.T) string {
	folder := os.Getenv("FORGE_ORACLE")
	if folder == "" {
		t.Skip("FORGE_ORACLE is not set: `tools/oracle/install FOLDER` installs Hugging Face's tokenizers there, to compare with")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// askOracle runs a script of tools/oracle on jobs.
func askOracle(t *testing.T, script string, jobs, answers any) {
	folder := oracleFolder(t)
	in, out := filepath.Join(t.TempDir(), "jobs.json"), filepath.Join(t.TempDir(), "answers.json")
	data, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("..", "..", "tools", "oracle", script), in, out)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(folder, "node_modules"))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if data, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, answers); err != nil {
		t.Fatal(err)
	}
}

// TestOracleDeepSeek compares 10,000 texts with Hugging Face's tokenizers on DeepSeek-V3's tokenizer.json.
func TestOracleDeepSeek(t *testing.T) {
	path := filepath.Join(oracleFolder(t), "node_modules", "@lenml", "tokenizer-deepseek_v3", "models", "tokenizer.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, []oracleJob{{name: "DeepSeek-V3", Tokenizer: string(data), Texts: oracleTexts(t, 10_000)}})
}

// TestOracleTrained compares a tokenizer that Train made: what it encodes is what Hugging Face's tokenizers read from its file.
func TestOracleTrained(t *testing.T) {
	oracleFolder(t)
	texts := oracleTexts(t, 10_000)
	b, err := Train(func(yield func([]byte, error) bool) {
		for _, text := range append(sourceLines(t), texts[:2_000]...) {
			if !yield([]byte(text), nil) {
				return
			}
		}
	}, TrainOptions{Vocab: 4096})
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	if err := b.Write(&file); err != nil {
		t.Fatal(err)
	}
	if b.Vocab() != 4096 {
		t.Errorf("%d tokens", b.Vocab())
	}
	compare(t, []oracleJob{{name: "trained", Tokenizer: file.String(), Texts: texts}})
}

// TestOracleVariants compares the steps that a tokenizer.json may have, on the small tokenizer of testdata.
func TestOracleVariants(t *testing.T) {
	oracleFolder(t)
	texts := oracleTexts(t, 1_200)
	var jobs []oracleJob
	for _, v := range variants(t) {
		jobs = append(jobs, oracleJob{name: v.name, Tokenizer: v.text, Texts: texts})
	}
	compare(t, jobs)
}

func compare(t *testing.T, jobs []oracleJob) {
	random := rand.New(rand.NewPCG(3, 4))
	tokenizers := make([]*BPE, len(jobs))
	for i := range jobs {
		b, err := Read([]byte(jobs[i].Tokenizer))
		if err != nil {
			t.Fatalf("%s: %v", jobs[i].name, err)
		}
		tokenizers[i] = b
		// What a model generates is no text's tokens: parts of characters, special tokens anywhere.
		jobs[i].Tokens = [][]int32{}
		for range len(jobs[i].Texts) {
			tokens := make([]int32, random.IntN(20))
			for k := range tokens {
				for b.TokenName(tokens[k]) == "" || k == 0 {
					tokens[k] = random.Int32N(int32(b.Vocab()))
					if b.TokenName(tokens[k]) != "" {
						break
					}
				}
				if random.IntN(2) == 0 {
					tokens[k] = random.Int32N(min(300, int32(b.Vocab()))) // in byte-level vocabularies mostly single bytes
				}
			}
			jobs[i].Tokens = append(jobs[i].Tokens, tokens)
		}
	}
	var answers []oracleAnswer
	askOracle(t, "tokenize.cjs", jobs, &answers)
	for i, job := range jobs {
		b, a := tokenizers[i], answers[i]
		if a.Error != "" {
			t.Errorf("%s: the oracle says %s", job.name, a.Error)
			continue
		}
		encoded, decoded := 0, 0
		for k, text := range job.Texts {
			plain, whole := b.Encode(nil, []byte(text)), b.EncodeWhole(nil, []byte(text))
			if slices.Equal(plain, a.Plain[k]) && slices.Equal(whole, a.Whole[k]) {
				encoded++
			} else if encoded+5 > k {
				t.Errorf("%s: %q\n got %v\nwant %v\n got whole %v\nwant whole %v", job.name, text, plain, a.Plain[k], whole, a.Whole[k])
			}
		}
		for k, tokens := range job.Tokens {
			got, shown := b.Text(tokens, false), b.Text(tokens, true)
			if got == a.Decoded[k] && shown == a.Shown[k] {
				decoded++
			} else if decoded+5 > k {
				t.Errorf("%s: %v\n got %q\nwant %q\n got shown %q\nwant shown %q", job.name, tokens, got, a.Decoded[k], shown, a.Shown[k])
			}
		}
		t.Logf("%s: encoded alike %d of %d, decoded alike %d of %d", job.name, encoded, len(job.Texts), decoded, len(job.Tokens))
		if encoded != len(job.Texts) || decoded != len(job.Tokens) {
			t.Errorf("%s: encoded alike %d of %d, decoded alike %d of %d", job.name, encoded, len(job.Texts), decoded, len(job.Tokens))
		}
	}
}

// oracleTexts are n texts of every kind, the same each time: all of Unicode, source text, scripts, white space, broken bytes.
func oracleTexts(t *testing.T, n int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(set []rune) rune { return set[random.IntN(len(set))] }
	pages := unicodePages()
	source := sourceLines(t)
	spaces := []rune(" \t\n\r\v\f\u0085\u00a0\u1680\u2000\u2007\u2028\u2029\u202f\u205f\u3000")
	plain := []rune("abcdefghijklmnopqrstuvwxyzABCDEFXYZ0123456789 .,:;!?'\"()[]{}<>/\\|@#$%^&*-+=~`_\n")
	contractions := []string{"'s", "'S", "'t", "'re", "'VE", "'m", "'ll", "'d", "'ſ", "’s", "'", "''", "don't", "I'LL've"}
	marks := rangeRunes(0x300, 0x36F)
	blocks := [][]rune{rangeRunes(0x980, 0x9FE), rangeRunes(0x900, 0x97F), rangeRunes(0x4E00, 0x9FFF), rangeRunes(0x3040, 0x30FF),
		rangeRunes(0xAC00, 0xD7A3), rangeRunes(0x600, 0x6FF), rangeRunes(0xE00, 0xE5B), rangeRunes(0x1F300, 0x1FAFF), rangeRunes(0x1100, 0x11FF),
		rangeRunes(0xFF00, 0xFFEE), rangeRunes(0x2100, 0x218B), rangeRunes(0x370, 0x3FF), rangeRunes(0x400, 0x4FF), rangeRunes(0x1E00, 0x1FFE)}
	special := []string{"<｜User｜>", "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<|left|>", "<|right|>", "<|both|>", "word", "<|norm|>", "<NORM>", "ÉCOLE", "<think>", "<｜fim▁hole｜>"}
	words := []string{"the", "The", "THE", "hello", "naïve", "x", "func", "return", "12", "3456", "1.5e-9", "São", "Straße", "ǅ", "ﬁ", "½", "x²", "Ⅻ"}
	kinds := []func(b *strings.Builder){
		func(b *strings.Builder) { // a page of Unicode, mixed with plain text
			page := pages[random.IntN(len(pages))]
			for range 1 + random.IntN(40) {
				switch random.IntN(6) {
				case 0:
					b.WriteRune(pick(plain))
				case 1:
					b.WriteRune(pick(spaces))
				default:
					b.WriteRune(pick(page))
				}
			}
		},
		func(b *strings.Builder) { // source text
			start := random.IntN(len(source))
			b.WriteString(strings.Join(source[start:min(len(source), start+1+random.IntN(12))], "\n"))
		},
		func(b *strings.Builder) { // a script
			block := blocks[random.IntN(len(blocks))]
			for range 1 + random.IntN(60) {
				if random.IntN(8) == 0 {
					b.WriteRune(pick(spaces[:4]))
				}
				b.WriteRune(pick(block))
			}
		},
		func(b *strings.Builder) { // runs of white space
			for range 1 + random.IntN(8) {
				s := pick(spaces)
				if random.IntN(2) == 0 {
					s = pick([]rune(" \n\t\r"))
				}
				b.WriteString(strings.Repeat(string(s), 1+random.IntN(6)))
				if random.IntN(3) == 0 {
					b.WriteString(words[random.IntN(len(words))])
				}
			}
		},
		func(b *strings.Builder) { // words, contractions, numbers, punctuation
			for range 1 + random.IntN(20) {
				switch random.IntN(5) {
				case 0:
					b.WriteString(contractions[random.IntN(len(contractions))])
				case 1:
					b.WriteRune(pick(plain))
				case 2:
					fmt.Fprint(b, random.IntN(1_000_000))
				default:
					b.WriteString(words[random.IntN(len(words))])
				}
				if random.IntN(3) > 0 {
					b.WriteByte(' ')
				}
			}
		},
		func(b *strings.Builder) { // bytes that are no UTF-8 arrive as U+FFFD
			raw := make([]byte, random.IntN(40))
			for i := range raw {
				raw[i] = byte(random.IntN(256))
			}
			b.WriteString(string(appendValid(nil, raw)))
		},
		func(b *strings.Builder) { // tokens in the text
			for range 1 + random.IntN(6) {
				b.WriteString(special[random.IntN(len(special))])
				b.WriteString(strings.Repeat(" ", random.IntN(3)))
				if random.IntN(2) == 0 {
					b.WriteString(words[random.IntN(len(words))])
				}
				b.WriteString(strings.Repeat("\n", random.IntN(5)/3))
			}
		},
		func(b *strings.Builder) { // marks, more in a row than a stream-safe text has
			for range 1 + random.IntN(4) {
				b.WriteRune(pick(plain))
				for range random.IntN(40) {
					b.WriteRune(pick(marks))
				}
			}
		},
	}
	texts := []string{"", " ", "\n", "a"}
	for len(texts) < n {
		var b strings.Builder
		kinds[len(texts)%len(kinds)](&b)
		texts = append(texts, b.String())
	}
	return texts
}

func rangeRunes(lo, hi rune) []rune {
	var out []rune
	for r := lo; r <= hi; r++ {
		out = append(out, r)
	}
	return out
}

// unicodePages is every 256 code points with characters among them, also those that Go's tables don't know yet.
func unicodePages() [][]rune {
	var pages [][]rune
	for page := rune(0); page < 0x110000; page += 256 {
		var assigned []rune
		for r := page; r < page+256; r++ {
			if r >= 0xD800 && r < 0xE000 {
				continue
			}
			known := unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf)
			for _, l := range laterUnicode {
				known = known || l.lo <= r && r <= l.hi
			}
			if known {
				assigned = append(assigned, r)
			}
		}
		// CJK and Hangul have hundreds of pages alike.
		if len(assigned) > 0 && (len(assigned) < 250 || page%0x1000 == 0) {
			pages = append(pages, assigned)
		}
	}
	return pages
}

func sourceLines(t *testing.T) []string {
	var lines []string
	root := filepath.Join(runtime.GOROOT(), "src")
	for _, dir := range []string{"fmt", "strconv", "unicode/utf8", "net/http"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || len(lines) > 20_000 {
				return err
			}
			data, err := os.ReadFile(path)
			lines = append(lines, strings.Split(string(bytes.ToValidUTF8(data, nil)), "\n")...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines
}
