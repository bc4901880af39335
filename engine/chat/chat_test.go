package chat

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// conversations are what the templates are rendered with; each is a JSON object of messages, tools and variables.
var conversations = []string{
	`{"messages":[{"role":"user","content":"Hi"}]}`,
	`{"messages":[{"role":"system","content":" Be kind. \n"},{"role":"user","content":"What is 2 < 3 & \"so\"?"},{"role":"assistant","content":"<think>\nEasy.\n</think>\n\nTrue."},{"role":"user","content":"আবার 再说 👩‍💻"}],"add_generation_prompt":true}`,
	`{"messages":[{"role":"user","content":""},{"role":"assistant","content":"a\nb\n"},{"role":"user","content":"  spaces  "}],"add_generation_prompt":true,"enable_thinking":true}`,
	`{"messages":[{"role":"user","content":"Weather in Zürich and 北京?"},{"role":"assistant","content":null,"tool_calls":[` +
		`{"id":"1","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Zürich\"}"}},{"id":"2","type":"function","function":{"name":"weather","arguments":"{\"city\": \"北京\"}"}}]},` +
		`{"role":"tool","tool_call_id":"1","content":"7 °C\nrain"},{"role":"tool","tool_call_id":"2","content":"sunny\na bad day"},{"role":"assistant","content":"Rain, and sun."},{"role":"user","content":"Thanks."}],` +
		`"add_generation_prompt":true,"tools":[{"type":"function","function":{"name":"weather","description":" The weather & more <now>. ","parameters":{"type":"object","properties":{"unit":{"type":"string","enum":["C","F"]},"city":{"type":"string"}},"required":["city"],"x":[1,2.5,true,null,{}]}}}]}`,
	`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning":" thought "},{"role":"user","content":"c"},{"role":"tool","content":"one\ntwo\n\nlast"}],"thinking":true}`,
	`{"messages":[{"role":"system","content":"one"},{"role":"system","content":"two"},{"role":"user","content":"x"},{"role":"assistant","content":"p</think>q</think>r","prefix":true}]}`,
}

// input reads a conversation.
func input(t *testing.T, text string) Input {
	t.Helper()
	var in struct {
		Messages            []Message
		Tools               json.RawMessage
		AddGenerationPrompt bool `json:"add_generation_prompt"`
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		t.Fatal(err)
	}
	var variables map[string]any
	if err := json.Unmarshal([]byte(text), &variables); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"messages", "tools", "add_generation_prompt"} {
		delete(variables, name)
	}
	return Input{Messages: in.Messages, Tools: in.Tools, AddGenerationPrompt: in.AddGenerationPrompt, Variables: variables}
}

var special = map[string]string{"bos_token": "<s>", "eos_token": "</s>"}

// templates are those of testdata.
func templates(t *testing.T, folder string) map[string]string {
	files, err := filepath.Glob(filepath.Join(folder, "*.jinja"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = string(data)
	}
	return all
}

// TestRenderGolden keeps the texts that the oracle agreed with.
func TestRenderGolden(t *testing.T) {
	for name, source := range templates(t, "testdata") {
		template, err := Parse(name, source, special)
		if err != nil {
			t.Error(err)
			continue
		}
		var out strings.Builder
		for i, c := range conversations {
			text, err := template.Render(input(t, c))
			if err != nil {
				text = "error: " + err.Error() + "\n"
			}
			fmt.Fprintf(&out, "== %d\n%s", i+1, text)
		}
		path := filepath.Join("testdata", strings.TrimSuffix(name, ".jinja")+".golden")
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s differs:\n%s", path, out.String())
		}
	}
}

// TestErrors checks that a template's faults are told with its line.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"a\n{% if x %}\nb", "x.json: chat template"},
		{"a\n{% wrong %}", "x.json: chat template, line 2: "},
		{"a\n\n{{ messages | shuffle }}", "x.json: chat template, line 3: "},
		{"a\n{{ raise_exception('no ' ~ messages[0].role) }}", "x.json: chat template, line 2: no user"},
		{"{% for m in messages %}\n\n{{ raise_exception('deep') }}{% endfor %}", "x.json: chat template, line 3: deep"},
		{"\n{% include 'secret' %}", "x.json: chat template, line 2: "},
		{"\n{% import 'secret' as s %}", "x.json: chat template, line 2: "},
		{"{{ 1 % 0 }}", "x.json: chat template"},
		{"\n{{ range(10, 0, 0) }}", "x.json: chat template, line 2: invalid call to function 'range': the step of range is 0"},
		{"\n{{ lipsum() }}", "x.json: chat template, line 2: "},
		{"\n{{ strftime_now('%Q') }}", `x.json: chat template, line 2: invalid call to function 'strftime_now': strftime_now does not know the format "%Q"`},
		{"\n{{ messages | tojson(sort_keys=true) }}", "x.json: chat template, line 2: invalid call to filter 'tojson': tojson does not know sort_keys"},
	} {
		text := ""
		template, err := Parse("x.json", c.template, nil)
		if err == nil {
			text, err = template.Render(input(t, conversations[0]))
		}
		var fault *Error
		if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %q, %v\nwant %s", c.template, text, err, c.want)
		}
	}
}

// TestLimits runs templates that would not end, or fill the memory.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"range":     {"{% for i in range(1000000000) %}x{% endfor %}", "range has more than 200000 numbers"},
		"loops":     {"{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}{% endfor %}", "the template's loops and macros ran 200000 times without coming to an end"},
		"macro":     {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macros call each other more than 50 deep"},
		"branches":  {"{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}", "the template's loops and macros ran 200000 times without coming to an end"},
		"doubling":  {"{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "the template makes a text of more than 67108864 bytes"},
		"recursive": {"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "a recursive loop is not supported"},
		"output":    {"{% set x = 'abcdefgh' * 1000000 %}{% for i in range(100) %}{{ x }}{% endfor %}", "the template makes a text of more than 67108864 bytes"},
	} {
		start := time.Now()
		template, err := Parse("x.json", c.template, nil)
		if err == nil {
			_, err = template.Render(input(t, conversations[0]))
		}
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
		if took := time.Since(start); took > maxTime+time.Minute {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const messages = `{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}`
	quoted, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	for _, c := range []struct{ config, want string }{
		{`{"bos_token":"<s>","eos_token":{"__type":"AddedToken","content":"</s>","lstrip":false},"chat_template":` + string(quoted) + `}`, "<s>user: Hi</s>"},
		{`{"bos_token":null,"chat_template":[{"name":"rag","template":"x"},{"name":"default","template":` + string(quoted) + `}]}`, "user: Hi"},
		{`{"chat_template":[{"name":"rag","template":"x"}]}`, `error: chat_template: none of the templates is named "default"`},
		{`{"chat_template":7}`, "error: chat_template: json: cannot unmarshal number"},
		{`{"bos_token":7,"chat_template":"x"}`, "error: bos_token: json: cannot unmarshal number"},
		{`{"chat_template":"{% if %}"}`, "error: chat template"},
		{`{"bos_token":"<s>"}`, "error: there is no chat_template; a base model has none, and continues text instead"},
		{`[]`, "error: json: cannot unmarshal array"},
	} {
		write("tokenizer_config.json", c.config)
		got := ""
		template, err := Load(folder)
		if err == nil {
			got, err = template.Render(Input{Messages: []Message{{Role: "user", Content: "Hi"}}})
		}
		if err != nil {
			got = "error" + strings.TrimPrefix(err.Error(), filepath.Join(folder, "tokenizer_config.json"))
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.config, got, c.want)
		}
	}
	write("tokenizer_config.json", `{"bos_token":"<s>"}`)
	write("chat_template.jinja", messages)
	template, err := Load(filepath.Join(folder, "tokenizer_config.json"))
	if err != nil || template.Special("bos_token") != "<s>" || template.Special("eos_token") != "" {
		t.Errorf("with a file beside: %v", err)
	}
}

func TestMessages(t *testing.T) {
	for text, want := range map[string]string{
		`{"content":"x"}`:                                        "message: there is no role",
		`{"role":"user"}`:                                        "message: there is neither content nor tool_calls",
		`{"role":"user","content":null}`:                         "message: there is neither content nor tool_calls",
		`{"role":7,"content":"x"}`:                               "message: json: cannot unmarshal number into Go struct field .role of type string",
		`{"role":"user","content":"x\n"}`:                        "<nil>",
		`{"role":"user","content":[{"type":"text","text":"x"}]}`: "<nil>",
	} {
		var m Message
		if err := json.Unmarshal([]byte(text), &m); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	template, err := Parse("x", "{{ messages }}", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tools := range []string{"[", "[1] 2", strings.Repeat("[", 300)} {
		if _, err := template.Render(Input{Tools: json.RawMessage(tools)}); err == nil {
			t.Errorf("the tools %.10s were taken", tools)
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	template, err := Parse("tools.jinja", templates(t, "testdata")["tools.jinja"], special)
	if err != nil {
		t.Fatal(err)
	}
	want, err := template.Render(input(t, conversations[3]))
	if err != nil {
		t.Fatal(err)
	}
	in := input(t, conversations[3])
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if got, err := template.Render(in); err != nil || got != want {
				t.Errorf("goroutines at once give another text (%v)", err)
			}
		})
	}
	wait.Wait()
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		text, separator string
		most            int
		want, right     string
	}{
		{"a</t>b</t>c", "</t>", -1, "a|b|c", "a|b|c"},
		{"a</t>b</t>c", "</t>", 1, "a|b</t>c", "a</t>b|c"},
		{"a</t>b", "</t>", 0, "a</t>b", "a</t>b"},
		{"", ",", -1, "", ""},
		{" a  b\u2003c ", "", -1, "a|b|c", "a|b|c"},
		{" a  b\u2003c ", "", 1, "a|b\u2003c ", " a  b|c"},
		{"  ", "", -1, "", ""},
	} {
		if got, right := strings.Join(split(c.text, c.separator, c.most), "|"), strings.Join(splitRight(c.text, c.separator, c.most), "|"); got != c.want || right != c.right {
			t.Errorf("%q by %q, %d: %q and %q, want %q and %q", c.text, c.separator, c.most, got, right, c.want, c.right)
		}
	}
}

func TestFormatTime(t *testing.T) {
	now := time.Date(2026, 1, 5, 7, 8, 9, 0, time.UTC)
	if got, err := formatTime(now, "%d %b %Y, %A %e %H:%M:%S 100%%"); err != nil || got != "05 Jan 2026, Monday  5 07:08:09 100%" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"%", "%Q"} {
		if _, err := formatTime(now, bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, c := range []string{"{{ messages[0].content }}", "{% for m in messages %}{{ m | tojson }}{% endfor %}", "{% set x = 1 %}{{ x }}", "{%- macro a(b) %}{{ b }}{% endmacro %}{{ a(1) }}"} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, source string) {
		template, err := Parse("x", source, special)
		if err != nil {
			return
		}
		if text, err := template.Render(Input{Messages: []Message{{Role: "user", Content: "Hi"}}}); err == nil && len(text) > maxText {
			t.Error("too long a text")
		}
	})
}
