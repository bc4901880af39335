package chat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/parser"
)

// Render gives the text of a conversation.
func (t *Template) Render(in Input) (text string, err error) {
	r := &rendering{deadline: time.Now().Add(maxTime), order: map[uintptr][]string{}}
	template, err := t.parse(r)
	if err != nil {
		return "", err
	}
	variables := map[string]any{"add_generation_prompt": in.AddGenerationPrompt}
	for k, v := range t.special {
		variables[k] = v
	}
	messages := make([]any, len(in.Messages))
	for i, m := range in.Messages {
		if messages[i], err = r.message(m); err != nil {
			return "", fmt.Errorf("message %d: %w", i+1, err)
		}
	}
	variables["messages"] = messages
	if len(in.Tools) > 0 {
		if variables["tools"], err = r.value(in.Tools); err != nil {
			return "", fmt.Errorf("tools: %w", err)
		}
	}
	for k, v := range in.Variables {
		variables[k] = v
	}
	// gonja panics where its types don't fit, which the template can bring about.
	defer func() {
		if p := recover(); p != nil {
			text, err = "", t.fault(fmt.Errorf("%v", p))
		}
	}()
	var out bytes.Buffer
	if err := template.Execute(&limited{&out}, exec.NewContext(variables)); err != nil {
		fault := t.fault(err)
		if r.raised != nil {
			fault.Text = r.raised.Error()
		}
		return "", fault
	}
	return out.String(), nil
}

// rendering is one use of a template: what it may still do, and the order of the fields of what came as JSON, which Go's maps lack.
type rendering struct {
	steps, depth int
	deadline     time.Time
	order        map[uintptr][]string
	raised       error // by raise_exception
}

// parse compiles the template for one rendering, whose limits and functions are part of what is compiled.
func (t *Template) parse(r *rendering) (template *exec.Template, err error) {
	defer func() {
		if p := recover(); p != nil {
			template, err = nil, t.fault(fmt.Errorf("%v", p))
		}
	}()
	c := config.New()
	c.TrimBlocks, c.LeftStripBlocks = true, true // as Hugging Face's libraries set them
	loader := onlyTemplate{t.source}
	template, err = exec.NewTemplate("template", c, loader, r.environment())
	if err != nil {
		return nil, t.fault(err)
	}
	return template, nil
}

// environment is what a template may use: nothing that reads files or other templates.
func (r *rendering) environment() *exec.Environment {
	structures := map[string]parser.ControlStructureParser{}
	for _, name := range []string{"break", "call", "continue", "do", "filter", "if", "raw", "with"} {
		structures[name], _ = builtins.ControlStructures.Get(name)
	}
	structures["for"] = r.forParser
	structures["macro"] = r.macroParser
	structures["set"] = r.setParser
	structures["generation"] = generationParser
	filters := exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters)
	for name, f := range map[string]exec.FilterFunction{"tojson": r.toJSON, "items": r.items} {
		if filters.Exists(name) {
			must(filters.Replace(name, f))
		} else {
			must(filters.Register(name, f))
		}
	}
	functions := map[string]any{"range": r.rangeOf, "raise_exception": r.raise, "strftime_now": r.timeNow}
	for _, name := range []string{"cycler", "dict", "joiner", "namespace"} {
		functions[name], _ = builtins.GlobalFunctions.Get(name)
	}
	methods := builtins.Methods
	methods.Dict, methods.Str = r.dictMethods(), textMethods()
	return &exec.Environment{
		Context:           exec.NewContext(functions),
		Filters:           filters,
		Tests:             builtins.Tests,
		ControlStructures: exec.NewControlStructureSet(structures),
		Methods:           methods,
	}
}

// must is for names that this package gives.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// step counts what a template does again and again.
func (r *rendering) step() error {
	r.steps++
	switch {
	case r.steps > maxSteps:
		return fmt.Errorf("the template's loops and macros ran %d times without coming to an end", maxSteps)
	case r.steps%64 == 0 && time.Now().After(r.deadline):
		return fmt.Errorf("the template ran for %v without coming to an end", maxTime)
	}
	return nil
}

// limited refuses more text than a prompt can be.
type limited struct{ *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText {
		return 0, errTooLong
	}
	return l.Buffer.Write(p)
}

func (l *limited) WriteString(s string) (int, error) { return l.Write([]byte(s)) }

var errTooLong = fmt.Errorf("the template makes a text of more than %d bytes", maxText)

// onlyTemplate is the loader of the one template there is.
type onlyTemplate struct{ source string }

func (l onlyTemplate) Read(string) (io.Reader, error)         { return strings.NewReader(l.source), nil }
func (l onlyTemplate) Resolve(path string) (string, error)    { return path, nil }
func (l onlyTemplate) Inherit(string) (loaders.Loader, error) { return l, nil }

var linePattern = regexp.MustCompile(`\b[Ll]ine[ :=]+(\d+)`)

// fault makes an Error of gonja's: the innermost reason, and the last line that gonja names on the way to it.
func (t *Template) fault(err error) *Error {
	e := &Error{Name: t.name}
	var syntax *parser.SyntaxError
	if errors.As(err, &syntax) {
		e.Line = syntax.Line
		e.Text = syntax.Message
		if syntax.Raw != "" {
			e.Text += fmt.Sprintf(" near %q", syntax.Raw)
		}
		return e
	}
	text := strings.ReplaceAll(err.Error(), t.source, "…")
	for _, m := range linePattern.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			e.Line = n
		}
	}
	e.Text = innermost(err)
	if e.Text == "" || strings.Contains(e.Text, t.source) {
		e.Text = text
	}
	return e
}

// innermost is the text of the error that the others wrap.
func innermost(err error) string {
	for {
		var next error
		switch w := err.(type) {
		case interface{ Unwrap() error }:
			next = w.Unwrap()
		case interface{ Cause() error }:
			next = w.Cause()
		case *exec.Value:
			next, _ = w.Interface().(error)
		}
		if next == nil || next == err {
			return err.Error()
		}
		err = next
	}
}
