package data

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"forge/dsl/check"
	"forge/dsl/diag"
	"forge/engine/tokenizer"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var place = diag.Span{File: "a.forge", Start: diag.Pos{Line: 7, Col: 14}}

// folder writes files and gives the folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func textSource(path string) check.Source {
	return check.Source{Kind: "text", Path: path, Weight: 1, Span: place}
}

func open(t testing.TB, d check.Data) *Set {
	t.Helper()
	s, err := Open(&d, tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// numbered makes n documents of different lengths in which no two bytes that follow each other occur twice in the data, as far as
// that goes: document i counts upwards from 16·i.
func numbered(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		var text strings.Builder
		for k := range 3 + i%11 {
			text.WriteByte(byte(16*i + k))
		}
		files[fmt.Sprintf("%03d.txt", i)] = text.String()
	}
	return files
}

func TestEveryTokenIsReadOnceAnEpoch(t *testing.T) {
	files := numbered(16)
	want := map[[2]byte]int{}
	for _, text := range files {
		for i := 1; i < len(text); i++ {
			want[[2]byte{text[i-1], text[i]}]++
		}
	}
	dir := folder(t, files)
	for _, pack := range []bool{true, false} {
		s := open(t, check.Data{Sources: []check.Source{textSource(dir)}, Pack: pack})
		r := s.Reader(5)
		b := NewBatch(1, 5, 0)
		for epoch := range 3 {
			got := map[[2]byte]int{}
			labels := 0
			for r.Position().Sources[0].Epoch == epoch {
				if err := r.Next(b); err != nil {
					t.Fatal(err)
				}
				if r.Position().Sources[0].Epoch != epoch {
					break
				}
				labels += b.Labels
				for i, target := range b.Targets {
					if target >= 0 {
						got[[2]byte{byte(b.Tokens[i]), byte(target)}]++
					}
				}
				if r.Position().Sources[0].Next == r.parts[0].n {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pack %v, epoch %d: pairs of token and label (-want +got):\n%s", pack, epoch, diff)
			}
			if err := r.Seek(Position{Sources: []SourcePosition{{Epoch: epoch + 1}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLabelsStayInTheDocument reads random documents and checks each label against the text itself.
func TestLabelsStayInTheDocument(t *testing.T) {
	dir := folder(t, numbered(16))
	s := open(t, check.Data{Sources: []check.Source{textSource(dir)}, Pack: true})
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.IntRange(1, 40).Draw(t, "seq")
		depths := rapid.IntRange(0, 3).Draw(t, "depths")
		rows := rapid.IntRange(1, 4).Draw(t, "rows")
		r := s.Reader(seq)
		b := NewBatch(rows, seq, depths)
		for range 4 {
			if err := r.Next(b); err != nil {
				t.Fatal(err)
			}
			for k := 0; k <= depths; k++ {
				targets := b.Targets
				if k > 0 {
					targets = b.MTP[k-1]
				}
				n := max(seq-k, 0)
				if len(targets) != rows*n {
					t.Fatalf("depth %d has %d labels, want %d", k, len(targets), rows*n)
				}
				for i, target := range targets {
					token := b.Tokens[i/n*seq+i%n]
					// Within a document tokens count upwards: the token k+1 on is known from this one.
					if target >= 0 && target != token+int32(k)+1 {
						t.Fatalf("depth %d: after token %d comes label %d", k, token, target)
					}
				}
			}
		}
	})
}

func TestPositionResumes(t *testing.T) {
	dir := folder(t, numbered(40))
	other := folder(t, map[string]string{"x": strings.Repeat("abc", 30)})
	d := check.Data{Sources: []check.Source{textSource(dir), {Kind: "text", Path: other, Weight: 0.5, Span: place}}, Pack: true, ShuffleSeed: 3}
	rapid.Check(t, func(t *rapid.T) {
		s, err := Open(&d, tokenizer.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		before := rapid.IntRange(0, 60).Draw(t, "before")
		first, b := s.Reader(8), NewBatch(3, 8, 1)
		for range before {
			if err := first.Next(b); err != nil {
				t.Fatal(err)
			}
		}
		second, c := s.Reader(8), NewBatch(3, 8, 1)
		if err := second.Seek(first.Position()); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if err := first.Next(b); err != nil {
				t.Fatal(err)
			}
			if err := second.Next(c); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b, c); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestWeightsAreShares(t *testing.T) {
	a, b := folder(t, map[string]string{"a": strings.Repeat("a", 1000)}), folder(t, map[string]string{"b": strings.Repeat("b", 5000)})
	s := open(t, check.Data{Pack: true, Sources: []check.Source{
		{Kind: "text", Path: a, Weight: 3, Span: place}, {Kind: "text", Path: b, Weight: 1, Span: place}}})
	r, batch := s.Reader(10), NewBatch(4, 10, 0)
	count := map[int32]int{}
	for range 50 {
		if err := r.Next(batch); err != nil {
			t.Fatal(err)
		}
		for _, token := range batch.Tokens {
			count[token]++
		}
	}
	if count['a'] != 1500 || count['b'] != 500 {
		t.Errorf("of 2000 tokens %d are of the source of weight 3 and %d of that of weight 1", count['a'], count['b'])
	}
}

func TestSplit(t *testing.T) {
	files := map[string]string{}
	for i := range 400 {
		files[fmt.Sprint(i)] = fmt.Sprintf("document %d", i)
	}
	files["again"] = files["17"]
	d := check.Data{Sources: []check.Source{textSource(folder(t, files))}, Pack: true, HeldOut: 0.1}
	s := open(t, d)
	n := len(s.held[0].documents)
	if n < 20 || n > 60 {
		t.Errorf("%d of 401 documents held out, want about 40", n)
	}
	if s.TrainTokens()+s.HeldOutTokens() != s.sources[0].bytes {
		t.Errorf("%d + %d tokens of %d", s.TrainTokens(), s.HeldOutTokens(), s.sources[0].bytes)
	}
	side := map[uint64]bool{}
	for _, i := range s.held[0].documents {
		side[s.sources[0].documents[i].hash] = true
	}
	for _, i := range s.train[0].documents {
		if side[s.sources[0].documents[i].hash] {
			t.Error("the same text is on both sides")
		}
	}
	d.ShuffleSeed = 1
	if other := open(t, d); cmp.Equal(other.held[0].documents, s.held[0].documents) {
		t.Error("another seed holds out the same documents")
	}
	for _, share := range []float64{1e-9, 1} {
		few := open(t, check.Data{Sources: []check.Source{textSource(folder(t, numbered(3)))}, Pack: true, HeldOut: share})
		if few.HeldOutTokens() == 0 || few.TrainTokens() == 0 {
			t.Errorf("held_out = %g of 3 documents: %d tokens to train on, %d held out", share, few.TrainTokens(), few.HeldOutTokens())
		}
	}
	one := open(t, check.Data{Sources: []check.Source{textSource(folder(t, numbered(1)))}, Pack: true, HeldOut: 0.5})
	if one.HeldOutTokens() != 0 || len(one.Warnings) != 1 {
		t.Errorf("one document: %d tokens held out, warnings %q", one.HeldOutTokens(), one.Warnings)
	}
}

func TestHeldOutIsFixed(t *testing.T) {
	s := open(t, check.Data{Sources: []check.Source{textSource(folder(t, numbered(100)))}, Pack: true, HeldOut: 0.3})
	read := func(h *HeldOut) (tokens []int32, labels int) {
		b := NewBatch(4, 8, 0)
		for {
			rows, err := h.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			if rows == 0 {
				return tokens, labels
			}
			tokens = append(tokens, b.Tokens[:rows*8]...)
			labels += b.Labels
		}
	}
	all := s.HeldOut(8, 0)
	first, labels := read(all)
	if want := int(s.HeldOutTokens()) - len(s.held[0].documents); labels != want {
		t.Errorf("%d labels, want %d: a token less a document", labels, want)
	}
	all.Rewind()
	if second, _ := read(all); !cmp.Equal(first, second) {
		t.Error("a second reading gives other tokens")
	}
	if some := s.HeldOut(8, 40); some.Sequences() != 5 {
		t.Errorf("40 tokens are %d sequences of 8", some.Sequences())
	}
	if none := open(t, check.Data{Sources: []check.Source{textSource(folder(t, numbered(3)))}, Pack: true}).HeldOut(8, 0); none != nil {
		t.Error("held-out sequences without a held-out share")
	}
	// Where a single byte is what is held out, there is nothing to evaluate on.
	for seed := range int64(8) {
		two := open(t, check.Data{Sources: []check.Source{textSource(folder(t, map[string]string{"a": "some text", "b": "y", "c": "other text"}))}, Pack: true, HeldOut: 0.1, ShuffleSeed: seed})
		if h := two.HeldOut(8, 0); (h == nil) != (two.HeldOutTokens() == 1) {
			t.Errorf("seed %d: %d tokens held out, sequences %v", seed, two.HeldOutTokens(), h)
		}
	}
}

func TestJSONL(t *testing.T) {
	dir := folder(t, map[string]string{"a.jsonl": "{\"text\": \"héllo\\n\", \"id\": 1}\n\n{\"text\":\"\"}\n{\"text\": \"x\\u00e9y\"}"})
	s := open(t, check.Data{Pack: false, Sources: []check.Source{{Kind: "jsonl", Path: filepath.Join(dir, "a.jsonl"), Field: "text", Weight: 1, Span: place}}})
	b := NewBatch(1, 16, 0)
	r := s.Reader(16)
	got := map[string]bool{}
	for range 2 {
		if err := r.Next(b); err != nil {
			t.Fatal(err)
		}
		got[strings.TrimRight(string(tokenizer.Bytes().Decode(nil, b.Tokens...)), "\x00")] = true
	}
	if !got["héllo\n"] || !got["xéy"] || len(got) != 2 {
		t.Errorf("documents %v", got)
	}
}

func TestErrorsNameThePlaceAndTheFault(t *testing.T) {
	dir := folder(t, map[string]string{
		"empty/a.txt": "", "one/a.txt": "x", "bad.jsonl": "{\"text\": \"a\"}\n{\"body\": 1}\n", "no.jsonl": "nonsense\n",
		"number.jsonl": "{\"text\": 3}\n", "good.txt": "some text"})
	if err := os.Mkdir(filepath.Join(dir, "void"), 0o755); err != nil {
		t.Fatal(err)
	}
	source := func(kind, path string) check.Data {
		return check.Data{Pack: true, Span: place, Sources: []check.Source{{Kind: kind, Path: filepath.Join(dir, path), Field: "text", Weight: 1, Span: place}}}
	}
	fim := source("text", "good.txt")
	fim.FIM = 0.1
	weight := source("text", "good.txt")
	weight.Sources[0].Weight = 0
	for _, c := range []struct {
		name string
		data check.Data
		want string
	}{
		{"missing", source("text", "nothing.txt"), "there is no"},
		{"glob", source("text", "*.md"), "matches no file"},
		{"pattern", source("text", "[a"), "no pattern"},
		{"folder", source("text", "void"), "holds no files"},
		{"empty", source("text", "empty"), "holds no text"},
		{"one token", source("text", "one"), "nothing to predict"},
		{"field", source("jsonl", "bad.jsonl"), "bad.jsonl:2: the object has no field \"text\"; it has: body"},
		{"json", source("jsonl", "no.jsonl"), "no.jsonl:1: no JSON object"},
		{"number", source("jsonl", "number.jsonl"), "holds no text but 3"},
		{"kind", source("parquet", "x"), "this build reads"},
		{"fim", fim, "fim"},
		{"weight", weight, "above 0"},
		{"none", check.Data{Span: place}, "`sources` is empty"},
	} {
		_, err := Open(&c.data, tokenizer.Bytes())
		if err == nil || !strings.HasPrefix(err.Error(), "a.forge:7:14: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one at a.forge:7:14 with %q", c.name, err, c.want)
		}
	}
	if _, err := Open(nil, tokenizer.Bytes()); err == nil {
		t.Error("no data section, and no error")
	}
}

func TestFileThatShrinksIsNoticed(t *testing.T) {
	dir := folder(t, map[string]string{"a": strings.Repeat("text ", 100)})
	s := open(t, check.Data{Sources: []check.Source{textSource(dir)}, Pack: true})
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, b := s.Reader(50), NewBatch(8, 50, 0)
	if err := r.Next(b); err == nil || !strings.Contains(err.Error(), "changed since the run began") {
		t.Errorf("error %v", err)
	}
}

func TestChecksumSeesEveryByte(t *testing.T) {
	files := map[string]string{"a": "one", "b": "two"}
	first := open(t, check.Data{Sources: []check.Source{textSource(folder(t, files))}, Pack: true}).Checksum()
	if again := open(t, check.Data{Sources: []check.Source{textSource(folder(t, files))}, Pack: true}).Checksum(); again != first {
		t.Error("the same texts in another folder have another checksum")
	}
	files["b"] = "twp"
	if other := open(t, check.Data{Sources: []check.Source{textSource(folder(t, files))}, Pack: true}).Checksum(); other == first {
		t.Error("another text has the same checksum")
	}
}

func TestOpenFile(t *testing.T) {
	dir := folder(t, map[string]string{"a.txt": "hello world"})
	s, err := OpenFile(filepath.Join(dir, "a.txt"), tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := NewBatch(2, 6, 0)
	if rows, err := s.HeldOut(6, 0).Next(b); err != nil || rows != 2 || b.Labels != 10 {
		t.Errorf("%d rows, %d labels, error %v", rows, b.Labels, err)
	}
	if _, err := OpenFile(filepath.Join(dir, "b.txt"), tokenizer.Bytes()); err == nil {
		t.Error("a file that is not there, and no error")
	}
}

func TestPrompts(t *testing.T) {
	s := open(t, check.Data{Sources: []check.Source{textSource(folder(t, map[string]string{"a": "the quick brown fox", "b": "x"}))}, Pack: true})
	got, err := s.Prompts(3, 12)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"the quick ", "x"}, got); diff != "" {
		t.Error(diff)
	}
}

// pairs is a tokenizer whose tokens are pairs of bytes; a byte left over is paired with 255.
type pairs struct{ tokenizer.Tokenizer }

func (pairs) Name() string { return "pairs" }
func (pairs) Hash() string { return "pairs" }
func (pairs) Vocab() int   { return 1 << 16 }

func (pairs) Encode(dst []int32, text []byte) []int32 {
	for len(text) > 1 {
		dst, text = append(dst, int32(text[0])|int32(text[1])<<8), text[2:]
	}
	if len(text) > 0 {
		dst = append(dst, int32(text[0])|255<<8)
	}
	return dst
}

func (pairs) Decode(dst []byte, tokens ...int32) []byte {
	for _, t := range tokens {
		dst = append(dst, byte(t))
		if t>>8 != 255 {
			dst = append(dst, byte(t>>8))
		}
	}
	return dst
}

// TestTokensAreCached reads texts with a tokenizer whose tokens are not bytes: once encoding them, once from the cache, once with a
// damaged cache.
func TestTokensAreCached(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("LocalAppData", cache)
	dir := folder(t, map[string]string{"a": "one two", "b": "x", "c": strings.Repeat("ab", 50)})
	read := func() (tokens []int32, bytes int) {
		s, err := Open(&check.Data{Sources: []check.Source{textSource(dir)}, Pack: true}, pairs{tokenizer.Bytes()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if n := s.TrainTokens(); n != 4+1+50 || s.Sources()[0].Tokens != n {
			t.Errorf("%d tokens", n)
		}
		r, b := s.Reader(5), NewBatch(11, 5, 1)
		if err := r.Next(b); err != nil {
			t.Fatal(err)
		}
		if b.Labels != 3+49 {
			t.Errorf("%d labels", b.Labels)
		}
		return b.Tokens, b.Bytes
	}
	first, bytes := read()
	if bytes != 5+98 {
		t.Errorf("the labels stand for %d bytes", bytes)
	}
	files, err := filepath.Glob(filepath.Join(cache, "*", "*", "*.tokens"))
	if more, _ := filepath.Glob(filepath.Join(cache, "*", "*", "*", "*.tokens")); len(files) == 0 {
		files = more
	}
	if err != nil || len(files) != 1 {
		t.Fatalf("cached files %v, %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := read(); !cmp.Equal(first, again) {
		t.Error("the cache gives other tokens")
	}
	if later, err := os.Stat(files[0]); err != nil || later.ModTime() != info.ModTime() {
		t.Errorf("the cache was written again, %v", err)
	}
	if err := os.Truncate(files[0], 70); err != nil {
		t.Fatal(err)
	}
	if again, _ := read(); !cmp.Equal(first, again) {
		t.Error("after damage to the cache other tokens come")
	}
}

// goInstallation makes a small Go installation and points GOROOT at it.
func goInstallation(t *testing.T) {
	dir := folder(t, map[string]string{
		"VERSION": "go1.99\ntime now\n", "src/fmt/print.go": "package fmt\n", "src/a.go": "package a\n", "src/a/a.go": "package a2\n",
		"src/fmt/testdata/x.go": "package no\n", "src/fmt/README": "no"})
	t.Setenv("GOROOT", dir)
}

func TestGosource(t *testing.T) {
	goInstallation(t)
	s := open(t, check.Data{Sources: []check.Source{{Kind: "gosource", Weight: 1, Span: place}}, Pack: true})
	var names []string
	for _, f := range s.sources[0].files {
		names = append(names, filepath.ToSlash(f[strings.Index(f, "src"):]))
	}
	if diff := cmp.Diff([]string{"src/a.go", "src/a/a.go", "src/fmt/print.go"}, names); diff != "" {
		t.Error(diff)
	}
	if info := s.Sources()[0]; !strings.HasPrefix(info.Detail, "go1.99, 3 files below") || info.Documents != 3 || info.Bytes != 33 {
		t.Errorf("%+v", info)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	files := numbered(20)
	files["long"] = strings.Repeat("a long text ", 1000)
	s := open(t, check.Data{Sources: []check.Source{textSource(folder(t, files))}, Pack: true})
	r, b := s.Reader(8), NewBatch(16, 8, 1)
	for range 10 { // opens the files
		if err := r.Next(b); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(3, func() {
		if err := r.Next(b); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a batch allocates %g times", n)
	}
}

// BenchmarkNext measures the assembly of a batch of 16 × 128 from the Go installation's own sources.
func BenchmarkNext(b *testing.B) {
	s, err := Open(&check.Data{Sources: []check.Source{{Kind: "gosource", Weight: 1}}, Pack: true, HeldOut: 0.02}, tokenizer.Bytes())
	if err != nil {
		b.Skip(err)
	}
	defer s.Close()
	r, batch := s.Reader(128), NewBatch(16, 128, 1)
	for b.Loop() {
		if err := r.Next(batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen measures listing, hashing and splitting the Go installation's sources, and what it keeps in memory.
func BenchmarkOpen(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s, err := Open(&check.Data{Sources: []check.Source{{Kind: "gosource", Weight: 1}}, Pack: true, HeldOut: 0.02}, tokenizer.Bytes())
		if err != nil {
			b.Skip(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		b.ReportMetric(float64(s.TrainTokens()), "tokens")
		b.ReportMetric(float64(s.HeldOutTokens()), "held-out")
		s.Close()
	}
}
