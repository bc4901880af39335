// Package chat turns a conversation into the text that a model was trained on. In flow a checkpoint's own template, in Jinja, from its
// tokenizer_config.json, and messages; out flows a prompt, the same as Hugging Face's libraries make. What a template asks for and
// gonja, which renders it, can't do is an error with the template's line, never a prompt without it. The package knows no tokens.
package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Template is a chat template. It may be used by several goroutines at once.
type Template struct {
	name    string
	source  string
	special map[string]any // bos_token, eos_token and so on
}

// Message is a turn of a conversation. A message read from JSON keeps all its fields, in their order, for the template.
type Message struct {
	Role    string // "system", "user", "assistant", "tool"
	Content string
	raw     json.RawMessage
}

// UnmarshalJSON reads a message as chat servers get it. Its content may be null only where there are tool_calls.
func (m *Message) UnmarshalJSON(data []byte) error {
	var f struct {
		Role      string          `json:"role"`
		Content   json.RawMessage `json:"content"`
		ToolCalls json.RawMessage `json:"tool_calls"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	empty := func(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
	switch {
	case f.Role == "":
		return errors.New("message: there is no role")
	case empty(f.Content) && empty(f.ToolCalls):
		return errors.New("message: there is neither content nor tool_calls")
	}
	*m = Message{Role: f.Role, raw: bytes.Clone(data)}
	if len(f.Content) > 0 && f.Content[0] == '"' {
		return json.Unmarshal(f.Content, &m.Content)
	}
	return nil
}

// Input is what a template is rendered with.
type Input struct {
	Messages []Message
	// Tools are descriptions of functions as JSON, a list; nil if there are none.
	Tools json.RawMessage
	// AddGenerationPrompt ends the text where the assistant's answer begins.
	AddGenerationPrompt bool
	// Variables are others that the template knows, such as enable_thinking: bool, int, float64, string or JSON's maps and lists.
	Variables map[string]any
}

// Limits of a template, which comes with a checkpoint and is not trusted: loops and calls of macros together, macros within macros,
// the size of what is written or kept in a variable, and the time.
const (
	maxSteps = 200_000
	maxDepth = 50
	maxText  = 64 << 20
	maxTime  = 10 * time.Second
)

// Load reads the chat template of a checkpoint: path is a tokenizer_config.json or the folder that has one.
func Load(path string) (*Template, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "tokenizer_config.json")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	special := map[string]string{}
	for _, name := range []string{"bos_token", "eos_token", "pad_token", "unk_token"} {
		text, err := tokenText(config[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		if text != "" {
			special[name] = text
		}
	}
	source, err := templateText(config["chat_template"])
	if errors.Is(err, errNoTemplate) {
		// Since 2025 Hugging Face keeps the template in a file of its own.
		beside, readErr := os.ReadFile(filepath.Join(filepath.Dir(path), "chat_template.jinja"))
		if readErr == nil {
			source, err = string(beside), nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return Parse(path, source, special)
}

var errNoTemplate = errors.New("there is no chat_template; a base model has none, and continues text instead")

// templateText reads a template, or the one named "default" of a list.
func templateText(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", errNoTemplate
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &named); err != nil {
		return "", fmt.Errorf("chat_template: %w", err)
	}
	for _, n := range named {
		if n.Name == "default" {
			return n.Template, nil
		}
	}
	return "", errors.New(`chat_template: none of the templates is named "default"`)
}

// tokenText reads a special token, written as text or as an object with its content.
func tokenText(raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "", nil
	}
	var text *string
	if json.Unmarshal(raw, &text) == nil {
		if text == nil {
			return "", nil
		}
		return *text, nil
	}
	var object struct{ Content string }
	if err := json.Unmarshal(raw, &object); err != nil {
		return "", err
	}
	return object.Content, nil
}

// Parse reads a template; name is where it comes from, for errors. special are the texts of bos_token, eos_token and so on.
func Parse(name, source string, special map[string]string) (*Template, error) {
	t := &Template{name: name, source: source, special: map[string]any{}}
	for k, v := range special {
		t.special[k] = v
	}
	if _, err := t.parse(&rendering{}); err != nil {
		return nil, err
	}
	return t, nil
}

// Special is the text of "bos_token", "eos_token", "pad_token" or "unk_token"; "" if the checkpoint has none.
func (t *Template) Special(name string) string {
	text, _ := t.special[name].(string)
	return text
}

// Error is a fault in a template or one that the template raises.
type Error struct {
	Name string // where the template comes from
	Line int    // in the template, from 1 on; 0 if it isn't known
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: chat template: %s", e.Name, e.Text)
	}
	return fmt.Sprintf("%s: chat template, line %d: %s", e.Name, e.Line, e.Text)
}
