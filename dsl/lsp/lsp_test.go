package lsp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"forge/recipes"
)

// client is an editor in the test: it sends messages and reads what comes back.
type client struct {
	t       *testing.T
	to      io.WriteCloser
	from    *bufio.Reader
	inbox   chan map[string]any
	id      int
	done    chan error
	folder  string
	notices []map[string]any
}

func start(t *testing.T) *client {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	c := &client{t: t, to: inWrite, from: bufio.NewReader(outRead), inbox: make(chan map[string]any, 1000), done: make(chan error, 1), folder: t.TempDir()}
	go func() {
		err := Serve(t.Context(), inRead, outWrite, Options{
			Version: "test", Cache: filepath.Join(c.folder, "cache"), Delay: time.Millisecond,
			Explain: func(code string) string { return "the meaning of " + code },
		})
		outWrite.Close()
		c.done <- err
	}()
	go func() { // an editor reads while it writes
		defer close(c.inbox)
		for {
			m, err := c.receive()
			if err != nil {
				return
			}
			c.inbox <- m
		}
	}()
	c.request("initialize", map[string]any{"capabilities": map[string]any{}})
	c.notify("initialized", map[string]any{})
	return c
}

func (c *client) raw(body string) {
	if _, err := fmt.Fprintf(c.to, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) notify(method string, params any) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	c.raw(string(body))
}

func (c *client) read() map[string]any {
	c.t.Helper()
	select {
	case m, open := <-c.inbox:
		if !open {
			c.t.Fatal("the server has gone")
		}
		return m
	case <-time.After(20 * time.Second):
		c.t.Fatal("the server says nothing")
	}
	return nil
}

// receive reads a message as its frame says.
func (c *client) receive() (map[string]any, error) {
	length := 0
	for {
		line, err := c.from.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		if _, err := fmt.Sscanf(line, "Content-Length: %d", &length); err != nil {
			return nil, err
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.from, body); err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(body, &m)
}

// request gives the whole response, which holds a result or an error.
func (c *client) request(method string, params any) map[string]any {
	c.t.Helper()
	c.id++
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	c.raw(string(body))
	for {
		m := c.read()
		if m["method"] != nil {
			c.notices = append(c.notices, m)
			continue
		}
		if m["id"] != float64(c.id) {
			c.t.Fatalf("the answer to %d: %v", c.id, m)
		}
		return m
	}
}

// diagnostics waits for the ones of a version.
func (c *client) diagnostics(uri string, version int) []any {
	c.t.Helper()
	for {
		for _, m := range c.notices {
			p, _ := m["params"].(map[string]any)
			if m["method"] == "textDocument/publishDiagnostics" && p["uri"] == uri && p["version"] == float64(version) {
				return p["diagnostics"].([]any)
			}
		}
		c.notices = append(c.notices, c.read())
	}
}

// open opens a document in the editor; it need not be on disk.
func (c *client) open(name, text string) string {
	uri := "file://" + filepath.ToSlash(filepath.Join(c.folder, name))
	c.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uri, "version": 1, "languageId": "forge", "text": text}})
	return uri
}

// at are the parameters of a request about the place where a text stands: the n-th one's first byte.
func at(uri, source, find string, n int) map[string]any {
	i := 0
	for range n {
		i += strings.Index(source[i:], find) + len(find)
	}
	i -= len(find)
	p := newText(source).position(i)
	return map[string]any{"textDocument": map[string]any{"uri": uri}, "position": map[string]any{"line": p.Line, "character": p.Character}}
}

func text2json(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tiny(t testing.TB) string {
	b, err := recipes.FS.ReadFile("tiny.forge")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const mine = `forge 1
use "tiny.forge"

# grows the hidden axis by a factor
block widen(factor: axis = 2, norm: block = rms_norm())(x[.., d]) -> [.., d] {
  hidden = d * factor
  weight up[d, hidden]
  weight down[hidden, d]
  part norm = norm
  h = silu(dot[d](norm(x), up))
  return dot[hidden](h, down)
}

recipe wide from tiny.tiny {
  model.dense = widen(3)
  model.attn = mla(heads = 4, nope = 32, rope = 16, v = 32, q_rnak = 64)
}
`

func TestDiagnosticsAsOneTypes(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", tiny(t))
	uri := c.open("mine.forge", mine)
	found := c.diagnostics(uri, 1)
	if len(found) != 1 || !strings.Contains(text2json(t, found), "did you mean `q_rank`?") {
		t.Fatal(text2json(t, found))
	}
	line := strings.Count(mine[:strings.Index(mine, "q_rnak")], "\n")
	actions := c.request("textDocument/codeAction", map[string]any{"textDocument": map[string]any{"uri": uri},
		"range":   map[string]any{"start": map[string]any{"line": line, "character": 0}, "end": map[string]any{"line": line, "character": 200}},
		"context": map[string]any{"diagnostics": []any{}}})
	if s := text2json(t, actions); !strings.Contains(s, `"newText":"q_rank"`) {
		t.Error(s)
	}
	// Two changes in one notification, the second in the text that the first left: the typo goes, then comes elsewhere.
	p := newText(mine).position(strings.Index(mine, "q_rnak"))
	c.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": uri, "version": 2}, "contentChanges": []any{
		map[string]any{"range": textRange{p, position{p.Line, p.Character + 6}}, "text": "q_rank"},
	}})
	if found := c.diagnostics(uri, 2); len(found) != 0 {
		t.Errorf("after the cure: %s", text2json(t, found))
	}
	c.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": uri, "version": 3}, "contentChanges": []any{
		map[string]any{"text": strings.Replace(mine, "widen(3)", "widen(3", 1)},
	}})
	if found := c.diagnostics(uri, 3); !strings.Contains(text2json(t, found), "E005") {
		t.Errorf("a broken file: %s", text2json(t, found))
	}
}

// A fault in a file that is used shows where it is used.
func TestFaultsElsewhere(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", strings.Replace(tiny(t), "heads = 4", "haeds = 4", 1))
	uri := c.open("mine.forge", "forge 1\nuse \"tiny.forge\"\nrecipe r from tiny.tiny { model.dim = 64 }\n")
	if s := text2json(t, c.diagnostics(uri, 1)); !strings.Contains(s, "tiny.forge:13") || !strings.Contains(s, `"line":1`) {
		t.Error(s)
	}
}

func TestHover(t *testing.T) {
	c := start(t)
	source := strings.Replace(mine, "q_rnak", "q_rank", 1)
	c.open("tiny.forge", tiny(t))
	uri := c.open("mine.forge", source)
	tinyURI := strings.Replace(uri, "mine", "tiny", 1)
	for _, x := range []struct {
		uri, source, find string
		n                 int
		want              []string
	}{
		{uri, source, "h = silu", 1, []string{"h = silu(dot[d](norm(x), up))", "[batch, seq, hidden]"}},
		{uri, source, "dot[d]", 1, []string{"dot[a](x, y)"}},
		{uri, source, "widen(3)", 1, []string{"block widen(factor: axis = 2"}},
		{uri, source, "mla(", 1, []string{"q_rank: axis | none = 1536", "std/attention.forge"}},
		{uri, source, "nope = 32", 1, []string{"nope: axis = 128"}},
		{uri, source, "tiny.tiny", 1, []string{"tiny.forge"}},
		{tinyURI, tiny(t), "depth]", 1, []string{"let depth = 4", "value", "line 11"}},
		{tinyURI, tiny(t), "lr = ramp", 1, []string{"lr: schedule", "cosine(to = 0.0003", "line 35"}},
		{tinyURI, tiny(t), "train quick", 1, []string{"kind train("}},
	} {
		if s := text2json(t, c.request("textDocument/hover", at(x.uri, x.source, x.find, x.n))); !containsAll(s, x.want) {
			t.Errorf("%q: %s lacks one of %q", x.find, s, x.want)
		}
	}
	broken := c.open("broken.forge", mine)
	if s := text2json(t, c.request("textDocument/hover", at(broken, mine, "q_rnak", 1))); !strings.Contains(s, "the meaning of E101") {
		t.Error(s)
	}
}

func containsAll(s string, want []string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(s, w) })
}

func TestCompletion(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", tiny(t))
	for _, x := range []struct {
		typed string // in place of the line of `model.dense`; the cursor is at its end
		want  []string
		not   []string
	}{
		{"  model.", []string{"dim", "layers", "attn", "gate"}, []string{"vocabulary", "total"}},
		{"  model.attn.", []string{"heads", "q_rank"}, []string{"dim"}},
		{"  model.dense = ", []string{"widen", "gqa", "depth", "if"}, []string{"wide"}},
		{"  model.dense = gqa(he", []string{"heads", "kv_heads"}, nil},
		{"  stages[0].", []string{"lr", "peak", "batch"}, []string{"dim"}},
		{"  ", []string{"model", "stages", "let"}, []string{"gqa"}},
		{"  model.dense = tiny.", []string{"tiny_v3", "quick"}, []string{"widen"}},
	} {
		source := strings.Replace(mine, "  model.dense = widen(3)", x.typed, 1)
		uri := c.open("typed.forge", source)
		p := at(uri, source, x.typed+"\n", 1)
		p["position"].(map[string]any)["character"] = len(x.typed)
		labels := labelsOf(c.request("textDocument/completion", p))
		for _, w := range x.want {
			if !slices.Contains(labels, w) {
				t.Errorf("%q: no %s in %q", x.typed, w, labels)
			}
		}
		for _, w := range x.not {
			if slices.Contains(labels, w) {
				t.Errorf("%q: %s", x.typed, w)
			}
		}
	}
	source := strings.Replace(mine, "silu(dot[d](norm(x), up))", "silu(dot[", 1)
	uri := c.open("axes.forge", source)
	p := at(uri, source, "dot[\n", 1)
	p["position"].(map[string]any)["character"] = len("  h = silu(dot[")
	if labels := labelsOf(c.request("textDocument/completion", p)); !containsAll(strings.Join(labels, " "), []string{"d", "hidden", "factor", "batch"}) || slices.Contains(labels, "gqa") {
		t.Errorf("in brackets: %q", labels)
	}
}

func labelsOf(m map[string]any) []string {
	var labels []string
	r, _ := m["result"].(map[string]any)
	items, _ := r["items"].([]any)
	for _, i := range items {
		labels = append(labels, i.(map[string]any)["label"].(string))
	}
	return labels
}

func TestDefinitionAndReferences(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", tiny(t))
	uri := c.open("mine.forge", mine)
	for _, x := range []struct {
		find string
		n    int
		file string
		line int
	}{
		{"widen(3)", 1, "mine.forge", 4},
		{"dense = widen", 1, "tiny.forge", 13},
		{"mla(", 1, "cache/std/attention.forge", 24},
		{"tiny\n", 1, "", 0},
		{"tiny {", 1, "tiny.forge", 44},
		{"hidden](h", 1, "mine.forge", 5},
	} {
		m := c.request("textDocument/definition", at(uri, mine, x.find, x.n))
		r, _ := m["result"].(map[string]any)
		if x.file == "" {
			if r != nil {
				t.Errorf("%q leads to %v", x.find, r)
			}
			continue
		}
		got := text2json(t, r)
		if !strings.Contains(got, x.file) {
			t.Errorf("%q leads to %s", x.find, got)
		}
		if line := r["range"].(map[string]any)["start"].(map[string]any)["line"].(float64); int(line) != x.line {
			t.Errorf("%q leads to line %v of %s, not %d", x.find, line, x.file, x.line)
		}
	}
	p := at(uri, mine, "hidden", 2)
	p["context"] = map[string]any{"includeDeclaration": true}
	m := c.request("textDocument/references", p)
	if places := m["result"].([]any); len(places) != 4 {
		t.Errorf("%d places of `hidden`: %s", len(places), text2json(t, m))
	}
}

func TestRename(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", tiny(t))
	uri := c.open("mine.forge", mine)
	rename := func(find string, n int, to string) string {
		p := at(uri, mine, find, n)
		p["newName"] = to
		return text2json(t, c.request("textDocument/rename", p))
	}
	if s := rename("hidden", 3, "wider"); strings.Count(s, `"newText":"wider"`) != 4 {
		t.Error(s)
	}
	for _, x := range []struct {
		find string
		n    int
		to   string
		want string
	}{
		{"hidden", 2, "up", "is taken"},
		{"hidden", 2, "for", "can't be a name"},
		{"hidden", 2, "seq", "can't be a name"},
		{"dot[d]", 1, "x", "part of the language"},
	} {
		if s := rename(x.find, x.n, x.to); !strings.Contains(s, x.want) {
			t.Errorf("%s to %s: %s", x.find, x.to, s)
		}
	}
}

// A name is renamed in every open file and in what those use, open or not, or not at all.
func TestRenameAcrossFiles(t *testing.T) {
	const base = "forge 1\nuse \"tiny\" as shipped\n\nblock wide(factor: axis)(x[.., d]) -> [.., d] {\n  hidden = factor * d\n  weight a[d, hidden]\n  weight b[hidden, d]\n" +
		"  return dot[hidden](dot[d](x, a), b)\n}\n\nmodel small from shipped.tiny_v3 {\n  let scale = 2\n  dense = wide(factor = scale)\n}\n"
	const user = "forge 1\nuse \"base.forge\"\nuse \"tiny\"\n\nmodel other from base.small {\n  let width = 3\n  scale = width\n  sparse = base.wide(factor = scale)\n}\n"
	c := start(t)
	if err := os.WriteFile(filepath.Join(c.folder, "base.forge"), []byte(base), 0o644); err != nil {
		t.Fatal(err)
	}
	uri := c.open("user.forge", user)
	rename := func(find string, n int, to string) string {
		p := at(uri, user, find, n)
		p["newName"] = to
		return text2json(t, c.request("textDocument/rename", p))
	}
	for _, x := range []struct {
		find      string
		to        string
		here, all int    // edits
		refused   string // instead
	}{
		{find: "wide(", to: "widened", here: 1, all: 3},
		{find: "factor", to: "times", here: 1, all: 4},
		{find: "scale)", to: "size", here: 2, all: 4},
		{find: "small", to: "little", here: 1, all: 2},
		{find: "width", to: "breadth", here: 2, all: 2},
		{find: "scale)", to: "width", refused: "`width` means something else already: user.forge:"},
		{find: "wide(", to: "small", refused: "`small` is taken: base.forge:11"},
		{find: "factor", to: "d", refused: "`d` is taken: base.forge:4"},
	} {
		s := rename(x.find, 1, x.to)
		if x.refused != "" {
			if !strings.Contains(s, x.refused) {
				t.Errorf("%s to %s: %s", x.find, x.to, s)
			}
			continue
		}
		var answer struct {
			Result workspaceEdit `json:"result"`
		}
		if err := json.Unmarshal([]byte(s), &answer); err != nil {
			t.Fatal(err)
		}
		all := 0
		for _, edits := range answer.Result.Changes {
			all += len(edits)
		}
		if len(answer.Result.Changes[uri]) != x.here || all != x.all {
			t.Errorf("%s to %s: %s", x.find, x.to, s)
		}
	}
	// What comes with forge keeps its names.
	p := at(uri, "forge 1\nuse \"base.forge\"\nuse \"tiny\"\n\nrecipe r from tiny.tiny {}\n", "tiny", 3)
	c.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": uri, "version": 2},
		"contentChanges": []any{map[string]any{"text": "forge 1\nuse \"base.forge\"\nuse \"tiny\"\n\nrecipe r from tiny.tiny {}\n"}}})
	p["newName"] = "x"
	if s := text2json(t, c.request("textDocument/rename", p)); !strings.Contains(s, "which comes with forge") {
		t.Error(s)
	}
}

func TestFormattingAndOutline(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", tiny(t))
	ugly := strings.Replace(mine, "hidden = d * factor", "hidden=d*factor", 1)
	uri := c.open("mine.forge", ugly)
	m := c.request("textDocument/formatting", map[string]any{"textDocument": map[string]any{"uri": uri}})
	edits := m["result"].([]any)
	if len(edits) != 1 || edits[0].(map[string]any)["newText"] != "  hidden = d * factor\n" {
		t.Error(text2json(t, edits))
	}
	m = c.request("textDocument/documentSymbol", map[string]any{"textDocument": map[string]any{"uri": uri}})
	if s := text2json(t, m); !containsAll(s, []string{`"widen"`, `"wide"`, `"hidden"`, `"model.attn"`}) {
		t.Error(s)
	}
	m = c.request("textDocument/inlayHint", map[string]any{"textDocument": map[string]any{"uri": uri},
		"range": map[string]any{"start": position{0, 0}, "end": position{100, 0}}})
	if s := text2json(t, m); !strings.Contains(s, ": [batch, seq, hidden]") {
		t.Error(s)
	}
}

// TestMalformed sends what no editor sends; the session goes on.
func TestMalformed(t *testing.T) {
	c := start(t)
	uri := c.open("mine.forge", mine)
	for _, body := range []string{
		"{", "null", "[]", `"text"`, "{}", `{"id":7}`, `{"method":"textDocument/hover"}`, "\x00\xff",
		`{"method":"textDocument/didOpen","params":7}`, `{"method":"textDocument/didChange","params":{"textDocument":{"uri":"` + uri + `"},"contentChanges":[{"range":{"start":{"line":-4,"character":-1},"end":{"line":99999,"character":-3}},"text":"forge 1\n"}]}}`,
		`{"method":"textDocument/didChange","params":{"contentChanges":[]}}`, `{"method":"nothing"}`,
	} {
		c.raw(body)
	}
	if _, err := io.WriteString(c.to, "Content-Length: -3\r\nNonsense\r\n\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.id = 100
	for _, method := range []string{"textDocument/hover", "textDocument/completion", "textDocument/definition", "textDocument/references",
		"textDocument/rename", "textDocument/prepareRename", "textDocument/codeAction", "textDocument/inlayHint", "no/such"} {
		for _, params := range []any{nil, 3, map[string]any{}, map[string]any{"textDocument": map[string]any{"uri": "http://x/y"}},
			map[string]any{"textDocument": map[string]any{"uri": uri}, "position": map[string]any{"line": 1 << 40, "character": 1 << 40}}} {
			c.id++
			b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params})
			c.raw(string(b))
			for {
				if m := c.read(); m["id"] == float64(c.id) {
					if e, ok := m["error"].(map[string]any); ok && e["code"] == float64(codeInternal) {
						t.Errorf("%s %v: %v", method, params, e)
					}
					break
				}
			}
		}
	}
	c.request("shutdown", nil)
	c.notify("exit", nil)
	if err := <-c.done; err != nil {
		t.Error(err)
	}
}

// What needs a check waits for it, and what is asked meanwhile does not; a cancelled request is answered as such.
func TestWaitingForTheCheck(t *testing.T) {
	c := start(t)
	c.open("tiny.forge", tiny(t))
	uri := c.open("large.forge", large(t))
	ask := func(id int, method string, more map[string]any) {
		params := map[string]any{"textDocument": map[string]any{"uri": uri}, "position": position{5, 3}}
		for k, v := range more {
			params[k] = v
		}
		body, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
		if err != nil {
			t.Fatal(err)
		}
		c.raw(string(body))
	}
	answer := func() (int, map[string]any) {
		for {
			if m := c.read(); m["id"] != nil {
				return int(m["id"].(float64)), m
			}
		}
	}
	everything := map[string]any{"range": textRange{position{0, 0}, position{9999, 0}}}
	ask(101, "textDocument/inlayHint", everything)
	ask(102, "textDocument/codeAction", everything)
	ask(103, "textDocument/documentSymbol", nil)
	c.notify("$/cancelRequest", map[string]any{"id": 102})
	var order []int
	for range 3 {
		id, m := answer()
		order = append(order, id)
		switch id {
		case 101:
			if hints, _ := m["result"].([]any); len(hints) < 100 {
				t.Errorf("%d hints", len(hints))
			}
		case 102:
			if e, _ := m["error"].(map[string]any); e["code"] != float64(codeCancelled) {
				t.Errorf("cancelled: %v", m)
			}
		}
	}
	if !slices.Equal(order, []int{103, 102, 101}) {
		t.Errorf("answered in the order %v", order)
	}
	ask(104, "textDocument/hover", nil)
	c.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": uri}})
	if id, _ := answer(); id != 104 {
		t.Errorf("%d is answered", id)
	}
}

// large is a recipe of 2,000 lines: copies of one block and recipe.
func large(t testing.TB) string {
	t.Helper()
	i, j := strings.Index(mine, "# grows"), strings.Index(mine, "  model.attn")
	var b strings.Builder
	b.WriteString("forge 1\nuse \"tiny.forge\"\n\n")
	for n := 0; strings.Count(b.String(), "\n") < 2000; n++ {
		b.WriteString(strings.NewReplacer("widen", fmt.Sprint("widen", n), "recipe wide", fmt.Sprint("recipe wide", n)).Replace(mine[i:j]) + "}\n\n")
	}
	return b.String()
}

// BenchmarkKeystroke is a key in a recipe of 2,000 lines: the change, and the completion that an editor asks for.
func BenchmarkKeystroke(b *testing.B) {
	s := &server{out: &writer{to: io.Discard}, docs: map[string]*document{}, trees: map[string]*tree{}, indexes: map[string]*index{}, stale: map[string]bool{}, timer: time.NewTimer(time.Hour)}
	s.docs["/r/tiny.forge"] = &document{uri: "file:///r/tiny.forge", name: "/r/tiny.forge", text: newText(tiny(b))}
	source := large(b)
	d := &document{uri: "file:///r/large.forge", name: "/r/large.forge", text: newText(source)}
	s.docs[d.name] = d
	s.tree(d.name)
	line := slices.Index(strings.Split(source, "\n"), "  model.dense = widen50(3)")
	for b.Loop() {
		at := position{line, len("  model.")}
		d.text = d.text.apply(contentChange{Range: &textRange{at, at}, Text: "d"})
		s.changed()
		at.Character++
		if list, err := s.completion(d.name, &documentParams{Position: at}); err != nil || len(list.(completionList).Items) < 10 {
			b.Fatal(list, err)
		}
		d.text = d.text.apply(contentChange{Range: &textRange{position{line, at.Character - 1}, at}, Text: ""})
	}
}

// A key in a large recipe is answered at once. The bound is the goal with room for a loaded machine.
func TestKeystrokeIsQuick(t *testing.T) {
	r := testing.Benchmark(BenchmarkKeystroke)
	if per := time.Duration(r.NsPerOp()); per > 50*time.Millisecond {
		t.Errorf("a key takes %v", per)
	}
}
