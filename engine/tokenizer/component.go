package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// component is a part of a tokenizer.json with its place in the file, for errors: "pre_tokenizer.pretokenizers[1]".
type component struct {
	place string
	raw   json.RawMessage
}

// absent is whether the part is left out or null.
func (c component) absent() bool {
	return len(c.raw) == 0 || string(bytes.TrimSpace(c.raw)) == "null"
}

// kind is the field "type".
func (c component) kind() (string, error) {
	var t struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(c.raw, &t); err != nil {
		return "", fmt.Errorf("%s: %w", c.place, err)
	}
	return t.Type, nil
}

// fields reads the part into a struct, and refuses a field that the struct lacks: it would change what the tokenizer does.
func (c component) fields(into any) error {
	if len(c.raw) == 0 {
		return c.errorf("there is none")
	}
	d := json.NewDecoder(bytes.NewReader(c.raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return c.errorf("it ends in the middle")
	}
	if err != nil {
		return fmt.Errorf("%s: %s", c.place, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (c component) item(field string, i int, raw json.RawMessage) component {
	return component{fmt.Sprintf("%s.%s[%d]", c.place, field, i), raw}
}

func (c component) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s", c.place, fmt.Sprintf(format, args...))
}

// unknown refuses a type. An unknown step ignored would give other tokens without a word.
func (c component) unknown(kind, known string) error {
	return c.errorf("the type %q is not one that forge knows (%s)", kind, known)
}

// searched is what Split and Replace look for: a text or a regular expression.
type searched struct {
	String *string
	Regex  *string
}

func (s searched) matcher(c component) (matcher, error) {
	var text string
	switch {
	case s.Regex != nil && s.String == nil:
		text = *s.Regex
	case s.String != nil && s.Regex == nil:
		if *s.String == "" {
			return nil, c.errorf("the pattern is empty")
		}
		var a sequence
		for _, r := range *s.String {
			a = append(a, term{set: single(r), min: 1, max: 1})
		}
		return newScanner(alternatives{a}), nil
	default:
		return nil, c.errorf("a pattern is either a String or a Regex")
	}
	m, err := newMatcher(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.place, err)
	}
	return m, nil
}
